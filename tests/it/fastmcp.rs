//! The adapter that the README walks through: it is what the README shows, is short, and runs.

use std::path::PathBuf;

use crate::lanes::unavailable;
use crate::rig::{Rig, root};
use crate::stability::is_thorough;

const README: &str = include_str!("../../README.md");
const ADAPTER: &str = include_str!("../../examples/python-adapter/adapter.py");
const LOADER: &str = include_str!("../../examples/python-adapter/loader.toml");
const REQUIREMENTS: &str = include_str!("../../examples/python-adapter/requirements.txt");
/// Most lines of an adapter that are neither blank nor comments.
const LINES_MAX: usize = 40;

#[test]
fn the_readme_shows_the_adapter_and_its_description() {
    for (language, text) in [("python", ADAPTER), ("toml", LOADER)] {
        assert!(README.contains(&format!("```{language}\n{text}```\n")), "the README does not show:\n{text}");
    }
    let pinned = REQUIREMENTS.lines().find(|line| line.starts_with("fastmcp==")).unwrap();
    let version = pinned.trim_start_matches("fastmcp==").split(' ').next().unwrap();
    assert!(README.contains(&format!("FastMCP {version}")), "the README names another version than {version}");
}

#[test]
fn the_adapter_is_short() {
    let is_code = |line: &&str| !line.trim().is_empty() && !line.trim_start().starts_with('#');
    let n_lines = ADAPTER.lines().filter(is_code).count();
    assert!(n_lines <= LINES_MAX, "{n_lines} lines, at most {LINES_MAX}");
}

/// The environment of the example, where it was made: `examples/python-adapter/provision`.
fn environment() -> Option<PathBuf> {
    let folder = root().join("target/fastmcp");
    let lock = std::fs::read_to_string(folder.join("requirements.txt")).unwrap_or_default();
    (lock == REQUIREMENTS).then(|| folder.join("bin"))
}

#[test]
fn the_adapter_runs_and_what_is_known_of_its_client_is_found() {
    if !is_thorough() {
        eprintln!("LEFT OUT: the adapter of the README; MCP_LIFECHECK_REPEATS=1 tries it");
        return;
    }
    let Some(programs) = environment() else {
        return unavailable("the FastMCP adapter", "bash examples/python-adapter/provision makes its environment");
    };
    let rig = Rig::new();
    let path = std::env::var("PATH").unwrap_or_default();
    let loader = format!("{}/examples/python-adapter/loader.toml", root().display());
    let with_path = |mut command: std::process::Command| {
        command.env("PATH", format!("{}:{path}", programs.display()));
        rig.finish(command)
    };
    let tested = with_path({
        let mut command = rig.command(&["doctor", "--adapter", &loader, "--out"]);
        command.arg(rig.out());
        command
    });
    assert_eq!(tested.code, 0, "{}{}", tested.stdout, tested.stderr);
    assert!(tested.stdout.contains("0 failed, 0 not offered, 0 not reached"), "{}", tested.stdout);
    let limits = ["--limit", "operation=3s", "--limit", "cleanup=5s", "--jobs", "4"];
    let ran =
        with_path(rig.run_command(&[&["core", "--transport", "stdio", "--loader", &loader][..], &limits].concat()));
    let plans = ran.plans_by_loader();
    let verdict = |scenario: &str| plans["my-fastmcp"][scenario]["verdict"].as_str().unwrap().to_owned();
    // What is done in one task works; a client belongs to the loop that opened it, and hangs in another one.
    for scenario in ["load-call-close", "load-after-close", "remove-first"] {
        assert_eq!(verdict(scenario), "pass", "{scenario}: {}", ran.stdout);
    }
    assert_eq!(verdict("hop-close"), "fail", "{}", ran.stdout);
    assert!(ran.invariants("fail").contains(&"operation-completes".to_owned()), "{}", ran.stdout);
}
