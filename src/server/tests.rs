//! Tests that the server over lines follows its script.

use proptest::prelude::*;

use crate::history::EventKind;
use crate::plan::{Revision, ShutdownBehaviour};
use crate::script::{Script, Signal, shipped, shipped_names};
use crate::server::{Effect, End, Endpoint, Input, Machine, Setup, TimerId};

fn read(text: &str) -> Result<Script, String> {
    Script::from_toml("s", "s.toml", text).map_err(|error| error.to_string())
}

fn rule(on: &str, actions: &str) -> String {
    format!("about = \"x\"\n[[rule]]\non = {on}\ndo = {actions}\n")
}

/// A terminal sends SIGINT to the whole process group of a program, and so to its servers.
#[test]
fn a_stubborn_server_outlives_the_signals_that_ask_a_polite_one_to_end() {
    for signal in [Signal::Term, Signal::Int] {
        for (behaviour, ends) in [(ShutdownBehaviour::Polite, true), (ShutdownBehaviour::Stubborn, false)] {
            let mut mock = Machine::new(setup(shipped("polite").unwrap(), behaviour, Revision::R20251125));
            mock.handle(Input::Started);
            let effects = mock.handle(Input::Signal(signal));
            let has_ended = effects.iter().any(|effect| matches!(effect, Effect::End(_)));
            assert_eq!(has_ended, ends, "{behaviour} {signal:?}");
        }
    }
}

#[test]
fn a_rule_may_be_for_one_connection_alone() {
    let script = read(&rule("{ request = \"tools/call\", connection = 2 }", "[\"drop\"]")).unwrap();
    for (incarnation, is_answered) in [(1, true), (2, false), (3, true)] {
        let setup = Setup { incarnation, ..setup(script.clone(), ShutdownBehaviour::Polite, Revision::R20251125) };
        let mut mock = Machine::new(setup);
        mock.handle(line(INITIALIZE));
        assert_eq!(!written(&mock.handle(line(CALL))).is_empty(), is_answered, "{incarnation}");
    }
}

#[test]
fn a_process_that_was_only_asked_for_its_generation_is_no_connection() {
    let script = read(&rule("{ request = \"tools/call\", connection = 1 }", "[\"drop\"]")).unwrap();
    for (n_probes, is_answered) in [(0, true), (1, false)] {
        let setup = setup(script.clone(), ShutdownBehaviour::Polite, Revision::R20251125);
        let mut mock = Machine::new(Setup { incarnation: 2, n_probes, ..setup });
        mock.handle(line(INITIALIZE));
        assert_eq!(!written(&mock.handle(line(CALL))).is_empty(), is_answered, "{n_probes}");
    }
}

/// What a mock with one rule writes about each of some inputs; whether it did what the rule says.
fn acts(on: &str, inputs: &[Input]) -> Vec<bool> {
    let script = read(&rule(on, "[{ noise = \"now\" }]")).unwrap();
    let mut mock = Machine::new(setup(script, ShutdownBehaviour::Stubborn, Revision::R20251125));
    mock.handle(Input::Started);
    inputs.iter().map(|input| written(&mock.handle(input.clone())).contains("now\n")).collect()
}

