//! Seeded changes that only HTTP has: each shows in a life over HTTP, and breaks the invariant that is about it.

use std::collections::BTreeMap;

use mcp_vigil::loader::mutant::{MUTANTS, Mutant, Over, PREFIX};
use serde_json::Value;

use crate::rig::{Ran, Rig};
use crate::snapshots::life;

/// Each change, and an invariant that it must break.
const CAUGHT_BY: [(&str, &str); 12] = [
    ("delete-lost", "session-deleted"),
    ("delete-of-the-first", "session-deleted"),
    ("first-session-for-ever", "lost-session-renewed-once"),
    ("stream-of-the-first", "lost-session-renewed-once"),
    ("racers-initialize", "lost-session-renewed-once"),
    ("version-lost", "protocol-version-sent"),
    ("notifications-without-session", "session-id-sent"),
    ("one-kind-accepted", "accept-offers-both"),
    ("open-after-delete", "cleanup-opens-nothing"),
    ("resent-twice", "call-sent-once"),
    ("stream-at-once", "stream-reopened-slowly"),
    ("stream-steadily", "stream-reopened-slowly"),
];

/// Where they may show; the scenario of streams is this test's own, because five pauses in a row take their time.
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

/// Plans of one loader, by scenario.
type Plans = BTreeMap<String, Value>;

#[test]
fn every_seeded_change_over_http_shows_and_breaks_its_invariant() {
    let (rig, again) = (Rig::new(), Rig::new());
    let plans = plans(&run(&rig, changes()));
    let repeated = plans_of_reference(&again);
    let reference = &plans["reference"];
    assert!(reference.values().all(|plan| plan["verdict"] == "pass"), "{reference:?}");
    // What differs from one run to the next shows nothing.
    let steady: Vec<_> =
        reference.iter().filter(|(name, plan)| life(&rig, plan) == life(&again, &repeated[*name])).collect();
    let names: Vec<_> = changes().map(|change| change.name).collect();
    assert_eq!(names, CAUGHT_BY.map(|(name, _)| name), "one line for each change");
    let mut wrong = String::new();
    for (name, invariant) in CAUGHT_BY {
        let changed = &plans[&format!("{PREFIX}{name}")];
        if steady.iter().all(|(scenario, plan)| life(&rig, plan) == life(&rig, &changed[*scenario])) {
            wrong.push_str(&format!("{name} shows in no life\n"));
        }
        let failed = failed(changed);
        if !failed.iter().any(|id| id == invariant) {
            wrong.push_str(&format!("{name} must break {invariant}, found {failed:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// Those that can be seen over HTTP alone.
fn changes() -> impl Iterator<Item = &'static Mutant> {
    MUTANTS.iter().filter(|mutant| mutant.shows_over == Over::Http)
}

fn plans_of_reference(rig: &Rig) -> Plans {
    plans(&run(rig, std::iter::empty())).remove("reference").unwrap()
}

/// The reference loader and these changes of it, in one run.
fn run(rig: &Rig, changes: impl Iterator<Item = &'static Mutant>) -> Ran {
    let mut command = rig.run_command(&["--transport", "http", "--limit", "grace=500ms", "--jobs", "8"]);
    command.args(SCENARIOS).arg(rig.file("streams-end.toml", STREAMS_END)).args(["--loader", "reference"]);
    for change in changes {
        let text = format!("name = \"{PREFIX}{}\"\nlane = \"rust\"\ntransports = [\"http\"]\n", change.name);
        command.arg("--loader").arg(rig.file(&format!("{}.toml", change.name), &text));
    }
    rig.finish(command)
}

fn plans(ran: &Ran) -> BTreeMap<String, Plans> {
    let mut plans: BTreeMap<String, Plans> = BTreeMap::new();
    for plan in ran.report()["plans"].as_array().unwrap() {
        let name = |field: &str| plan[field].as_str().unwrap().to_owned();
        plans.entry(name("loader")).or_default().insert(name("scenario"), plan.clone());
    }
    plans
}

/// Invariants that failed, each with a witness.
fn failed(plans: &Plans) -> Vec<String> {
    let findings = plans.values().flat_map(|plan| plan["findings"].as_array().unwrap());
    let failed = findings.filter(|finding| finding["verdict"] == "fail");
    let witnessed = failed.filter(|finding| !finding["witness"].as_array().unwrap().is_empty());
    witnessed.map(|finding| finding["invariant"].as_str().unwrap().to_owned()).collect()
}
