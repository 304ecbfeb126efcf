//! The scripts of a scenario's servers.

use std::collections::BTreeMap;
use std::path::Path;

use crate::plan::{InputError, OwnScript, Scenario, StepDo, WaitFor, did_you_mean, read_text};
use crate::run::RunError;
use crate::run::select::names::is_file_name;
use crate::script::{Script, shipped, shipped_names};

/// The script of each server of a scenario. `shown` names its file in errors.
pub(super) fn scripts_of(scenario: &Scenario, shown: &str) -> Result<BTreeMap<String, Script>, RunError> {
    let mut scripts = BTreeMap::new();
    let own_names: Vec<&str> = scenario.scripts.iter().map(|own| own.name.as_str()).collect();
    for server in &scenario.servers {
        let own = scenario.scripts.iter().find(|script| script.name == server.script);
        let script = if let Some(own) = own {
            own_script(own, shown)?
        } else if is_file_name(&server.script) {
            let path = Path::new(&server.script);
            Script::from_toml(&server.script, &server.script, &read_text(path)?)?
        } else {
            known_script(&server.script)?.ok_or_else(|| {
                let (scenario, script) = (&scenario.name, &server.script);
                let own = own_names.iter().copied();
                let near = did_you_mean(script, own.chain(shipped_names()));
                let message =
                    format!("scenario {scenario}: found script {script:?}, expected a shipped one or a file{near}");
                RunError::usage(message)
            })?
        };
        check_gates(scenario, &script)?;
        scripts.insert(server.name.clone(), script);
    }
    Ok(scripts)
}

/// A script of the scenario itself. It has no name of a shipped script, so that a name always means the same.
fn own_script(own: &OwnScript, shown: &str) -> Result<Script, InputError> {
    let OwnScript { name, text, line } = own;
    if shipped_names().contains(&name.as_str()) {
        let message = format!("found script {name:?}, expected a name that no shipped script has");
        return Err(InputError::line(shown, *line, message));
    }
    let in_scenario = |error: InputError| InputError::line(shown, *line, format!("script {name:?}: {}", error.message));
    Script::from_toml(name, shown, text).map_err(in_scenario)
}

/// The shipped script of this name.
fn known_script(name: &str) -> Result<Option<Script>, InputError> {
    if shipped_names().contains(&name) { shipped(name).map(Some) } else { Ok(None) }
}

/// Refuses a script with a gate that no step names. Its action would be held until the end.
fn check_gates(scenario: &Scenario, script: &Script) -> Result<(), InputError> {
    // A step that waits for the gate is enough: the scenario may want the action to stay held.
    let named = |gate: &str| {
        scenario.steps.iter().any(|step| match &step.action {
            StepDo::OpenGate { gate: opened } => opened == gate,
            StepDo::Wait(WaitFor::Gate(awaited)) => awaited == gate,
            StepDo::Wait(WaitFor::Idle(_) | WaitFor::Operation(_) | WaitFor::ServerEnd(_))
            | StepDo::Load(_)
            | StepDo::Rerun(_)
            | StepDo::Reload { .. }
            | StepDo::List(_)
            | StepDo::Call { .. }
            | StepDo::Close(_)
            | StepDo::Collect
            | StepDo::Cancel { .. }
            | StepDo::DropContext
            | StepDo::Exit
            | StepDo::Signal { .. }
            | StepDo::KillServer { .. } => false,
        })
    };
    match script.gates().into_iter().find(|gate| !named(gate)) {
        Some(gate) => {
            let message = format!(
                "found no step for gate {gate:?} of script {:?}, expected one that opens or awaits it",
                script.name()
            );
            Err(InputError::whole(&scenario.name, message))
        }
        None => Ok(()),
    }
}
