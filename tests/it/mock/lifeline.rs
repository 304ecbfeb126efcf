//! A linked mock never outlives its link, whatever it is doing.

use std::time::{Duration, Instant};

use mcp_lifecheck::plan::ShutdownBehaviour::{self, Polite, Stubborn};
use mcp_lifecheck::script::{Script, shipped};
use rustix::process::Signal;
use serde_json::json;

use crate::mock::client::{Client, INITIALIZE, call, mock_command};
use crate::mock::home::Home;

const JOURNAL_LOST_CODE: i32 = 87;

fn start(script: &str, shutdown_behaviour: ShutdownBehaviour) -> (Home, Client) {
    let home = Home::new(&shipped(script).unwrap(), shutdown_behaviour);
    let client = Client::linked(&home);
    (home, client)
}

/// Cuts the link and sees the mock end by it, within a second.
fn assert_ends_with_its_link(home: &Home, client: &mut Client) {
    let cut_at = Instant::now();
    home.cut();
    assert_eq!(client.exit_code(), JOURNAL_LOST_CODE);
    assert!(cut_at.elapsed() < Duration::from_secs(1), "{:?}", cut_at.elapsed());
}

#[test]
fn an_idle_mock_ends_with_its_link() {
    let (home, mut client) = start("polite", Polite);
    client.open();
    assert_ends_with_its_link(&home, &mut client);
}

#[test]
fn a_mock_before_its_first_message_ends_with_its_link() {
    let (home, mut client) = start("polite", Polite);
    home.wait_for("connection.opened");
    assert_ends_with_its_link(&home, &mut client);
}

#[test]
fn a_stubborn_mock_after_eof_and_term_ends_with_its_link() {
    let (home, mut client) = start("stubborn", Stubborn);
    client.open();
    client.close_stdin();
    home.wait_for("wire.eof");
    client.signal(Signal::TERM);
    home.wait_for("signal.received");
    assert_ends_with_its_link(&home, &mut client);
}

#[test]
fn a_mock_that_holds_a_call_ends_with_its_link() {
    let (home, mut client) = start("hold-call", Stubborn);
    client.open();
    client.send(&call(3));
    home.wait_for("gate.reached");
    assert_ends_with_its_link(&home, &mut client);
}

#[test]
fn a_mock_with_a_timer_ends_with_its_link() {
    let text = "about = \"x\"\n[[rule]]\non = { start = true }\ndo = [{ delay = \"60s\" }, { exit = 0 }]\n";
    let home = Home::new(&Script::from_toml("s", "s.toml", text).unwrap(), Polite);
    let mut client = Client::linked(&home);
    home.wait_for("fault.delivered");
    assert_ends_with_its_link(&home, &mut client);
}

/// Asks until far more is answered than a pipe holds (64 KiB), and reads nothing.
fn flood(home: &Home, client: &mut Client) {
    client.send(INITIALIZE);
    let long = call(3).replace("/a", &"x".repeat(30_000));
    for _ in 0..8 {
        client.send(&long);
    }
    home.wait_for_n("wire.sent", 9);
}

#[test]
fn a_mock_whose_client_does_not_read_still_sees_eof_signals_and_its_link() {
    let (home, mut client) = start("polite", Polite);
    flood(&home, &mut client);
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
    assert_eq!(home.journal().last().unwrap(), "mock.ending eof");

    let (home, mut client) = start("polite", Polite);
    flood(&home, &mut client);
    client.signal(Signal::TERM);
    assert_eq!(client.death(), 15);

    let (home, mut client) = start("polite", Stubborn);
    flood(&home, &mut client);
    client.close_stdin();
    home.wait_for("wire.eof");
    client.signal(Signal::TERM);
    home.wait_for("signal.received");
    assert_ends_with_its_link(&home, &mut client);
}

