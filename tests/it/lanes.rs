//! Known loaders come out as known: the sets in their descriptions, over suite `core`.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use mcp_lifecheck::catalogue::shipped_loaders;
use mcp_lifecheck::loader::registered::is_built;
use mcp_lifecheck::plan::{Known, Lane};
use mcp_lifecheck::stack::{node_stack, python_stack};

use crate::once::once;
use crate::rig::{Ran, Rig, few_at_once, root};
use crate::stability::is_thorough;

#[test]
fn rust_loaders_come_out_as_known() {
    let loaders = shipped_loaders().unwrap();
    let rust = loaders.iter().filter(|loader| loader.lane == Lane::Rust);
    let lanes = rust.flat_map(|loader| loader.transports.iter().map(move |transport| (loader, *transport)));
    few_at_once(2, lanes, |(loader, transport)| {
        let over = transport.to_string();
        match loader.lacking(transport, is_built) {
            None => {
                let (_, ran) = core_of_rust(&loader.name, &over);
                comes_out_as_known(&loader.known_on(None, &over), &loader.name, &over, ran);
            }
            Some(because) => unavailable(&format!("{} over {over}", loader.name), &because),
        }
    });
}

/// A design that is good and one that is not: those that every `cargo test` runs, over stdio. A thorough run has one more, and
/// the older stack of the first major version; `MCP_LIFECHECK_ALL_LOADERS` asks for all of them, over HTTP as well.
const PYTHON_LOADERS: [&str; 3] = ["python-owner-task", "python-closed-early", "python-background-loop"];

#[test]
fn python_loaders_come_out_as_known() {
    if is_thorough() {
        return python_loaders_on(&["mcp-1.30", "mcp-1.13"]);
    }
    eprintln!("LEFT OUT: {} and the Python loaders on mcp-1.13; MCP_LIFECHECK_REPEATS=1 tries them", PYTHON_LOADERS[2]);
    python_loaders_on(&["mcp-1.30"]);
}

#[test]
fn python_loaders_come_out_as_known_on_the_second_major_version_of_mcp() {
    python_loaders_on(&["mcp-2.3"]);
}

fn python_loaders_on(stacks: &[&str]) {
    let all = std::env::var_os("MCP_LIFECHECK_ALL_LOADERS").is_some();
    let transports = if all { ["stdio", "http"].as_slice() } else { &["stdio"] };
    let wanted = if is_thorough() { &PYTHON_LOADERS[..] } else { &PYTHON_LOADERS[..2] };
    let loaders = shipped_loaders().unwrap();
    let of_python = loaders.iter().filter(|loader| loader.lane == Lane::Python);
    few_at_once(2, of_python.filter(|loader| all || wanted.contains(&loader.name.as_str())), |loader| {
        for stack in loader.stacks.iter().filter(|stack| stacks.contains(&stack.as_str())) {
            let name = format!("{}@{stack}", loader.name);
            match python_stack(stack).map(|stack| stack.interpreter()) {
                Some(Ok(_)) => {
                    for transport in transports {
                        let ran = core_of_python(&name, transport);
                        comes_out_as_known(&loader.known_on(Some(stack), transport), &name, transport, ran);
                    }
                }
                Some(Err(error)) => unavailable(&name, &error.to_string()),
                None => panic!("{name}: no such stack"),
            }
        }
    });
}

/// Suite `core` of a Python loader, one plan at a time: each more would have a template of its own, with its own imports.
pub fn core_of_python(name: &str, transport: &str) -> &'static Ran {
    once(&["core", "--loader", name, "--transport", transport, "--jobs", "1"]).1
}

/// Suite `core` of a Rust loader, whose plans wait more than they compute, and the files that it left.
pub fn core_of_rust(name: &str, transport: &str) -> (Rig, &'static Ran) {
    once(&["core", "--loader", name, "--transport", transport, "--jobs", "8"])
}

/// A loader of each language that ends its servers whatever ends the program.
const ENDS_ITS_SERVERS: [&str; 3] = ["reference", "python-owner-task@mcp-1.30", "typescript-sdk@sdk-1.32"];

#[test]
fn a_program_that_is_hung_up_ends_servers_that_ignore_their_end_of_input() {
    for loader in ENDS_ITS_SERVERS {
        let stack = loader.split_once('@').map_or("", |(_, stack)| stack);
        let lacking = python_stack(stack).map(|stack| stack.interpreter().err());
        let lacking = lacking.or_else(|| node_stack(stack).map(|stack| stack.modules().err()));
        if let Some(error) = lacking.flatten() {
            unavailable(loader, &error.to_string());
            continue;
        }
        let rig = Rig::new();
        let scenario = rig.file(
            "hung-up.toml",
            "about = \"SIGHUP while a server is loaded that ignores the end of its input.\"\n\
             servers = [{ name = \"files\", script = \"stubborn\" }]\n\
             [[step]]\ndo = \"load\"\n[[step]]\ndo = \"signal\"\nsignal = \"HUP\"\n",
        );
        let ran = rig.run(&[scenario.to_str().unwrap(), "--transport", "stdio", "--loader", loader]);
        assert_eq!((ran.code, ran.invariants("fail")), (0, vec![]), "{loader}: {}", ran.stdout);
    }
}

