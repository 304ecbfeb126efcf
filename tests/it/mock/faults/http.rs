//! Over HTTP: the bytes on the socket, and how it ends.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

use super::{CHANGED, assert_delivered, conforming, progress};
use crate::mock::client::{INITIALIZE, call};
use crate::mock::home::LIMIT;
use crate::mock::http_client::Mock;

const CALL: &str = "{ request = \"tools/call\", nth = 1 }";
const REFUSED: &str = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"Refused by the script"}}"#;

/// What a script does about a request, and what a client reads on its socket.
struct Case {
    fault: &'static str,
    on: &'static str,
    actions: &'static str,
    asks: Asks,
    sees: String,
    ends: Ends,
}

/// What the client asks for on the socket that is looked at.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Asks {
    Call,
    Notification,
    Get,
}

/// How the socket ends.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Ends {
    /// The server closes it.
    Eof,
    /// The server resets it.
    Reset,
    /// The server leaves it open, and says no more.
    Open,
    /// The server closes its side, and sees when the client leaves.
    Half,
}

fn case(fault: &'static str, actions: &'static str, sees: impl Into<String>) -> Case {
    Case { fault, on: CALL, actions, asks: Asks::Call, sees: sees.into(), ends: Ends::Eof }
}

impl Case {
    fn ends(self, ends: Ends) -> Self {
        Self { ends, ..self }
    }

    fn asks(self, on: &'static str, asks: Asks) -> Self {
        Self { on, asks, ..self }
    }
}

/// A response of the mock's HTTP server to a client that wants the socket closed.
fn response(status: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\n{headers}connection: close\r\ncontent-length: {}\r\n\r\n{body}", body.len())
}

fn chunk(text: &str) -> String {
    format!("{:X}\r\n{text}\r\n", text.len())
}

/// A stream of events up to its last part.
fn stream(parts: &[&str]) -> String {
    let headers = "content-type: text/event-stream\r\ncache-control: no-cache, no-transform\r\n";
    let body: String = parts.iter().map(|part| chunk(part)).collect();
    format!("HTTP/1.1 200 OK\r\n{headers}connection: close\r\ntransfer-encoding: chunked\r\n\r\n{body}")
}

fn whole_stream(parts: &[&str]) -> String {
    format!("{}0\r\n\r\n", stream(parts))
}

fn event(message: &str) -> String {
    format!("event: message\ndata: {message}\n\n")
}

/// A response that no HTTP server of the mock wrote.
fn raw(framing: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n{framing}\r\n\r\n{body}")
}

fn responses() -> Vec<Case> {
    let json = "content-type: application/json";
    let trickled: String = conforming(3).chars().map(|letter| chunk(&letter.to_string())).collect();
    vec![
        case("status", "[{ status = 503 }]", response("503 Service Unavailable", &[json], REFUSED)),
        case("bare-status", "[{ bare-status = 400 }]", response("400 Bad Request", &[], "")),
        case(
            "unauthorized",
            "[\"unauthorized\"]",
            response("401 Unauthorized", &["www-authenticate: Bearer realm=\"mcp-mock\""], ""),
        ),
        case("retry-after", "[{ retry-after = 7 }]", response("429 Too Many Requests", &["retry-after: 7"], "")),
        case("redirect", "[{ redirect = 307 }]", response("307 Temporary Redirect", &["location: PATH/moved"], "")),
        case("redirect-loop", "[{ redirect-loop = 308 }]", response("308 Permanent Redirect", &["location: PATH"], "")),
        case(
            "content-type",
            "[{ content-type = \"text/html\" }]",
            response("200 OK", &["content-type: text/html"], &conforming(3)),
        ),
        case(
            "name-session",
            "[{ name-session = \"s-1\" }]",
            response("200 OK", &[json, "mcp-session-id: s-1"], &conforming(3)),
        ),
        case("empty-body", "[\"empty-body\"]", response("200 OK", &[json], "")),
        case("accepted", "[\"accepted\"]", response("202 Accepted", &[], "")),
        case("accepted-body", "[\"accepted-body\"]", response("202 Accepted", &[json], "{}"))
            .asks("{ notification = \"notifications/progress\" }", Asks::Notification),
        case(
            "trickle",
            "[\"trickle\"]",
            format!(
                "HTTP/1.1 200 OK\r\n{json}\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n{trickled}0\r\n\r\n"
            ),
        ),
        case("reset", "[\"reset\"]", "").ends(Ends::Reset),
    ]
}

