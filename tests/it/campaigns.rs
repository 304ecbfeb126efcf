//! The campaigns of `examples/campaigns`: each file is one that its CI system accepts, and all have the same two commands.

use std::fs;

use serde::Deserialize;
use serde_json::Value;

use crate::rig::{Rig, root};

/// The file of each system, with the schema of one of its documents.
const FILES: [(&str, &str); 5] = [
    ("buildkite.yaml", "buildkite"),
    ("circleci.yaml", "circleci"),
    ("github.yaml", "github"),
    ("gitlab.yaml", "gitlab"),
    ("kubernetes.yaml", "kubernetes-job"),
];
const EXPLORE: &str = r#"mcp-lifecheck explore --loader reference --cases 4000 --time 20m --seed "$SEED" --out "parts/$PART" || test $? -eq 1"#;
const MERGE: &str = "mcp-lifecheck merge parts/* --out merged";

fn documents(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(root().join("examples/campaigns").join(name)).unwrap();
    yaml_serde::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect()
}

fn schema(name: &str) -> Value {
    let path = root().join("tests/schemas/ci").join(format!("{name}.json"));
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// The lines of every text in a document that run a command of ours.
fn commands(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => {
            let ours = text.lines().map(str::trim).filter(|line| line.starts_with("mcp-lifecheck "));
            found.extend(ours.map(|line| line.replace("$$", "$")));
        }
        Value::Array(all) => all.iter().for_each(|one| commands(one, found)),
        Value::Object(all) => all.values().for_each(|one| commands(one, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn each_file_is_one_that_its_system_accepts() {
    let listed = fs::read_dir(root().join("examples/campaigns")).unwrap().map(|entry| entry.unwrap().path());
    assert_eq!(listed.filter(|path| path.extension().is_some_and(|end| end == "yaml")).count(), FILES.len());
    for (name, schema_name) in FILES {
        let validator = jsonschema::validator_for(&schema(schema_name)).unwrap();
        for document in documents(name) {
            let wrong: Vec<String> =
                validator.iter_errors(&document).map(|error| format!("{}: {error}", error.instance_path())).collect();
            assert!(wrong.is_empty(), "{name}: {wrong:#?}");
            // The schema does say something about it.
            let job = serde_json::json!({ "jobs": 1, "steps": 1, "explore": 1, "kind": 1 });
            assert!(!validator.is_valid(&job), "{schema_name}");
        }
    }
}

#[test]
fn all_files_have_the_same_two_commands_and_the_command_line_takes_them() {
    for (name, _) in FILES {
        let mut found = Vec::new();
        documents(name).iter().for_each(|document| commands(document, &mut found));
        found.sort();
        assert_eq!(found, [EXPLORE, MERGE], "{name}");
    }
    let rig = Rig::new();
    for command in [EXPLORE, MERGE] {
        let words = command.split(" || ").next().unwrap().replace('"', "").replace("$SEED", "3");
        let words: Vec<&str> = words.split(' ').skip(1).chain(["--help"]).collect();
        // `--help` takes effect when everything before it has been parsed.
        let parsed = rig.finish(rig.command(&words));
        assert_eq!(parsed.code, 0, "{command}: {}", parsed.stderr);
    }
}