#[test]
fn a_rule_acts_on_its_occasion_and_under_its_conditions_alone() {
    let (initialize, call) = (line(INITIALIZE), line(CALL));
    let initialized = line(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    let answer = line(r#"{"jsonrpc":"2.0","id":0,"result":{}}"#);
    let (opened, term) = (Input::GateOpened("g".to_owned()), Input::Signal(Signal::Term));
    let life =
        [&call, &initialize, &call, &initialized, &call, &answer, &opened, &opened, &term, &call].map(Clone::clone);
    for (on, expected) in [
        ("{ request = \"*\" }", "1110100001"),
        ("{ request = \"*\", nth = 2 }", "0100000000"),
        ("{ notification = \"*\" }", "0001000000"),
        ("{ response = true }", "0000010000"),
        ("{ gate = \"g\" }", "0000001000"),
        ("{ signal = \"TERM\" }", "0000000010"),
        ("{ request = \"tools/call\", phase = \"before-initialize\" }", "1000000000"),
        ("{ request = \"*\", phase = \"during-initialize\" }", "0110000000"),
        ("{ request = \"*\", phase = \"after-initialize\" }", "0000100000"),
        ("{ request = \"*\", phase = \"after-initialize\", nth = 1 }", "0000100000"),
        ("{ request = \"*\", phase = \"during-shutdown\" }", "0000000001"),
    ] {
        let found: String = acts(on, &life).into_iter().map(|acts| if acts { '1' } else { '0' }).collect();
        assert_eq!(found, expected, "{on}");
    }
}

#[test]
fn a_rule_acts_when_its_time_has_passed_and_once() {
    let script = read(&rule("{ elapsed = \"250ms\" }", "[{ noise = \"now\" }]")).unwrap();
    let mut mock = Machine::new(setup(script, ShutdownBehaviour::Polite, Revision::R20251125));
    let set = Effect::SetTimer { timer: TimerId(0), after: std::time::Duration::from_millis(250) };
    assert!(mock.handle(Input::Started).contains(&set));
    assert_eq!(written(&mock.handle(Input::Timer(TimerId(0)))), "now\n");
    assert_eq!(written(&mock.handle(Input::Timer(TimerId(0)))), "");
}

fn setup(script: Script, shutdown_behaviour: ShutdownBehaviour, revision: Revision) -> Setup {
    Setup { shutdown_behaviour, ..Setup::alone(script, revision, Endpoint::Lines) }
}

fn mock(name: &str) -> Machine {
    Machine::new(setup(shipped(name).unwrap(), ShutdownBehaviour::Polite, Revision::R20251125))
}

fn line(text: &str) -> Input {
    Input::Line(text.as_bytes().to_vec())
}

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read"}}"#;

fn written(effects: &[Effect]) -> String {
    let bytes = effects.iter().filter_map(|effect| match effect {
        Effect::Write(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        _ => None,
    });
    bytes.collect()
}

#[test]
fn the_version_is_the_clients_where_it_is_known_and_ours_otherwise() {
    let cases = [
        (Revision::R20251125, "2025-11-25", "2025-11-25"),
        (Revision::R20251125, "2024-11-05", "2024-11-05"),
        (Revision::R20251125, "2026-07-28", "2025-11-25"),
        (Revision::R20251125, "draft", "2025-11-25"),
        (Revision::R20251125, "1999-01-01", "2025-11-25"),
        (Revision::R20250618, "2025-11-25", "2025-06-18"),
        (Revision::R20250618, "2025-03-26", "2025-03-26"),
    ];
    for (ours, theirs, expected) in cases {
        let mut mock = Machine::new(setup(shipped("polite").unwrap(), ShutdownBehaviour::Polite, ours));
        let answer = written(&mock.handle(line(&INITIALIZE.replace("2025-11-25", theirs))));
        assert!(answer.contains(&format!(r#""protocolVersion":"{expected}""#)), "{ours} {theirs}: {answer}");
    }
}

#[test]
fn what_is_no_proper_request_is_answered_as_a_conforming_server_does() {
    let cases = [
        (r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#, r#""id":1,"error":{"code":-32601"#),
        (r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#, r#""id":1,"error":{"code":-32602"#),
        (r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#, r#""id":"a","result":{}"#),
        (r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, r#""id":null,"error":{"code":-32600"#),
        (r#"{"id":1,"method":"ping"}"#, r#""id":1,"error":{"code":-32600"#),
        (r#"{"jsonrpc":"2.0","id":1,"method":5}"#, r#""id":1,"error":{"code":-32600"#),
        (r#"{"jsonrpc":"2.0","id":1,"method":"initialize"}"#, r#""id":1,"error":{"code":-32602"#),
        ("[]", r#""id":null,"error":{"code":-32600"#),
        ("{", r#""id":null,"error":{"code":-32700"#),
        ("\u{feff}{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}", r#""id":1,"result":{}"#),
        (r#"{"jsonrpc":"2.0","id":1,"result":{}}"#, ""),
        (r#"{"jsonrpc":"2.0","method":"notifications/x"}"#, ""),
        ("  ", ""),
    ];
    for (sent, expected) in cases {
        let answer = written(&mock("polite").handle(line(sent)));
        assert!(answer.contains(expected) && answer.is_empty() == expected.is_empty(), "{sent}: {answer}");
    }
}

#[test]
fn a_long_body_is_journalled_as_head_length_and_hash() {
    let mut mock = mock("polite");
    mock.handle(line(INITIALIZE));
    let long = CALL.replace("\"read\"", &format!("\"read\",\"arguments\":{{\"a\":\"{}\"}}", "x".repeat(100_000)));
    let effects = mock.handle(line(&long));
    let [Effect::Journal(EventKind::WireReceived { message, .. }), ..] = &effects[..] else {
        panic!("{effects:?}");
    };
    assert_eq!(message.body()["method"], "tools/call");
    assert_eq!(message.body()["id"], 7);
    assert_eq!(message.body()["cut"]["bytes"], long.len());
    assert!(message.body()["cut"]["hash"].as_str().unwrap().starts_with("fnv1a:"));
    assert!(written(&effects).len() > 100_000, "the answer itself is whole");
}

#[test]
fn a_held_call_that_is_cancelled_is_never_answered() {
    let mut mock = mock("hold-call");
    mock.handle(line(INITIALIZE));
    assert_eq!(written(&mock.handle(line(CALL))), "");
    mock.handle(line(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#));
    assert_eq!(mock.handle(Input::GateOpened("before-answer".to_owned())), []);
    assert!(!written(&mock.handle(line(CALL))).is_empty(), "the connection stays usable");
}

#[test]
fn a_gate_that_was_opened_before_it_is_reached_holds_nothing() {
    let mut mock = mock("hold-call");
    mock.handle(line(INITIALIZE));
    assert_eq!(mock.handle(Input::GateOpened("before-answer".to_owned())), []);
    let effects = mock.handle(line(CALL));
    let reached = EventKind::GateReached { gate: "before-answer".to_owned() };
    assert!(effects.contains(&Effect::Journal(reached)), "a driver that waits for the gate must not wait forever");
    assert!(written(&effects).contains("\"id\":7"));
}

#[test]
fn a_delay_holds_its_action_until_its_timer_runs_out() {
    let script = read(&rule("{ tool = \"read\" }", "[{ delay = \"250ms\" }]")).unwrap();
    let mut mock = Machine::new(setup(script, ShutdownBehaviour::Polite, Revision::R20251125));
    mock.handle(line(INITIALIZE));
    let effects = mock.handle(line(CALL));
    assert!(matches!(effects.last(), Some(Effect::SetTimer { timer: TimerId(0), .. })), "{effects:?}");
    assert_eq!(written(&mock.handle(Input::Timer(TimerId(0)))).matches("\"id\":7").count(), 1);
}

#[test]
fn every_kind_of_answer_is_given() {
    let cases = [
        ("[\"duplicate\"]", 2, r#""id":7,"result""#),
        ("[{ answer-error = { code = -1, message = \"no\" } }]", 1, r#""error":{"code":-1,"message":"no"}"#),
        ("[{ noise = \"hello\" }]", 1, "hello\n{"),
        ("[{ bytes = \"41 42 0a\" }, \"drop\"]", 1, "AB\n"),
        ("[\"drop\"]", 0, "id"),
    ];
    for (actions, n_found, expected) in cases {
        let script = read(&rule("{ request = \"tools/call\" }", actions)).unwrap();
        let mut mock = Machine::new(setup(script, ShutdownBehaviour::Polite, Revision::R20251125));
        mock.handle(line(INITIALIZE));
        let answer = written(&mock.handle(line(CALL)));
        assert_eq!(answer.matches(expected).count(), n_found, "{actions}: {answer}");
    }
}

#[test]
fn a_client_is_told_of_the_log_from_the_level_on_that_it_has_set() {
    let set = |level: &str| {
        line(&format!(r#"{{"jsonrpc":"2.0","id":1,"method":"logging/setLevel","params":{{"level":"{level}"}}}}"#))
    };
    let message = "{ notify-with = { method = \"notifications/message\", params = { level = \"LEVEL\", data = 1 } } }";
    let [debug, error] = ["debug", "error"].map(|level| message.replace("LEVEL", level));
    let script = read(&rule("{ request = \"tools/call\" }", &format!("[{debug}, {error}]"))).unwrap();
    let mut mock = Machine::new(setup(script, ShutdownBehaviour::Polite, Revision::R20251125));
    assert!(written(&mock.handle(line(INITIALIZE))).contains(r#""capabilities":{"logging":{},"tools":{}}"#));
    let mut told = |level: Option<&str>| {
        let answer = level.map(|level| written(&mock.handle(set(level))));
        let said = written(&mock.handle(line(CALL)));
        (answer.unwrap_or_default(), said.contains(r#""level":"debug""#), said.contains(r#""level":"error""#))
    };
    let done = "{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":{}}\n".to_owned();
    assert_eq!(told(None), (String::new(), true, true));
    assert_eq!(told(Some("error")), (done.clone(), false, true));
    assert_eq!(told(Some("alert")), (done.clone(), false, false));
    let (refused, ..) = told(Some("loud"));
    assert!(refused.contains("-32602"), "{refused}");
    assert_eq!(told(Some("debug")), (done, true, true));
    // A server without a log has no level.
    let refused = written(&self::mock("polite").handle(set("error")));
    assert!(refused.contains("-32601"), "{refused}");
}

fn any_input() -> impl Strategy<Value = Input> {
    let messages = [
        INITIALIZE,
        CALL,
        r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        "{",
    ];
    prop_oneof![
        8 => prop::sample::select(messages.to_vec()).prop_map(line),
        2 => prop::collection::vec(any::<u8>(), 0..40).prop_map(Input::Line),
        2 => prop::sample::select(vec!["before-answer", "first-call", "die"]).prop_map(|gate| Input::GateOpened(gate.to_owned())),
        1 => prop::sample::select(Signal::CAUGHT).prop_map(Input::Signal),
        1 => (0..4_u64).prop_map(|timer| Input::Timer(TimerId(timer))),
        1 => prop::sample::select(vec![Input::Started, Input::Eof, Input::InputBroken, Input::OutputBroken,
            Input::OutputFull, Input::LifeOver, Input::Noise { bytes: 9, head: vec![0xff] }]),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes in whatever order: no panic, nothing after the end, and every message, and what is none, journalled before it
    /// is sent.
    #[test]
    fn any_inputs_give_ordered_effects_and_one_end(
        name in prop::sample::select(shipped_names()),
        stubborn in any::<bool>(),
        inputs in prop::collection::vec(any_input(), 0..60),
    ) {
        let shutdown_behaviour = if stubborn { ShutdownBehaviour::Stubborn } else { ShutdownBehaviour::Polite };
        let make = || Machine::new(setup(shipped(name).unwrap(), shutdown_behaviour, Revision::R20251125));
        let (mut mock, mut again) = (make(), make());
        let (mut ended, mut n_closed) = (false, 0);
        for input in inputs {
            let effects = mock.handle(input.clone());
            prop_assert_eq!(&effects, &again.handle(input));
            prop_assert!(!ended || effects.is_empty());
            for (index, effect) in effects.iter().enumerate() {
                match effect {
                    Effect::Write(_) | Effect::WriteApart(_) => {
                        let before = &effects[index - 1];
                        let is_on_record = matches!(
                            before,
                            Effect::Journal(EventKind::WireSent { .. } | EventKind::FaultDelivered { .. })
                        );
                        prop_assert!(is_on_record, "{:?}", before);
                    }
                    Effect::End(_) => prop_assert_eq!(index + 1, effects.len()),
                    Effect::Journal(EventKind::ConnectionClosed { .. }) => n_closed += 1,
                    _ => {}
                }
            }
            ended |= matches!(effects.last(), Some(Effect::End(End::Exit(_) | End::Signal(_))));
        }
        prop_assert!(n_closed <= 1);
    }
}
