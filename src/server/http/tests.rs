//! The interpreter over HTTP: any inputs in any order, and what only it can show.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use crate::history::{ConnectionId, EventKind, Kind, WireEnd};
use crate::plan::Revision;
use crate::script::{Script, Signal, shipped, shipped_names};
use crate::server::{
    After, Body, Effect, Endpoint, ExchangeNo, HttpSetup, HttpStyle, Input, Machine, Request, Setup, SocketNo, TimerId,
};

const INITIALIZE: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;
const CALL: &str = r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"read"}}"#;

fn mock(script: Script) -> Machine {
    mock_of(HttpStyle::Streamable, script)
}

fn sse(script: Script) -> Machine {
    mock_of(HttpStyle::Sse { messages: "/t/messages".to_owned() }, script)
}

fn mock_of(style: HttpStyle, script: Script) -> Machine {
    let http = HttpSetup {
        url: "http://h/t/mcp".to_owned(),
        path: "/t/mcp".to_owned(),
        style,
        session_prefix: "s".to_owned(),
    };
    let setup = Setup::alone(script, Revision::R20251125, Endpoint::Http(http));
    Machine::new(Setup { connection: ConnectionId::from("c3"), ..setup })
}

fn request(exchange: u64, verb: &str, session: Option<&str>, body: &str) -> Input {
    let mut headers = BTreeMap::from([
        ("accept".to_owned(), "application/json, text/event-stream".to_owned()),
        ("content-type".to_owned(), "application/json".to_owned()),
    ]);
    headers.extend(session.map(|session| ("mcp-session-id".to_owned(), session.to_owned())));
    Input::Request(Request {
        exchange: ExchangeNo(exchange),
        socket: SocketNo(1),
        verb: verb.to_owned(),
        path: "/t/mcp".to_owned(),
        query: String::new(),
        shown_query: String::new(),
        headers,
        is_pipelined: false,
        body: Body::Whole(body.as_bytes().to_vec()),
    })
}

/// The same request over HTTP with server-sent events.
fn over_sse(input: Input) -> Input {
    let Input::Request(mut request) = input else { return input };
    if request.verb != "GET" {
        request.path = "/t/messages".to_owned();
        let session = request.headers.remove("mcp-session-id");
        request.query = session.map(|session| format!("session={session}")).unwrap_or_default();
    }
    Input::Request(request)
}

fn status(effects: &[Effect]) -> Vec<(u64, u16)> {
    let found = effects.iter().filter_map(|effect| match effect {
        Effect::Respond { exchange, response } | Effect::BeginStream { exchange, response } => {
            Some((exchange.0, response.status))
        }
        _ => None,
    });
    found.collect()
}

#[test]
fn connections_are_named_by_number_and_sessions_are_not_drawn_by_chance() {
    let mut mock = mock(shipped("polite").unwrap());
    for number in 1..=2 {
        let effects = mock.handle(request(number, "POST", None, INITIALIZE));
        let opened = effects.iter().find_map(|effect| match effect {
            Effect::Journal(EventKind::SessionOpened { connection, session }) => {
                Some((connection.to_string(), session.to_string()))
            }
            _ => None,
        });
        assert_eq!(opened, Some((format!("c3.{number}"), format!("s-{number}"))));
    }
}

#[test]
fn occasions_are_counted_on_each_connection() {
    let mut mock = mock(shipped("hold-call").unwrap());
    let mut exchange = 0;
    for session in ["s-1", "s-2"] {
        exchange += 10;
        mock.handle(request(exchange, "POST", None, INITIALIZE));
        let first = mock.handle(request(exchange + 1, "POST", Some(session), CALL));
        let second = mock.handle(request(exchange + 2, "POST", Some(session), CALL));
        assert_eq!((status(&first), status(&second)), (vec![], vec![(exchange + 2, 200)]), "{session}");
    }
}

#[test]
fn an_opening_that_its_client_gives_up_opens_no_session_later() {
    let text = "about = \"x\"\n[[rule]]\non = { request = \"initialize\" }\ndo = [{ hold = \"g\" }]\n";
    let mut mock = mock(Script::from_toml("s", "s.toml", text).unwrap());
    mock.handle(request(1, "POST", None, INITIALIZE));
    let gone = mock.handle(Input::ExchangeGone(ExchangeNo(1)));
    let closed = EventKind::ConnectionClosed { connection: ConnectionId::from("c3.1"), how: WireEnd::ByClient };
    assert!(gone.contains(&Effect::Journal(closed)), "{gone:?}");
    assert_eq!(mock.handle(Input::GateOpened("g".to_owned())), []);
    assert_eq!(status(&mock.handle(request(2, "POST", Some("s-1"), CALL))), [(2, 404)]);
}