fn raws() -> Vec<Case> {
    let whole = conforming(3);
    let half = &whole[..whole.len() / 2];
    let length = |n_bytes: usize| format!("content-length: {n_bytes}");
    let truncated = format!("{:x}\r\n{half}", whole.len());
    vec![
        case("truncate-chunk", "[\"truncate-chunk\"]", raw("transfer-encoding: chunked", &truncated)),
        case("long-length", "[\"long-length\"]", raw(&length(whole.len() + 64), &whole)),
        case("short-length", "[\"short-length\"]", raw(&length(half.len()), &whole)),
        case("stalled-head", "[\"stalled-head\"]", "HTTP/1.1 200 OK\r\ncontent-type: applica").ends(Ends::Open),
        case("stalled-body", "[\"stalled-body\"]", raw(&length(whole.len()), half)).ends(Ends::Open),
        case("half-close", "[\"half-close\"]", raw(&length(whole.len()), half)).ends(Ends::Half),
        case("close-after", "[\"close-after\"]", raw(&length(whole.len()), &whole)),
        case("raw-bytes", "[{ raw-bytes = \"48 49 0d 0a\" }]", "HI\r\n"),
    ]
}

fn streams() -> Vec<Case> {
    let get = |fault, actions, sees: String| case(fault, actions, sees).asks("{ get = true }", Asks::Get);
    let whole = event(&conforming(3));
    let over_lines = format!("event: message\ndata: {{\ndata: {}\n\n", &conforming(3)[1..]);
    vec![
        case("event-id", "[{ event-id = \"7\" }]", whole_stream(&["id: 7\ndata:\n\n", &whole])),
        case("retry", "[{ retry = 0 }]", whole_stream(&["retry: 0\n\n", &whole])),
        case(
            "comments",
            "[{ comments = 3 }]",
            whole_stream(&[": still here\n\n: still here\n\n: still here\n\n", &whole]),
        ),
        case(
            "other-event",
            "[{ other-event = \"ping\" }]",
            whole_stream(&["event: ping\ndata: {\"is\":\"no message\"}\n\n", &whole]),
        ),
        case("data-lines", "[\"data-lines\"]", whole_stream(&[&over_lines])),
        case("progress", "[{ progress = 1 }]", whole_stream(&[&event(&progress(1)), &whole])),
        case("end-stream", "[\"sse\", { comments = 1 }, \"end-stream\"]", whole_stream(&[": still here\n\n"])),
        case("cut-stream", "[\"sse\", { comments = 1 }, \"cut-stream\"]", stream(&[": still here\n\n"])),
        get("end-stream", "[\"answer\", { comments = 1 }, \"end-stream\"]", whole_stream(&[": still here\n\n"])),
        get("cut-stream", "[\"answer\", { retry = 9 }, \"cut-stream\"]", stream(&["retry: 9\n\n"])),
        get("stalled-head", "[\"stalled-head\"]", "HTTP/1.1 200 OK\r\ncontent-type: applica".to_owned())
            .ends(Ends::Open),
    ]
}

/// Cases that a test of their own sees to.
const APART: [&str; 3] = ["wrong-stream", "same-session", "expire-session"];

/// The faults that are tested here, each once or more.
pub fn faults() -> impl Iterator<Item = &'static str> {
    responses().into_iter().chain(raws()).chain(streams()).map(|case| case.fault).chain(APART)
}

/// One request, with the socket to be closed behind its response.
fn request(mock: &Mock, session: Option<&str>, asks: Asks, body: &str) -> String {
    let (verb, accept) = match asks {
        Asks::Get => ("GET", "text/event-stream"),
        Asks::Call | Asks::Notification => ("POST", "application/json, text/event-stream"),
    };
    let session = session.map(|id| format!("mcp-session-id: {id}\r\n")).unwrap_or_default();
    format!(
        "{verb} {} HTTP/1.1\r\nhost: {}\r\naccept: {accept}\r\ncontent-type: application/json\r\n{session}\
         connection: close\r\ncontent-length: {}\r\n\r\n{body}",
        mock.path,
        mock.host,
        body.len()
    )
}

fn connect(mock: &Mock) -> TcpStream {
    let socket = TcpStream::connect(&mock.host).unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    socket
}

