//! `doctor --adapter`: adapters that keep every rule pass, and one that breaks a rule fails the check of that rule alone.

use std::sync::Mutex;
use std::time::Duration;

use mcp_lifecheck::selftest::CHECKS;
use mcp_lifecheck::stack::python_stack;
use serde_json::Value;

use crate::lanes::{python3, unavailable};
use crate::rig::{Ran, Rig, few_at_once, root};

/// An adapter in Python with one mistake, or none.
fn tested(python: &str, mistake: &str) -> Ran {
    let rig = Rig::new();
    let file = format!("{}/tests/it/adapters/raw.py", root().display());
    let text = format!("name = \"raw\"\nlane = \"command\"\ncommand = [{python:?}, {file:?}, {mistake:?}]\n");
    let loader = rig.file("raw.toml", &text).display().to_string();
    let ran = test(&rig, &loader, &["start=20s", "hello=2s", "operation=5s"]);
    rig.assert_nothing_left(Duration::from_secs(6));
    ran
}

fn test(rig: &Rig, loader: &str, limits: &[&str]) -> Ran {
    let mut command = rig.command(&["doctor", "--format", "json", "--adapter", loader, "--out"]);
    command.arg(rig.out()).args(limits.iter().flat_map(|limit| ["--limit", limit]));
    rig.finish(command)
}

/// The checks of the only loader, each with its state.
fn states(ran: &Ran) -> Vec<(String, String)> {
    let report = ran.report();
    let checks = report[0]["checks"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    let text = |check: &Value, name: &str| check[name].as_str().unwrap().to_owned();
    checks.iter().map(|check| (text(check, "id"), text(check, "state"))).collect()
}

fn of_state<'a>(states: &'a [(String, String)], wanted: &str) -> Vec<&'a str> {
    states.iter().filter(|(_, state)| state == wanted).map(|(id, _)| id.as_str()).collect()
}

#[test]
fn each_mistake_of_an_adapter_fails_its_check_alone() {
    let python = match python3() {
        Ok(python) => python,
        Err(because) => return unavailable("the self-test of adapters", because),
    };
    let right = tested(python, "");
    assert_eq!(right.code, 0, "{}{}", right.stdout, right.stderr);
    assert_eq!(of_state(&states(&right), "ok").len(), CHECKS.len(), "{}", right.stdout);
    let wrong = Mutex::new(Vec::new());
    few_at_once(4, CHECKS.iter(), |check| {
        let ran = tested(python, check.id);
        let states = states(&ran);
        let found = of_state(&states, "fail");
        if ran.code != 1 || found != [check.id] {
            wrong.lock().unwrap().push(format!("{}: exit code {}, found {found:?} {}", check.id, ran.code, ran.stderr));
        }
        let names_server = ran.stdout.contains("files (pid ") && !ran.stdout.contains(r#", \"\")"#);
        if check.id == "close" && !names_server {
            wrong.lock().unwrap().push(format!("close: it does not name the server that is left: {}", ran.stdout));
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_plan_process_keeps_every_rule_of_the_protocol() {
    let rig = Rig::new();
    let ran = test(&rig, "reference", &[]);
    let states = states(&ran);
    assert_eq!((ran.code, of_state(&states, "ok").len()), (0, states.len()), "{}", ran.stdout);
    // Over streamable HTTP and over HTTP with server-sent events as well.
    assert_eq!(states.iter().filter(|(id, _)| id == "call").count(), 3, "{}", ran.stdout);
    rig.assert_nothing_left(Duration::from_secs(6));
}

#[test]
fn the_python_helper_keeps_every_rule_of_the_protocol() {
    if let Err(error) = python_stack("mcp-1.30").unwrap().interpreter() {
        return unavailable("the self-test of python-owner-task", &error.to_string());
    }
    let rig = Rig::new();
    let ran = test(&rig, "python-owner-task@mcp-1.30", &[]);
    let states = states(&ran);
    assert_eq!(ran.code, 0, "{}", ran.stdout);
    // Its operations block, in threads; so there are neither tasks nor loops to tell apart.
    assert_eq!(of_state(&states, "not-offered"), ["contexts-task", "contexts-loop"], "{}", ran.stdout);
    assert_eq!(of_state(&states, "ok").len() + 2, states.len(), "{}", ran.stdout);
    rig.assert_nothing_left(Duration::from_secs(6));
}

#[test]
fn an_adapter_that_wrote_before_its_hello_is_not_quiet() {
    let python = match python3() {
        Ok(python) => python,
        Err(because) => return unavailable("the self-test of adapters", because),
    };
    let ran = tested(python, "writes-before-hello");
    assert_eq!(of_state(&states(&ran), "fail"), ["quiet-streams"], "{}{}", ran.stdout, ran.stderr);
    assert!(ran.stdout.contains("stdout begins with \\\"connecting\\\""), "{}", ran.stdout);
}

#[test]
fn an_untestable_adapter_is_distinguished_from_a_failing_one() {
    let rig = Rig::new();
    let wrong = rig.file("wrong.toml", "name = \"x\"\nlane = \"command\"\n").display().to_string();
    assert_eq!(test(&rig, &wrong, &[]).code, 2);
    assert_eq!(test(&rig, "no-such-loader", &[]).code, 2);
    let missing = "name = \"x\"\nlane = \"command\"\ncommand = [\"no-such-program\"]\n";
    let missing = rig.file("missing.toml", missing).display().to_string();
    let ran = test(&rig, &missing, &[]);
    assert_eq!(ran.code, 3, "{}", ran.stdout);
    assert!(ran.stdout.contains("found no program \\\"no-such-program\\\" in PATH"), "{}", ran.stdout);
    let text = rig.finish(rig.command(&["doctor", "--adapter", &missing, "--out", &rig.out().display().to_string()]));
    assert!(text.stdout.starts_with("UNAVAILABLE x: "), "{}", text.stdout);
    let dying =
        "name = \"x\"\nlane = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"echo hi; echo boom >&2; exit 3\"]\n";
    let dying = rig.file("dying.toml", dying).display().to_string();
    assert!(test(&rig, &dying, &[]).stdout.contains("exit code 3; stderr ends with \\\"boom\\\""));
}

/// The rules of both tables, told apart.
#[test]
fn the_list_of_invariants_has_the_rules_of_hosts_too() {
    let rig = Rig::new();
    let ran = rig.finish(rig.command(&["list", "invariants", "--format", "json"]));
    let rows: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    let judges = |row: &Value, subject: &str| row["subjects"].as_array().unwrap().iter().any(|one| one == subject);
    let of_loaders = rows.iter().filter(|row| judges(row, "loader")).count();
    let of_programs = rows.iter().filter(|row| judges(row, "application") || judges(row, "client")).count();
    let known = (mcp_lifecheck::check::INVARIANTS.len(), mcp_lifecheck::check::HOST_RULES.len());
    assert_eq!((of_loaders, of_programs), known);
    assert!(rows.iter().any(|row| row["id"] == "exchange-complete" && !judges(row, "loader")));
}
