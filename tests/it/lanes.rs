//! Known loaders come out as known: the sets in their descriptions, over suite `core`.

use mcp_vigil::catalogue::shipped_loaders;
use mcp_vigil::plan::{Descriptor, Lane};
use mcp_vigil::stack::python_stack;

use crate::rig::Rig;

#[test]
fn rust_loaders_come_out_as_known() {
    for loader in shipped_loaders().unwrap().iter().filter(|loader| loader.lane == Lane::Rust) {
        // These plans wait rather than work.
        comes_out_as_known(loader, &loader.name, "8");
    }
}

/// Python loaders and stacks that every `cargo test` runs; `MCP_VIGIL_ALL_LOADERS` asks for all of them.
const PYTHON_LOADERS: &[&str] = &["python-closed-early", "python-background-loop", "python-owner-task"];
const PYTHON_STACKS: &[&str] = &["mcp-1.13", "mcp-1.30"];

#[test]
fn python_loaders_come_out_as_known() {
    let all = std::env::var_os("MCP_VIGIL_ALL_LOADERS").is_some();
    for loader in shipped_loaders().unwrap().iter().filter(|loader| loader.lane == Lane::Python) {
        for stack in &loader.stacks {
            let is_usual = PYTHON_LOADERS.contains(&loader.name.as_str()) && PYTHON_STACKS.contains(&stack.as_str());
            if !all && !is_usual {
                continue;
            }
            let name = format!("{}@{stack}", loader.name);
            match python_stack(stack).map(|stack| stack.interpreter()) {
                Some(Ok(_)) => comes_out_as_known(loader, &name, "2"),
                Some(Err(error)) => unavailable(&name, &error.to_string()),
                None => panic!("{name}: no such stack"),
            }
        }
    }
}

/// Says loudly that a lane was not tested; where `MCP_VIGIL_REQUIRE_LANES` is set, that is a failure.
pub fn unavailable(name: &str, because: &str) {
    assert!(std::env::var_os("MCP_VIGIL_REQUIRE_LANES").is_none(), "{name} is UNAVAILABLE: {because}");
    eprintln!("UNAVAILABLE: {name} was not tested: {because}");
}

fn comes_out_as_known(loader: &Descriptor, name: &str, jobs: &str) {
    let rig = Rig::new();
    let ran = rig.run(&["core", "--loader", name, "--jobs", jobs]);
    let failed = ran.invariants("fail");
    for id in &loader.known.must_fail {
        assert!(failed.contains(id), "{name}: {id} must fail, found only {failed:?}");
    }
    for id in &loader.known.must_not {
        assert!(!failed.contains(id), "{name}: {id} must not fail: {}", ran.stdout);
    }
    let expected = if loader.known.must_fail.is_empty() { 0 } else { 1 };
    assert_eq!(ran.code, expected, "{name}: {}\n{}", ran.stdout, ran.stderr);
    assert_eq!(ran.report()["counts"]["inconclusive"], 0, "{name}: {}", ran.stdout);
    rig.assert_nothing_left(std::time::Duration::from_secs(6));
}
