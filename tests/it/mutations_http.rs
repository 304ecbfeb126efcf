//! Seeded changes that only HTTP has: each shows in a life over HTTP, and breaks the invariant that is about it.

use mcp_lifecheck_specimens::mutation::{MUTANTS, Mutant, Over, PREFIX};
use serde_json::Value;

use crate::rig::Rig;
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

/// The change that asks for a stream after the same time again.
const STEADY: &str = "stream-steadily";

/// As `STREAMS_END`, for as long as five pauses of one second in a row need, and four more in case that a busy machine delays one.
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

/// Scenario session-lost-idle with one more call: a loader that lost its renewed session fails there.
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
    /// In no order: over HTTP each request has a socket of its own, and they race.
    lines: Vec<String>,
}

impl Life {
    fn is_like(&self, other: &Self) -> bool {
        self.scenario == other.scenario && self.lines == other.lines
    }
}

#[test]
fn every_seeded_change_over_http_shows_and_breaks_its_invariant() {
    let all: Vec<Life> = std::thread::scope(|scope| {
        let steady = changes().filter(|change| change.name == STEADY);
        let long = scope.spawn(|| lives(&[("streams-end-long", STREAMS_END_LONG)], &[], steady, "1"));
        lives(&OWN, &SCENARIOS, changes(), "1").into_iter().chain(long.join().unwrap()).collect()
    });
    let (reference, changed): (Vec<Life>, Vec<Life>) = all.into_iter().partition(|life| life.loader == "reference");
    for life in &reference {
        assert_eq!(life.plan["verdict"], "pass", "{}", life.plan);
    }
    // They are not all alike, because sockets race.
    let more = lives(&OWN, &SCENARIOS, std::iter::empty(), "3");
    let reference: Vec<&Life> = reference.iter().chain(&more).collect();
    let names: Vec<_> = changes().map(|change| change.name).collect();
    assert_eq!(names, CAUGHT_BY.map(|(name, _)| name), "one line for each change");
    let mut wrong = String::new();
    for (name, invariant) in CAUGHT_BY {
        let is_of_it = |life: &&Life| life.loader.strip_prefix(PREFIX) == Some(name);
        let is_known = |life: &Life| reference.iter().any(|known| known.is_like(life));
        if changed.iter().filter(is_of_it).all(is_known) {
            wrong.push_str(&format!("{name} shows in no life\n"));
        }
        let failed: Vec<String> = changed.iter().filter(is_of_it).flat_map(|life| failed(&life.plan)).collect();
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

/// Lives of the reference loader and of these changes of it, in one run: scenarios of this test's own, and shipped ones.
fn lives(
    own: &[(&str, &str)],
    shipped: &[&str],
    changes: impl Iterator<Item = &'static Mutant>,
    n_repeats: &str,
) -> Vec<Life> {
    let rig = Rig::new();
    let mut command =
        rig.run_command(&["--transport", "http", "--limit", "grace=500ms", "--jobs", "8", "--repeat", n_repeats]);
    let files = own.iter().map(|(name, text)| rig.file(&format!("{name}.toml"), text));
    command.args(shipped).args(files).args(["--loader", "reference"]);
    for change in changes {
        let text = format!("name = \"{PREFIX}{}\"\nlane = \"rust\"\ntransports = [\"http\"]\n", change.name);
        command.arg("--loader").arg(rig.file(&format!("{}.toml", change.name), &text));
    }
    let lived = |plan: Value| {
        let text = |field: &str| plan[field].as_str().unwrap().to_owned();
        let mut lines: Vec<_> = life(&rig, &plan).lines().map(str::to_owned).collect();
        lines.sort();
        Life { loader: text("loader"), scenario: text("scenario"), lines, plan }
    };
    rig.finish(command).plans().into_iter().map(lived).collect()
}

/// Invariants that failed in a plan, each with a witness.
fn failed(plan: &Value) -> Vec<String> {
    let failed = plan["findings"].as_array().unwrap().iter().filter(|finding| finding["verdict"] == "fail");
    let witnessed = failed.filter(|finding| !finding["witness"].as_array().unwrap().is_empty());
    witnessed.map(|finding| finding["invariant"].as_str().unwrap().to_owned()).collect()
}
