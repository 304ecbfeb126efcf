//! The adapter protocol as it is spoken, as it is described, and as its schema has it.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use jsonschema::Validator;
use mcp_lifecheck::selftest::adapter_schema;
use mcp_lifecheck::stack::python_stack;
use serde_json::{Value, json};

use crate::lanes::unavailable;
use crate::rig::{LIFECHECK, Rig, root};

/// The validator of one direction: `ToHome` or `ToAdapter`.
fn validator(direction: &str) -> Validator {
    let mut schema = json!({ "$ref": format!("#/$defs/{direction}") });
    schema["$defs"] = adapter_schema()["$defs"].clone();
    jsonschema::validator_for(&schema).unwrap()
}

/// What passes over the links of a run, by direction.
type Lines = Arc<Mutex<Vec<(&'static str, String)>>>;

/// Runs these scenarios for an adapter whose link leads through this test, and gives every line.
fn overheard(command: &[&str], scenarios: &[&str]) -> Vec<(&'static str, Value)> {
    let rig = Rig::new();
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let here = listener.local_addr().unwrap().to_string();
    let note = rig.out().with_file_name("home.txt").display().to_string();
    // The way home is noted before the adapter is there, so that it can be read as soon as the adapter dials.
    let shim = format!("printf %s \"$MCP_LIFECHECK_LINK\" > {note}; MCP_LIFECHECK_LINK={here} exec \"$@\"");
    let command = [&["sh", "-c", &shim, "sh"], command].concat();
    let text = format!("name = \"overheard\"\nlane = \"command\"\ncommand = {command:?}\n");
    let loader = rig.file("overheard.toml", &text).display().to_string();
    let lines = Lines::default();
    let (taken, n_plans) = (Arc::clone(&lines), scenarios.len());
    let relay = std::thread::spawn(move || {
        for _ in 0..n_plans {
            relay(
                listener.accept().unwrap().0,
                TcpStream::connect(fs::read_to_string(&note).unwrap()).unwrap(),
                &taken,
            );
        }
    });
    let ran = rig.run(&[scenarios, &["--loader", &loader, "--polite-only", "--jobs", "1"]].concat());
    assert_eq!(ran.plans().len(), n_plans, "{}", ran.stdout);
    relay.join().unwrap();
    let lines = lines.lock().unwrap();
    lines.iter().map(|(direction, line)| (*direction, serde_json::from_str(line).unwrap())).collect()
}

/// Passes on what comes from either end until both have ended.
fn relay(adapter: TcpStream, home: TcpStream, lines: &Lines) {
    let pass = |direction: &'static str, from: &TcpStream, to: &TcpStream| {
        let (from, mut to, lines) = (from.try_clone().unwrap(), to.try_clone().unwrap(), Arc::clone(lines));
        std::thread::spawn(move || {
            for line in BufReader::new(from).lines().map_while(Result::ok) {
                lines.lock().unwrap().push((direction, line.clone()));
                // An end that is gone takes nothing any more.
                let _ = to.write_all(format!("{line}\n").as_bytes());
            }
            let _ = to.shutdown(Shutdown::Both);
        })
    };
    let both = [pass("ToHome", &adapter, &home), pass("ToAdapter", &home, &adapter)];
    both.into_iter().for_each(|one| one.join().unwrap());
}

/// What kind of line it is.
fn kind(line: &Value) -> String {
    let named = ["event", "do"].into_iter().find_map(|name| line.get(name)).and_then(Value::as_str);
    let kinds = ["hello", "ok", "failed", "cancelled", "welcome", "ack"];
    named.or_else(|| kinds.into_iter().find(|kind| line.get(kind).is_some())).unwrap_or("unknown").to_owned()
}