#[test]
fn a_session_that_ends_answers_what_waits() {
    let mut mock = mock(shipped("hold-first-call").unwrap());
    mock.handle(request(1, "POST", None, INITIALIZE));
    mock.handle(request(2, "GET", Some("s-1"), ""));
    mock.handle(request(3, "POST", Some("s-1"), CALL));
    let effects = mock.handle(request(4, "DELETE", Some("s-1"), ""));
    assert_eq!(status(&effects), [(3, 404), (4, 204)]);
    assert!(effects.contains(&Effect::EndStream(ExchangeNo(2))));
    assert_eq!(mock.handle(Input::GateOpened("first-call".to_owned())), []);
}

#[test]
fn inputs_of_lines_are_none_over_http_and_the_other_way_round() {
    let mut http = mock(shipped("polite").unwrap());
    for input in [Input::Line(CALL.into()), Input::InputBroken, Input::OutputBroken] {
        assert_eq!(http.handle(input), []);
    }
}

#[test]
fn over_sse_a_post_is_answered_once_whatever_several_rules_say_of_it() {
    let text = "about = \"x\"\n[[rule]]\non = { request = \"tools/call\" }\ndo = [\"drop\"]\n\
                [[rule]]\non = { request = \"tools/call\" }\ndo = [{ status = 500 }]\n";
    let mut mock = sse(Script::from_toml("s", "s.toml", text).unwrap());
    mock.handle(request(1, "GET", None, ""));
    let effects = mock.handle(over_sse(request(2, "POST", Some("s-1"), CALL)));
    assert_eq!(status(&effects), [(2, 202)]);
}

#[test]
fn over_sse_a_call_that_is_cancelled_while_its_post_waits_is_accepted() {
    let text =
        "about = \"x\"\n[[rule]]\non = { request = \"tools/call\" }\ndo = [{ hold = \"g\" }, { status = 500 }]\n";
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    let mut mock = sse(Script::from_toml("s", "s.toml", text).unwrap());
    mock.handle(request(1, "GET", None, ""));
    assert_eq!(status(&mock.handle(over_sse(request(2, "POST", Some("s-1"), CALL)))), []);
    assert_eq!(status(&mock.handle(over_sse(request(3, "POST", Some("s-1"), cancel)))), [(3, 202)]);
    assert_eq!(status(&mock.handle(Input::GateOpened("g".to_owned()))), [(2, 202)]);
}

#[test]
fn over_sse_a_stream_that_its_client_gives_up_is_the_end_of_what_waits() {
    let mut mock = sse(shipped("hold-first-call").unwrap());
    let opened = mock.handle(request(1, "GET", None, ""));
    let endpoint = b"event: endpoint\ndata: /t/messages?session=s-1\n\n".to_vec();
    assert_eq!(opened.last(), Some(&Effect::StreamPart { exchange: ExchangeNo(1), bytes: endpoint }));
    assert_eq!(status(&mock.handle(over_sse(request(2, "POST", Some("s-1"), CALL)))), [(2, 202)]);
    let gone = mock.handle(Input::ExchangeGone(ExchangeNo(1)));
    let closed = EventKind::ConnectionClosed { connection: ConnectionId::from("c3.1"), how: WireEnd::ByClient };
    assert!(gone.contains(&Effect::Journal(closed)), "{gone:?}");
    assert_eq!(mock.handle(Input::GateOpened("first-call".to_owned())), []);
}

fn any_input() -> impl Strategy<Value = Input> {
    let bodies = [
        INITIALIZE,
        INITIALIZED,
        CALL,
        r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#,
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/list"}"#,
        r#"{"jsonrpc":"2.0","id":1,"result":{}}"#,
        r#"[{"jsonrpc":"2.0","id":1,"method":"ping"},{"jsonrpc":"2.0","id":2,"method":"tools/list"}]"#,
        "{",
        "",
    ];
    let session = prop::sample::select(vec![None, Some("s-1"), Some("s-2"), Some("s-9")]);
    let verb = prop::sample::select(vec!["POST", "POST", "POST", "POST", "GET", "DELETE", "PUT"]);
    prop_oneof![
        12 => (verb, session, prop::sample::select(bodies.to_vec()))
            .prop_map(|(verb, session, body)| request(0, verb, session, body)),
        3 => (0..30_u64).prop_map(|exchange| Input::ExchangeGone(ExchangeNo(exchange))),
        3 => prop::sample::select(vec!["before-answer", "first-call", "die", "drop", "expire"])
            .prop_map(|gate| Input::GateOpened(gate.to_owned())),
        1 => prop::sample::select(Signal::CAUGHT).prop_map(Input::Signal),
        1 => prop::sample::select(vec![Input::Started, Input::Eof, Input::OutputFull, Input::SocketRefused,
            Input::SocketOpened(SocketNo(1)), Input::SocketClosed { socket: SocketNo(1), how: WireEnd::Broken },
            Input::Timer(TimerId(0)), Input::LifeOver]),
    ]
}

