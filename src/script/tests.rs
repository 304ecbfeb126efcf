//! Scripts are read or refused with a position; the interpreter does what they say.

use proptest::prelude::*;

use crate::history::{EventKind, Impact};
use crate::plan::{Revision, ShutdownBehaviour, Transport};
use crate::script::{
    Carriage, Effect, End, FAULTS, Input, Interpreter, Medium, Misfit, Script, Setup, Signal, TimerId, fault_info,
    shipped, shipped_names,
};

fn read(text: &str) -> Result<Script, String> {
    Script::from_toml("s", "s.toml", text).map_err(|error| error.to_string())
}

fn rule(on: &str, actions: &str) -> String {
    format!("about = \"x\"\n[[rule]]\non = {on}\ndo = {actions}\n")
}

/// A tool that answers in a way of its own, behind a rule.
fn tool(name: &str) -> String {
    format!("[[tool]]\nname = \"{name}\"\nabout = \"x\"\nschema = {{}}\nanswer = {{ text = \"x\" }}\n")
}

#[test]
fn every_shipped_script_is_read_and_survives_the_link() {
    assert!(shipped_names().len() >= 11);
    for name in shipped_names() {
        let script = shipped(name).unwrap();
        assert_eq!(script.name(), name);
        for temperament in [ShutdownBehaviour::Polite, ShutdownBehaviour::Stubborn] {
            let script = script.clone().with(temperament);
            let text = serde_json::to_string(&script).unwrap();
            assert_eq!(serde_json::from_str::<Script>(&text).unwrap(), script, "{text}");
        }
        for fault in script.required_faults() {
            assert!(fault_info(&fault).is_some(), "{fault}");
        }
    }
}

#[test]
fn the_faults_an_experiment_needs_are_named_as_they_are_delivered() {
    assert_eq!(shipped("die-in-call").unwrap().required_faults(), ["hold:before-answer", "die:KILL"]);
    assert_eq!(shipped("stubborn").unwrap().required_faults(), Vec::<String>::new());
    assert_eq!(shipped("mute-initialize").unwrap().required_faults(), ["drop:initialize"]);
}

fn fits(script: &Script, transport: Transport) -> Result<(), Misfit> {
    script.fits(transport, Carriage::of(transport, [script]))
}

#[test]
fn over_memory_the_scripts_of_all_servers_decide_what_carries() {
    let (any, http) = (shipped("polite").unwrap(), shipped("sse-answers").unwrap());
    let lines = shipped("stdout-closed-in-call").unwrap();
    assert_eq!(Carriage::of(Transport::Memory, [&any, &any]), Carriage::Lines);
    assert_eq!(Carriage::of(Transport::Memory, [&any, &lines]), Carriage::Lines);
    assert_eq!(Carriage::of(Transport::Memory, [&any, &http]), Carriage::Http);
    // Both at once are refused, whichever is carried.
    let both = Carriage::of(Transport::Memory, [&lines, &http]);
    assert!(lines.fits(Transport::Memory, both).is_err() || http.fits(Transport::Memory, both).is_err());
}

#[test]
fn a_script_says_which_transports_it_fits() {
    let [stdio, http, sse, memory] = [Transport::Stdio, Transport::Http, Transport::Sse, Transport::Memory];
    for (name, fitting) in [
        ("polite", vec![stdio, http, sse, memory]),
        ("stubborn", vec![stdio, http, sse]),
        ("die-in-call", vec![stdio, http, sse, memory]),
        ("stdout-closed-in-call", vec![stdio, memory]),
        ("get-refused", vec![http, sse, memory]),
        ("session-expires-idle", vec![http, sse, memory]),
        ("sse-answers", vec![http, memory]),
        ("call-html", vec![http, memory]),
        ("delete-mute", vec![http, memory]),
    ] {
        let script = shipped(name).unwrap();
        for transport in [stdio, http, sse, memory] {
            assert_eq!(fits(&script, transport).is_ok(), fitting.contains(&transport), "{name} over {transport}");
        }
    }
    let ignores = read(&rule("{ eof = true }", "[\"ignore\"]")).unwrap();
    let because = |script: &Script, transport| fits(script, transport).unwrap_err().to_string();
    let over_http = because(&ignores, Transport::Http);
    assert_eq!(over_http, "script s needs lines over pipes: rule 1 has eof", "a rule that must act can not");
    assert_eq!(because(&ignores, Transport::Memory), "script s needs a process of its own: rule 1 has ignore");
    let awaits = read(&rule("{ signal = \"HUP\" }", "[{ exit = 0 }]")).unwrap();
    assert_eq!(because(&awaits, Transport::Memory), "script s needs a process of its own: rule 1 has signal");
}

