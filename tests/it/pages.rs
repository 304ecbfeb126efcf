//! Pages in a plan for a finished application: what happens to the browser is no fault of the application, and it never
//! outlives the run.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use mcp_lifecheck::stack::Browser;
use rustix::process::{Pid, Signal, kill_process};

use crate::lanes::unavailable;
use crate::rig::{Rig, finish};

/// An application that serves a page, which nobody has taught anything.
const PLAN: &str = r#"
about = "A page is opened, and the wait for it fails."
[[step]]
do = "ready"
url = "http://127.0.0.1:{port}/"
[[step]]
do = "page"
action = "open"
url = "http://127.0.0.1:{port}/"
expect = "Directory listing"
[[step]]
do = "page"
action = "expect"
text = "what never comes"
within = "60s"
"#;
const HOST: [&str; 6] = ["python3", "-m", "http.server", "--bind", "127.0.0.1", "{port}"];

/// How long a run may take until its page is open.
const OPEN_LIMIT: Duration = Duration::from_secs(90);
/// How long anything may outlive what was killed.
const LIMIT: Duration = Duration::from_secs(10);

fn is_available() -> bool {
    if let Err(error) = Browser::find() {
        unavailable("pages in plans", &error.to_string());
        return false;
    }
    if let Err(error) = Command::new("python3").arg("--version").output() {
        unavailable("pages in plans", &error.to_string());
        return false;
    }
    true
}

/// The plan, run until its page is open.
fn until_open(rig: &Rig) -> std::process::Child {
    let (plan, out) = (rig.file("page.toml", PLAN), rig.out());
    let arguments =
        ["host", "--format", "json", "--plan", plan.to_str().unwrap(), "--out", out.to_str().unwrap(), "--"];
    let mut command = rig.command(&[&arguments[..], &HOST].concat());
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let deadline = Instant::now() + OPEN_LIMIT;
    let is_open = || {
        let history = fs::read_to_string(out.join("history.jsonl")).unwrap_or_default();
        history.lines().any(|line| line.contains("\"step.met\"") && line.contains("\"step\":2"))
    };
    while !is_open() {
        assert!(
            Instant::now() < deadline,
            "no page was opened: {}",
            fs::read_to_string(out.join("history.jsonl")).unwrap()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
    child
}

#[test]
fn a_killed_run_takes_its_browser_along() {
    if !is_available() {
        return;
    }
    let rig = Rig::new();
    let mut child = until_open(&rig);
    assert!(browser_of(&rig).is_some(), "the browser is there: {:#?}", rig.processes());
    child.kill().unwrap();
    child.wait().unwrap();
    rig.assert_nothing_left(LIMIT);
}

#[test]
fn a_browser_that_is_lost_makes_the_plan_inconclusive() {
    if !is_available() {
        return;
    }
    let rig = Rig::new();
    let child = until_open(&rig);
    kill_process(browser_of(&rig).expect("the browser is there"), Signal::KILL).unwrap();
    let ran = finish(child, OPEN_LIMIT);
    assert_eq!((ran.code, &ran.report()["plans"][0]["verdict"]), (3, &"inconclusive".into()), "{}", ran.stdout);
    assert!(rig.history_text("").contains("the browser has ended"), "{}", ran.stdout);
    rig.assert_nothing_left(LIMIT);
    assert!(!rig.out().join("page-files").exists(), "its files are left");
}

#[test]
fn without_a_browser_a_plan_with_pages_is_unavailable() {
    let rig = Rig::new();
    let plan = rig.file("page.toml", PLAN);
    let out = rig.out();
    let arguments =
        ["host", "--plan", plan.to_str().unwrap(), "--out", out.to_str().unwrap(), "--", "/bin/sh", "-c", ":"];
    let mut command = rig.command(&arguments);
    command.env("PATH", rig.temporary());
    let ran = rig.finish(command);
    let expected = "UNAVAILABLE sh: the plan needs a browser: found no browser in PATH";
    assert!(ran.code == 3 && ran.stdout.contains(expected), "{}: {}{}", ran.code, ran.stdout, ran.stderr);
}

/// The browser's first process: of those that it starts, none has the option by which it is driven.
fn browser_of(rig: &Rig) -> Option<Pid> {
    rig.pids().into_iter().find_map(|pid| {
        let arguments = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let is_it = arguments.split(|byte| *byte == 0).any(|argument| argument == b"--remote-debugging-pipe");
        Pid::from_raw(pid).filter(|_| is_it)
    })
}
