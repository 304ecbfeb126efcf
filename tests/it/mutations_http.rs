//! Mutations that show over HTTP alone: each one shows in a life over HTTP, and breaks the invariant about it.

use mcp_lifecheck_specimens::mutation::{MUTATIONS, Mutation, Over, PREFIX};
use serde_json::Value;

use crate::rig::Rig;
use crate::snapshots::life;

/// Each mutation, and an invariant that it must break.
pub const CAUGHT_BY: &[(&str, &str)] = &[
    ("delete-lost", "session-deleted"),
    ("delete-of-the-first", "session-deleted"),
    ("renewal-lost", "lost-session-renewed-once"),
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

/// Shipped scenarios in which the mutations may show.
const SCENARIOS: [&str; 5] =
    ["load-call-close", "cancel-in-flight", "session-lost-idle", "session-lost-in-call", "session-lost-by-five"];

/// Scenarios of this test: shipped ones do not give the mutations enough time, or enough calls.
const OWN: [(&str, &str); 2] = [("streams-end", STREAMS_END), ("session-lost", SESSION_LOST)];

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

/// The mutation that asks for a stream again after the same pause each time.
const STEADY: &str = "stream-steadily";

/// `STREAMS_END` with more time. The rule needs five equal pauses in a row, of one second each here. There is time for nine, because a
/// busy machine may delay one of them.
const STREAMS_END_LONG: &str = r#"
about = "Every stream that the server opens ends at once, and the client has ten seconds to ask again."
servers = [{ name = "files", script = "get-closed-at-once" }]
[[step]]
do = "load"
[[step]]
do = "wait"
for = "10s"
[[step]]
do = "close"
"#;

/// Scenario session-lost-idle with one server. A loader that loses its renewed session fails the last call.
const SESSION_LOST: &str = r#"
about = "The server forgets its session while it is idle. The first call renews the session, the next call uses it."
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
do = "call"
server = "files"
[[step]]
do = "close"
"#;

/// One plan of a loader, and what happened in it.
struct Life {
    loader: String,
    scenario: String,
    plan: Value,
    /// Sorted: each request over HTTP has a socket of its own, and sockets race.
    lines: Vec<String>,
}

impl Life {
    fn is_like(&self, other: &Self) -> bool {
        self.scenario == other.scenario && self.lines == other.lines
    }
}

#[test]
fn every_mutation_over_http_shows_and_breaks_its_invariant() {
    let all: Vec<Life> = std::thread::scope(|scope| {
        let steady = mutations().filter(|mutation| mutation.name == STEADY);
        let long = scope.spawn(|| lives(&[("streams-end-long", STREAMS_END_LONG)], &[], steady, "1"));
        lives(&OWN, &SCENARIOS, mutations(), "1").into_iter().chain(long.join().unwrap()).collect()
    });
    let (reference, mutated): (Vec<Life>, Vec<Life>) = all.into_iter().partition(|life| life.loader == "reference");
    for life in &reference {
        assert_eq!(life.plan["verdict"], "pass", "{}", life.plan);
    }
    // Several lives, because they differ: sockets race.
    let more = lives(&OWN, &SCENARIOS, std::iter::empty(), "3");
    let reference: Vec<&Life> = reference.iter().chain(&more).collect();
    let names: Vec<_> = mutations().map(|mutation| mutation.name).collect();
    let in_table: Vec<_> = CAUGHT_BY.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, in_table, "CAUGHT_BY needs one line for each mutation, in the order of MUTATIONS");
    let mut wrong = String::new();
    for (name, invariant) in CAUGHT_BY {
        let is_of_it = |life: &&Life| life.loader.strip_prefix(PREFIX) == Some(*name);
        let is_known = |life: &Life| reference.iter().any(|known| known.is_like(life));
        if mutated.iter().filter(is_of_it).all(is_known) {
            wrong.push_str(&format!("{name} shows in no life\n"));
        }
        let failed: Vec<String> = mutated.iter().filter(is_of_it).flat_map(|life| failed(&life.plan)).collect();
        if !failed.iter().any(|id| id == invariant) {
            wrong.push_str(&format!("{name} must break {invariant}, found {failed:?}\n"));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The mutations that show over HTTP alone.
fn mutations() -> impl Iterator<Item = &'static Mutation> {
    MUTATIONS.iter().filter(|mutation| mutation.shows_over == Over::Http)
}

/// Runs the reference loader and some mutations of it, in one run, through scenarios of this test and through shipped ones.
fn lives(
    own: &[(&str, &str)],
    shipped: &[&str],
    mutations: impl Iterator<Item = &'static Mutation>,
    n_repeats: &str,
) -> Vec<Life> {
    let rig = Rig::new();
    let mut command =
        rig.run_command(&["--transport", "http", "--limit", "grace=500ms", "--jobs", "8", "--repeat", n_repeats]);
    let files = own.iter().map(|(name, text)| rig.file(&format!("{name}.toml"), text));
    command.args(shipped).args(files).args(["--loader", "reference"]);
    for mutation in mutations {
        let text = format!("name = \"{PREFIX}{}\"\nlane = \"rust\"\ntransports = [\"http\"]\n", mutation.name);
        command.arg("--loader").arg(rig.file(&format!("{}.toml", mutation.name), &text));
    }
    let lived = |plan: Value| {
        let text = |field: &str| plan[field].as_str().unwrap().to_owned();
        let mut lines: Vec<_> = life(&rig, &plan).lines().map(str::to_owned).collect();
        lines.sort();
        Life { loader: text("loader"), scenario: text("scenario"), lines, plan }
    };
    rig.finish(command).plans().into_iter().map(lived).collect()
}

/// Ids of the invariants that failed with a witness in a plan.
fn failed(plan: &Value) -> Vec<String> {
    let failed = plan["findings"].as_array().unwrap().iter().filter(|finding| finding["verdict"] == "fail");
    let witnessed = failed.filter(|finding| !finding["witness"].as_array().unwrap().is_empty());
    witnessed.map(|finding| finding["invariant"].as_str().unwrap().to_owned()).collect()
}
