//! Mutations of the reference loader: each one shows in a snapshot of a life, and most break an invariant.
//!
//! A mutation that shows in no snapshot means that the snapshots miss a part of a life.

use std::collections::{BTreeMap, BTreeSet};

use mcp_lifecheck_specimens::mutation::{MUTATIONS, Mutation, Over, PREFIX};
use serde_json::Value;

use crate::rig::Rig;
use crate::snapshots::life;

/// Plans of one loader, by scenario.
type Plans = BTreeMap<String, Value>;

/// The scenarios that are run: for each mutation at least one in which it shows, and no more, because each takes time.
const SCENARIOS: [&str; 8] = [
    "load-call-close",
    "rerun-hop",
    "cancel-in-flight",
    "server-dies-in-call",
    "dies-while-idle",
    "load-after-close",
    "remove-first",
    "server-asks",
];
/// The least number of mutations.
const N_MUTATIONS_MIN: usize = 20;

/// Each mutation, and an invariant that it always breaks. `None`: only a snapshot shows it. Which other invariants it breaks may depend on
/// the order of events that race.
pub const CAUGHT_BY: &[(&str, Option<&str>)] = &[
    ("initialized-lost", Some("initialized-sent")),
    ("initialized-late", Some("handshake-order")),
    ("initialized-twice", Some("handshake-order")),
    ("initialize-twice", Some("handshake-order")),
    ("older-revision", None),
    ("false-capabilities", None),
    ("list-twice", None),
    ("list-before-call", None),
    ("call-twice", Some("call-sent-once")),
    ("ids-reused", Some("request-id-unique")),
    ("answers-lost", Some("ping-answered")),
    ("cancel-lost", Some("cancel-announced")),
    ("cancel-twice", Some("cancel-announced")),
    ("cancel-of-another", Some("cancel-only-open-requests")),
    ("cancel-of-the-answered", Some("cancel-only-open-requests")),
    ("close-lost", Some("nothing-survives")),
    ("second-close-fails", Some("cleanup-repeatable")),
    ("dead-after-close", Some("cleanup-repeatable")),
    ("restart-on-rerun", Some("unchanged-server-kept")),
    ("siblings-closed", Some("removal-spares-siblings")),
    ("removed-kept", Some("removed-server-closed")),
    ("session-per-call", Some("scope-open-until-cleanup")),
    ("tools-remembered", Some("call-after-load-succeeds")),
    ("error-swallowed", Some("answer-reaches-its-caller")),
    ("term-before-eof", Some("eof-before-signal")),
    ("kill-before-eof", Some("eof-before-signal")),
];

#[test]
fn every_mutation_shows_in_a_snapshot_and_most_break_an_invariant() {
    assert!(anywhere().count() >= N_MUTATIONS_MIN, "{} mutations", anywhere().count());
    let rig = Rig::new();
    let plans = run_all(&rig);
    let reference = &plans["reference"];
    let of_reference: BTreeSet<String> = found(reference);
    assert!(of_reference.is_empty(), "the reference loader itself: {of_reference:?}");
    let mut wrong = String::new();
    for mutation in anywhere() {
        let mutated = &plans[&format!("{PREFIX}{}", mutation.name)];
        let shows = mutated.iter().any(|(scenario, plan)| life(&rig, plan) != life(&rig, &reference[scenario]));
        if !shows {
            wrong.push_str(&format!("{} ({}) shows in no snapshot\n", mutation.name, mutation.about));
        }
        let Some((_, caught_by)) = CAUGHT_BY.iter().find(|(name, _)| *name == mutation.name) else {
            wrong.push_str(&format!("{} has no line in CAUGHT_BY\n", mutation.name));
            continue;
        };
        let found = found(mutated);
        if let Some(invariant) = caught_by.filter(|invariant| !found.contains(*invariant)) {
            wrong.push_str(&format!("{} must break {invariant}, found {found:?}\n", mutation.name));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The mutations that show over stdio.
fn anywhere() -> impl Iterator<Item = &'static Mutation> {
    MUTATIONS.iter().filter(|mutation| mutation.shows_over == Over::Any)
}

/// Runs the reference loader and every mutation of it, in one run.
fn run_all(rig: &Rig) -> BTreeMap<String, Plans> {
    let described = anywhere().map(|mutation| {
        let text = format!("name = \"{PREFIX}{}\"\nlane = \"rust\"\n", mutation.name);
        rig.file(&format!("{}.toml", mutation.name), &text).display().to_string()
    });
    let files: Vec<_> = described.collect();
    let mut command = rig.run_command(&["--polite-only", "--transport", "stdio", "--limit", "grace=500ms"]);
    command.args(SCENARIOS).args(["--loader", "reference"]);
    command.args(files.iter().flat_map(|file| ["--loader", file.as_str()]));
    rig.finish(command).plans_by_loader()
}

/// Ids of the invariants that failed or warned in any plan.
fn found(plans: &Plans) -> BTreeSet<String> {
    let findings = plans.values().flat_map(|plan| plan["findings"].as_array().unwrap());
    let broken = findings.filter(|finding| finding["verdict"] == "fail" || finding["verdict"] == "warn");
    broken.map(|finding| finding["invariant"].as_str().unwrap().to_owned()).collect()
}
