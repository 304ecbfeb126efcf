//! Every script over streamable HTTP: status, headers, bytes, and their order in the journal.

use mcp_lifecheck::script::Script;
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::mock::client::{INITIALIZE, INITIALIZED, LIST, answered, call};
use crate::mock::http_client::{Chunk, Mock};

#[test]
fn a_whole_life_is_answered_and_journalled_before_it_is_answered() {
    let mut mock = Mock::shipped("polite");
    let (mut socket, mut stream) = mock.session_with_stream();
    let listed = socket.post(LIST);
    assert_eq!(listed.headers["content-type"], "application/json");
    assert!(!listed.headers.contains_key("mcp-session-id") && !listed.headers.contains_key("date"));
    assert_eq!(listed.json()["result"]["tools"][0]["name"], "read");
    assert_eq!(socket.post(&call(3)).json(), answered(3));
    socket.delete();
    assert_eq!(socket.reply().status, 204);
    assert_eq!(stream.chunk(), Chunk::End);
    assert_eq!(socket.post(LIST).status, 404);
    mock.process.signal(Signal::TERM);
    assert_eq!(mock.process.death(), Signal::TERM.as_raw());
    insta::assert_snapshot!(mock.home.journal().join("\n"), @r#"
    mock.started
    mock.listening
    socket.opened
    http.received x1 POST
    connection.opened
    wire.received initialize
    session.opened
    wire.sent 1
    http.answered x1 200
    http.ended x1 by-server
    http.received x2 POST
    wire.received notifications/initialized
    http.answered x2 202
    http.ended x2 by-server
    socket.opened
    http.received x3 GET
    http.answered x3 200
    http.received x4 POST
    wire.received tools/list
    wire.sent 2
    http.answered x4 200
    http.ended x4 by-server
    http.received x5 POST
    wire.received tools/call
    wire.sent 3
    http.answered x5 200
    http.ended x5 by-server
    http.received x6 DELETE
    session.closed by-client
    connection.closed by-client
    http.ended x3 by-server
    http.answered x6 204
    http.ended x6 by-server
    http.received x7 POST
    http.answered x7 404
    http.ended x7 by-server
    signal.received TERM
    mock.ending {"signal":"TERM"}
    "#);
}

/// The status that is expected, and the request: verb, path, header fields, body.
type Refused<'a> = (u16, &'a str, &'a str, Vec<(&'a str, &'a str)>, &'a str);

#[test]
fn what_a_conforming_server_refuses_is_refused() {
    let mock = Mock::shipped("polite");
    let session = mock.session();
    let id = session.session.clone().unwrap();
    let of = ("Mcp-Session-Id", id.as_str());
    let accept = ("Accept", "application/json, text/event-stream");
    let json = ("Content-Type", "application/json");
    let stream = ("Accept", "text/event-stream");
    let (path, long) = (mock.path.clone(), "x".repeat((6 << 20) + 1));
    let cases: Vec<Refused<'_>> = vec![
        (404, "POST", "/mcp", vec![accept, json], INITIALIZE),
        (404, "POST", "/", vec![accept, json, of], LIST),
        (404, "GET", "/guessed/mcp", vec![stream, of], ""),
        (406, "POST", &path, vec![json, of], LIST),
        (406, "POST", &path, vec![("Accept", "application/json"), json, of], LIST),
        (406, "GET", &path, vec![("Accept", "application/json"), of], ""),
        (415, "POST", &path, vec![accept, of], LIST),
        (415, "POST", &path, vec![accept, ("Content-Type", "text/plain"), of], LIST),
        (405, "PUT", &path, vec![of], ""),
        (403, "POST", &path, vec![accept, json, of, ("Origin", "http://evil.example")], LIST),
        (400, "POST", &path, vec![accept, json], LIST),
        (400, "GET", &path, vec![stream], ""),
        (400, "DELETE", &path, vec![], ""),
        (404, "POST", &path, vec![accept, json, ("Mcp-Session-Id", "nobody")], LIST),
        (404, "POST", &path, vec![accept, json, ("Mcp-Session-Id", "nobody")], INITIALIZE),
        (404, "DELETE", &path, vec![("Mcp-Session-Id", "nobody")], ""),
        (400, "POST", &path, vec![accept, json, of, ("MCP-Protocol-Version", "1999-01-01")], LIST),
        (400, "GET", &path, vec![stream, of, ("MCP-Protocol-Version", "2026-07-28")], ""),
        (400, "POST", &path, vec![accept, json, of], "{"),
        (400, "POST", &path, vec![accept, json, of], "3"),
        (400, "POST", &path, vec![accept, json, of], "[]"),
        (400, "POST", &path, vec![accept, json, of], r#"{"jsonrpc":"2.0","id":null,"method":"ping"}"#),
        (413, "POST", &path, vec![accept, json, of], &long),
    ];
    for (status, verb, path, headers, body) in cases {
        let mut socket = mock.socket();
        socket.send(verb, path, &headers, body);
        let found = socket.reply();
        assert_eq!(found.status, status, "{verb} {path} {headers:?} {:.80}: {found:?}", body);
    }
    let ok = [
        vec![accept, json, of, ("MCP-Protocol-Version", "2025-11-25"), ("Origin", "http://localhost:5173")],
        vec![("Accept", "*/*"), ("Content-Type", "application/json; charset=utf-8"), of],
    ];
    for headers in ok {
        let mut socket = mock.socket();
        socket.send("POST", &path, &headers, LIST);
        assert_eq!(socket.reply().status, 200, "{headers:?}");
    }
}