#[test]
fn what_happens_to_a_get_or_a_delete_impairs_no_answer() {
    let impairs = |name: &str| {
        let script = shipped(name).unwrap();
        let rule = &script.rules()[0];
        rule.actions.iter().find_map(|action| action.fault(&rule.on.when)).unwrap()
    };
    assert_eq!(impairs("get-refused"), ("status:get-405".to_owned(), Impact::Timing));
    assert_eq!(impairs("get-closed-at-once"), ("end-stream:get".to_owned(), Impact::Timing));
    assert_eq!(impairs("delete-mute"), ("drop:delete".to_owned(), Impact::Ending));
    assert_eq!(impairs("delete-refused"), ("status:delete-405".to_owned(), Impact::Ending));
    assert_eq!(impairs("mute-initialize"), ("drop:initialize".to_owned(), Impact::Answers));
}

#[test]
fn a_rule_may_be_for_one_connection_alone() {
    let script = read(&rule("{ request = \"tools/call\", connection = 2 }", "[\"drop\"]")).unwrap();
    for (incarnation, is_answered) in [(1, true), (2, false), (3, true)] {
        let setup = Setup { incarnation, ..setup(script.clone(), ShutdownBehaviour::Polite, Revision::R20251125) };
        let mut mock = Interpreter::new(setup);
        mock.handle(line(INITIALIZE));
        assert_eq!(!written(&mock.handle(line(CALL))).is_empty(), is_answered, "{incarnation}");
    }
}

