//! Hostile loaders: each gives a bounded, explained, non-green result, and leaves nothing behind.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use crate::lanes::{python3, unavailable};
use crate::rig::{Rig, few_at_once, finish, root};
use crate::stability::is_thorough;

/// Each way of `examples/hostile_adapter.rs`, and what the report must say of it.
const WAYS: &[(&str, &str)] = &[
    ("never-hello", "no hello within"),
    ("exit-at-start", "exit code 7"),
    ("flood-stderr-at-start", "limit"),
    ("bomb", "limit"),
    ("garbage-hello", "no hello within"),
    ("half-hello", "no hello within"),
    ("endless-hello", "no hello within"),
    ("wrong-version", "refused: found protocol version 2, expected 1"),
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
    ("forge", "not an event that this source may report"),
    ("reset", "the driver had not requested it"),
    ("pipe-for-stderr", "the driver had not requested it"),
    ("traceback-behind-noise", "stderr"),
    // Answers everything and connects to nothing: what it returns must not pass for evidence.
    ("liar", ""),
];

/// Longest time for one hostile plan: every limit it can run into, and the end of its tree.
const LIMIT: Duration = Duration::from_secs(45);

/// Misdeeds that are told alike in every language: those of `adapters/misdeeds.py` and `adapters/misdeeds.mjs`, and what the report
/// must say of each.
const MISDEEDS: &[(&str, &str)] = &[
    ("exit-at-start", "ended before its hello (exit code 7)"),
    ("never-dials", "no hello within 2000 ms"),
    ("never-hello", "the recorder endpoint refused a connection: no hello within its limit"),
    (
        "garbage-hello",
        "the recorder endpoint refused a connection: found \\\"this is not a hello\\\", expected a hello: a JSON object",
    ),
    ("half-hello", "the recorder endpoint refused a connection: no hello within its limit"),
    ("endless-hello", "the recorder endpoint refused a connection: no hello: max line length exceeded"),
    ("wrong-version", "a hello that was refused: found protocol version 2, expected 1"),
    ("wrong-token", "the recorder endpoint refused a connection: found a wrong token"),
    ("wrong-shape", "a hello that was refused: the hello cannot be read: invalid type: string"),
    ("exit-after-hello", "ended with exit code 8"),
    ("never-reads", "load (operation 1)"),
    ("exit-in-load", "ended with exit code 9"),
    ("exit-after-load", "ended with exit code 9"),
    ("exit-in-call", "ended with exit code 9"),
    ("exit-after-call", "ended with exit code 9"),
    ("exit-after-close", "ended with exit code 9"),
    ("hello-again", "found a second hello"),
    ("garbage-line", "found \\\"no JSON at all\\\", expected a JSON object"),
    ("binary-line", "expected UTF-8"),
    ("foreign-channel", "found event error.reported, which is not an event that this source may report"),
    ("half-line", "operation-completes"),
    ("cut-line", "expected a JSON object"),
    ("endless-line", "found a line that is too long"),
    ("flood-events", "operation-completes"),
    ("flood-lines", "found a line that is neither event nor completion"),
    ("hang-up", "link ended while its process lives"),
    ("fork", "orphan"),
    ("daemonise", "orphan"),
    ("deaf", "operation-completes"),
    ("flood-stdout", "bytes of output"),
    ("flood-stderr", "bytes of output"),
];

/// Most memory of the executable beside an adapter that floods it, in KiB.
const MEMORY_KIB_MAX: u64 = 256 << 10;

#[test]
fn every_hostile_loader_is_bounded_explained_and_not_green() {
    let example = example().display().to_string();
    all_are_bounded_and_explained(2, &[&example], WAYS);
}

#[test]
fn every_misdeed_in_python_is_bounded_explained_and_not_green() {
    match python3() {
        Ok(python) => misdeeds(python, "misdeeds.py"),
        Err(because) => unavailable("misdeeds.py", because),
    }
}

#[test]
fn every_misdeed_in_node_is_bounded_explained_and_not_green() {
    if !is_thorough() {
        eprintln!("LEFT OUT: the misdeeds of adapters in Node; MCP_LIFECHECK_REPEATS=1 tries it");
        return;
    }
    misdeeds("node", "misdeeds.mjs");
}

