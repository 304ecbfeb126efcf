//! The scenarios that official conformance clients know by name.

use std::collections::BTreeMap;

use include_dir::{Dir, include_dir};
use serde::Deserialize;

use crate::history::HostFacts;
use crate::plan::{InputError, Revision};
use crate::script::Script;

static SCENARIOS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/client");

/// One scenario for clients: a server, and the exchange that the client must have with it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientScenario {
    /// The name that clients know.
    pub name: String,
    /// One sentence about the scenario.
    pub about: String,
    /// The script of its only server.
    pub script: Script,
    /// Protocol revisions that the scenario supports.
    pub revisions: Vec<Revision>,
    /// More values for `MCP_CONFORMANCE_CONTEXT`. Empty if the scenario has no context.
    pub context: BTreeMap<String, toml::Value>,
    /// The expectations of the rules for the client.
    pub facts: HostFacts,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct ScenarioFile {
    about: String,
    script: String,
    revisions: Vec<Revision>,
    #[serde(default)]
    context: BTreeMap<String, toml::Value>,
    exchange: Vec<String>,
    retry_ms: Option<u64>,
}

/// Every scenario for clients, ordered by name.
///
/// # Errors
/// When a shipped file is malformed: a defect of this build, which a test finds.
pub fn client_scenarios() -> Result<Vec<ClientScenario>, InputError> {
    let mut found = Vec::new();
    for file in SCENARIOS.files() {
        let name = file.path().file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        found.push(read(name, file.contents_utf8().unwrap_or_default())?);
    }
    found.sort_by(|left: &ClientScenario, right| left.name.cmp(&right.name));
    Ok(found)
}

fn read(name: &str, text: &str) -> Result<ClientScenario, InputError> {
    let shown = format!("fixtures/client/{name}.toml");
    let parsed: ScenarioFile = toml::from_str(text).map_err(|error| InputError::toml(&shown, text, &error))?;
    let path = format!("scripts/{}.toml", parsed.script);
    let script = SCENARIOS.get_file(&path).and_then(include_dir::File::contents_utf8);
    let Some(script) = script else {
        return Err(InputError::whole(&shown, format!("found no {path}, expected the script next to the scenario")));
    };
    let ScenarioFile { about, revisions, context, exchange, retry_ms, .. } = parsed;
    Ok(ClientScenario {
        name: name.to_owned(),
        about,
        script: Script::from_toml(&parsed.script, &format!("fixtures/client/{path}"), script)?,
        revisions,
        context,
        facts: HostFacts { exchange, retry_ms, application: None },
    })
}

impl ClientScenario {
    /// Whether the scenario supports a revision.
    #[must_use]
    pub fn runs_under(&self, revision: Revision) -> bool {
        self.revisions.contains(&revision)
    }

    /// The variables in the environment of the client.
    #[must_use]
    pub fn environment(&self, revision: Revision) -> BTreeMap<String, String> {
        let mut env = BTreeMap::from([
            ("MCP_CONFORMANCE_SCENARIO".to_owned(), self.name.clone()),
            ("MCP_CONFORMANCE_PROTOCOL_VERSION".to_owned(), revision.to_string()),
        ]);
        if !self.context.is_empty() {
            let mut context = self.context.clone();
            context.insert("name".to_owned(), toml::Value::from(self.name.clone()));
            let text = serde_json::to_string(&context).expect("plain values with string keys can be written");
            env.insert("MCP_CONFORMANCE_CONTEXT".to_owned(), text);
        }
        env
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Framing, ServerHome};

    #[test]
    fn every_scenario_can_be_read_and_carried_over_http() {
        let scenarios = client_scenarios().unwrap();
        assert!(scenarios.len() >= 4, "{}", scenarios.len());
        for scenario in scenarios {
            assert!(scenario.script.fits(ServerHome::OwnProcess, Framing::Http).is_ok(), "{}", scenario.name);
            assert!(!scenario.facts.exchange.is_empty() && !scenario.revisions.is_empty(), "{}", scenario.name);
        }
    }

    #[test]
    fn a_context_is_there_only_where_a_scenario_has_one_and_names_it() {
        let text =
            "about = \"x\"\nscript = \"initialize\"\nrevisions = [\"2025-11-25\"]\nexchange = [\"initialize\"]\n";
        let plain = read("a", text).unwrap();
        assert_eq!(plain.environment(Revision::R20251125).len(), 2);
        let with = read("a", &format!("{text}context = {{ key = 1 }}\n")).unwrap();
        let env = with.environment(Revision::R20251125);
        assert_eq!(env["MCP_CONFORMANCE_CONTEXT"], "{\"key\":1,\"name\":\"a\"}");
    }
}
