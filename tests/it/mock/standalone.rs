//! mcp-mock by itself: in any client's configuration, without mcp-lifecheck.

use std::fs;
use std::path::Path;

use mcp_lifecheck::history::{Kind, read_history};
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::Signal;

use crate::mock::client::{Client, mock_command};

fn run(args: &[&str]) -> (i32, String) {
    let output = mock_command().args(args).output().unwrap();
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

fn live(journal: &Path) {
    let mut client = Client::spawn(mock_command().args(["stdio", "--script", "hold-call", "--journal"]).arg(journal));
    client.open();
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
}

#[test]
fn a_journal_on_file_is_a_history_and_is_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.jsonl");
    live(&file);
    live(&file);
    for (name, source) in [("journal.jsonl", "mock:hold-call#1"), ("journal.2.jsonl", "mock:hold-call#2")] {
        let text = fs::read_to_string(folder.path().join(name)).unwrap();
        let history = read_history(name, &text).unwrap();
        assert_eq!(history.events()[0].source.to_string(), source);
        let kinds: Vec<Kind> = history.events().iter().map(|event| event.kind.kind()).collect();
        assert!(kinds.ends_with(&[Kind::MockEnding, Kind::PlanEnded]), "{kinds:?}");
        assert_eq!(mcp_lifecheck::check::judge(&history).verdict, mcp_lifecheck::check::PlanVerdict::Pass);
    }
}

#[test]
fn a_signal_does_not_overtake_the_end_of_the_input_that_the_client_closed_before() {
    let folder = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let file = folder.path().join(format!("{round}.jsonl"));
        let mut client = Client::spawn(mock_command().args(["stdio", "--script", "polite", "--journal"]).arg(&file));
        client.open();
        // Both wait for the mock when it goes on, so that its reader and its signals race.
        client.signal(Signal::STOP);
        let input = open(format!("/proc/{}/fd/0", client.pid()), OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty());
        let input = input.unwrap();
        client.close_stdin();
        // A process that another test starts may hold the pipe for a moment.
        poll(&mut [PollFd::new(&input, PollFlags::empty())], None).unwrap();
        client.signal(Signal::TERM);
        client.signal(Signal::CONT);
        client.wait();
        let text = fs::read_to_string(&file).unwrap();
        let history = read_history("journal", &text).unwrap();
        let first = history.events().iter().map(|event| event.kind.kind());
        let first = first.into_iter().find(|kind| matches!(kind, Kind::WireEof | Kind::SignalReceived));
        assert_eq!(first, Some(Kind::WireEof), "round {round}: {text}");
    }
}

#[test]
fn a_script_file_is_served() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mine.toml");
    let text = "about = \"x\"\n[[rule]]\non = { initialized = true }\ndo = [{ die = { code = 101 } }]\n";
    fs::write(&file, text).unwrap();
    let mut client = Client::spawn(mock_command().args(["stdio", "--script"]).arg(&file));
    client.send(crate::mock::client::INITIALIZE);
    client.line();
    client.send(crate::mock::client::INITIALIZED);
    assert_eq!(client.exit_code(), 101);
}

