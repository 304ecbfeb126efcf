//! The extracts in `fixtures/schemas` are those of the published schemas.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::path::PathBuf;

use serde_json::{Map, Value};

use crate::check::shape::extract;
use crate::plan::Revision;

/// The results of requests of servers, and of requests of clients that every revision has, by method. The result of
/// `tasks/result` has the shape of another request.
const RESULTS: [(&str, &str); 13] = [
    ("tools/call", "CallToolResult"),
    ("prompts/list", "ListPromptsResult"),
    ("prompts/get", "GetPromptResult"),
    ("resources/list", "ListResourcesResult"),
    ("resources/templates/list", "ListResourceTemplatesResult"),
    ("resources/read", "ReadResourceResult"),
    ("completion/complete", "CompleteResult"),
    ("roots/list", "ListRootsResult"),
    ("sampling/createMessage", "CreateMessageResult"),
    ("elicitation/create", "ElicitResult"),
    ("tasks/get", "GetTaskResult"),
    ("tasks/list", "ListTasksResult"),
    ("tasks/cancel", "CancelTaskResult"),
];
/// How many of them, from the first, are of requests of clients.
const N_OF_CLIENTS: usize = 7;
/// What an extract keeps of a schema.
const KEPT: [&str; 10] =
    ["type", "properties", "required", "items", "enum", "const", "anyOf", "allOf", "additionalProperties", "$ref"];

/// `MCP_LIFECHECK_WRITE_DOCS=1 cargo test --lib schemas` writes the extracts.
#[test]
fn the_extracts_are_those_of_the_published_schemas() {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    for revision in Revision::ALL {
        let file = root.join(format!("tests/schemas/{revision}.json"));
        let document = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let made = extract_of(&document, revision <= Revision::NEWEST_HANDSHAKE);
        if std::env::var_os("MCP_LIFECHECK_WRITE_DOCS").is_some() {
            std::fs::write(root.join(format!("fixtures/schemas/{revision}.json")), made).unwrap();
        } else {
            assert_eq!(made, extract(revision), "{revision}");
        }
    }
}

#[test]
fn every_method_of_a_client_has_a_shape() {
    for revision in Revision::ALL {
        let extract: Value = serde_json::from_str(extract(revision)).unwrap();
        assert!(extract["params"].as_object().unwrap().len() >= 11, "{revision}");
        for (_, method) in extract["params"].as_object().unwrap() {
            assert!(method.is_object());
        }
    }
}

fn extract_of(document: &Value, has_results: bool) -> String {
    let definitions = document.get("$defs").or(document.get("definitions")).and_then(Value::as_object).unwrap();
    let mut found = Extract { named: Vec::new() };
    let mut params = BTreeMap::new();
    for union in ["ClientRequest", "ClientNotification"] {
        let union = &definitions[union];
        let members = union.get("anyOf").and_then(Value::as_array).cloned().unwrap_or_else(|| vec![union.clone()]);
        for member in members {
            let message = member.get("$ref").map_or(&member, |name| &definitions[name_of(name)]);
            let method = message["properties"]["method"]["const"].as_str().unwrap();
            let schema = message["properties"].get("params").cloned().unwrap_or_default();
            params.insert(method.to_owned(), found.kept(&schema));
        }
    }
    let n_known = if has_results { RESULTS.len() } else { N_OF_CLIENTS };
    let known = RESULTS.iter().take(n_known).filter(|(_, name)| definitions.contains_key(*name));
    let results: BTreeMap<String, Value> =
        known.map(|(method, name)| ((*method).to_owned(), found.kept(&definitions[*name]))).collect();
    let mut defined = BTreeMap::new();
    while let Some(name) = found.named.pop() {
        if let Entry::Vacant(entry) = defined.entry(name) {
            let kept = found.kept(&definitions[entry.key()]);
            entry.insert(kept);
        }
    }
    let part = |name: &str, entries: BTreeMap<String, Value>| {
        let lines: Vec<String> = entries.iter().map(|(name, schema)| format!("{:?}:{schema}", name)).collect();
        format!("{name:?}:{{\n{}\n}}", lines.join(",\n"))
    };
    let parts = [part("params", params), part("results", results), part("definitions", defined)];
    format!("{{\n{}\n}}\n", parts.join(",\n"))
}

struct Extract {
    /// Names of definitions that were met.
    named: Vec<String>,
}

impl Extract {
    fn kept(&mut self, schema: &Value) -> Value {
        let mut kept = Map::new();
        for (key, value) in schema.as_object().into_iter().flatten().filter(|(key, _)| KEPT.contains(&key.as_str())) {
            let value = match key.as_str() {
                "properties" => self.members(value),
                "anyOf" | "allOf" => value.as_array().unwrap().iter().map(|schema| self.kept(schema)).collect(),
                "items" | "additionalProperties" => self.kept(value),
                "required" => value.as_array().unwrap().iter().filter(|name| *name != "_meta").cloned().collect(),
                "$ref" => {
                    self.named.push(name_of(value).to_owned());
                    Value::from(name_of(value))
                }
                _ => value.clone(),
            };
            let says_nothing = value.as_object().is_some_and(Map::is_empty);
            if !says_nothing {
                kept.insert(key.clone(), value);
            }
        }
        Value::Object(kept)
    }

    fn members(&mut self, members: &Value) -> Value {
        let kept = members.as_object().unwrap().iter().map(|(name, schema)| {
            let schema = if name == "_meta" { serde_json::json!({ "type": "object" }) } else { self.kept(schema) };
            (name.clone(), schema)
        });
        Value::Object(kept.collect())
    }
}

fn name_of(reference: &Value) -> &str {
    reference.as_str().unwrap().rsplit('/').next().unwrap()
}
