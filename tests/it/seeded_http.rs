//! Seeded changes that only HTTP has: each shows in a life over HTTP, and breaks the invariant that is about it.

use std::collections::BTreeMap;

use mcp_lifecheck_specimens::mutation::{MUTANTS, Mutant, Over, PREFIX};
use serde_json::Value;

use crate::rig::{Ran, Rig};
use crate::snapshots::life;

/// Each change, and an invariant that it must break.
const CAUGHT_BY: [(&str, &str); 14] = [
    ("delete-lost", "session-deleted"),
    ("delete-of-the-first", "session-deleted"),
    ("first-session-for-ever", "lost-session-renewed-once"),
    ("stream-of-the-first", "lost-session-renewed-once"),
    ("racers-initialize", "lost-session-renewed-once"),
    ("version-lost", "protocol-version-sent"),
    ("notifications-without-session", "session-id-sent"),
    ("one-kind-accepted", "accept-offers-both"),
    ("open-after-delete", "cleanup-opens-nothing"),
    ("calls-in-batches", "one-message-at-a-time"),
    ("resent-twice", "call-sent-once"),
    ("task-asked", "capabilities-respected"),
    ("stream-at-once", "stream-reopened-slowly"),
    ("stream-steadily", "stream-reopened-slowly"),
];

/// Where they may show; those below are this test's own, because they take their time.
const SCENARIOS: [&str; 5] =
    ["load-call-close", "cancel-in-flight", "session-lost-idle", "session-lost-in-call", "session-lost-by-five"];

const STREAMS_END: &str = r#"
about = "Every stream that the server opens ends at once."
servers = [{ name = "files", script = "get-closed-at-once" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
[[step]]
do = "wait"
for = "2500ms"
[[step]]
do = "close"
"#;

/// As session-lost-idle, with time before the end: what a change does about a stream is done by then, however slow the machine is.
const SESSION_LOST: &str = r#"
about = "The server forgets its session while nothing is asked of it, and what comes of that is waited for."
servers = [{ name = "files", script = "session-expires-idle" }]
[[step]]
do = "load"
[[step]]
do = "call"
server = "files"
[[step]]
do = "open-gate"
gate = "expire"
[[step]]
do = "wait"
gate = "expired"
[[step]]
do = "call"
server = "files"
[[step]]
do = "wait"
for = "1500ms"
[[step]]
do = "close"
"#;

/// Plans of one loader, by scenario.
type Plans = BTreeMap<String, Value>;

#[test]
fn every_seeded_change_over_http_shows_and_breaks_its_invariant() {
    let rig = Rig::new();
    let plans = run(&rig, changes(), "1").plans_by_loader();
    let reference = lives_of_reference();
    assert!(plans["reference"].values().all(|plan| plan["verdict"] == "pass"), "{:?}", plans["reference"]);
    let names: Vec<_> = changes().map(|change| change.name).collect();
    assert_eq!(names, CAUGHT_BY.map(|(name, _)| name), "one line for each change");
    let mut wrong = String::new();
    for (name, invariant) in CAUGHT_BY {
        let changed = &plans[&format!("{PREFIX}{name}")];
        if changed.iter().all(|(scenario, plan)| reference[scenario].contains(&lines(&rig, plan))) {
            wrong.push_str(&format!("{name} shows in no life\n"));
        }
        let failed = failed(changed);
        if !failed.iter().any(|id| id == invariant) {
            wrong.push_str(&format!("{name} must break {invariant}, found {failed:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// What happened in a life, in no order: over HTTP each request has a socket of its own, and they race.
fn lines(rig: &Rig, plan: &Value) -> Vec<String> {
    let mut lines: Vec<_> = life(rig, plan).lines().map(str::to_owned).collect();
    lines.sort();
    lines
}

/// Those that can be seen over HTTP alone.
fn changes() -> impl Iterator<Item = &'static Mutant> {
    MUTANTS.iter().filter(|mutant| mutant.shows_over == Over::Http)
}

/// Some lives of the reference loader, by scenario: they are not all alike, because sockets race.
fn lives_of_reference() -> BTreeMap<String, Vec<Vec<String>>> {
    let rig = Rig::new();
    let ran = run(&rig, std::iter::empty(), "3");
    let mut lives: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for plan in &ran.plans() {
        lives.entry(plan["scenario"].as_str().unwrap().to_owned()).or_default().push(lines(&rig, plan));
    }
    lives
}

/// The reference loader and these changes of it, in one run.
fn run(rig: &Rig, changes: impl Iterator<Item = &'static Mutant>, n_repeats: &str) -> Ran {
    let mut command =
        rig.run_command(&["--transport", "http", "--limit", "grace=500ms", "--jobs", "8", "--repeat", n_repeats]);
    let own = [rig.file("streams-end.toml", STREAMS_END), rig.file("session-lost.toml", SESSION_LOST)];
    command.args(SCENARIOS).args(own).args(["--loader", "reference"]);
    for change in changes {
        let text = format!("name = \"{PREFIX}{}\"\nlane = \"rust\"\ntransports = [\"http\"]\n", change.name);
        command.arg("--loader").arg(rig.file(&format!("{}.toml", change.name), &text));
    }
    rig.finish(command)
}

/// Invariants that failed, each with a witness.
fn failed(plans: &Plans) -> Vec<String> {
    let findings = plans.values().flat_map(|plan| plan["findings"].as_array().unwrap());
    let failed = findings.filter(|finding| finding["verdict"] == "fail");
    let witnessed = failed.filter(|finding| !finding["witness"].as_array().unwrap().is_empty());
    witnessed.map(|finding| finding["invariant"].as_str().unwrap().to_owned()).collect()
}