#[test]
fn a_stranger_is_journalled_and_touches_nothing() {
    let mock = Mock::shipped("polite");
    let session = mock.session();
    let mut stranger = mock.socket();
    stranger.send("DELETE", "/mcp", &[("Mcp-Session-Id", session.session.as_deref().unwrap())], "");
    assert_eq!(stranger.reply().status, 404);
    let received = mock.home.wait_for_short("http.stray x3 DELETE");
    assert!(received.get("connection").is_none() && received["path"] == "/mcp", "{received}");
    assert_eq!(received["session"], session.session.as_deref().unwrap());
    let mut session = session;
    assert_eq!(session.post(LIST).status, 200);
}

#[test]
fn what_a_verdict_needs_of_a_request_is_journalled_and_no_secret() {
    let mock = Mock::shipped("polite");
    let mut socket = mock.socket();
    let path = format!("{}?access_token=hidden-one&page=2", mock.path);
    let headers = [
        ("Accept", "application/json"),
        ("Accept", "text/event-stream"),
        ("Content-Type", "application/json"),
        ("Authorization", "Bearer hidden-two"),
        ("Mcp-Param-Region", "north"),
    ];
    socket.send("POST", &path, &headers, INITIALIZE);
    assert_eq!(socket.reply().status, 200);
    let received = mock.home.wait_for_short("http.received x1 POST");
    assert_eq!(received["path"], mock.path.as_str());
    assert_eq!(received["headers"]["accept"], "application/json, text/event-stream");
    assert_eq!(received["headers"]["mcp-param-region"], "north");
    let query = received["query"].as_str().unwrap();
    assert!(query.starts_with("access_token=~") && query.ends_with("&page=2"), "{query}");
    let token = received["headers"]["authorization"].as_str().unwrap();
    assert!(token.starts_with("Bearer ~"), "{token}");
    assert!(!received.to_string().contains("hidden"), "{received}");
}

