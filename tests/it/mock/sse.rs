//! Scripts over HTTP with server-sent events: the stream, what is posted, and their order in the journal.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};

use mcp_lifecheck::mock::DriverKind;
use mcp_lifecheck::script::{Script, shipped};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;

use crate::mock::client::{INITIALIZE, INITIALIZED, LIST, answered, call, mock_command};
use crate::mock::http_client::{Chunk, Mock, Reply, Socket};
use crate::rig::LIFECHECK;

/// A client of the transport: its stream, and where it posts.
struct Stream {
    socket: Socket,
    host: String,
    endpoint: String,
}

fn mock(script: &Script) -> Mock {
    Mock::over(DriverKind::Sse, script, json!({}))
}

fn polite() -> Mock {
    mock(&shipped("polite").unwrap())
}

fn rule(on: &str, actions: &str) -> Mock {
    let text = format!("about = \"x\"\n[[rule]]\non = {on}\ndo = {actions}\n");
    mock(&Script::from_toml("s", "s.toml", &text).unwrap())
}

/// What the first fault impairs.
fn impaired(mock: &Mock) -> String {
    mock.home.wait_for("fault.delivered");
    let events = mock.home.events();
    let fault = events.iter().find(|event| event["event"] == "fault.delivered").unwrap();
    fault["impairs"].as_str().unwrap().to_owned()
}

impl Stream {
    fn to(host: &str, path: &str) -> Self {
        let mut socket = Socket::to(host, path);
        socket.get();
        let head = socket.head();
        assert_eq!((head.status, head.headers["content-type"].as_str()), (200, "text/event-stream"));
        let Chunk::Data(first) = socket.chunk() else { panic!("the stream is over") };
        let endpoint = first.strip_prefix("event: endpoint\ndata: ").and_then(|rest| rest.strip_suffix("\n\n"));
        let endpoint = endpoint.unwrap_or_else(|| panic!("found {first:?}, expected an endpoint")).to_owned();
        Self { socket, host: host.to_owned(), endpoint }
    }

    fn open(mock: &Mock) -> Self {
        Self::to(&mock.host, &mock.path)
    }

    /// With its handshake.
    fn initialized(mock: &Mock) -> Self {
        let mut stream = Self::open(mock);
        assert_eq!(stream.post(INITIALIZE).status, 202);
        assert_eq!(stream.socket.event()["result"]["protocolVersion"], "2025-11-25");
        assert_eq!(stream.post(INITIALIZED).status, 202);
        stream
    }

    /// A socket that posts to where this stream says.
    fn poster(&self) -> Socket {
        Socket::to(&self.host, &self.endpoint)
    }

    fn post(&self, message: &str) -> Reply {
        self.poster().post(message)
    }
}