/// Name, stack, and what is found: scenarios and invariants.
type Published = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

/// Published clients, and what is found of each without being told: what fails in these scenarios over stdio.
const PUBLISHED: [Published; 4] = [
    ("python-mcp", "mcp-1.30", &[("cancel-in-flight", "cancel-announced")]),
    ("python-langchain", "mcp-1.30", &[("cancel-in-flight", "cancel-announced")]),
    ("python-langchain-per-call", "mcp-1.30", &[]),
    // A program that ends with an open client hangs.
    ("python-mcp-client", "mcp-2.3", &[("exit-without-close", "exit-completes")]),
];

#[test]
fn published_python_clients_are_used_as_documented_and_found_out() {
    let n_tried = if is_thorough() { PUBLISHED.len() } else { 1 };
    if n_tried < PUBLISHED.len() {
        eprintln!("LEFT OUT: published Python clients but {}; MCP_LIFECHECK_REPEATS=1 tries them", PUBLISHED[0].0);
    }
    for (name, stack, expected) in &PUBLISHED[..n_tried] {
        if let Err(error) = python_stack(stack).unwrap().interpreter() {
            unavailable(name, &error.to_string());
            continue;
        }
        let rig = Rig::new();
        let loader = format!("{name}@{stack}");
        let scenarios = match expected.iter().any(|(scenario, _)| *scenario == "exit-without-close") {
            true => vec!["load-call-close", "cancel-in-flight", "exit-without-close"],
            false => vec!["load-call-close", "cancel-in-flight"],
        };
        let ran = rig.run(&[&scenarios[..], &["--transport", "stdio", "--loader", &loader]].concat());
        let mut found = Vec::new();
        for plan in ran.plans() {
            for finding in plan["findings"].as_array().unwrap() {
                found.push((
                    plan["scenario"].as_str().unwrap().to_owned(),
                    finding["invariant"].as_str().unwrap().to_owned(),
                ));
            }
        }
        let expected_of: Vec<_> = expected.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
        assert_eq!(found, expected_of, "{loader}: {}", ran.stdout);
        assert_eq!(ran.code, i32::from(!expected.is_empty()), "{loader}");
        // Told, and no failure: a server started for each call.
        let mode = if name.ends_with("per-call") { "per-call" } else { "persistent" };
        assert_eq!(ran.report()["modes"][&loader]["mode"], mode, "{loader}: {}", ran.report()["modes"]);
        rig.assert_nothing_left(std::time::Duration::from_secs(10));
    }
}

/// What the published TypeScript clients are found to do over HTTP, by scenario and invariant.
const OF_TYPESCRIPT: [(&str, &str); 2] =
    [("session-lost-idle", "lost-session-renewed-once"), ("session-lost-idle", "stale-session-unused")];

#[test]
fn published_typescript_clients_are_used_as_documented_and_found_out() {
    for loader in shipped_loaders().unwrap().iter().filter(|loader| loader.lane == Lane::Node) {
        for stack in &loader.stacks {
            let name = format!("{}@{stack}", loader.name);
            match node_stack(stack).map(|stack| stack.modules()) {
                Some(Ok(_)) => is_found_out(&name),
                Some(Err(error)) => unavailable(&name, &error.to_string()),
                None => panic!("{name}: no such stack"),
            }
        }
    }
}

fn is_found_out(loader: &str) {
    let rig = Rig::new();
    let arguments = ["load-call-close", "session-lost-idle", "--transport", "http", "--loader", loader];
    let ran = rig.run(&arguments);
    let mut found: Vec<(String, String)> = Vec::new();
    for plan in ran.plans() {
        let text = |of: &serde_json::Value, field: &str| of[field].as_str().unwrap().to_owned();
        let findings = plan["findings"].as_array().unwrap();
        found.extend(findings.iter().map(|finding| (text(&plan, "scenario"), text(finding, "invariant"))));
    }
    found.sort();
    let expected: Vec<_> = OF_TYPESCRIPT.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!((ran.code, found), (1, expected), "{loader}: {}", ran.stdout);
    if !is_thorough() {
        eprintln!("LEFT OUT: {loader} over suite core; MCP_LIFECHECK_REPEATS=1 tries it");
        return;
    }
    // All that is found over suite core is known, and all that is known is found.
    let ran = rig.run(&["core", "exit-without-close", "--loader", loader, "--shipped-baselines"]);
    assert_eq!(ran.code, 0, "{loader}: {}", ran.stdout);
}

