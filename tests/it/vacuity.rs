//! Suites `standard` and, in the stateless generation, `eras` leave no invariant without a verdict, but for one that a scenario
//! of suite `answers` triggers: what is never triggered proves nothing.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rig::Rig;
use crate::standard::{core_over, lived, standard};

/// Invariants that only other clients trigger, with the reason.
const OF_OTHER_CLIENTS: [(&str, &str); 18] = [
    ("token-sent", "the reference loader has no token that it could be asked for"),
    ("cursor-of-session", "no shipped script has a second page"),
    ("bearer-token-used", "the reference loader has no token that it could be asked for"),
    ("resumed-from-last-event", "no shipped script ends a stream gracefully after an event id"),
    ("fallback-after-refusal", "the reference loader does not look for the old transport by itself"),
    ("modern-fallback-after-refusal", "the reference loader does not look for the old transport by itself"),
    ("results-match-schema", "the reference loader declares no feature of clients"),
    ("input-matches-request", "the reference loader declares no feature of clients"),
    ("declared-features-served", "the reference loader declares no feature of clients"),
    ("changed-roots-told", "the reference loader declares no feature of clients"),
    ("taken-back-request-unanswered", "no shipped script takes a request of its server back"),
    ("pings-modest", "the reference loader sends no pings"),
    ("silent-connection-left", "the reference loader sends no pings"),
    ("tasks-followed", "the reference loader makes no tasks"),
    ("task-input-awaited", "the reference loader makes no tasks"),
    ("task-answers-related", "the reference loader makes no tasks"),
    ("cancelled-task-over", "the reference loader makes no tasks"),
    ("strange-notice-ignored", "no shipped script sends a notification for a subscription that nobody opened"),
];

/// Every invariant passes in at least one plan of the reference loader, over the transports it speaks, the one that is only run on
/// request among them, with polite servers and with stubborn ones. One that is vacuous, not applicable or not observable everywhere would be green for any loader.
#[test]
fn every_invariant_passes_somewhere() {
    let more = [
        core_over("sse"),
        lived(&["eras", "--revision", "2026-07-28", "--transport", "memory"]),
        lived(&["tools-change", "--transport", "memory"]),
        lived(&["tasks", "--transport", "memory"]),
        lived(&["odd-events", "--transport", "memory"]),
        lived(&["subscription-heard", "--revision", "2026-07-28", "--transport", "http"]),
        lived(&["subscription-lost", "--revision", "2026-07-28", "--transport", "stdio"]),
        lived(&["subscription-torn-down", "--revision", "2026-07-28", "--transport", "stdio"]),
        lived(&["cancel-in-flight", "--revision", "2026-07-28", "--transport", "memory"]),
    ];
    let lived = more.iter().chain([standard()]);
    let verdicts = lived.flat_map(|lived| &lived.verdicts);
    let passed: BTreeSet<_> =
        verdicts.filter(|(_, all)| all.iter().any(|one| one == "pass")).map(|(id, _)| id).collect();
    let rig = Rig::new();
    let ran = rig.finish(rig.command(&["list", "invariants", "--format", "json"]));
    let known: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    assert!(!known.is_empty());
    // The rules of hosts have a table of their own, and clients in tests/it/client.rs to prove them.
    let known = known.iter().filter(|row| row["of"] == "loaders").map(|row| row["id"].as_str().unwrap().to_owned());
    let of_others = |id: &String| OF_OTHER_CLIENTS.iter().any(|(other, _)| other == id);
    let never: Vec<_> = known.filter(|id| !passed.contains(&id) && !of_others(id)).collect();
    assert!(never.is_empty(), "invariants that passed in no plan: {never:?}");
}