#[test]
fn over_http_a_client_sees_what_is_promised_and_nothing_else() {
    for case in responses().into_iter().chain(raws()).chain(streams()) {
        let mock = Mock::rule(case.on, case.actions);
        let session = mock.session();
        let body = match case.asks {
            Asks::Call => call(3),
            Asks::Notification => {
                let params = r#"{"progressToken":1,"progress":1}"#;
                format!(r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{params}}}"#)
            }
            Asks::Get => String::new(),
        };
        let mut socket = connect(&mock);
        socket.write_all(request(&mock, session.session.as_deref(), case.asks, &body).as_bytes()).unwrap();
        let expected = case.sees.replace("PATH", &mock.path);
        let mut seen = vec![0; expected.len()];
        socket.read_exact(&mut seen).unwrap_or_else(|error| panic!("{}: {error}", case.fault));
        assert_eq!(String::from_utf8_lossy(&seen), expected, "{}", case.fault);
        end(&mock, &mut socket, case.ends, case.fault);
        assert_delivered(&mock.home, case.fault, case.fault);
        // The next one is served as if nothing had been.
        if case.asks == Asks::Call {
            let next = mock.socket_of(&session).post(&call(4)).json();
            assert_eq!(next, serde_json::from_str::<serde_json::Value>(&conforming(4)).unwrap(), "{}", case.fault);
        }
    }
}

fn end(mock: &Mock, socket: &mut TcpStream, how: Ends, fault: &str) {
    match how {
        Ends::Eof => {
            let mut rest = Vec::new();
            socket.read_to_end(&mut rest).unwrap_or_else(|error| panic!("{fault}: {error}"));
            assert_eq!(String::from_utf8_lossy(&rest), "", "{fault}");
        }
        Ends::Reset => {
            assert_eq!(socket.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::ConnectionReset, "{fault}");
        }
        Ends::Half => {
            assert_eq!(socket.read(&mut [0; 1]).unwrap(), 0, "{fault}");
            assert!(!has_left(mock), "{fault}: its client is still there");
            leave(mock, socket);
        }
        Ends::Open => {
            assert!(!has_left(mock), "{fault}: its client is still there");
            leave(mock, socket);
        }
    }
}

/// Whether an exchange is over because its client left.
fn has_left(mock: &Mock) -> bool {
    mock.home.journal().iter().any(|event| event.starts_with("http.ended") && event.ends_with("by-client"))
}

fn leave(mock: &Mock, socket: &mut TcpStream) {
    socket.shutdown(Shutdown::Both).unwrap();
    mock.home.wait_for_short("by-client");
}

#[test]
fn an_answer_comes_on_the_stream_of_the_session() {
    let mock = Mock::rule(CALL, "[\"wrong-stream\"]");
    let (mut socket, mut stream) = mock.session_with_stream();
    let reply = socket.post(&call(3));
    assert_eq!((reply.status, reply.body.as_str()), (202, ""));
    assert_eq!(stream.event(), serde_json::from_str::<serde_json::Value>(&conforming(3)).unwrap());
    assert_delivered(&mock.home, "wrong-stream", "wrong-stream");
}

#[test]
fn two_sessions_have_one_id() {
    let mock = Mock::rule("{ request = \"initialize\", connection = 2 }", "[\"same-session\"]");
    let (first, second, third) = (mock.session(), mock.session(), mock.session());
    assert!(first.session.is_some());
    assert_eq!(first.session, second.session);
    assert_ne!(first.session, third.session);
    assert_delivered(&mock.home, "same-session", "same-session");
}

#[test]
fn a_session_that_ended_is_unknown() {
    let mock = Mock::rule(CALL, "[\"answer\", \"expire-session\"]");
    let mut socket = mock.session();
    assert_eq!(socket.post(&call(3)).status, 200);
    assert_eq!(socket.post(&call(4)).status, 404);
    assert_eq!(mock.socket().post(INITIALIZE).status, 200);
    assert_delivered(&mock.home, "expire-session", "expire-session");
}

#[test]
fn a_flood_of_notifications_waits_for_its_stream_and_is_bounded() {
    let many = "[{ notify-many = { method = \"notifications/tools/list_changed\", times = 1000 } }]";
    let mock = Mock::rule(CALL, many);
    let mut socket = mock.session();
    assert_eq!(socket.post(&call(3)).status, 200);
    // No client has a stream: the mock records as lost what cannot wait.
    mock.home.wait_for_short("evidence.truncated");
    let mut stream = mock.socket_of(&socket);
    stream.get();
    assert_eq!(stream.head().status, 200);
    assert_eq!(stream.event(), serde_json::from_str::<serde_json::Value>(CHANGED).unwrap());
}
