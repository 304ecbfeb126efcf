//! Every shipped script, driven over pipes: exact bytes, exact order.

use mcp_lifecheck::plan::ShutdownBehaviour::{Polite, Stubborn};
use mcp_lifecheck::script::shipped;
use rustix::process::Signal;
use serde_json::json;

use crate::mock::client::{Client, INITIALIZE, answered, call};
use crate::mock::home::Home;

const SIGKILL: i32 = 9;
const SIGTERM: i32 = 15;

/// What every session begins with that lists its tools.
const OPENING: [&str; 7] = [
    "mock.started",
    "connection.opened",
    "wire.received initialize",
    "wire.sent 1",
    "wire.received notifications/initialized",
    "wire.received tools/list",
    "wire.sent 2",
];
const EOF: [&str; 3] = ["wire.eof", "connection.closed by-client", "mock.ending eof"];

fn start(script: &str) -> (Home, Client) {
    let home = Home::new(&shipped(script).unwrap(), Polite);
    let client = Client::linked(&home);
    (home, client)
}

fn assert_journal(home: &Home, rest: &[&[&str]]) {
    let expected: Vec<&str> = OPENING.iter().chain(rest.iter().copied().flatten()).copied().collect();
    assert_eq!(home.journal(), expected);
}

#[test]
fn polite_answers_and_ends_with_its_input() {
    let (home, mut client) = start("polite");
    client.open();
    client.call(3);
    client.send(r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#);
    assert_eq!(client.line(), "{\"jsonrpc\":\"2.0\",\"id\":\"p\",\"result\":{}}\n");
    client.close_stdin();
    assert_eq!(client.rest(), "");
    assert_eq!(client.exit_code(), 0);
    let pings = ["wire.received tools/call", "wire.sent 3", "wire.received ping", "wire.sent p"];
    assert_journal(&home, &[&pings, &EOF]);
}

#[test]
fn polite_dies_by_the_signal_it_journalled() {
    let (home, mut client) = start("polite");
    client.open();
    client.signal(Signal::TERM);
    assert_eq!(client.death(), SIGTERM);
    assert_journal(&home, &[&["signal.received TERM", "mock.ending {\"signal\":\"TERM\"}"]]);
}

#[test]
fn stubborn_ignores_eof_and_term_until_it_is_killed() {
    for (script, shutdown_behaviour) in [("stubborn", Polite), ("polite", Stubborn)] {
        let home = Home::new(&shipped(script).unwrap(), shutdown_behaviour);
        let mut client = Client::linked(&home);
        client.open();
        client.close_stdin();
        home.wait_for_n("fault.delivered", 1);
        client.signal(Signal::TERM);
        home.wait_for_n("fault.delivered", 2);
        client.signal(Signal::KILL);
        assert_eq!(client.death(), SIGKILL);
        let refusals =
            ["wire.eof", "fault.delivered ignore:eof", "signal.received TERM", "fault.delivered ignore:TERM"];
        assert_journal(&home, &[&refusals]);
    }
}

#[test]
fn stubborn_is_not_ended_by_an_output_nobody_reads() {
    let home = Home::new(&shipped("hold-call").unwrap(), Stubborn);
    let mut client = Client::linked(&home);
    client.open();
    client.send(&call(3));
    home.wait_for("gate.reached");
    client.close_stdin();
    home.wait_for("wire.eof");
    client.close_stdout();
    home.open_gate("before-answer");
    home.wait_for("connection.closed");
    client.signal(Signal::TERM);
    home.wait_for("signal.received");
    home.cut();
    assert_eq!(client.exit_code(), 87);
}

#[test]
fn hold_call_answers_when_its_gate_opens_and_serves_others_meanwhile() {
    let (home, mut client) = start("hold-call");
    client.open();
    client.send(&call(3));
    client.call(4);
    home.open_gate("before-answer");
    assert_eq!(client.answer(), answered(3));
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
    let held = ["wire.received tools/call", "fault.delivered hold:before-answer", "gate.reached before-answer"];
    assert_journal(&home, &[&held, &["wire.received tools/call", "wire.sent 4", "wire.sent 3"], &EOF]);
}

#[test]
fn a_gate_that_is_open_already_holds_nothing() {
    let (home, mut client) = start("hold-call");
    client.open();
    home.open_gate("before-answer");
    // The command is on the link before the call is sent, but two channels have no order: so it may be reached closed.
    client.call(3);
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
    let held = ["wire.received tools/call", "fault.delivered hold:before-answer", "gate.reached before-answer"];
    assert_journal(&home, &[&held, &["wire.sent 3"], &EOF]);
}

#[test]
fn a_gate_that_was_opened_before_the_mock_started_holds_nothing() {
    let home = Home::new(&shipped("die-at-gate").unwrap(), Polite);
    home.open_gate("die");
    let mut client = Client::linked(&home);
    assert_eq!(client.death(), SIGKILL);
}

#[test]
fn eof_and_signals_are_journalled_while_a_call_is_held() {
    let (home, mut client) = start("hold-call");
    client.open();
    client.send(&call(3));
    home.wait_for("gate.reached");
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
    assert_eq!(client.rest(), "");
    let held = ["wire.received tools/call", "fault.delivered hold:before-answer", "gate.reached before-answer"];
    assert_journal(&home, &[&held, &EOF]);

    let (home, mut client) = start("hold-call");
    client.open();
    client.send(&call(3));
    home.wait_for("gate.reached");
    client.signal(Signal::INT);
    assert_eq!(client.death(), 2);
    assert_journal(&home, &[&held, &["signal.received INT", "mock.ending {\"signal\":\"INT\"}"]]);
}

#[test]
fn a_cancelled_call_is_not_answered_and_the_connection_stays_usable() {
    let (home, mut client) = start("hold-first-call");
    client.open();
    client.send(&call(3));
    home.wait_for("gate.reached");
    client.send(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3,"reason":"x"}}"#);
    client.call(4);
    home.open_gate("first-call");
    client.call(5);
    client.close_stdin();
    assert_eq!(client.rest(), "");
}

