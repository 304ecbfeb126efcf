//! `mcp-lifecheck list`.

use std::collections::BTreeSet;

use comfy_table::{Table, presets};
use mcp_lifecheck::catalogue::{shipped_loaders, shipped_scenarios, shipped_suites};
use mcp_lifecheck::check::{HOST_RULES, INVARIANTS, Invariant, Requirement, covered_by, requirements};
use mcp_lifecheck::plan::{PROMISES, Revision, Scenario, Transport};
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
        table.add_row([text("id"), text("about")]);
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
        ListWhat::Invariants => invariants().map(invariant_row).collect(),
        ListWhat::Promises => PROMISES
            .iter()
            .map(|(id, default, about)| json!({ "id": id, "about": about, "default": default }))
            .collect(),
        ListWhat::Transports => {
            let row = |one: Transport| json!({ "id": one.as_str(), "about": one.about() });
            Transport::ALL.into_iter().map(row).collect()
        }
        ListWhat::Requirements => {
            let rows = requirements().map_err(|error| RunError::usage(error.to_string()))?;
            rows.iter().map(requirement_row).collect()
        }
    })
}

/// Every invariant once, with the kinds of programs that it judges: those of loaders first.
fn invariants() -> impl Iterator<Item = (&'static Invariant, Vec<&'static str>)> {
    let of_programs = |id: &str| HOST_RULES.iter().find(|rule| rule.id == id).map(|rule| rule.applies.programs());
    let of_loaders = INVARIANTS.iter().map(move |one| {
        (one, std::iter::once("loader").chain(of_programs(one.id).into_iter().flatten().copied()).collect())
    });
    let of_programs_alone = HOST_RULES.iter().filter(|rule| INVARIANTS.iter().all(|one| one.id != rule.id));
    of_loaders.chain(of_programs_alone.map(|rule| (rule, rule.applies.programs().to_vec())))
}

fn invariant_row((one, subjects): (&Invariant, Vec<&str>)) -> Value {
    json!({
        "id": one.id,
        "about": one.claim,
        "subjects": subjects,
        "level": one.level.name(),
        "source": one.source,
        "requirement": one.requirement,
        "revisions": one.applies.revisions().map(Revision::as_str).collect::<Vec<_>>(),
        "transports": one.applies.transports().map(Transport::as_str).collect::<Vec<_>>(),
    })
}

/// A requirement, with the rules that judge it and where they apply.
fn requirement_row(row: &Requirement) -> Value {
    let covering_ids = covered_by(row);
    let covering = || invariants().filter(|(one, _)| covering_ids.contains(&one.id));
    let subjects: BTreeSet<&str> = covering().flat_map(|(_, subjects)| subjects).collect();
    let transports: BTreeSet<Transport> = covering().flat_map(|(one, _)| one.applies.transports()).collect();
    let covered: BTreeSet<Revision> = covering().flat_map(|(one, _)| one.applies.revisions()).collect();
    let covered = row.revisions.iter().filter(|revision| covered.contains(revision));
    json!({
        "id": row.id,
        "about": row.about,
        "level": row.level,
        "who": row.who,
        "revisions": row.revisions,
        "extension": row.extension,
        "source": row.source,
        "reading": row.reading,
        "breakable": row.unbreakable.as_ref().map_or(Value::Bool(true), |reason| reason.to_string().into()),
        "covered_by": covering_ids,
        "covered": {
            "revisions": covered.collect::<Vec<_>>(),
            "transports": transports.into_iter().map(Transport::as_str).collect::<Vec<_>>(),
            "subjects": subjects,
        },
        "deferred": row.deferred.as_ref().map(ToString::to_string),
    })
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
