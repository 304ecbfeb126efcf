//! The campaigns of `examples/campaigns`: all have the same two commands. `examples/campaigns/check` checks each file against the
//! schema of its CI system.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::Value;

use crate::rig::{Rig, root};

const EXPLORE: &str = r#"mcp-lifecheck explore --loader reference --cases 4000 --time 20m --seed "$SEED" --out "parts/$PART" || test $? -eq 1"#;
const MERGE: &str = "mcp-lifecheck merge parts/* --out merged";

fn documents(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    yaml_serde::Deserializer::from_str(&text).map(|document| Value::deserialize(document).unwrap()).collect()
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
fn all_files_have_the_same_two_commands_and_the_command_line_takes_them() {
    let folder = fs::read_dir(root().join("examples/campaigns")).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<PathBuf> = folder.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    assert_eq!(files.len(), 5, "{files:?}");
    for file in files {
        let mut found = Vec::new();
        documents(&file).iter().for_each(|document| commands(document, &mut found));
        found.sort();
        assert_eq!(found, [EXPLORE, MERGE], "{}", file.display());
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