#[test]
fn a_whole_life_goes_over_one_stream_and_is_journalled_before_it_happens() {
    let mut mock = polite();
    let mut stream = Stream::initialized(&mock);
    let accepted = stream.post(LIST);
    assert_eq!((accepted.status, accepted.body.as_str()), (202, "Accepted"));
    assert!(!accepted.headers.contains_key("mcp-session-id"));
    assert_eq!(stream.socket.event()["result"]["tools"][0]["name"], "read");
    assert_eq!(stream.post(&call(3)).status, 202);
    assert_eq!(stream.socket.event(), answered(3));
    drop(stream.socket);
    mock.home.wait_for_short("connection.closed by-client");
    assert_eq!(Socket::to(&mock.host, &stream.endpoint).post(LIST).status, 404);
    mock.process.signal(Signal::TERM);
    assert_eq!(mock.process.death(), Signal::TERM.as_raw());
    let journal: Vec<_> = mock.home.journal().into_iter().filter(|line| !line.starts_with("socket.")).collect();
    insta::assert_snapshot!(journal.join("\n"), @r#"
    mock.started
    mock.listening
    http.received x1 GET
    connection.opened
    session.opened
    http.answered x1 200
    http.received x2 POST
    wire.received initialize
    http.answered x2 202
    http.ended x2 by-server
    wire.sent 1
    http.received x3 POST
    wire.received notifications/initialized
    http.answered x3 202
    http.ended x3 by-server
    http.received x4 POST
    wire.received tools/list
    http.answered x4 202
    http.ended x4 by-server
    wire.sent 2
    http.received x5 POST
    wire.received tools/call
    http.answered x5 202
    http.ended x5 by-server
    wire.sent 3
    http.ended x1 by-client
    session.closed by-client
    connection.closed by-client
    http.received x6 POST
    http.answered x6 404
    http.ended x6 by-server
    signal.received TERM
    mock.ending {"signal":"TERM"}
    "#);
}

#[test]
fn what_a_conforming_server_refuses_is_refused() {
    let mock = polite();
    let stream = Stream::initialized(&mock);
    let (get, post) = (mock.path.as_str(), stream.endpoint.as_str());
    let (messages, json) = (post.split('?').next().unwrap(), ("Content-Type", "application/json"));
    let unknown = format!("{messages}?session=nobody");
    let evil = ("Origin", "http://evil.example");
    let cases = [
        (404, "GET", "/sse", vec![], ""),
        (404, "POST", "/messages?session=x", vec![json], LIST),
        (403, "GET", get, vec![evil], ""),
        (405, "POST", get, vec![json], INITIALIZE),
        (405, "DELETE", get, vec![], ""),
        (405, "GET", post, vec![], ""),
        (405, "DELETE", post, vec![], ""),
        (404, "POST", unknown.as_str(), vec![json], LIST),
        (400, "POST", messages, vec![json], LIST),
        (415, "POST", post, vec![], LIST),
        (403, "POST", post, vec![json, evil], LIST),
        (400, "POST", post, vec![json], "{"),
        (400, "POST", post, vec![json], "[]"),
        (400, "POST", post, vec![json], "3"),
        (400, "POST", post, vec![json], r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#),
    ];
    for (status, verb, path, headers, body) in cases {
        let mut socket = Socket::to(&mock.host, path);
        socket.send(verb, path, &headers, body);
        let found = socket.reply();
        assert_eq!(found.status, status, "{verb} {path} {headers:?} {body}: {found:?}");
    }
}

#[test]
fn each_of_two_clients_has_a_session_and_its_own_answers() {
    let mock = polite();
    let (mut one, mut other) = (Stream::initialized(&mock), Stream::initialized(&mock));
    assert_ne!(one.endpoint, other.endpoint);
    assert_eq!(other.post(&call(4)).status, 202);
    assert_eq!(one.post(&call(3)).status, 202);
    assert_eq!((one.socket.event(), other.socket.event()), (answered(3), answered(4)));
    drop(one.socket);
    mock.home.wait_for_short("connection.closed by-client");
    assert_eq!(other.post(&call(5)).status, 202);
    assert_eq!(other.socket.event(), answered(5));
}

#[test]
fn a_message_of_the_server_s_own_comes_on_the_stream_in_its_turn() {
    let mock = rule("{ request = \"tools/call\" }", "[{ ask = \"ping\" }, \"answer\"]");
    let mut stream = Stream::initialized(&mock);
    assert_eq!(stream.post(&call(3)).status, 202);
    assert_eq!(stream.socket.event()["method"], "ping");
    assert_eq!(stream.socket.event(), answered(3));
    assert_eq!(stream.post(r#"{"jsonrpc":"2.0","id":0,"result":{}}"#).status, 202);
}

#[test]
fn a_call_is_accepted_before_it_is_held_or_dropped() {
    let held = mock(&shipped("hold-call").unwrap());
    let mut stream = Stream::initialized(&held);
    assert_eq!(stream.post(&call(3)).status, 202);
    held.home.wait_for_short("gate.reached before-answer");
    held.home.open_gate("before-answer");
    assert_eq!(stream.socket.event(), answered(3));

    let dropped = rule("{ request = \"tools/call\", nth = 1 }", "[\"drop\"]");
    let mut stream = Stream::initialized(&dropped);
    assert_eq!(stream.post(&call(3)).status, 202);
    assert_eq!(stream.post(&call(4)).status, 202);
    assert_eq!(stream.socket.event(), answered(4));
}

#[test]
fn a_post_can_be_refused_and_reset() {
    let refused = rule("{ request = \"tools/call\", nth = 1 }", "[{ status = 503 }]");
    let mut stream = Stream::initialized(&refused);
    assert_eq!(stream.post(&call(3)).status, 503);
    assert_eq!(stream.post(&call(4)).status, 202);
    assert_eq!(stream.socket.event(), answered(4));

    let reset = rule("{ request = \"tools/call\", nth = 1 }", "[\"reset\"]");
    let mut stream = Stream::initialized(&reset);
    let mut poster = stream.poster();
    poster.ask(&call(3));
    assert_eq!(poster.chunk(), Chunk::Reset);
    assert_eq!(stream.post(&call(4)).status, 202);
    assert_eq!(stream.socket.event(), answered(4));
}

#[test]
fn a_get_can_be_refused_and_its_connection_is_over() {
    let mock = mock(&shipped("get-refused").unwrap());
    let mut socket = mock.socket();
    socket.get();
    assert_eq!(socket.reply().status, 405);
    assert_eq!(impaired(&mock), "connection");
    mock.home.wait_for_short("connection.closed by-server");
}

#[test]
fn the_end_of_the_stream_is_the_end_of_the_session() {
    for (action, end) in [("end-stream", Chunk::End), ("cut-stream", Chunk::Cut), ("expire-session", Chunk::End)] {
        let mock = rule("{ request = \"tools/call\" }", &format!("[\"{action}\"]"));
        let mut stream = Stream::initialized(&mock);
        assert_eq!(stream.post(&call(3)).status, 202, "{action}");
        assert_eq!(stream.socket.chunk(), end, "{action}");
        assert_eq!(stream.post(&call(4)).status, 404, "{action}");
        assert_eq!(impaired(&mock), "connection", "{action}");
        let ended = mock.home.journal();
        let closed = ended.iter().position(|line| line == "session.closed by-server");
        assert!(closed.is_some() && ended.iter().any(|line| line == "connection.closed by-server"), "{ended:?}");
    }
}

#[test]
fn a_mock_alone_prints_its_url_and_leaves_a_journal_that_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("journal.jsonl");
    let mut command = mock_command();
    command.args(["sse", "--script", "polite", "--listen", "127.0.0.1:0", "--revision", "2024-11-05", "--journal"]);
    let mut child = command.arg(&file).stdout(Stdio::piped()).spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    let (host, path) = url.trim().strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut stream = Stream::to(host, &format!("/{path}"));
    assert_eq!(stream.post(INITIALIZE).status, 202);
    assert_eq!(stream.socket.event()["result"]["protocolVersion"], "2024-11-05");
    assert_eq!(stream.post(INITIALIZED).status, 202);
    assert_eq!(stream.post(&call(3)).status, 202);
    assert_eq!(stream.socket.event(), answered(3));
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    child.wait().unwrap();
    assert_eq!(stream.socket.chunk(), Chunk::Cut);
    let checked = Command::new(LIFECHECK).args(["check", "--from", "journal"]).arg(&file).output().unwrap();
    let text = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(checked.status.code(), Some(0), "{text}{}", String::from_utf8_lossy(&checked.stderr));
    assert!(std::fs::read_to_string(&file).unwrap().contains("\"transport\":\"sse\""));
}
