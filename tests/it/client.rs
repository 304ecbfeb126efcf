//! `mcp-lifecheck client`: raw clients that are right, and others that are wrong in one way each.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use mcp_lifecheck::stack::python_stack;
use serde_json::Value;

use crate::lanes::{typescript_client, unavailable};
use crate::rig::{Ran, Rig, few_at_once, files, root};

/// Longest time of one run, in which nothing hangs.
const LIMIT: Duration = Duration::from_secs(60);

/// Ways that are right: a scenario, and what is warned of.
const RIGHT: &[(&str, &str, &[&str])] = &[
    ("good", "initialize", &[]),
    ("good", "tools_call", &[]),
    ("good", "sse-retry", &[]),
    ("good", "request-metadata", &[]),
    ("good", "elicitation-sep1034-client-defaults", &[]),
    ("without-delete", "tools_call", &["session-ended"]),
    ("keep-alive", "tools_call", &[]),
    ("with-stream", "tools_call", &[]),
    ("stream-closed-last", "tools_call", &["session-ended"]),
    ("stream-closed-last-beside-an-idle-connection", "tools_call", &["session-ended"]),
    ("cancelling", "tools_call", &[]),
    ("calls-twice", "tools_call", &[]),
    ("talkative", "tools_call", &[]),
];

/// Ways that are wrong: a scenario, and the checks that fail.
const WRONG: &[(&str, &str, &[&str])] = &[
    ("silent", "tools_call", &["exchange-complete"]),
    ("stops-early", "tools_call", &["exchange-complete"]),
    ("exit-code", "tools_call", &["exits-with-success"]),
    ("aborts", "tools_call", &["ended-by-no-signal"]),
    ("leaves-child", "tools_call", &["nothing-survives"]),
    ("error-on-stderr", "tools_call", &["stderr-without-errors"]),
    ("panics-aside", "tools_call", &["stderr-without-errors"]),
    ("stream-left", "tools_call", &["streams-closed"]),
    ("unread", "tools_call", &["answers-read"]),
    ("no-initialize", "tools_call", &["handshake-order"]),
    ("initialize-twice", "tools_call", &["handshake-order", "session-id-sent"]),
    ("never-initialized", "initialize", &["session-initialized"]),
    ("nameless", "tools_call", &["initialize-complete"]),
    ("asks-for-prompts", "tools_call", &["capabilities-respected"]),
    ("session-unused", "tools_call", &["sessions-used"]),
    ("call-after-delete", "tools_call", &["silent-after-end"]),
    ("no-session-id", "tools_call", &["session-id-sent"]),
    ("no-version", "tools_call", &["protocol-version-sent"]),
    ("not-accepting", "tools_call", &["accept-offers-both"]),
    ("calls-again", "sse-retry", &["call-made-once"]),
    ("abandons", "elicitation-sep1034-client-defaults", &["abandoned-call-cancelled"]),
    ("hasty", "sse-retry", &["retry-honoured"]),
    ("no-defaults", "elicitation-sep1034-client-defaults", &["defaults-applied"]),
    ("id-reused", "tools_call", &["request-id-unique"]),
    ("in-batch", "tools_call", &["one-message-at-a-time"]),
    ("no-json", "tools_call", &["posts-are-messages"]),
    ("no-jsonrpc", "tools_call", &["messages-well-formed"]),
    ("cancels-initialize", "tools_call", &["cancel-only-open-requests"]),
    ("no-metadata", "request-metadata", &["modern-metadata-sent"]),
];

/// Ways that do not end by themselves: the check that fails, and what it says.
const ENDLESS: &[(&str, &str, &str)] = &[
    ("hangs", "ends-in-time", "everything had been exchanged"),
    ("hangs-at-once", "ends-in-time", "initialize from the client"),
    ("hangs-with-child", "ends-in-time", "within 1500 ms"),
    ("ignores-term", "ends-in-time", "within 1500 ms"),
    ("floods", "output-bounded", "bytes of output"),
];

/// Built by `cargo test` beside this test.
fn raw_client() -> PathBuf {
    let here = std::env::current_exe().unwrap();
    let path = here.parent().unwrap().parent().unwrap().join("examples").join("raw_client");
    assert!(path.is_file(), "{} is missing: run the whole `cargo test`", path.display());
    path
}

/// One run of a client in a scenario, and the checks of the only folder it left.
struct Run {
    rig: Rig,
    ran: Ran,
}

