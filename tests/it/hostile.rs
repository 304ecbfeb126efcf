//! Hostile loaders: each gives a bounded, explained, non-green result, and leaves nothing behind.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::rig::Rig;

/// Each way of `examples/hostile_adapter.rs`, and what the report must say of it.
const WAYS: &[(&str, &str)] = &[
    ("never-hello", "no hello within"),
    ("exit-at-start", "exit code 7"),
    ("flood-stderr-at-start", "limit"),
    ("bomb", "limit"),
    ("garbage-hello", "no hello within"),
    ("half-hello", "no hello within"),
    ("endless-hello", "no hello within"),
    ("wrong-version", "no hello within"),
    ("wrong-token", "no hello within"),
    ("strangers", "no hello within"),
    ("exit-after-hello", "operation"),
    ("exit-at-load", "operation"),
    ("exit-at-call", "operation"),
    ("exit-at-close", "operation"),
    ("die-at-call", "operation"),
    ("stop-at-call", "operation"),
    ("hang-at-load", "operation"),
    ("hang-at-call", "operation"),
    ("hang-at-close", "operation"),
    ("hang-at-exit", "exit"),
    ("deaf-at-call", "operation"),
    ("half-line", "operation"),
    ("garbage-line", "rules"),
    ("unknown-event", "rules"),
    ("unknown-completion", "rules"),
    ("endless-line", "rules"),
    ("flood-link", "operation"),
    ("flood-stderr", "limit"),
    ("hang-up-at-call", "link"),
    ("daemonise", "orphan"),
    ("forge", "not this source's to report"),
    ("reset", "nobody had asked it to"),
    ("pipe-for-stderr", "nobody had asked it to"),
    ("traceback-behind-noise", "stderr"),
    // Answers everything and connects to nothing: what it returns must not pass for evidence.
    ("liar", ""),
];

/// Longest time for one hostile plan: every limit it can run into, and the end of its tree.
const LIMIT: Duration = Duration::from_secs(25);

#[test]
fn every_hostile_loader_is_bounded_explained_and_not_green() {
    for (way, explanation) in WAYS {
        is_bounded_and_explained(way, explanation);
    }
}

fn is_bounded_and_explained(way: &str, explanation: &str) {
    let rig = Rig::new();
    let example = example();
    let text = format!("name = \"hostile\"\nlane = \"command\"\ncommand = [{example:?}, {way:?}]\n");
    let loader = rig.file("hostile.toml", &text).display().to_string();
    let began = Instant::now();
    let mut arguments = vec!["load-call-close", "--loader", &loader];
    let limits = ["start=2s", "operation=1s", "connect=1s", "cleanup=1s", "exit=1s", "grace=300ms", "hello=1s"];
    arguments.extend(limits.iter().flat_map(|limit| ["--limit", limit]));
    let ran = rig.run(&arguments);
    assert!(began.elapsed() < LIMIT, "{way} took {:?}", began.elapsed());
    rig.assert_nothing_left(Duration::from_secs(6));
    let report = ran.report();
    let verdict = report["plans"][0]["verdict"].as_str().unwrap();
    assert!(!["pass", "warn"].contains(&verdict), "{way}: {}", ran.stdout);
    assert!(ran.code == 1 || ran.code == 3, "{way}: exit code {}", ran.code);
    let told = report["plans"][0]["findings"].to_string();
    assert!(told.contains(explanation), "{way}: expected {explanation:?} in {told}");
}

/// Built by `cargo test` beside this test.
fn example() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().unwrap().parent().unwrap().join("examples").join("hostile_adapter");
    assert!(path.is_file(), "{} is missing: run the whole `cargo test`", path.display());
    path
}