#[test]
fn die_in_call_is_abrupt() {
    let (home, mut client) = start("die-in-call");
    client.open();
    client.send(&call(3));
    home.wait_for("gate.reached");
    home.open_gate("before-answer");
    assert_eq!(client.rest(), "");
    assert_eq!(client.death(), SIGKILL);
    let death = [
        "wire.received tools/call",
        "fault.delivered hold:before-answer",
        "gate.reached before-answer",
        "fault.delivered die:KILL",
    ];
    assert_journal(&home, &[&death]);
}

#[test]
fn die_at_gate_serves_until_then() {
    let (home, mut client) = start("die-at-gate");
    client.open();
    client.call(3);
    home.open_gate("die");
    assert_eq!(client.death(), SIGKILL);
    assert_eq!(home.journal().last().unwrap(), "fault.delivered die:KILL");
}

#[test]
fn mute_initialize_never_answers() {
    let (home, mut client) = start("mute-initialize");
    client.send(INITIALIZE);
    client.send(r#"{"jsonrpc":"2.0","id":9,"method":"ping"}"#);
    assert_eq!(client.answer()["id"], 9);
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
    assert_eq!(home.journal()[2..4], ["wire.received initialize", "fault.delivered drop:initialize"]);
}

#[test]
fn dead_on_arrival_exits_with_code_1() {
    let (home, mut client) = start("dead-on-arrival");
    assert_eq!(client.exit_code(), 1);
    let expected = [
        "mock.started",
        "connection.opened",
        "fault.delivered exit:1",
        "connection.closed by-server",
        "mock.ending script",
    ];
    assert_eq!(home.journal(), expected);
}

#[test]
fn tools_that_change_answers_first_and_then_says_so() {
    let (home, mut client) = start("tools-that-change");
    client.open();
    client.call(3);
    assert_eq!(client.answer(), json!({ "jsonrpc": "2.0", "method": "notifications/tools/list_changed" }));
    client.send(r#"{"jsonrpc":"2.0","id":4,"method":"tools/list"}"#);
    let tools = client.answer()["result"]["tools"].clone();
    assert_eq!((&tools[0]["name"], &tools[1]["name"]), (&json!("read"), &json!("write")));
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
    let change = ["wire.received tools/call", "wire.sent 3", "wire.sent notifications/tools/list_changed"];
    assert_journal(&home, &[&change, &["wire.received tools/list", "wire.sent 4"], &EOF]);
}

#[test]
fn exit_on_call_exits_with_its_code_and_says_farewell() {
    let (home, mut client) = start("exit-on-call");
    client.open();
    client.send(&call(3));
    assert_eq!(client.exit_code(), 3);
    let end = ["fault.delivered exit:3", "connection.closed by-server", "mock.ending script"];
    assert_journal(&home, &[&["wire.received tools/call"], &end]);
}

#[test]
fn stdout_closed_in_call_closes_its_output_and_lives_on() {
    let (home, mut client) = start("stdout-closed-in-call");
    client.open();
    client.send(&call(3));
    assert_eq!(client.rest(), "");
    client.send(&call(4));
    home.wait_for_n("wire.received", 5);
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
    let closing = ["fault.delivered close-stdout", "connection.closed by-server", "wire.received tools/call"];
    assert_journal(&home, &[&["wire.received tools/call"], &closing, &["wire.eof", "mock.ending eof"]]);
}

#[test]
fn the_same_script_and_inputs_give_the_same_journal_in_100_of_100_runs() {
    let run = || {
        let (home, mut client) = start("tools-that-change");
        client.open();
        client.call(3);
        client.line();
        client.close_stdin();
        assert_eq!(client.exit_code(), 0);
        home.events()
    };
    let first = run();
    for _ in 1..100 {
        assert_eq!(run(), first);
    }
}
