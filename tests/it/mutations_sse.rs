//! Mutations over HTTP with server-sent events: a mutation that breaks an invariant over another transport breaks one here.

use std::collections::{BTreeMap, BTreeSet};

use mcp_lifecheck_specimens::mutation::{MUTATIONS, Over, PREFIX};
use serde_json::Value;

use crate::rig::Rig;
use crate::stability::is_thorough;

/// Plans of one loader, by scenario.
type Plans = BTreeMap<String, Value>;

/// The scenarios in which the mutations show.
const SCENARIOS: [&str; 7] = [
    "load-call-close",
    "rerun-hop",
    "cancel-in-flight",
    "server-dies-in-call",
    "load-after-close",
    "remove-first",
    "server-asks",
];

/// Each mutation, and an invariant that it must break.
///
/// The transport does not send the cancellation of a request that is not open, and mutations of processes do not show here.
/// Its messages come on several sockets, so a notification that comes late (`initialized-late`) may have been under way.
pub const CAUGHT_BY: &[(&str, &str)] = &[
    ("initialized-lost", "initialized-sent"),
    ("initialized-twice", "handshake-order"),
    ("initialize-twice", "handshake-order"),
    ("call-twice", "call-sent-once"),
    ("ids-reused", "request-id-unique"),
    ("answers-lost", "ping-answered"),
    ("cancel-lost", "cancel-announced"),
    ("cancel-twice", "cancel-announced"),
    ("close-lost", "stream-closed"),
    ("second-close-fails", "cleanup-repeatable"),
    ("dead-after-close", "cleanup-repeatable"),
    ("restart-on-rerun", "unchanged-server-kept"),
    ("siblings-closed", "removal-spares-siblings"),
    ("removed-kept", "removed-server-closed"),
    ("session-per-call", "scope-open-until-cleanup"),
    ("error-swallowed", "answer-reaches-its-caller"),
    ("posted-without-query", "posted-to-endpoint"),
    ("cancelled-without-query", "posted-to-endpoint"),
];

/// How many mutations a quick run tries, counted from the end.
const N_QUICK: usize = 6;

#[test]
fn every_mutation_over_sse_breaks_its_invariant() {
    let rig = Rig::new();
    let mut command = rig.run_command(&["--transport", "sse", "--limit", "grace=500ms", "--jobs", "8"]);
    command.args(SCENARIOS).args(["--loader", "reference"]);
    // Most mutations show over stdio and HTTP as well. A quick run tries some of them, and those that show over this transport alone.
    let n_left_out = if is_thorough() { 0 } else { CAUGHT_BY.len() - N_QUICK };
    let tried = &CAUGHT_BY[n_left_out..];
    for (name, _) in tried {
        let text = format!("name = \"{PREFIX}{name}\"\nlane = \"rust\"\ntransports = [\"sse\"]\n");
        command.arg("--loader").arg(rig.file(&format!("{name}.toml"), &text));
    }
    let plans = rig.finish(command).plans_by_loader();
    assert!(plans["reference"].values().all(|plan| plan["verdict"] == "pass"), "{:?}", plans["reference"]);
    let mut wrong = String::new();
    for (name, invariant) in tried {
        let failed = failed(&plans[&format!("{PREFIX}{name}")]);
        if !failed.contains(*invariant) {
            wrong.push_str(&format!("{name} must break {invariant}, found {failed:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_mutation_that_shows_over_sse_alone_is_caught_there() {
    let mutations: Vec<_> = MUTATIONS.iter().filter(|one| one.shows_over == Over::Sse).map(|one| one.name).collect();
    let is_caught = |name: &&&str| CAUGHT_BY.iter().any(|(caught, _)| caught == *name);
    let missing: Vec<_> = mutations.iter().filter(|name| !is_caught(name)).collect();
    assert!(!mutations.is_empty() && missing.is_empty(), "CAUGHT_BY has no line for {missing:?}");
}

/// Ids of the invariants that failed with a witness in any plan.
fn failed(plans: &Plans) -> BTreeSet<String> {
    let findings = plans.values().flat_map(|plan| plan["findings"].as_array().unwrap());
    let failed = findings.filter(|finding| finding["verdict"] == "fail");
    let witnessed = failed.filter(|finding| !finding["witness"].as_array().unwrap().is_empty());
    witnessed.map(|finding| finding["invariant"].as_str().unwrap().to_owned()).collect()
}
