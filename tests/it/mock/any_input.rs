//! Any inputs to an interpreter, over both media: it never panics, and what comes of them is in order and bounded.

use std::collections::BTreeMap;

use mcp_lifecheck::history::{EventKind, WireEnd};
use mcp_lifecheck::plan::{Framing, Revision, ServerHome, ShutdownBehaviour};
use mcp_lifecheck::script::{Action, Script, Signal, shipped, shipped_names};
use mcp_lifecheck::server::{
    Body, Effect, Endpoint, ExchangeNo, HttpSetup, HttpStyle, Input, Machine, Request, Setup, SocketNo, TimerId,
};
use proptest::prelude::*;
use serde_json::{Value, json};

/// Most effects that one message may lead to, now or when what holds it lets go, beside what its script does many times.
const EFFECTS_PER_MESSAGE: usize = 12;
/// Most bytes of a conforming answer to what is sent here: as many effects where a script sends it byte by byte.
const ANSWER_BYTES: usize = 2_048;
const PATH: &str = "/t/mcp";
const MESSAGES: &str = "/t/messages";

fn setup(script: Script, framing: Framing, revision: Revision, shutdown_behaviour: ShutdownBehaviour) -> Setup {
    let over = |style| {
        let (url, path, session_prefix) = (format!("http://h{PATH}"), PATH.to_owned(), "s".to_owned());
        Endpoint::Http(HttpSetup { url, path, style, session_prefix })
    };
    let endpoint = match framing {
        Framing::Lines => Endpoint::Lines,
        Framing::Http => over(HttpStyle::Streamable),
        Framing::Sse => over(HttpStyle::Sse { messages: MESSAGES.to_owned() }),
    };
    Setup { shutdown_behaviour, ..Setup::alone(script, revision, endpoint) }
}

fn any_json() -> impl Strategy<Value = Value> + Clone {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    let keys = prop::sample::select(vec!["name", "arguments", "protocolVersion", "requestId", "cursor", "uri", "x"]);
    leaf.prop_recursive(4, 24, 4, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(keys.clone().prop_map(str::to_owned), inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

fn any_message() -> impl Strategy<Value = Value> + Clone {
    let methods = vec![
        "initialize",
        "notifications/initialized",
        "notifications/cancelled",
        "ping",
        "tools/list",
        "tools/call",
        "server/discover",
        "logging/setLevel",
        "tasks/get",
        "tasks/result",
        "tasks/cancel",
        "tasks/list",
        "no/such/method",
    ];
    let versions = prop::sample::select(vec!["2025-11-25", "2025-03-26", "2025-03-26"]);
    let proper = (prop::sample::select(methods), 0..9_u32, any::<bool>(), versions);
    let proper = proper.prop_map(|(method, id, has_id, version)| {
        let params =
            json!({ "protocolVersion": version, "name": "read", "arguments": { "path": "/a" }, "requestId": id, "taskId": format!("task-{id}") });
        let mut message = json!({ "jsonrpc": "2.0", "method": method, "params": params });
        if has_id && !method.starts_with("notifications/") {
            message["id"] = id.into();
        }
        if id % 2 == 1 {
            message["params"]["task"] = json!({ "ttl": 1_000 });
        }
        message
    });
    let changed = (proper.clone(), prop::sample::select(vec!["jsonrpc", "id", "method", "params", "result", "error"]));
    let changed = (changed, any_json()).prop_map(|((mut message, key), value)| {
        message[key] = value;
        message
    });
    prop_oneof![6 => proper, 3 => changed, 1 => any_json()]
}

/// The bytes of several messages at once.
fn any_batch() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any_message(), 0..6).prop_map(|all| Value::from(all).to_string().into_bytes())
}

/// The bytes of one message, or of what is none.
fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    let text = any_message().prop_map(|message| message.to_string().into_bytes());
    let cut = (text.clone(), any::<prop::sample::Index>()).prop_map(|(mut bytes, at)| {
        bytes.truncate(at.index(bytes.len() + 1));
        bytes
    });
    prop_oneof![10 => text, 1 => cut, 1 => prop::collection::vec(any::<u8>(), 0..64)]
}

