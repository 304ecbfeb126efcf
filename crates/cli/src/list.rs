//! `mcp-lifecheck list`.

use std::collections::BTreeMap;

use comfy_table::{Table, presets};
use mcp_lifecheck::catalogue::{shipped_loaders, shipped_scenarios, shipped_suites};
use mcp_lifecheck::check::{HOST_RULES, INVARIANTS, Invariant};
use mcp_lifecheck::plan::{PROMISES, Scenario, Transport};
use mcp_lifecheck::run::{ExitReason, RunError};
use mcp_lifecheck::script::{FAULTS, Script, framing_of, shipped, shipped_names};
use serde_json::{Value, json};

use crate::args::{ListArgs, ListWhat};
use crate::print::say;

/// Lists what there is: an id and what it is about, and more where there is more to say.
pub(crate) fn list(arguments: &ListArgs) -> Result<ExitReason, RunError> {
    let rows = rows(arguments.what)?;
    if arguments.format.is_some() {
        say(&Value::from(rows).to_string())?;
        return Ok(ExitReason::Conforms);
    }
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    for row in &rows {
        let text = |name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        let cells = [text("id"), text("of"), text("about")];
        table.add_row(cells.into_iter().filter(|cell| !cell.is_empty()));
    }
    say(&table.to_string())?;
    Ok(ExitReason::Conforms)
}

fn rows(what: ListWhat) -> Result<Vec<Value>, RunError> {
    Ok(match what {
        ListWhat::Loaders => shipped_loaders()?
            .iter()
            .map(|loader| json!({ "id": loader.name, "about": loader.about, "stacks": loader.stacks }))
            .collect(),
        ListWhat::Scenarios => shipped_scenarios()?.iter().map(scenario_row).collect(),
        ListWhat::Suites => shipped_suites()?
            .iter()
            .map(|suite| json!({ "id": suite.name, "about": suite.about, "scenarios": suite.names() }))
            .collect(),
        ListWhat::Scripts => {
            let scripts = shipped_names().into_iter().map(shipped).collect::<Result<Vec<Script>, _>>()?;
            scripts.iter().map(script_row).collect()
        }
        ListWhat::Faults => FAULTS.iter().map(|fault| json!({ "id": fault.id, "about": fault.about })).collect(),
        ListWhat::Invariants => {
            let of_loaders = INVARIANTS.iter().map(|one| invariant_row("loaders", one));
            of_loaders.chain(HOST_RULES.iter().map(|one| invariant_row("hosts", one))).collect()
        }
        ListWhat::Promises => PROMISES
            .iter()
            .map(|(id, default, about)| json!({ "id": id, "about": about, "default": default }))
            .collect(),
        ListWhat::Transports => {
            let row = |one: Transport| json!({ "id": one.as_str(), "about": one.about() });
            Transport::ALL.into_iter().map(row).collect()
        }
        ListWhat::Requirements => requirements(),
    })
}

/// An invariant, and of which of the two tables it is; one that is in both has a row of each.
fn invariant_row(of: &str, one: &Invariant) -> Value {
    json!({ "id": one.id, "of": of, "about": one.claim, "source": one.source, "requirement": one.requirement })
}

fn scenario_row(scenario: &Scenario) -> Value {
    json!({
        "id": scenario.name,
        "about": scenario.about,
        "transports": carried_by(|transport| scenario.runs_over(transport)),
    })
}

fn script_row(script: &Script) -> Value {
    let transports = carried_by(|transport| script.fits(transport.home(), framing_of(transport, [script])).is_ok());
    json!({ "id": script.name(), "about": script.about(), "transports": transports })
}

/// The transports of which something is true.
fn carried_by(is_carried: impl Fn(Transport) -> bool) -> Vec<String> {
    Transport::ALL.into_iter().filter(|transport| is_carried(*transport)).map(|one| one.to_string()).collect()
}

/// The requirements that invariants stand for, with the invariants.
fn requirements() -> Vec<Value> {
    let mut judged: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for invariant in INVARIANTS {
        for requirement in invariant.requirement {
            judged.entry(requirement).or_default().push(invariant.id);
        }
    }
    let row = |(id, invariants): (&str, Vec<&str>)| json!({ "id": id, "about": format!("judged by {}", invariants.join(", ")), "invariants": invariants });
    judged.into_iter().map(row).collect()
}