fn misdeeds(program: &str, file: &str) {
    let asked = Command::new(program).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    if let Err(error) = asked {
        return unavailable(file, &format!("{program}: {error}"));
    }
    let file = format!("{}/tests/it/adapters/{file}", root().display());
    all_are_bounded_and_explained(4, &[program, &file], MISDEEDS);
}

/// The most memory a process has had so far, in KiB; nothing when it is gone.
fn peak_kib(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()
}

/// Commits each of some misdeeds, a few at once; what is wrong with any is told together.
fn all_are_bounded_and_explained(n_at_once: usize, program: &[&str], misdeeds: &[(&str, &str)]) {
    let wrong = Mutex::new(Vec::new());
    few_at_once(n_at_once, misdeeds.iter(), |(misdeed, explanation)| {
        let command = [program, &[misdeed]].concat();
        if let Err(because) = is_bounded_and_explained(&command, explanation) {
            wrong.lock().unwrap().push(because);
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// The limits of a run: short where the limit is what ends it, else so long that no machine is too slow.
fn limits(explanation: &str) -> Vec<String> {
    let start = match explanation {
        _ if explanation.starts_with("no hello within") => 2,
        // The start limit also ends these; an adapter that connects does so long before.
        _ if explanation.contains("the recorder endpoint refused a connection") => 6,
        _ => 20,
    };
    let operation = if explanation.contains("operation") { 1 } else { 10 };
    let exit = if explanation == "exit" { 1 } else { 10 };
    let in_seconds = [
        ("start", start),
        ("operation", operation),
        ("connect", operation),
        ("cleanup", operation),
        ("exit", exit),
        ("hello", 1),
    ];
    let limits = in_seconds.iter().map(|(name, seconds)| format!("{name}={seconds}s"));
    limits.chain(["grace=300ms".to_owned()]).collect()
}

fn is_bounded_and_explained(command: &[&str], explanation: &str) -> Result<(), String> {
    let rig = Rig::new();
    let way = command.last().unwrap();
    let text = format!("name = \"hostile\"\nlane = \"command\"\ncommand = {command:?}\n");
    let loader = rig.file("hostile.toml", &text).display().to_string();
    let began = Instant::now();
    let mut arguments = vec!["load-call-close", "--loader", &loader];
    let limits = limits(explanation);
    arguments.extend(limits.iter().flat_map(|limit| ["--limit", limit.as_str()]));
    let child = rig.run_command(&arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let pid = child.id();
    let watch = std::thread::spawn(move || {
        let mut peak = 0;
        while let Some(found) = peak_kib(pid) {
            peak = peak.max(found);
            // Nothing tells how much memory another process has: it can only be looked for.
            std::thread::sleep(Duration::from_millis(10));
        }
        peak
    });
    let ran = finish(child, Duration::from_secs(180));
    let (took, peak) = (began.elapsed(), watch.join().unwrap());
    rig.assert_nothing_left(Duration::from_secs(6));
    let report = ran.report();
    let verdict = report["plans"][0]["verdict"].as_str().unwrap();
    let told = report["plans"][0]["findings"].to_string();
    eprintln!("{way}: {verdict} after {} ms, {} MiB", took.as_millis(), peak >> 10);
    for (is_right, what) in [
        (took < LIMIT, format!("took {took:?}")),
        (peak > 0 && peak < MEMORY_KIB_MAX, format!("had {peak} KiB")),
        (!["pass", "warn"].contains(&verdict), format!("verdict {verdict}")),
        (ran.code == 1 || ran.code == 3, format!("exit code {}", ran.code)),
        (told.contains(explanation), format!("expected {explanation:?} in {told}")),
    ] {
        if !is_right {
            return Err(format!("{way}: {what}"));
        }
    }
    Ok(())
}

/// Built by `cargo test` beside this test.
fn example() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().unwrap().parent().unwrap().join("examples").join("hostile_adapter");
    assert!(path.is_file(), "{} is missing: run the whole `cargo test`", path.display());
    path
}
