//! The scripts of a scenario's servers.

use std::collections::BTreeMap;
use std::path::Path;

use crate::plan::{InputError, OwnScript, Scenario, did_you_mean, read_text};
use crate::run::RunError;
use crate::run::select::names::is_file_name;
use crate::script::{Script, shipped, shipped_names, shipped_text};

/// The script of each server of a scenario. `shown` names its file in errors.
pub(super) fn scripts_of(scenario: &Scenario, shown: &str) -> Result<BTreeMap<String, Script>, RunError> {
    let mut scripts = BTreeMap::new();
    let own_names: Vec<&str> = scenario.scripts.iter().map(OwnScript::name).collect();
    for server in &scenario.servers {
        let own = scenario.scripts.iter().find(|own| own.name() == server.script);
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
    let name = own.name();
    if shipped_names().contains(&name) {
        let (text, table) = own.located();
        let message = format!("found script {name:?}, expected a name that no shipped script has");
        return Err(InputError::at(shown, text, table.span().start, message));
    }
    Script::from_scenario(own, shown)
}

/// The shipped script of this name.
fn known_script(name: &str) -> Result<Option<Script>, InputError> {
    if shipped_text(name).is_some() { shipped(name).map(Some) } else { Ok(None) }
}

/// Refuses a script with a gate that no step names. Its action would be held until the end.
fn check_gates(scenario: &Scenario, script: &Script) -> Result<(), InputError> {
    // A step that waits for the gate is enough: the scenario may want the action to stay held.
    let named = |gate: &str| scenario.steps.iter().any(|step| step.action.gate() == Some(gate));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn scenario(servers: &str, tables: &str) -> Scenario {
        let text = format!("about = \"x\"\nservers = [{servers}]\n{tables}\n[[step]]\ndo = \"load\"\n");
        Scenario::from_toml("x", "x.toml", &text).unwrap_or_else(|error| panic!("{error}\n{text}"))
    }

    /// Reads the scripts of a scenario file in which server `files` has script `own`. The tables begin on line 3.
    fn read(tables: &str) -> Result<BTreeMap<String, Script>, String> {
        let scenario = scenario("{ name = \"files\", script = \"own\" }", tables);
        scripts_of(&scenario, "x.toml").map_err(|error| error.to_string())
    }

    #[test]
    fn a_script_of_a_scenario_has_no_name_of_a_shipped_one() {
        let table = "\n[script.own]\nabout = \"x\"";
        assert_eq!(read(table).unwrap()["files"].name(), "own");
        let polite = scenario("{ name = \"files\", script = \"polite\" }", &table.replace("own", "polite"));
        assert_eq!(
            scripts_of(&polite, "x.toml").unwrap_err().to_string(),
            "x.toml:4:1: found script \"polite\", expected a name that no shipped script has"
        );
    }

    #[test]
    fn a_misspelt_name_is_compared_with_the_scripts_of_the_scenario() {
        let servers = "{ name = \"a\", script = \"own-scirpt\" }, { name = \"b\", script = \"own-script\" }";
        let scenario = scenario(servers, "[script.own-script]\nabout = \"x\"");
        let found = scripts_of(&scenario, "x.toml").unwrap_err().to_string();
        assert!(found.contains("found script \"own-scirpt\"") && found.contains("own-script"), "{found}");
    }

    /// Files of scripts with a defect.
    const WRONG: &[&str] = &[
        "about = 3",
        "about = \"x\"\nrules = []",
        "about = \"x\"\nera = \"future\"",
        "about = \"x\"\ntools = [\"a\", \"a\"]",
        "about = \"x\"\n[[tool]]\nname = \"a\"\nabout = \"x\"\nschema = {}\nanswer = { txt = \"x\" }",
        "about = \"x\"\n[[rule]]\non = { start = true }",
        "about = \"x\"\n[[rule]]\n  on = { start = true }\n  do = [\"dorp\"]",
        "about = \"x\"\n[[rule]]\non = { request = \"tools/cal\" }\ndo = [\"drop\"]",
        "about = \"é\"\n[[rule]]\ndo = [\"drop\"]\non = { request = \"tools/call\", tool = \"none\" }",
        "about = \"x\"\n# A comment.\n[[rule]]\non = { eof = true }\ndo = [\"ignore\"]\n\n[[rule]]\non = { start = true }\ndo = [\"answer\"]",
        "about = \"x\"\n[[rule]]\non = { request = \"*\" }\ndo = [{ exit = 3 }]\n[[rule]]\non = { request = \"*\" }\ndo = [\"drop\"]",
    ];

    #[test]
    fn a_defect_of_a_script_has_the_position_that_it_has_in_a_file_of_the_script() {
        // Two lines of the scenario, and the header of the table.
        let n_lines_before = 3;
        for wrong in WRONG {
            let mut expected = Script::from_toml("own", "x.toml", wrong).unwrap_err();
            assert!(expected.line > 0 && expected.column > 0, "{wrong}: {expected}");
            expected.line += n_lines_before;
            let tables = wrong.replace("[[rule]]", "[[script.own.rule]]").replace("[[tool]]", "[[script.own.tool]]");
            assert_eq!(read(&format!("[script.own]\n{tables}")).unwrap_err(), expected.to_string(), "{wrong}");
        }
    }

    #[test]
    fn a_defect_of_a_script_has_its_position_however_the_scenario_writes_the_script() {
        for (tables, expected) in [
            ("[script.own]", "x.toml:3:1: missing field `about`"),
            ("[[script.own.rule]]\non = { start = true }\ndo = []", "x.toml:3:10: missing field `about`"),
            ("script.own = { about = \"x\", tool = 3 }", "x.toml:3:36: invalid type: integer `3`"),
            ("[script]\nown.about = \"x\"\nown.tools = [\"a\", \"a\"]", "x.toml:5:13: found tool \"a\""),
        ] {
            let found = read(tables).unwrap_err();
            assert!(found.starts_with(expected), "{tables}: {found}");
        }
    }

    #[test]
    fn every_shipped_script_can_be_written_into_a_scenario() {
        for name in shipped_names() {
            let text = shipped_text(name).unwrap();
            let expected = Script::from_toml("own", "x.toml", text).unwrap();
            let own = OwnScript::new("own", text.parse().unwrap());
            assert_eq!(Script::from_scenario(&own, "x.toml").unwrap(), expected, "{name}");
            let mut scenario = scenario("{ name = \"files\", script = \"own\" }", "");
            scenario.scripts.push(own);
            let again = Scenario::from_toml("x", "x.toml", &scenario.to_toml("")).unwrap();
            assert_eq!(again.scripts, scenario.scripts, "{name}");
            assert_eq!(Script::from_scenario(&again.scripts[0], "x.toml").unwrap(), expected, "{name}");
        }
    }
}