#[test]
fn a_script_that_cannot_run_is_refused_with_exit_code_2() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    fs::write(&file, "about = \"x\"\n[[rule]]\non = { start = true }\ndo = [\"drop\"]\n").unwrap();
    let (code, text) = run(&["stdio", "--script", file.to_str().unwrap()]);
    assert_eq!(code, 2);
    assert!(text.contains("bad.toml:4:7: found drop on start"), "{text}");
    let cases: [(&[&str], &str); 18] = [
        (&["stdio", "--script", "nobody"], "expected one that `mcp-mock list` shows, or a file that ends in .toml"),
        (&["stdio", "--script", "./absent.toml"], "./absent.toml: cannot be read"),
        (&["stdio"], "--script"),
        (&["stdio", "--script", "polite", "--revision", "2027-01-01"], "found revision \"2027-01-01\""),
        (&["stdio", "--script", "polite", "--max-life", "soon"], "expected a duration"),
        (&["http"], "--script"),
        (&["http", "--script", "nobody"], "expected one that `mcp-mock list` shows"),
        (&["http", "--script", "polite", "--listen", "0.0.0.0:0"], "expected a loopback address"),
        (&["http", "--script", "polite", "--listen", "here"], "--listen"),
        (&["http", "--script", "polite", "--revision", "2024-11-05"], "expected at least 2025-03-26"),
        (&["http", "--script", "stdout-closed-in-call"], "needs lines over pipes: rule 1 has close-stdout"),
        (&["stdio", "--script", "get-refused"], "needs HTTP: rule 1 has get"),
        (&["sse"], "--script"),
        (&["sse", "--script", "sse-answers"], "needs streamable HTTP: rule 1 has sse"),
        (&["sse", "--script", "delete-mute"], "needs streamable HTTP: rule 1 has delete"),
        (&["sse", "--script", "call-html"], "needs streamable HTTP: rule 1 has content-type"),
        (&["sse", "--script", "stdout-closed-in-call"], "needs lines over pipes: rule 1 has close-stdout"),
        (&["sse", "--script", "polite", "--listen", "0.0.0.0:0"], "expected a loopback address"),
    ];
    for (args, expected) in cases {
        let (code, text) = run(args);
        assert_eq!(code, 2, "{args:?}");
        assert!(text.contains(expected), "{args:?}: {text}");
    }
}

#[test]
fn the_revision_is_capped_and_the_life_is_bounded() {
    let args = ["stdio", "--script", "stubborn", "--revision", "2025-06-18", "--max-life", "300ms"];
    let mut client = Client::spawn(mock_command().args(args));
    client.send(crate::mock::client::INITIALIZE);
    assert_eq!(client.answer()["result"]["protocolVersion"], "2025-06-18");
    client.close_stdin();
    assert_eq!(client.exit_code(), 88);
}

#[test]
fn over_http_it_prints_its_url_serves_and_ends_on_a_signal() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.jsonl");
    let args = ["http", "--script", "polite", "--revision", "2025-06-18", "--journal"];
    let mut mock = Client::spawn(mock_command().args(args).arg(&file));
    let url = mock.line();
    let (host, path) = url.trim_end().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut socket = crate::mock::http_client::Socket::to(host, &format!("/{path}"));
    let reply = socket.post(crate::mock::client::INITIALIZE);
    assert_eq!(reply.json()["result"]["protocolVersion"], "2025-06-18");
    let taken = run(&["http", "--script", "polite", "--listen", host]);
    assert_eq!(taken.0, 2, "{taken:?}");
    assert!(taken.1.contains("cannot listen on"), "{taken:?}");
    mock.signal(rustix::process::Signal::INT);
    assert_eq!(mock.death(), rustix::process::Signal::INT.as_raw());
    let text = fs::read_to_string(&file).unwrap();
    let history = read_history("journal.jsonl", &text).unwrap();
    assert_eq!(history.header().transport, "http");
    let kinds: Vec<Kind> = history.events().iter().map(|event| event.kind.kind()).collect();
    assert!(kinds.contains(&Kind::SessionOpened) && kinds.ends_with(&[Kind::MockEnding, Kind::PlanEnded]), "{kinds:?}");
}

#[test]
fn a_message_that_is_beyond_its_limits_is_no_fault_of_the_client() {
    let long = "x".repeat(9 << 20);
    for beyond in [
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":7,\"method\":\"tools/call\",\"params\":{{\"name\":\"read\",\"arguments\":{{\"x\":\"{long}\"}}}}}}"
        ),
        "{\"jsonrpc\":\"2.0\",\"id\":123456789012345678901234567890,\"method\":\"ping\"}".to_owned(),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("journal.jsonl");
        let mut client = Client::spawn(mock_command().args(["stdio", "--script", "polite", "--journal"]).arg(&file));
        client.open();
        client.send(&beyond);
        client.close_stdin();
        assert_eq!(client.exit_code(), 0);
        let history = read_history("journal.jsonl", &fs::read_to_string(&file).unwrap()).unwrap();
        let judgement = mcp_lifecheck::check::judge(&history);
        assert_eq!(judgement.verdict, mcp_lifecheck::check::PlanVerdict::Inconclusive, "{:#?}", judgement.findings);
    }
}

#[test]
fn every_shipped_script_is_listed() {
    let output = mock_command().arg("list").output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.lines().count() >= 11 && text.contains("die-in-call"), "{text}");
}