/// What is known of the exchanges of a mock from what it journals and does.
#[derive(Default)]
struct Seen {
    received: BTreeSet<u64>,
    answered: BTreeSet<u64>,
    over: BTreeSet<u64>,
    open: BTreeSet<String>,
}

impl Seen {
    /// Takes an effect; what is wrong with it.
    fn see(&mut self, effect: &Effect) -> Result<(), String> {
        let no = |id: &crate::history::ExchangeId| id.0[1..].parse::<u64>().unwrap();
        let wrong = |is_wrong: bool, what: &str| if is_wrong { Err(format!("{what}: {effect:?}")) } else { Ok(()) };
        match effect {
            Effect::Journal(EventKind::HttpReceived { exchange, .. } | EventKind::HttpStray { exchange, .. }) => {
                wrong(!self.received.insert(no(exchange)), "received twice")
            }
            Effect::Journal(EventKind::HttpAnswered { exchange, .. }) => wrong(
                !self.answered.insert(no(exchange)) || self.over.contains(&no(exchange)),
                "answered twice or late",
            ),
            Effect::Journal(EventKind::HttpEnded { exchange, .. }) => {
                wrong(!self.over.insert(no(exchange)), "ended twice")
            }
            Effect::Journal(EventKind::ConnectionOpened { connection }) => {
                wrong(!self.open.insert(connection.to_string()), "opened twice")
            }
            Effect::Journal(EventKind::ConnectionClosed { connection, .. }) => {
                wrong(!self.open.remove(connection.0.as_str()), "closed and not open")
            }
            Effect::Journal(EventKind::WireReceived { connection, .. } | EventKind::WireSent { connection, .. }) => {
                wrong(!self.open.contains(connection.0.as_str()), "a message of a connection that is not open")
            }
            Effect::Respond { exchange, .. } => wrong(!self.over.contains(&exchange.0), "not on record"),
            Effect::BeginStream { exchange, .. } | Effect::StreamPart { exchange, .. } => {
                wrong(!self.answered.contains(&exchange.0) || self.over.contains(&exchange.0), "no open stream")
            }
            Effect::EndStream(exchange) | Effect::Cut(exchange) | Effect::Reset(exchange) => {
                wrong(!self.over.contains(&exchange.0), "not on record")
            }
            Effect::Raw { exchange, after, .. } => {
                wrong((*after == After::Close) != self.over.contains(&exchange.0), "over, or not, against what follows")
            }
            Effect::Write(_) | Effect::WriteApart(_) | Effect::CloseStdout | Effect::CloseStdin => {
                Err(format!("an effect of lines: {effect:?}"))
            }
            Effect::Journal(_) | Effect::SetTimer { .. } | Effect::End(_) => Ok(()),
            Effect::WriteStderr { .. } | Effect::Stop | Effect::Spawn(_) => Ok(()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever comes in whatever order: no panic, nothing after the end, everything on record before it is done, and every
    /// exchange and connection opened, answered and ended once.
    #[test]
    fn any_inputs_give_ordered_effects(
        name in prop::sample::select(shipped_names()),
        is_sse in any::<bool>(),
        inputs in prop::collection::vec(any_input(), 0..60),
    ) {
        let make = if is_sse { sse } else { mock };
        let (mut mock, mut again) = (make(shipped(name).unwrap()), make(shipped(name).unwrap()));
        let (mut seen, mut ended) = (Seen::default(), false);
        for (index, input) in inputs.into_iter().enumerate() {
            let mut input = if is_sse { over_sse(input) } else { input };
            if let Input::Request(request) = &mut input {
                request.exchange = ExchangeNo(index as u64);
            }
            let effects = mock.handle(input.clone());
            prop_assert_eq!(&effects, &again.handle(input));
            prop_assert!(!ended || effects.is_empty());
            for effect in &effects {
                let seen = seen.see(effect);
                prop_assert!(seen.is_ok(), "{:?} in {:?}", seen, effects);
            }
            ended |= matches!(effects.last(), Some(Effect::End(_)));
        }
        prop_assert!(seen.over.is_subset(&seen.received) && seen.answered.is_subset(&seen.received));
    }
}

#[test]
fn what_is_answered_in_one_piece_is_one_write_of_the_journal() {
    let mut mock = mock(shipped("polite").unwrap());
    let effects = mock.handle(request(1, "POST", None, INITIALIZE));
    let first_act = effects.iter().position(|effect| !matches!(effect, Effect::Journal(_)));
    assert_eq!(first_act, Some(effects.len() - 1), "{effects:?}");
    let kinds: Vec<Kind> = effects
        .iter()
        .filter_map(|effect| if let Effect::Journal(kind) = effect { Some(kind.kind()) } else { None })
        .collect();
    assert_eq!(
        kinds,
        [
            Kind::HttpReceived,
            Kind::ConnectionOpened,
            Kind::WireReceived,
            Kind::SessionOpened,
            Kind::WireSent,
            Kind::HttpAnswered,
            Kind::HttpEnded
        ]
    );
}