#[test]
fn fault_ids_are_unique_and_kebab_case() {
    for (index, fault) in FAULTS.iter().enumerate() {
        assert!(FAULTS[..index].iter().all(|other| other.id != fault.id));
        assert!(fault.id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-'), "{}", fault.id);
    }
}

#[test]
fn a_defective_script_is_refused_where_it_is_defective() {
    let call = "{ request = \"tools/call\" }";
    let cases = [
        (rule("{}", "[\"drop\"]"), "s.toml:3:6: found no trigger"),
        (rule("{ start = true, eof = true }", "[{ exit = 1 }]"), "s.toml:3:6: found both start and eof"),
        (rule("{ eof = false }", "[\"ignore\"]"), "s.toml:3:6: found eof = false"),
        (rule("{ request = \"ping\", nth = 0 }", "[\"drop\"]"), "s.toml:3:6: found nth = 0"),
        (rule("{ eof = true, nth = 2 }", "[\"ignore\"]"), "s.toml:3:6: found nth = 2 of eof"),
        (rule("{ request = \"notifications/x\" }", "[\"drop\"]"), "s.toml:3:6: found request"),
        (rule("{ notification = \"tools/call\" }", "[{ exit = 1 }]"), "s.toml:3:6: found notification"),
        (rule("{ request = \"ping\", tool = \"read\" }", "[\"drop\"]"), "s.toml:3:6: found tool beside request"),
        (rule("{ tool = \"wirte\" }", "[\"drop\"]"), "s.toml:3:6: found tool \"wirte\", which the script never"),
        (rule("{ signal = \"KILL\" }", "[\"ignore\"]"), "s.toml:3:6: found signal KILL as a trigger"),
        (rule("{ signal = \"SIGTERM\" }", "[\"ignore\"]"), "s.toml:3:17: found signal \"SIGTERM\""),
        (rule(call, "[]"), "s.toml:3:6: found no action"),
        (rule("{ start = true }", "[\"drop\"]"), "s.toml:4:7: found drop on start"),
        (rule(call, "[\"answer\", \"drop\"]"), "s.toml:4:17: found drop after answer"),
        (rule(call, "[\"close-stdout\", \"answer\"]"), "s.toml:4:23: found answer after close-stdout"),
        (rule(call, "[{ exit = 1 }, \"drop\"]"), "s.toml:4:21: found drop after exit"),
        (rule(call, "[\"ignore\"]"), "s.toml:4:7: found ignore on tools/call"),
        (rule("{ eof = true }", "[\"ignore\", { exit = 1 }]"), "s.toml:4:17: found exit after ignore"),
        (rule(call, "[{ delay = \"2m\" }]"), "s.toml:4:7: found a delay of 120000ms"),
        (rule(call, "[{ delay = \"soon\" }]"), "s.toml:4:7: found \"soon\", expected a duration"),
        (rule(call, "[{ hold = \"\" }]"), "s.toml:4:7: found an empty gate name"),
        (rule(call, "[{ noise = \"a\\nb\" }]"), "s.toml:4:7: found a noise line"),
        (rule(call, "[{ bytes = \"f\" }]"), "s.toml:4:7: found \"f\", expected pairs"),
        (rule(call, "[{ notify = \"ping\" }]"), "s.toml:4:7: found notification \"ping\""),
        (rule(call, "[{ tools = [\"a\", \"a\"] }]"), "s.toml:4:7: found tool \"a\" twice"),
        (rule(call, "[{ ask = \"notifications/x\" }]"), "s.toml:4:7: found request \"notifications/x\""),
        (rule(call, "[{ content-type = \"a\\nb\" }]"), "s.toml:4:7: found content type"),
        (rule(call, "[{ name-session = \"a b\" }]"), "s.toml:4:7: found session"),
        (rule(call, "[\"answer\", { name-session = \"a\" }]"), "s.toml:4:17: found name-session after the answer"),
        (rule(call, "[\"sse\", { name-session = \"a\" }]"), "s.toml:4:14: found name-session after sse"),
        (
            rule("{ request = \"initialize\" }", "[{ name-session = \"a\" }]"),
            "s.toml:4:7: found name-session on initialize",
        ),
        (rule(call, "[\"unknown-id\", \"answer\"]"), "s.toml:4:21: found answer after unknown-id"),
        (rule("{ start = true }", "[\"no-result\"]"), "s.toml:4:7: found no-result on start"),
        (rule(call, "[\"split\", { content-type = \"x\" }]"), "s.toml:4:16: found content-type after split"),
        (rule("{ get = false }", "[\"drop\"]"), "s.toml:3:6: found get = false"),
        (rule("{ request = \"ping\", connection = 0 }", "[\"drop\"]"), "s.toml:3:6: found connection = 0"),
        (rule(call, "[{ status = 200 }]"), "s.toml:4:7: found status 200, expected one from 400 to 599"),
        (rule("{ start = true }", "[{ status = 500 }]"), "s.toml:4:7: found status on start, which is no request"),
        (rule(call, "[\"sse\", { status = 500 }]"), "s.toml:4:14: found status after sse"),
        (rule(call, "[\"answer\", \"sse\"]"), "s.toml:4:17: found sse after the answer"),
        (rule("{ get = true }", "[\"sse\"]"), "s.toml:4:7: found sse on get"),
        (rule("{ get = true }", "[\"duplicate\"]"), "s.toml:4:7: found duplicate on get"),
        (rule("{ get = true }", "[\"end-stream\"]"), "s.toml:4:7: found end-stream before the stream begins"),
        (rule("{ delete = true }", "[\"cut-stream\"]"), "s.toml:4:7: found cut-stream on delete, which has no stream"),
        (rule("{ notification = \"notifications/x\" }", "[\"drop\"]"), "s.toml:4:7: found drop on notifications/x"),
        (rule("{ request = \"initialize\" }", "[\"expire-session\"]"), "s.toml:4:7: found expire-session before"),
        (
            rule(call, "[\"close-stdout\"]") + "[[rule]]\non = { get = true }\ndo = [\"drop\"]\n",
            "s.toml:6:6: found get, which needs HTTP, beside close-stdout, which needs lines over pipes",
        ),
        (
            rule("{ request = \"tools/cal\" }", "[\"drop\"]"),
            "s.toml:3:6: found method \"tools/cal\", which no client sends: did you",
        ),
        (rule("{ gate = \"\" }", "[{ exit = 1 }]"), "s.toml:3:6: found an empty gate name"),
        (rule("{ get = true }", "[\"answer-on-return\"]"), "s.toml:4:7: found answer-on-return on get"),
        (rule(call, "[\"drop\"]") + &tool("read") + &tool("read"), "s.toml:10:1: found tool \"read\" twice"),
        (
            "tools = [\"read\"]\n".to_owned() + &rule(call, "[\"drop\"]") + &tool("write"),
            "s.toml:6:1: found tool \"write\", which",
        ),
        (rule("{ elapsed = \"61s\" }", "[{ exit = 1 }]"), "s.toml:3:6: found elapsed 61000ms"),
        (
            rule("{ request = \"initialize\", phase = \"before-initialize\" }", "[\"drop\"]"),
            "s.toml:3:6: found initialize in phase before-initialize, where it never comes about",
        ),
        (rule("{ gate = \"g\", phase = \"after-initialize\" }", "[{ exit = 1 }]"), "s.toml:3:6: found gate-g in phase"),
        (rule("{ start = true, phase = \"soon\" }", "[{ exit = 1 }]"), "s.toml:3:30: unknown variant `soon`"),
        (rule("{ response = true }", "[\"drop\"]"), "s.toml:4:7: found drop on response, which is no request"),
        (rule(call, "[{ pad = 67108865 }]"), "s.toml:4:7: found pad = 67108865, expected 1 to 67108864"),
        (rule(call, "[{ progress = 0 }]"), "s.toml:4:7: found progress = 0, expected 1 to"),
        (rule("{ start = true }", "[{ progress = 1 }]"), "s.toml:4:7: found progress on start, expected it on request"),
        (
            rule(call, "[\"echo-version\"]"),
            "s.toml:4:7: found echo-version on tools/call, expected it on request = \"init",
        ),
        (rule(call, "[{ redirect = 304 }]"), "s.toml:4:7: found status 304, expected one of 301"),
        (
            rule(call, "[{ event-id = \"a\\nb\" }]"),
            "s.toml:4:7: found event-id with \"a\\nb\", expected a text of one line",
        ),
        (rule(call, "[{ comments = 1 }, \"truncate-chunk\"]"), "s.toml:4:25: found truncate-chunk after sse"),
        (rule(call, "[\"freeze\", \"answer\"]"), "s.toml:4:17: found answer after freeze"),
        (rule(call, "[{ exit = 256 }]"), "s.toml:4:"),
        (rule(call, "[{ explode = 1 }]"), "s.toml:4:9: unknown variant `explode`"),
        (rule("{ when = 1 }", "[\"drop\"]"), "s.toml:3:8: unknown field `when`"),
        ("about = \"x\"\nrules = 1\n".to_owned(), "s.toml:2:1: unknown field `rules`"),
        ("about = \"x\"\ntools = [\"a\", \"a\"]\n".to_owned(), "s.toml:2:9: found tool \"a\" twice"),
        ("\n[[rule]]\n".to_owned(), "s.toml:2:1: missing field `on`"),
        ("about = \n".to_owned(), "s.toml:1:"),
        (
            rule("{ start = true }", "[{ exit = 1 }]") + "[[rule]]\non = { eof = true }\ndo = [\"ignore\"]\n",
            "s.toml:6:6: found a rule that never acts: nothing is done any more by then, because of rule 1",
        ),
        (
            rule(call, "[{ exit = 1 }]") + "[[rule]]\non = { request = \"tools/call\", nth = 2 }\ndo = [\"drop\"]\n",
            "s.toml:6:6: found a rule that never acts",
        ),
    ];
    for (text, expected) in cases {
        let found = read(&text).expect_err(&text);
        assert!(found.starts_with(expected), "found    {found}\nexpected {expected}\nin\n{text}");
    }
}

/// Where the earlier rule ends the mock on some occasions alone, the later one may act on others.
#[test]
fn a_rule_behind_an_end_is_taken_where_it_can_act() {
    for (on, then) in [
        ("{ request = \"tools/call\", connection = 1 }", "{ request = \"tools/call\", connection = 2 }"),
        ("{ request = \"ping\", phase = \"before-initialize\" }", "{ request = \"ping\" }"),
    ] {
        read(&format!("{}[[rule]]\non = {then}\ndo = [\"drop\"]\n", rule(on, "[{ exit = 1 }]"))).unwrap();
    }
    let frozen = rule("{ start = true }", "[\"freeze\"]");
    read(&format!("{frozen}[[rule]]\non = {{ signal = \"TERM\" }}\ndo = [\"ignore\"]\n")).unwrap();
    read(&format!("{frozen}[[rule]]\non = {{ request = \"ping\" }}\ndo = [\"drop\"]\n")).unwrap_err();
    read(&format!("{frozen}[[rule]]\non = {{ start = true }}\ndo = [{{ exit = 1 }}]\n")).unwrap_err();
}

/// What a mock with one rule writes about each of some inputs; whether it did what the rule says.
fn acts(on: &str, inputs: &[Input]) -> Vec<bool> {
    let script = read(&rule(on, "[{ noise = \"now\" }]")).unwrap();
    let mut mock = Interpreter::new(setup(script, ShutdownBehaviour::Stubborn, Revision::R20251125));
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
    let mut mock = Interpreter::new(setup(script, ShutdownBehaviour::Polite, Revision::R20251125));
    let set = Effect::SetTimer { timer: TimerId(0), after: std::time::Duration::from_millis(250) };
    assert!(mock.handle(Input::Started).contains(&set));
    assert_eq!(written(&mock.handle(Input::Timer(TimerId(0)))), "now\n");
    assert_eq!(written(&mock.handle(Input::Timer(TimerId(0)))), "");
}

fn setup(script: Script, temperament: ShutdownBehaviour, revision: Revision) -> Setup {
    Setup { temperament, ..Setup::alone(script, revision, Medium::Lines) }
}

fn mock(name: &str) -> Interpreter {
    Interpreter::new(setup(shipped(name).unwrap(), ShutdownBehaviour::Polite, Revision::R20251125))
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
        let mut mock = Interpreter::new(setup(shipped("polite").unwrap(), ShutdownBehaviour::Polite, ours));
        let answer = written(&mock.handle(line(&INITIALIZE.replace("2025-11-25", theirs))));
        assert!(answer.contains(&format!(r#""protocolVersion":"{expected}""#)), "{ours} {theirs}: {answer}");
    }
}

#[test]
fn what_is_no_proper_request_is_answered_as_an_honest_server_does() {
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
    assert!(effects.contains(&Effect::Journal(reached)), "a driver that waits for the gate must not wait for ever");
    assert!(written(&effects).contains("\"id\":7"));
}

#[test]
fn a_delay_holds_its_action_until_its_timer_runs_out() {
    let script = read(&rule("{ tool = \"read\" }", "[{ delay = \"250ms\" }]")).unwrap();
    let mut mock = Interpreter::new(setup(script, ShutdownBehaviour::Polite, Revision::R20251125));
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
        let mut mock = Interpreter::new(setup(script, ShutdownBehaviour::Polite, Revision::R20251125));
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
    let mut mock = Interpreter::new(setup(script, ShutdownBehaviour::Polite, Revision::R20251125));
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
        let temperament = if stubborn { ShutdownBehaviour::Stubborn } else { ShutdownBehaviour::Polite };
        let make = || Interpreter::new(setup(shipped(name).unwrap(), temperament, Revision::R20251125));
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

    /// Whatever is written, it is read or refused.
    #[test]
    fn any_text_is_a_script_or_refused(text in "[a-z={}\\[\\]\" \n]{0,80}") {
        let _ = read(&text);
        let _ = read(&rule(&format!("{{{text}}}"), &format!("[{text}]")));
    }
}

#[test]
fn a_gate_behind_which_nothing_is_held_is_none_that_has_to_be_opened() {
    for (on, actions, expected) in [
        ("{ start = true }", "[{ hold = \"a\" }, \"expire-session\", { hold = \"b\" }]", vec!["a"]),
        ("{ gate = \"x\" }", "[{ hold = \"a\" }]", vec![]),
        ("{ request = \"tools/call\" }", "[{ hold = \"a\" }]", vec!["a"]),
        ("{ request = \"tools/call\" }", "[\"answer\", { hold = \"a\" }]", vec!["a"]),
        ("{ eof = true }", "[{ hold = \"a\" }]", vec!["a"]),
    ] {
        let text = format!("about = \"x\"\n[[rule]]\non = {on}\ndo = {actions}\n");
        assert_eq!(Script::from_toml("s", "s.toml", &text).unwrap().gates(), expected, "{text}");
    }
}