#[test]
fn without_a_session_only_a_ping_is_answered() {
    let mock = Mock::shipped("polite");
    let mut socket = mock.socket();
    let pong = socket.post(r#"{"jsonrpc":"2.0","id":"a","method":"ping"}"#);
    assert_eq!((pong.status, pong.json()), (200, json!({ "jsonrpc": "2.0", "id": "a", "result": {} })));
    let discovered = socket.post(r#"{"jsonrpc":"2.0","id":1,"method":"server/discover"}"#);
    assert_eq!((discovered.status, discovered.json()["error"]["code"].clone()), (400, json!(-32601)));
    assert_eq!(discovered.json()["id"], 1);
    assert_eq!(socket.post(INITIALIZED).status, 400);
    let opened = mock.home.wait_for_short("connection.opened");
    assert_eq!(opened["connection"], "c1.0");
    assert_eq!(mock.home.journal().iter().filter(|event| *event == "connection.opened").count(), 1);
}

#[test]
fn an_opening_that_fails_is_a_connection_that_ends() {
    let mock = Mock::rule(
        r#"{ request = "initialize", connection = 1 }"#,
        r#"[{ answer-error = { code = -1, message = "no" } }]"#,
    );
    let mut socket = mock.socket();
    let reply = socket.post(INITIALIZE);
    assert_eq!(reply.json()["error"]["code"], -1);
    assert!(!reply.headers.contains_key("mcp-session-id"));
    assert_eq!(mock.home.wait_for_short("connection.closed")["connection"], "c1.1");
    mock.session();
}

#[test]
fn answers_come_as_streams_where_the_script_says_so() {
    let mock = Mock::shipped("sse-answers");
    let mut socket = mock.socket();
    socket.ask(INITIALIZE);
    let head = socket.head();
    assert_eq!((head.status, head.headers["content-type"].as_str()), (200, "text/event-stream"));
    socket.session = Some(head.headers["mcp-session-id"].clone());
    assert_eq!(socket.event()["result"]["protocolVersion"], "2025-11-25");
    assert_eq!(socket.chunk(), Chunk::End);
    assert_eq!(socket.post(INITIALIZED).status, 202);
    socket.ask(&call(7));
    assert_eq!(socket.head().status, 200);
    assert_eq!(socket.event(), answered(7));
    assert_eq!(socket.chunk(), Chunk::End);
}

#[test]
fn a_get_is_refused_closed_at_once_or_cut_at_a_gate() {
    let mock = Mock::shipped("get-refused");
    let mut socket = mock.session();
    socket.get();
    assert_eq!(socket.reply().status, 405);
    assert_eq!(mock.home.wait_for_short("fault.delivered")["fault"], "status:get-405");
    assert_eq!(mock.home.wait_for_short("fault.delivered")["impairs"], "timing");

    let mock = Mock::shipped("get-closed-at-once");
    let (mut socket, mut stream) = mock.session_with_stream();
    assert_eq!(stream.chunk(), Chunk::End);
    assert_eq!(socket.post(LIST).status, 200);

    let mock = Mock::shipped("get-dropped");
    let (mut socket, mut stream) = mock.session_with_stream();
    mock.home.wait_for_short("gate.reached drop");
    mock.home.open_gate("drop");
    assert_eq!(stream.chunk(), Chunk::Cut);
    assert_eq!(mock.home.wait_for_short("http.ended x3")["how"], "broken");
    assert_eq!(socket.post(LIST).status, 200, "the session goes on");
    let mut again = mock.socket_of(&socket);
    again.get();
    assert_eq!(again.head().status, 200);
    socket.delete();
    assert_eq!(socket.reply().status, 204);
    assert_eq!(again.chunk(), Chunk::End);
}

#[test]
fn a_delete_is_refused_or_never_answered() {
    let mock = Mock::shipped("delete-refused");
    let mut socket = mock.session();
    socket.delete();
    assert_eq!(socket.reply().status, 405);
    assert_eq!(mock.home.wait_for_short("fault.delivered status:delete-405")["impairs"], "ending");
    assert_eq!(socket.post(LIST).status, 200);

    let mock = Mock::shipped("delete-mute");
    let mut socket = mock.session();
    let mut asking = mock.socket_of(&socket);
    asking.delete();
    mock.home.wait_for_short("fault.delivered drop:delete");
    assert_eq!(socket.post(LIST).status, 200, "what is not answered holds up nothing");
    drop(asking);
    assert_eq!(mock.home.wait_for_short("http.ended x3")["how"], "by-client");
    assert!(!mock.home.journal().iter().any(|event| event.starts_with("session.closed")));
}

#[test]
fn an_idle_session_expires_at_a_gate_and_a_new_one_opens() {
    let mock = Mock::shipped("session-expires-idle");
    let (mut socket, mut stream) = mock.session_with_stream();
    mock.home.open_gate("expire");
    assert_eq!(stream.chunk(), Chunk::End);
    assert_eq!(socket.post(LIST).status, 404);
    assert_eq!(mock.home.wait_for_short("session.closed")["how"], "by-server");
    assert_eq!(mock.home.wait_for_short("connection.closed")["connection"], "c1.1");
    let mut again = mock.session();
    assert_ne!(again.session, socket.session);
    assert_eq!(again.post(&call(1)).json(), answered(1));
}

#[test]
fn a_session_expires_under_its_calls_and_each_is_told() {
    let mock = Mock::shipped("session-expires-in-call");
    let socket = mock.session();
    let mut racing: Vec<_> = (0..5).map(|_| mock.socket_of(&socket)).collect();
    for (id, one) in racing.iter_mut().enumerate() {
        one.ask(&call(u32::try_from(id).unwrap()));
    }
    mock.home.wait_for_n("gate.reached", 5);
    mock.home.open_gate("expire");
    for one in &mut racing {
        let reply = one.reply();
        assert_eq!((reply.status, reply.json()["error"]["code"].clone()), (404, json!(-32001)));
    }
    let faults = |journal: Vec<String>| journal.iter().filter(|event| event.contains("expire-session")).count();
    assert_eq!(faults(mock.home.journal()), 1);
    assert_eq!(mock.session().post(&call(9)).json(), answered(9));
}

#[test]
fn a_held_call_that_is_cancelled_is_never_answered() {
    let mock = Mock::shipped("hold-call");
    let mut socket = mock.session();
    let mut held = mock.socket_of(&socket);
    held.ask(&call(7));
    mock.home.wait_for_short("gate.reached before-answer");
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    assert_eq!(socket.post(cancel).status, 202);
    mock.home.open_gate("before-answer");
    assert_eq!(socket.post(&call(8)).json(), answered(8));
    drop(held);
    assert_eq!(mock.home.wait_for_short("http.ended x3")["how"], "by-client");
    assert!(!mock.home.journal().contains(&"wire.sent 7".to_owned()));
}

#[test]
fn an_id_is_cancelled_only_in_its_own_session() {
    let mock = Mock::shipped("hold-call");
    let (socket, mut other) = (mock.session(), mock.session());
    let mut held = mock.socket_of(&socket);
    held.ask(&call(7));
    mock.home.wait_for_short("gate.reached before-answer");
    let cancel = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#;
    assert_eq!(other.post(cancel).status, 202);
    mock.home.open_gate("before-answer");
    assert_eq!(held.reply().json(), answered(7));
}

#[test]
fn a_client_that_gives_up_is_noticed_while_its_call_is_held() {
    let mock = Mock::shipped("hold-call");
    let mut socket = mock.session();
    let mut held = mock.socket_of(&socket);
    held.ask(&call(7));
    mock.home.wait_for_short("gate.reached before-answer");
    drop(held);
    assert_eq!(mock.home.wait_for_short("http.ended x3")["how"], "by-client");
    mock.home.wait_for_short("socket.closed by-client");
    mock.home.open_gate("before-answer");
    assert_eq!(socket.post(&call(8)).json(), answered(8));
    assert!(!mock.home.journal().contains(&"wire.sent 7".to_owned()), "nobody is left to answer");
}

#[test]
fn a_notification_goes_to_the_stream_or_waits_for_it() {
    let mock = Mock::shipped("tools-that-change");
    let mut socket = mock.session();
    assert_eq!(socket.post(&call(1)).json(), answered(1));
    let mut stream = mock.socket_of(&socket);
    stream.get();
    assert_eq!(stream.head().status, 200);
    assert_eq!(stream.event()["method"], "notifications/tools/list_changed");
    assert_eq!(socket.post(LIST).json()["result"]["tools"][1]["name"], "write");
    let (mut other, mut stream) = mock.session_with_stream();
    assert_eq!(other.post(LIST).json()["result"]["tools"].as_array().unwrap().len(), 1, "each session has its own");
    assert_eq!(other.post(&call(1)).json(), answered(1));
    assert_eq!(stream.event()["method"], "notifications/tools/list_changed");
}

#[test]
fn every_kind_of_answer_is_given() {
    let status = Mock::rule(r#"{ request = "tools/call" }"#, "[{ status = 500 }]");
    let mut socket = status.session();
    assert_eq!(socket.post(&call(1)).status, 500);
    assert_eq!(socket.post(LIST).status, 200);

    let duplicate = Mock::rule(r#"{ request = "tools/call" }"#, r#"["duplicate"]"#);
    let mut socket = duplicate.session();
    socket.ask(&call(1));
    assert_eq!(socket.head().headers["content-type"], "text/event-stream");
    assert_eq!((socket.event(), socket.event(), socket.chunk()), (answered(1), answered(1), Chunk::End));

    let reset = Mock::rule(r#"{ request = "tools/call", nth = 1 }"#, r#"["reset"]"#);
    let mut socket = reset.session();
    let mut one = reset.socket_of(&socket);
    one.ask(&call(1));
    assert_eq!(one.chunk(), Chunk::Reset);
    reset.home.wait_for_short("socket.closed broken");
    assert_eq!(socket.post(&call(2)).json(), answered(2));

    let cut = Mock::rule(r#"{ request = "tools/call" }"#, r#"["sse", { notify = "notifications/x" }, "cut-stream"]"#);
    let mut socket = cut.session();
    socket.ask(&call(1));
    assert_eq!(socket.head().status, 200);
    assert_eq!(socket.chunk(), Chunk::Cut);
    cut.home.wait_for_short("socket.closed by-server");

    let refused = Mock::rule(r#"{ notification = "notifications/initialized" }"#, "[{ status = 400 }]");
    let mut socket = refused.socket();
    socket.session = Some(socket.post(INITIALIZE).headers["mcp-session-id"].clone());
    assert_eq!(socket.post(INITIALIZED).status, 400);
}

#[test]
fn what_was_streamed_before_a_cut_arrives() {
    let text = "about = \"x\"\n[[rule]]\non = { get = true }\ndo = [\"answer\", { notify = \"notifications/tools/list_changed\" }, \"cut-stream\"]\n";
    let mock = Mock::start(&Script::from_toml("s", "s.toml", text).unwrap());
    let (_socket, mut stream) = mock.session_with_stream();
    assert_eq!(stream.event()["method"], "notifications/tools/list_changed");
    assert_eq!(stream.chunk(), Chunk::Cut);
}

#[test]
fn a_mock_that_ends_closes_what_is_open_and_answers_what_was_answered() {
    let mut exits = Mock::rule(r#"{ request = "tools/call" }"#, r#"["answer", { exit = 3 }]"#);
    let (mut socket, mut stream) = exits.session_with_stream();
    assert_eq!(socket.post(&call(1)).json(), answered(1), "what comes before the end is written");
    assert_eq!(stream.chunk(), Chunk::Cut);
    assert_eq!(exits.process.exit_code(), 3);
    let journal = exits.home.journal();
    assert!(
        journal.ends_with(&["connection.closed by-server".to_owned(), "mock.ending script".to_owned()]),
        "{journal:#?}"
    );

    let mut dies = Mock::shipped("die-in-call");
    let mut socket = dies.session();
    socket.ask(&call(1));
    dies.home.wait_for_short("gate.reached before-answer");
    dies.home.open_gate("before-answer");
    assert!(matches!(socket.chunk(), Chunk::Cut | Chunk::Reset));
    assert_eq!(dies.process.death(), 9);

    let mut alone = Mock::shipped("polite");
    let (_socket, mut stream) = alone.session_with_stream();
    alone.home.cut();
    assert_eq!(alone.process.exit_code(), 87);
    assert!(matches!(stream.chunk(), Chunk::Cut | Chunk::Reset));

    let dead = crate::mock::home::Home::new(
        &mcp_lifecheck::script::shipped("dead-on-arrival").unwrap(),
        mcp_lifecheck::plan::ShutdownBehaviour::Polite,
    );
    let mut process = crate::mock::client::Client::linked_over(mcp_lifecheck::mock::DriverKind::Http, &dead);
    assert_eq!(process.exit_code(), 1);
    dead.wait_for("mock.listening");
}

#[test]
fn a_batch_is_taken_where_the_revision_has_batches() {
    let batch = format!("[{LIST},{},{}]", call(3), r#"{"jsonrpc":"2.0","method":"notifications/x"}"#);
    let mock = Mock::shipped("polite");
    let mut socket = mock.session();
    assert_eq!(socket.post(&batch).status, 400);
    let mut old = mock.socket();
    old.session = Some(old.post(&INITIALIZE.replace("2025-11-25", "2025-03-26")).headers["mcp-session-id"].clone());
    let reply = old.post(&batch);
    let Value::Array(answers) = reply.json() else { panic!("{reply:?}") };
    assert_eq!((reply.status, answers.len(), &answers[1]), (200, 2, &answered(3)));
    assert_eq!(old.post(r#"[{"jsonrpc":"2.0","method":"notifications/x"}]"#).status, 202);
    assert_eq!(old.post(&format!("[{INITIALIZE}]")).status, 400);
}

#[test]
fn nothing_is_answered_before_it_is_on_record() {
    let mock = Mock::shipped("polite");
    let mut socket = mock.session();
    mock.home.acknowledge_only(0);
    socket.ask(LIST);
    mock.home.wait_for_short("wire.sent 2");
    let mut one = [0; 1];
    let stream = socket.stream();
    stream.set_read_timeout(Some(std::time::Duration::from_millis(150))).unwrap();
    let error = stream.peek(&mut one).unwrap_err();
    assert!(matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut), "{error}");
}

#[test]
fn a_thousand_sessions_are_served_at_once() {
    let mock = Mock::shipped("polite");
    let mut sessions: Vec<_> = (0..1_000).map(|_| mock.session()).collect();
    for socket in &mut sessions {
        socket.get();
        assert_eq!(socket.head().status, 200);
    }
    let mut last = mock.socket_of(&sessions[999]);
    assert_eq!(last.post(&call(1)).json(), answered(1));
    for stream in &mut sessions {
        let mut socket = mock.socket_of(stream);
        socket.delete();
        assert_eq!(socket.reply().status, 204);
        assert_eq!(stream.chunk(), Chunk::End);
    }
}