fn any_request() -> impl Strategy<Value = Request> {
    let body = prop_oneof![
        12 => any_bytes().prop_map(Body::Whole),
        2 => any_batch().prop_map(Body::Whole),
        1 => Just(Body::TooLong),
        1 => Just(Body::Cut),
    ];
    let verb = prop::sample::select(vec!["POST", "POST", "POST", "POST", "GET", "DELETE", "PUT", "\u{e9}"]);
    let path = prop::sample::select(vec![PATH, PATH, PATH, MESSAGES, MESSAGES, "/", "/t/mcp/", ""]);
    let headers = [
        ("accept", vec!["application/json, text/event-stream", "application/json, text/event-stream", "*/*", "x"]),
        ("content-type", vec!["application/json", "application/json", "text/plain"]),
        ("mcp-session-id", vec!["s-1", "s-1", "s-2", "s-9"]),
        ("mcp-protocol-version", vec!["2025-11-25", "2025-03-26", "never"]),
        ("last-event-id", vec!["1", "x"]),
        ("origin", vec!["http://localhost", "http://evil.example"]),
    ];
    let header = |(name, values): (&'static str, Vec<&'static str>)| {
        let likely = if name == "origin" { 0.1 } else { 0.8 };
        prop::option::weighted(likely, prop::sample::select(values)).prop_map(move |value| Some((name, value?)))
    };
    let headers: Vec<_> = headers.into_iter().map(header).collect();
    let query = prop::sample::select(vec!["", "session=s-1", "session=s-1", "session=s-2", "session", "&="]);
    (verb, path, query, headers, body).prop_map(|(verb, path, query, headers, body)| Request {
        // Numbered where it is handed over: a carrier never uses a number twice.
        exchange: ExchangeNo(0),
        socket: SocketNo(1),
        verb: verb.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        shown_query: query.to_owned(),
        headers: headers.into_iter().flatten().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        is_pipelined: false,
        body,
    })
}

fn any_input() -> impl Strategy<Value = Input> {
    let gates = vec!["before-answer", "first-call", "die", "drop", "expire", "connect", "closing", "no-such-gate"];
    let rare = vec![
        Input::Started,
        Input::Eof,
        Input::InputBroken,
        Input::OutputBroken,
        Input::OutputFull,
        Input::SocketRefused,
        Input::SocketOpened(SocketNo(1)),
        Input::SocketClosed { socket: SocketNo(1), how: WireEnd::Broken },
        Input::LifeOver,
        Input::Noise { bytes: u64::MAX, head: vec![0xff; 300] },
    ];
    prop_oneof![
        10 => any_bytes().prop_map(Input::Line),
        2 => any_batch().prop_map(Input::Line),
        12 => any_request().prop_map(Input::Request),
        3 => (0..40_u64).prop_map(|exchange| Input::ExchangeGone(ExchangeNo(exchange))),
        3 => prop::sample::select(gates).prop_map(|gate| Input::GateOpened(gate.to_owned())),
        1 => prop::sample::select(Signal::ALL).prop_map(Input::Signal),
        1 => (0..4_u64).prop_map(|timer| Input::Timer(TimerId(timer))),
        1 => prop::sample::select(rare),
    ]
}

/// How many messages an input may hold.
fn n_messages(input: &Input) -> usize {
    let (Input::Request(Request { body: Body::Whole(body), .. }) | Input::Line(body)) = input else { return 1 };
    serde_json::from_slice::<Value>(body).ok().and_then(|body| Some(body.as_array()?.len())).unwrap_or(1).max(1)
}

/// What is wrong with the effects of one input, where anything is.
fn defect(effects: &[Effect]) -> Option<&'static str> {
    let is_on_record = |before: Option<&Effect>| {
        matches!(before, Some(Effect::Journal(EventKind::WireSent { .. } | EventKind::FaultDelivered { .. })))
    };
    effects.iter().enumerate().find_map(|(index, effect)| match effect {
        Effect::Write(_) | Effect::WriteApart(_) => {
            // Two writes of one kind of answer stand on one record only where the answer is a fault in itself.
            let before = index.checked_sub(1).map(|before| &effects[before]);
            (!is_on_record(before)).then_some("a write that is not on record")
        }
        Effect::End(_) => (index + 1 < effects.len()).then_some("something after the end"),
        Effect::Journal(_) | Effect::SetTimer { .. } | Effect::CloseStdout => None,
        Effect::Respond { .. } | Effect::BeginStream { .. } | Effect::StreamPart { .. } => None,
        Effect::EndStream(_) | Effect::Cut(_) | Effect::Reset(_) | Effect::Raw { .. } => None,
        Effect::CloseStdin | Effect::WriteStderr { .. } | Effect::Stop | Effect::Spawn(_) => None,
    })
}

/// How many effects one message may lead to with this script.
fn effects_per_message(script: &Script) -> usize {
    let many = |action: &Action| match action {
        Action::NotifyMany(many) => 2 * many.times as usize,
        Action::Progress(times) => 2 * *times as usize,
        Action::Trickle => ANSWER_BYTES,
        _ => 0,
    };
    EFFECTS_PER_MESSAGE + script.rules().iter().flat_map(|rule| &rule.actions).map(many).sum::<usize>()
}