impl Run {
    fn of(mode: &str, more: &[&str]) -> Self {
        Self::of_command(&format!("{} {mode}", raw_client().display()), more)
    }

    fn of_command(command: &str, more: &[&str]) -> Self {
        let rig = Rig::new();
        let mut process = rig.command(&["client", "--command", command, "-o"]);
        process.arg(rig.out()).args(more);
        let ran = rig.finish_within(process, LIMIT);
        Self { rig, ran }
    }

    /// The files of this name, one for each scenario.
    fn texts(&self, name: &str) -> Vec<String> {
        let found = files(&self.rig.out()).into_iter().filter(|path| path.ends_with(name));
        found.map(|path| std::fs::read_to_string(path).unwrap()).collect()
    }

    /// Ids of the checks of the only scenario that came out so.
    fn checks(&self, status: &str) -> Vec<String> {
        let texts = self.texts("checks.json");
        assert_eq!(texts.len(), 1, "{}{}", self.ran.stdout, self.ran.stderr);
        let checks: Vec<Value> = serde_json::from_str(&texts[0]).unwrap();
        let of_status = checks.iter().filter(|check| check["status"] == status);
        of_status.map(|check| check["id"].as_str().unwrap().to_owned()).collect()
    }
}

/// What is not as a table says.
fn differs(mode: &str, scenario: &str, failing: &[&str], warned: &[&str]) -> Option<String> {
    let run = Run::of(mode, &["--scenario", scenario]);
    let expected = (i32::from(!failing.is_empty()), strings(failing), strings(warned));
    let found = (run.ran.code, run.checks("FAILURE"), run.checks("WARNING"));
    // A session that is left in a wrong way is reported as well.
    let is_warned = found.2 == expected.2 || !failing.is_empty() && found.2.iter().all(|id| id == "session-ended");
    run.rig.assert_nothing_left(Duration::from_secs(5));
    let is_so = found.0 == expected.0 && found.1 == expected.1 && is_warned;
    (!is_so).then(|| format!("{mode} in {scenario}: {expected:?}, found {found:?}\n{}", run.ran.stdout))
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn clients_that_are_right_exit_0() {
    assert_eq!(Run::of("good", &[]).ran.code, 0);
    few_at_once(2, RIGHT.iter(), |(mode, scenario, warned)| {
        let wrong = differs(mode, scenario, &[], warned);
        assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    });
}

#[test]
fn clients_that_are_wrong_in_one_way_fail_the_check_for_it_and_exit_1() {
    few_at_once(2, WRONG.iter(), |(mode, scenario, failing)| {
        let wrong = differs(mode, scenario, failing, &[]);
        assert!(wrong.is_none(), "{}", wrong.unwrap_or_default());
    });
}

#[test]
fn clients_that_do_not_end_are_ended_with_all_they_started_and_told_why() {
    few_at_once(2, ENDLESS.iter(), |(mode, check, because)| {
        let began = Instant::now();
        let run = Run::of(mode, &["--scenario", "tools_call", "--timeout", "1500"]);
        assert!(began.elapsed() < Duration::from_secs(30), "{mode} took {:?}", began.elapsed());
        assert_eq!(run.ran.code, 1, "{mode}: {}{}", run.ran.stdout, run.ran.stderr);
        assert!(run.checks("FAILURE").contains(&(*check).to_owned()), "{mode}: {}", run.ran.stdout);
        assert!(run.ran.stdout.contains(because), "{mode}: expected {because:?} in {}", run.ran.stdout);
        run.rig.assert_nothing_left(Duration::from_secs(5));
    });
}

#[test]
fn a_folder_has_what_the_contract_says_and_its_history_gives_the_same_verdict() {
    let run = Run::of("exit-code", &["--scenario", "tools_call"]);
    let folders: Vec<_> = std::fs::read_dir(run.rig.out()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(folders.len(), 1);
    assert!(folders[0].file_name().unwrap().to_str().unwrap().starts_with("tools_call-20"), "{folders:?}");
    for name in ["checks.json", "stdout.txt", "stderr.txt", "history.jsonl", "verdict.json"] {
        assert!(folders[0].join(name).is_file(), "{name}");
    }
    let checks: Vec<Value> = serde_json::from_str(&run.texts("checks.json")[0]).unwrap();
    for check in &checks {
        for text in ["id", "name", "description", "timestamp"] {
            assert!(check[text].as_str().is_some_and(|text| !text.is_empty()), "{text}: {check}");
        }
        let is_one = ["SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO"].iter().any(|one| check["status"] == *one);
        assert!(is_one && check["specReferences"].is_array() && check["details"].is_object(), "{check}");
        assert_eq!(check.get("errorMessage").is_some(), check["status"] == "FAILURE", "{check}");
    }
    let folder = folders[0].display().to_string();
    let judged = run.rig.finish(run.rig.command(&["check", &folder]));
    assert_eq!(judged.code, 1, "{}", judged.stderr);
    assert!(judged.stdout.contains("exits-with-success"), "{}", judged.stdout);
}

#[test]
fn the_suite_is_every_scenario_of_the_revision_and_runs_some_at_once() {
    let run = Run::of("good", &["--suite", "lifecycle", "--jobs", "64", "--verbose"]);
    assert_eq!(run.ran.code, 0, "{}{}", run.ran.stdout, run.ran.stderr);
    for name in ["PASS initialize:", "PASS tools_call:", "PASS sse-retry:", "  PASS handshake-order:"] {
        assert!(run.ran.stdout.contains(name), "{name}: {}", run.ran.stdout);
    }
    assert_eq!(run.texts("checks.json").len(), 4);
    let run = Run::of("good", &["--spec-version", "draft"]);
    assert_eq!(run.ran.code, 0, "{}", run.ran.stdout);
    assert!(run.ran.stdout.contains("PASS request-metadata:"), "{}", run.ran.stdout);
}

#[test]
fn the_suites_and_flags_of_the_official_runner_are_understood() {
    for (more, code, n_scenarios) in [
        (&["--suite", "all"][..], 0, 5),
        (&["--suite", "All", "--spec-version", "2025-11-25", "--timeout", "20000"], 0, 4),
        (&["--suite", "core", "--verbose"], 0, 4),
        (&["--suite", "draft"], 0, 1),
        (&["--requirements", "2026-07-28"], 0, 1),
        (&["--suite", "auth"], 3, 0),
        (&["--suite", "metadata"], 3, 0),
        (&["--suite", "backcompat"], 3, 0),
    ] {
        let run = Run::of("good", more);
        assert_eq!(run.ran.code, code, "{more:?}: {}{}", run.ran.stdout, run.ran.stderr);
        assert_eq!(run.texts("checks.json").len(), n_scenarios, "{more:?}: {}", run.ran.stdout);
    }
    let run = Run::of("good", &["--scenario", "initialize", "--spec-version", "2024-11-05", "--force"]);
    assert!(run.ran.code != 2 && run.texts("checks.json").len() == 1, "{}{}", run.ran.stdout, run.ran.stderr);
    let rig = Rig::new();
    let file = rig.file("expected.yml", "client:\n  - auth/basic-cimd\n").display().to_string();
    let run = Run::of("good", &["--scenario", "initialize", "--expected-failures", &file]);
    assert_eq!(run.ran.code, 0, "{}{}", run.ran.stdout, run.ran.stderr);
}

#[test]
fn what_is_wrong_before_anything_runs_is_exit_2_with_what_there_is() {
    for (more, expected) in [
        (&["--scenario", "nope"][..], "initialize"),
        (&["--suite", "cores"], "lifecycle"),
        (&["--requirements", "draft", "--suite", "all"], "--suite"),
        (&["--spec-version", "1999-01-01"], "2025-11-25"),
        (&["--spec-version", "2024-11-05"], "no scenario"),
        (&["--scenario", "tools_call", "--spec-version", "draft"], "2025-11-25"),
        (&["--jobs", "0"], "--jobs"),
        (&["--timeout", "soon"], "--timeout"),
        (&["--expected-failures", "/nonexistent.yml"], "nonexistent"),
    ] {
        let run = Run::of("good", more);
        assert_eq!(run.ran.code, 2, "{more:?}: {}{}", run.ran.stdout, run.ran.stderr);
        assert!(run.ran.stderr.contains(expected), "{more:?}: {}", run.ran.stderr);
        assert!(!run.rig.out().exists(), "{more:?} left something");
    }
    for command in ["/nonexistent/client", "no-such-program-anywhere x", " ", file!()] {
        let run = Run::of_command(command, &[]);
        assert_eq!(run.ran.code, 2, "{command:?}: {}{}", run.ran.stdout, run.ran.stderr);
    }
}

#[test]
fn failures_that_are_expected_are_accepted_and_those_that_are_gone_are_stale() {
    for (mode, text, code, told) in [
        ("exit-code", "client:\n  - tools_call:exits-with-success\n", 0, "EXPECTED exits-with-success"),
        ("exit-code", "client:\n  - tools_call\n", 0, "EXPECTED exits-with-success"),
        ("exit-code", "server: []\nclient:\n  - tools_call\n", 0, "EXPECTED exits-with-success"),
        ("exit-code", "client:\n  - tools_call:call-made-once\n", 1, "STALE"),
        ("good", "client:\n  - tools_call\n", 1, "STALE expected failure tools_call"),
        ("good", "client:\n  - sse-retry\n", 0, "PASS"),
        ("hangs", "client:\n  - tools_call:exits-with-success\n", 1, "FAIL ends-in-time"),
        ("good", "client:\n  - nope\n", 2, ""),
        ("good", "client:\n  - tools_call:nope\n", 2, ""),
        ("good", "client:\n  - tools_call\n  - tools_call:call-made-once\n", 2, ""),
        ("good", "clients: []\n", 2, ""),
    ] {
        let rig = Rig::new();
        let file = rig.file("expected.yml", text).display().to_string();
        let run = Run::of(mode, &["--scenario", "tools_call", "--timeout", "2000", "--expected-failures", &file]);
        assert_eq!(run.ran.code, code, "{mode} {text}: {}{}", run.ran.stdout, run.ran.stderr);
        assert!(run.ran.stdout.contains(told), "{mode} {text}: {}", run.ran.stdout);
    }
}

#[test]
fn a_client_behind_a_shell_is_judged_as_it_is() {
    for (mode, code) in [("stream-left", 1), ("stream-closed-last", 0)] {
        let rig = Rig::new();
        let script = rig.file("client.sh", "/bin/true\n\"$@\"\nexit $?\n");
        let command = format!("sh {} {} {mode}", script.display(), raw_client().display());
        let run = Run::of_command(&command, &["--scenario", "tools_call"]);
        assert_eq!(run.ran.code, code, "{mode}: {}", run.ran.stdout);
    }
}

#[test]
fn every_rule_of_a_host_is_explained() {
    let rig = Rig::new();
    for rule in mcp_lifecheck::check::HOST_RULES {
        let ran = rig.finish(rig.command(&["explain", rule.id]));
        assert_eq!(ran.code, 0, "{}: {}", rule.id, ran.stderr);
        assert!(ran.stdout.contains("Claim: "), "{}", ran.stdout);
    }
}

#[test]
fn a_client_on_the_typescript_sdk_conforms() {
    let Some(client) = typescript_client("conformance.mjs") else { return };
    let run = Run::of_command(&format!("node {}", client.display()), &["--suite", "lifecycle"]);
    assert_eq!(run.ran.code, 0, "{}{}", run.ran.stdout, run.ran.stderr);
    // It sends no DELETE unless it is told to.
    assert_eq!(run.ran.stdout.matches("WARN session-ended").count(), 4, "{}", run.ran.stdout);
}

/// What the two majors of the Python SDK do in every scenario, and what one does that is older than the streams that are taken up.
#[test]
fn clients_on_the_python_sdk_conform_and_an_old_one_does_not_take_up_its_stream() {
    let client = root().join("tests/clients/python/conformance.py");
    for (name, code, more) in [
        ("mcp-2.3", 0, &[][..]),
        ("mcp-1.30", 0, &[]),
        ("mcp-1.13", 0, &["--scenario", "tools_call"]),
        ("mcp-1.13", 1, &["--scenario", "sse-retry", "--timeout", "8000"]),
    ] {
        match python_stack(name).unwrap().interpreter() {
            Ok(interpreter) => {
                let run = Run::of_command(&format!("{} {}", interpreter.display(), client.display()), more);
                assert_eq!(run.ran.code, code, "{name}: {}{}", run.ran.stdout, run.ran.stderr);
                let is_told = run.ran.stdout.contains("FAIL exchange-complete: tools/call was received at ");
                assert_eq!(is_told, code == 1, "{name}: {}", run.ran.stdout);
            }
            Err(error) => unavailable(name, &error.to_string()),
        }
    }
}