#[test]
fn a_client_that_reads_late_gets_everything_in_order() {
    let (home, mut client) = start("polite", Polite);
    flood(&home, &mut client);
    client.send(r#"{"jsonrpc":"2.0","id":"last","method":"ping"}"#);
    home.wait_for_n("wire.sent", 10);
    for _ in 0..9 {
        assert!(client.answer()["result"].is_object());
    }
    assert_eq!(client.answer()["id"], "last");
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
}

#[test]
fn an_output_that_broke_ends_a_polite_mock() {
    for start in [Client::linked, Client::helper] {
        let home = Home::new(&shipped("polite").unwrap(), Polite);
        let mut client = start(&home);
        client.open();
        client.close_stdout();
        client.call_until_it_ends();
        assert_eq!(client.exit_code(), 1);
        let journal = home.journal();
        assert_eq!(journal[journal.len() - 2..], ["connection.closed broken", "mock.ending broken-pipe"]);
    }
}

#[test]
fn an_acknowledgement_that_never_comes_ends_the_mock_and_nothing_was_sent() {
    let home = Home::with(&shipped("polite").unwrap(), Stubborn, json!({ "acknowledge_ms": 200 }));
    let mut client = Client::linked(&home);
    home.wait_for("connection.opened");
    // The request is acknowledged, its answer is not.
    home.acknowledge_only(1);
    client.send(INITIALIZE);
    assert_eq!(client.rest(), "");
    assert_eq!(client.exit_code(), JOURNAL_LOST_CODE);
    assert_eq!(home.journal().last().unwrap(), "wire.sent 1");
}

#[test]
fn a_mock_that_waits_for_an_acknowledgement_ends_with_its_link() {
    let (home, mut client) = start("polite", Polite);
    home.wait_for("connection.opened");
    home.acknowledge_only(0);
    client.send(INITIALIZE);
    home.wait_for("wire.received");
    assert_ends_with_its_link(&home, &mut client);
}

#[test]
fn a_mock_that_is_refused_or_finds_nobody_ends() {
    let home = Home::new(&shipped("polite").unwrap(), Polite);
    let link = home.addr().to_string();
    let args = ["stdio", "--token", "wrong", "--server", "files", "--link"];
    let mut client = Client::spawn(mock_command().args(args).arg(&link));
    assert_eq!(client.exit_code(), JOURNAL_LOST_CODE);

    // A port that was just closed: nobody listens there.
    let closed = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().to_string();
    let mut client = Client::spawn(mock_command().args(args).arg(closed));
    assert_eq!(client.exit_code(), JOURNAL_LOST_CODE);

    let mut client = Client::spawn(mock_command().args(args).arg("192.0.2.1:9"));
    assert_eq!(client.exit_code(), JOURNAL_LOST_CODE);
    assert!(home.journal().is_empty());
}

#[test]
fn the_longest_life_overrides_stubbornness() {
    let home = Home::with(&shipped("stubborn").unwrap(), Stubborn, json!({ "max_life_ms": 200 }));
    let mut client = Client::linked(&home);
    assert_eq!(client.exit_code(), 88);
    assert_eq!(home.journal().last().unwrap(), "mock.ending max-life");
}

#[cfg(target_os = "linux")]
#[test]
fn no_descriptor_of_the_link_survives_an_exec() {
    let (_home, mut client) = start("polite", Polite);
    client.open();
    let folder = format!("/proc/{}/fd", client.pid());
    let mut n_sockets = 0;
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if !std::fs::read_link(entry.path()).unwrap().to_string_lossy().starts_with("socket:") {
            continue;
        }
        n_sockets += 1;
        let info = entry.path().to_string_lossy().replace("/fd/", "/fdinfo/");
        let info = std::fs::read_to_string(info).unwrap();
        let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap().trim().to_owned();
        // O_CLOEXEC is 02000000, in octal as the file is.
        assert_ne!(u32::from_str_radix(&flags, 8).unwrap() & 0o2_000_000, 0, "{info}");
    }
    assert!(n_sockets > 0);
}