/// Feeds inputs to a mock; what is wrong, where anything is.
fn fed(setup: Setup, inputs: &[Input]) -> Result<(), String> {
    let effects_max = effects_per_message(&setup.script);
    let mut mock = Machine::new(setup);
    let mut all = vec![Input::Started];
    all.extend(inputs.iter().cloned());
    let (mut n_messages_so_far, mut n_effects, mut ended) = (0, 0, false);
    for (index, mut input) in all.into_iter().enumerate() {
        if let Input::Request(request) = &mut input {
            request.exchange = ExchangeNo(index as u64);
        }
        n_messages_so_far += n_messages(&input);
        let shown = format!("{input:?}");
        let effects = mock.handle(input);
        n_effects += effects.len();
        if ended && !effects.is_empty() {
            return Err(format!("after the end, {shown} led to {effects:?}"));
        }
        if let Some(defect) = defect(&effects) {
            return Err(format!("{defect}: {shown} led to {effects:?}"));
        }
        if n_effects > n_messages_so_far * effects_max {
            return Err(format!("{n_effects} effects of {n_messages_so_far} messages, the last {shown}: {effects:?}"));
        }
        ended |= matches!(effects.last(), Some(Effect::End(_)));
    }
    Ok(())
}

/// Every shipped script over every framing that it fits.
fn carried() -> Vec<(&'static str, Framing)> {
    let fits = |name: &str, framing| shipped(name).unwrap().fits(ServerHome::OwnProcess, framing).is_ok();
    let over = [Framing::Lines, Framing::Http, Framing::Sse];
    let all = shipped_names().into_iter().flat_map(|name| over.map(|framing| (name, framing)));
    all.filter(|(name, framing)| fits(name, *framing)).collect()
}

#[test]
fn any_inputs_to_any_shipped_script_give_bounded_effects_in_order() {
    let scripts: BTreeMap<_, _> = shipped_names().into_iter().map(|name| (name, shipped(name).unwrap())).collect();
    let chosen = prop::sample::select(carried());
    let inputs = prop::collection::vec(any_input(), 0..60);
    let revision = prop::sample::select(Revision::ALL.to_vec());
    let config = ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let ran =
        runner.run(&(chosen, revision, any::<bool>(), inputs), |((name, framing), revision, stubborn, inputs)| {
            let shutdown_behaviour = if stubborn { ShutdownBehaviour::Stubborn } else { ShutdownBehaviour::Polite };
            let wrong = fed(setup(scripts[name].clone(), framing, revision, shutdown_behaviour), &inputs);
            wrong.map_err(TestCaseError::fail)
        });
    if let Err(error) = ran {
        panic!("{error}");
    }
}

/// A client may send what is held faster than anybody lets it go, and each message may be long.
#[test]
fn what_is_held_is_bounded_in_bytes_and_the_rest_goes_on() {
    let text = "about = \"x\"\n[[rule]]\non = { request = \"tools/call\" }\ndo = [{ hold = \"g\" }]\n";
    let script = Script::from_toml("s", "s.toml", text).unwrap();
    let mut mock = Machine::new(setup(script, Framing::Lines, Revision::NEWEST_HANDSHAKE, ShutdownBehaviour::Polite));
    let mut answered = |body: Value| {
        let line = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "read", "arguments": body } });
        let effects = mock.handle(Input::Line(line.to_string().into_bytes()));
        effects.iter().any(|effect| matches!(effect, Effect::Write(_)))
    };
    // Half of them are one long text, half are many short values, which weigh more in memory than on the wire.
    let long = |n: usize| {
        if n.is_multiple_of(2) { json!({ "a": "x".repeat(1 << 20) }) } else { json!({ "a": vec![0; 1 << 15] }) }
    };
    let n_held = (0..200).take_while(|n| !answered(long(*n))).count();
    // 1 MiB each, and 64 MiB may be held.
    assert!((48..=65).contains(&n_held), "{n_held} are held");
    assert!(answered(json!({})), "as if it were not to be held");
}

/// What is held keeps the answers to the others of its batch, and those may be long.
#[test]
fn answers_that_wait_in_batches_are_bounded_in_bytes_too() {
    let text = "about = \"x\"\n[[rule]]\non = { request = \"tools/call\", tool = \"read\" }\ndo = [{ hold = \"g\" }, \"drop\"]\n";
    let script = Script::from_toml("s", "s.toml", text).unwrap();
    let mut mock = Machine::new(setup(script, Framing::Lines, Revision::NEWEST_HANDSHAKE, ShutdownBehaviour::Polite));
    let params = json!({ "protocolVersion": "2025-03-26" });
    let initialize = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
    mock.handle(Input::Line(initialize.to_string().into_bytes()));
    let held = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": { "name": "read" } });
    let long = json!({ "jsonrpc": "2.0", "id": "x".repeat(1 << 20), "method": "ping" });
    let batch = Value::from(vec![held, long]).to_string().into_bytes();
    let mut answered = || {
        let effects = mock.handle(Input::Line(batch.clone()));
        effects.iter().any(|effect| matches!(effect, Effect::Write(_)))
    };
    let n_held = (0..200).take_while(|_| !answered()).count();
    // 1 MiB each, and 64 MiB may be kept.
    assert!((60..=65).contains(&n_held), "{n_held} wait");
}