#[test]
fn a_build_without_a_feature_runs_what_it_can_and_says_what_it_lacks() {
    let rig = Rig::new();
    let arguments = ["load-call-close", "--polite-only", "--loader", "rust-rmcp-readme"];
    let transports = |ran: &crate::rig::Ran| {
        let report = ran.report();
        report["plans"].as_array().unwrap().iter().map(|plan| plan["transport"].clone()).collect::<Vec<_>>()
    };
    let by_default = rig.run(&arguments);
    assert_eq!(by_default.code, 0, "{}", by_default.stdout);
    let over_http = rig.run(&[&arguments[..], &["--transport", "http"]].concat());
    let plan = &over_http.report()["plans"][0];
    if cfg!(feature = "rmcp-reqwest") {
        assert_eq!(transports(&by_default), ["stdio", "http"]);
        assert_eq!((&plan["verdict"], over_http.code), (&"pass".into(), 0), "{}", over_http.stdout);
    } else {
        assert_eq!(transports(&by_default), ["stdio"]);
        assert_eq!((&plan["verdict"], over_http.code), (&"unavailable".into(), 3), "{}", over_http.stdout);
        assert_eq!(plan["because"], "built without the feature rmcp-reqwest");
    }
}

#[test]
fn a_loader_that_promises_nothing_is_told_how_long_its_sessions_live() {
    let rig = Rig::new();
    let silent = rig.file("silent.toml", "name = \"rust-rmcp-readme\"\nlane = \"rust\"\n");
    let out = rig.out();
    let arguments = ["run", "load-call-close", "--polite-only", "--out", out.to_str().unwrap(), "--loader"];
    let told = |loader: &str| rig.finish(rig.command(&[&arguments[..], &[loader]].concat())).stdout;
    let line = "rust-rmcp-readme mode: persistent (inferred: 2 connections for 2 calls)\n";
    let text = told(silent.to_str().unwrap());
    assert!(text.contains(line), "{text}");
    let text = told("reference");
    assert!(!text.contains(" mode: "), "its description says it: {text}");
}

/// Says loudly that a lane was not tested; where `MCP_LIFECHECK_REQUIRE_LANES` is set, that is a failure.
pub fn unavailable(name: &str, because: &str) {
    assert!(std::env::var_os("MCP_LIFECHECK_REQUIRE_LANES").is_none(), "{name} is UNAVAILABLE: {because}");
    eprintln!("UNAVAILABLE: {name} was not tested: {because}");
}

/// The interpreter behind `python3` in `PATH`, looked up once; or why there is none. What bears this name in `PATH` may be a shell
/// script that looks for an interpreter at each start, and takes longer than the interpreter.
pub fn python3() -> Result<&'static str, &'static str> {
    static FOUND: OnceLock<Result<String, String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let asked = Command::new("python3").args(["-Ic", "import sys; print(sys.executable)"]).output();
        let asked = asked.map_err(|error| format!("no python3 in PATH can be run: {error}"))?;
        let path = String::from_utf8_lossy(&asked.stdout).trim().to_owned();
        match asked.status.success() && Path::new(&path).is_file() {
            true => Ok(path),
            false => Err(format!("python3 in PATH names no interpreter: {}", String::from_utf8_lossy(&asked.stderr))),
        }
    });
    found.as_deref().map_err(String::as_str)
}

/// A client on the TypeScript SDK; `None`, with a loud message, where it cannot run.
pub fn typescript_client(file: &str) -> Option<PathBuf> {
    let folder = root().join("tests/clients/typescript");
    let name = "the TypeScript SDK";
    if !folder.join("node_modules/@modelcontextprotocol/sdk").is_dir() {
        unavailable(name, "it is not installed; `npm ci` in tests/clients/typescript installs it");
        return None;
    }
    if let Err(error) = Command::new("node").arg("--version").output() {
        unavailable(name, &format!("no node in PATH can be run: {error}"));
        return None;
    }
    Some(folder.join(file))
}

fn comes_out_as_known(known: &Known, loader: &str, transport: &str, ran: &Ran) {
    let name = format!("{loader} over {transport}");
    let failed = ran.invariants("fail");
    for id in &known.must_fail {
        assert!(failed.contains(id), "{name}: {id} must fail, found only {failed:?}");
    }
    for id in &known.must_not {
        assert!(!failed.contains(id), "{name}: {id} must not fail: {}", ran.findings_of(id));
    }
    let expected = if known.must_fail.is_empty() { 0 } else { 1 };
    assert_eq!(ran.code, expected, "{name}: {failed:?}\n{}", ran.stderr);
    assert_eq!(ran.report()["counts"]["inconclusive"], 0, "{name}: {}", ran.stdout);
}