fn keep_to_the_schema(lines: &[(&'static str, Value)], expected: &[&str]) {
    for direction in ["ToHome", "ToAdapter"] {
        let validator = validator(direction);
        for (_, line) in lines.iter().filter(|(of, _)| *of == direction) {
            assert!(validator.is_valid(line), "{direction}: {line}");
        }
    }
    let kinds: BTreeSet<String> = lines.iter().map(|(_, line)| kind(line)).collect();
    let missing: Vec<_> = expected.iter().filter(|kind| !kinds.contains(**kind)).collect();
    assert!(missing.is_empty(), "{missing:?} not in {kinds:?}");
}

/// What every session has.
const EVERYWHERE: [&str; 16] = [
    "hello",
    "welcome",
    "ack",
    "load",
    "reload",
    "call",
    "close",
    "cancel",
    "drop-context",
    "probe",
    "exit",
    "operation.started",
    "scope.enter",
    "scope.exit",
    "ok",
    "cancelled",
];
const SCENARIOS: [&str; 3] = ["cancel-in-flight", "remove-first", "loading-thread-ends"];

#[test]
fn the_sessions_of_a_plan_process_keep_to_the_schema() {
    let lines = overheard(&[LIFECHECK, "__plan", "reference", "2025-11-25"], &SCENARIOS);
    keep_to_the_schema(&lines, &EVERYWHERE);
}

#[test]
fn the_sessions_of_the_python_helper_keep_to_the_schema() {
    let python = match python_stack("mcp-1.30").unwrap().interpreter() {
        Ok(python) => python.display().to_string(),
        Err(error) => return unavailable("the protocol of the Python helper", &error.to_string()),
    };
    let root = root().display().to_string();
    let path = format!("PYTHONPATH={root}/adapters/python");
    let file = format!("{root}/fixtures/loaders/python/owner_task.py");
    // Nothing is written into the sources: cargo would build the library, which embeds them, once more.
    let lines = overheard(&["env", &path, &python, "-B", &file], &SCENARIOS);
    keep_to_the_schema(&lines, &EVERYWHERE);
}

/// The committed schema is the one of the types;
/// `mcp-lifecheck doctor --adapter-schema > adapters/protocol.schema.json` writes it.
#[test]
fn the_schema_of_the_protocol_is_that_of_its_types() {
    let path = root().join("adapters/protocol.schema.json");
    let schema: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(schema, adapter_schema());
}

/// Each line of JSON in the description is of the protocol, in the direction its block says.
#[test]
fn the_examples_in_the_description_keep_to_the_schema() {
    let text = include_str!("../../adapters/PROTOCOL.md");
    let (to_home, to_adapter) = (validator("ToHome"), validator("ToAdapter"));
    let mut n_lines = [0, 0];
    for block in text.split("```json\n").skip(1) {
        for line in block.split("```").next().unwrap().lines() {
            // In the worked session an arrow tells the direction.
            let (index, line) = match (line.strip_prefix("→ "), line.strip_prefix("← ")) {
                (Some(line), _) => (0, line),
                (_, Some(line)) => (1, line),
                _ => (usize::from(line.contains("\"do\":")), line),
            };
            let value: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{line}: {error}"));
            assert!([&to_home, &to_adapter][index].is_valid(&value), "{line}");
            n_lines[index] += 1;
        }
    }
    assert!(n_lines[0] > 10 && n_lines[1] > 10, "{n_lines:?}");
}

#[test]
fn wrong_lines_do_not_keep_to_the_schema() {
    let context = json!({ "thread": 1 });
    let started = json!({ "n": 1, "at_us": 5, "event": "operation.started", "operation": 1, "context": context });
    let hello = json!({ "hello": 1, "token": "t", "adapter": "a", "operations": ["load"] });
    let load = json!({ "id": 1, "do": "load", "in": { "thread": "main", "loop": "main", "task": "a" }, "config": { "mcpServers": {} } });
    let with = |line: &Value, name: &str, value: Value| {
        let mut line = line.clone();
        match value {
            Value::Null => drop(line.as_object_mut().unwrap().remove(name)),
            value => line[name] = value,
        }
        line
    };
    let (to_home, to_adapter) = (validator("ToHome"), validator("ToAdapter"));
    for right in [&started, &hello] {
        assert!(to_home.is_valid(right), "{right}");
    }
    assert!(to_adapter.is_valid(&load));
    for wrong in [
        json!([]),
        json!({}),
        json!({ "id": 1, "ok": {} }),
        json!({ "n": 1, "at_us": 5, "id": 1 }),
        json!({ "n": 1, "at_us": 5, "id": 1, "cancelled": false }),
        json!({ "n": 1, "at_us": 5, "id": 1, "failed": { "type": "E" } }),
        json!({ "n": 1, "at_us": 5, "id": 1, "ok": { "tools": [{ "server": "files" }] } }),
        json!({ "n": 1, "at_us": 5, "event": "error.reported", "channel": "stderr", "text": "x" }),
        with(&hello, "hello", json!(2)),
        with(&hello, "token", Value::Null),
        with(&hello, "operations", Value::Null),
        with(&hello, "operations", json!(["fly"])),
        with(&hello, "contexts", json!(["process"])),
        with(&started, "at_us", Value::Null),
        with(&started, "n", json!(0)),
        with(&started, "event", json!("operation.begun")),
        with(&started, "context", json!({ "task": 1 })),
        with(&started, "more", json!(1)),
    ] {
        assert!(!to_home.is_valid(&wrong), "{wrong}");
    }
    for wrong in [
        json!({ "welcome": 2 }),
        json!({ "ack": "1" }),
        json!({ "id": 1, "do": "cancel" }),
        json!({ "id": 1, "do": "fly" }),
        with(&load, "id", Value::Null),
        with(&load, "in", json!({ "thread": "main" })),
        with(&load, "config", json!({ "servers": {} })),
        with(&load, "config", json!({ "mcpServers": { "files": { "args": [] } } })),
    ] {
        assert!(!to_adapter.is_valid(&wrong), "{wrong}");
    }
}
