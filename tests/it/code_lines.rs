//! Findings name lines of the loader's own code, and `run.json` has all that the terminal shows of them.

use mcp_lifecheck::stack::python_stack;
use serde_json::Value;

use crate::lanes::unavailable;
use crate::rig::{Ran, Rig};

/// Every line of code in a history, as its file.
fn files(rig: &Rig, id: &str) -> Vec<String> {
    let events = rig.events(id);
    // The exit code of a process is a number.
    let lines = events.iter().filter_map(|event| event.get("code")?.as_array().cloned()).flatten();
    lines.map(|line| line["file"].as_str().unwrap().to_owned()).collect()
}

fn found(ran: &Ran) -> Vec<Value> {
    ran.plans().iter().flat_map(|plan| plan["findings"].as_array().unwrap().clone()).collect()
}

#[test]
fn a_rust_loader_is_seen_to_enter_and_leave_its_scopes_at_lines_of_its_own() {
    let rig = Rig::new();
    let ran = rig.run(&["load-call-close", "--transport", "stdio", "--polite-only"]);
    let files = files(&rig, &ran.id());
    assert!(!files.is_empty() && files.iter().all(|file| file.starts_with("crates/specimens/src/")), "{files:?}");
}

#[test]
fn findings_about_a_python_loader_name_its_lines() {
    if let Err(error) = python_stack("mcp-1.30").unwrap().interpreter() {
        return unavailable("the lines of Python loaders", &error.to_string());
    }
    let rig = Rig::new();
    let loader = ["--loader", "python-run-per-step@mcp-1.30", "--transport", "stdio", "--polite-only"];
    let ran = rig.run(&[&["hop-close"], &loader[..]].concat());
    let files = files(&rig, &ran.id());
    // No path of the machine, and nothing of the SDK or the helper.
    assert!(files.iter().all(|file| ["run_per_step.py", "fixture.py"].contains(&file.as_str())), "{files:?}");
    let found = found(&ran);
    let left = found.iter().find(|finding| finding["invariant"] == "scope-exit-explicit").unwrap();
    let because = left["because"].as_str().unwrap();
    assert!(because.contains("entered at run_per_step.py:"), "{because}");
    let folder = rig.out().join(ran.id()).display().to_string();
    let shown = rig.finish(rig.command(&["check", &folder])).stdout;
    let is_shown = |text: &Value| shown.contains(text.as_str().unwrap());
    for finding in found {
        let events = finding["events"].as_array().unwrap();
        assert!(!events.is_empty() && events.iter().all(is_shown), "{finding}\n{shown}");
        assert!(is_shown(&finding["claim"]) && is_shown(&finding["because"]), "{finding}\n{shown}");
    }
}
