//! `mcp-lifecheck doctor --adapter`: tests an adapter against the protocol, and says how to fix it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;

use comfy_table::{Table, presets};
use mcp_lifecheck::run::{
    Checkout, ExitReason, Ownership, RunError, RunFolder, RunProcess, select, self_test_input, tasks,
};
use mcp_lifecheck::selftest::{Row, State, self_test};
use serde_json::{Value, json};

use crate::args::DoctorArgs;
use crate::print::{complain, say};

/// Tests the adapter of a loader on each of its stacks. `parent` becomes readable when the parent process ends.
pub(crate) fn test_adapter(
    name: &str,
    arguments: &DoctorArgs,
    parent: Option<OwnedFd>,
) -> Result<ExitReason, RunError> {
    let targets = select::targets(&[name.to_owned()], &Checkout::default(), &complain)?;
    let folder = RunFolder::of_command(arguments.out.as_deref(), "doctor")?;
    tasks::n_fitting_plans(1, 2)?;
    let process = RunProcess::boot(Ownership::Command { parent })?;
    let environment = process.environment();
    let tested = process.finish(async {
        let mut tested = Vec::new();
        for target in &targets {
            let input = self_test_input(target, &arguments.limits(), &environment, &folder)?;
            let rows = match input {
                Ok(input) => self_test(&input, &environment).await.map_err(|error| error.to_string()),
                Err(because) => Err(because),
            };
            tested.push(Tested { loader: target.name.clone(), rows });
        }
        Ok::<_, RunError>(tested)
    })?;
    let text = match arguments.format {
        Some(_) => Value::from_iter(tested.iter().map(Tested::json)).to_string(),
        None => tested.iter().map(Tested::text).collect::<Vec<_>>().join("\n"),
    };
    say(&text)?;
    Ok(reason(&tested))
}

/// The rows of one loader's test, or why the test was impossible.
struct Tested {
    loader: String,
    rows: Result<Vec<Row>, String>,
}

fn reason(tested: &[Tested]) -> ExitReason {
    let has_failed = |one: &Tested| one.rows.iter().flatten().any(|row| matches!(row.state, State::Failed(_)));
    if tested.iter().any(has_failed) {
        ExitReason::Violations
    } else if tested.iter().any(|one| one.rows.is_err()) {
        ExitReason::Inconclusive
    } else {
        ExitReason::Conforms
    }
}

/// The word for a state, and its reason.
fn described(state: &State) -> (&'static str, &str) {
    match state {
        State::Ok => ("ok", ""),
        State::Failed(because) => ("FAIL", because),
        State::NotOffered(because) => ("not offered", because),
        State::NotReached => ("not reached", "an earlier failure ended the session"),
    }
}

impl Tested {
    fn json(&self) -> Value {
        let row = |row: &Row| {
            let (state, because) = described(&row.state);
            json!({
                "id": row.check.id,
                "about": row.check.claim,
                "transport": row.transport.as_str(),
                "state": state.replace(' ', "-").to_lowercase(),
                "because": because,
                "mend": row.check.remedy,
            })
        };
        match &self.rows {
            Ok(rows) => json!({ "loader": self.loader, "checks": rows.iter().map(row).collect::<Vec<_>>() }),
            Err(because) => json!({ "loader": self.loader, "untested": because }),
        }
    }

    fn text(&self) -> String {
        let rows = match &self.rows {
            Ok(rows) => rows,
            Err(because) => return format!("UNAVAILABLE {}: {because}", self.loader),
        };
        let mut table = Table::new();
        table.load_style(presets::NOTHING);
        let mut text = format!("adapter of {}\n", self.loader);
        let mut failures = String::new();
        let mut counts = [0_usize; 3];
        let mut unreached: BTreeMap<&str, usize> = BTreeMap::new();
        for row in rows {
            let (state, _) = described(&row.state);
            let (index, shown) = match &row.state {
                State::Ok => (0, row.check.claim),
                State::Failed(_) => (1, row.check.claim),
                State::NotOffered(because) => (2, because.as_str()),
                State::NotReached => {
                    *unreached.entry(row.transport.as_str()).or_default() += 1;
                    continue;
                }
            };
            counts[index] += 1;
            table.add_row([state, row.transport.as_str(), row.check.id, shown]);
            if let State::Failed(because) = &row.state {
                let _ = write!(
                    failures,
                    "\nFAIL {} over {}\n  rule:  {}\n  found: {because}\n  fix:   {}\n",
                    row.check.id, row.transport, row.check.claim, row.check.remedy
                );
            }
        }
        // One failure can leave thirty checks behind it, which would hide it.
        for (transport, n) in &unreached {
            let (state, because) = described(&State::NotReached);
            table.add_row([state, transport, &format!("{n} checks"), because]);
        }
        let [n_ok, n_failed, n_absent] = counts;
        let n_unreached: usize = unreached.values().sum();
        let _ = write!(
            text,
            "{table}\n{failures}\n{n_ok} ok, {n_failed} failed, {n_absent} not offered, {n_unreached} not reached"
        );
        text
    }
}
