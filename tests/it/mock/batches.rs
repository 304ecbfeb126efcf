//! Several messages in one line: revision 2025-03-26 has that, and each of them is taken as if it came alone.

use mcp_lifecheck::plan::ShutdownBehaviour::Polite;
use mcp_lifecheck::script::{Script, shipped};
use serde_json::{Value, json};

use crate::mock::client::{Client, INITIALIZE, INITIALIZED, LIST, answered, call};
use crate::mock::home::Home;
use crate::mock::http_client::{Mock, Socket};

const PING: &str = r#"{"jsonrpc":"2.0","id":"p","method":"ping"}"#;
const NOTE: &str = r#"{"jsonrpc":"2.0","method":"notifications/x"}"#;
const CANCELLED: &str = r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":3}}"#;

fn old_initialize() -> String {
    INITIALIZE.replace("2025-11-25", "2025-03-26")
}

fn start(script: &Script) -> (Home, Client) {
    let home = Home::new(script, Polite);
    let mut client = Client::linked(&home);
    client.send(&old_initialize());
    assert_eq!(client.answer()["result"]["protocolVersion"], "2025-03-26");
    client.send(INITIALIZED);
    (home, client)
}

fn script(actions: &str) -> Script {
    let text = format!("about = \"x\"\n[[rule]]\non = {{ request = \"tools/call\" }}\ndo = [{actions}]\n");
    Script::from_toml("s", "s.toml", &text).unwrap()
}

fn batch(messages: &[&str]) -> String {
    format!("[{}]", messages.join(","))
}

fn pong() -> Value {
    json!({ "jsonrpc": "2.0", "id": "p", "result": {} })
}

#[test]
fn the_answers_to_a_batch_come_in_one_line_and_each_message_is_on_record() {
    let (home, mut client) = start(&shipped("polite").unwrap());
    client.send(&batch(&[LIST, NOTE, &call(3)]));
    let line = client.line();
    let Value::Array(answers) = serde_json::from_str(&line).unwrap() else { panic!("{line}") };
    assert_eq!((answers.len(), &answers[0]["id"], &answers[1]), (2, &json!(2), &answered(3)));
    client.send(PING);
    assert_eq!(client.answer(), pong());
    client.close_stdin();
    assert_eq!((client.rest().as_str(), client.exit_code()), ("", 0));
    let opening = ["mock.started", "connection.opened", "wire.received initialize", "wire.sent 1"];
    let taken = ["wire.received tools/list", "wire.received notifications/x", "wire.received tools/call"];
    let sent = ["wire.sent 2", "wire.sent 3", "wire.received ping", "wire.sent p"];
    let end = ["wire.eof", "connection.closed by-client", "mock.ending eof"];
    let initialized = ["wire.received notifications/initialized"];
    assert_eq!(home.journal(), [&opening[..], &initialized, &taken, &sent, &end].concat());
}

/// What is answered to something that is no good batch: JSON-RPC 2.0, section 6.
fn cases() -> Vec<(String, Value)> {
    let refused = |id: Value| json!({ "id": id, "code": -32_600 });
    vec![
        ("[]".to_owned(), refused(Value::Null)),
        ("[1]".to_owned(), json!([refused(Value::Null)])),
        ("[1,[],null]".to_owned(), json!([refused(Value::Null), refused(Value::Null), refused(Value::Null)])),
        (batch(&[&batch(&[PING]), PING]), json!([refused(Value::Null), pong()])),
        (batch(&[&old_initialize(), PING]), json!([refused(json!(1)), pong()])),
        (batch(&["{\"id\":9,\"method\":\"ping\"}", NOTE]), json!([refused(json!(9))])),
        ("[1,".to_owned(), json!({ "id": null, "code": -32_700 })),
    ]
}

/// An answer, of whose error the code is enough.
fn shortly(answer: &Value) -> Value {
    match answer {
        Value::Array(answers) => answers.iter().map(shortly).collect(),
        answer if answer.get("error").is_some() => json!({ "id": answer["id"], "code": answer["error"]["code"] }),
        answer => answer.clone(),
    }
}

#[test]
fn what_is_no_good_batch_is_answered_as_json_rpc_says() {
    let (home, mut client) = start(&shipped("polite").unwrap());
    for (sent, expected) in cases() {
        client.send(&sent);
        assert_eq!(shortly(&client.answer()), expected, "{sent}");
    }
    let in_a_batch = |event: &Value| event["message"][0]["method"] == "initialize";
    assert_eq!(home.events().into_iter().filter(in_a_batch).count(), 1, "the batch is recorded as one message");
    // Nothing answers notifications alone: the next line is the answer to the next request.
    client.send(&batch(&[NOTE, NOTE, CANCELLED]));
    client.send(PING);
    assert_eq!(client.answer(), pong());
}

#[test]
fn over_http_the_same_is_answered() {
    let mock = Mock::shipped("polite");
    let mut socket = old_session(&mock);
    for (sent, expected) in cases() {
        let reply = socket.post(&sent);
        assert_eq!(shortly(&reply.json()), expected, "{sent}");
        let has_request = expected.as_array().is_some_and(|answers| answers.contains(&pong()));
        assert_eq!(reply.status, if has_request { 200 } else { 400 }, "{sent}");
    }
    assert_eq!(socket.post(&batch(&[NOTE, NOTE])).status, 202);
}

fn old_session(mock: &Mock) -> Socket {
    let mut socket = mock.socket();
    socket.session = Some(socket.post(&old_initialize()).headers["mcp-session-id"].clone());
    socket
}

#[test]
fn other_revisions_have_no_batches() {
    for revision in ["2024-11-05", "2025-06-18", "2025-11-25"] {
        let home = Home::new(&shipped("polite").unwrap(), Polite);
        let mut client = Client::linked(&home);
        client.send(&batch(&[PING]));
        assert_eq!(shortly(&client.answer()), json!({ "id": null, "code": -32_600 }));
        client.send(&INITIALIZE.replace("2025-11-25", revision));
        assert_eq!(client.answer()["result"]["protocolVersion"], revision);
        client.send(&batch(&[PING]));
        assert_eq!(shortly(&client.answer()), json!({ "id": null, "code": -32_600 }), "{revision}");
        home.wait_for_n("wire.received", 3);
        let is_received = |event: &Value| event["event"] == "wire.received";
        let received = home.events().into_iter().filter(is_received).map(|event| event["message"].clone());
        let ping: Value = serde_json::from_str(PING).unwrap();
        assert_eq!(received.filter(Value::is_array).collect::<Vec<_>>(), [json!([ping]), json!([ping])], "{revision}");
    }
}

/// What an action for the call leads to where that is in a batch with a ping.
fn acts() -> Vec<(&'static str, Value)> {
    let call = answered(3);
    vec![
        ("\"drop\"", json!([pong()])),
        ("{ answer-error = { code = -5, message = \"x\" } }", json!([{ "id": 3, "code": -5 }, pong()])),
        ("{ delay = \"10ms\" }", json!([pong(), call])),
        ("\"reorder\"", json!([pong(), call])),
        ("\"duplicate\"", json!([call, call, pong()])),
        ("{ omit-result = [\"content\", \"isError\"] }", json!([{ "jsonrpc": "2.0", "id": 3, "result": {} }, pong()])),
    ]
}

#[test]
fn a_fault_of_one_request_leaves_the_others_of_its_batch_alone() {
    for (actions, expected) in acts() {
        let (_home, mut client) = start(&script(actions));
        client.send(&batch(&[&call(3), PING]));
        assert_eq!(shortly(&client.answer()), expected, "{actions}");
    }
}

#[test]
fn over_http_a_fault_of_one_request_leaves_the_others_alone_too() {
    // Twice the same answer takes a stream.
    for (actions, expected) in acts().into_iter().filter(|(actions, _)| *actions != "\"duplicate\"") {
        let mock = Mock::start(&script(actions));
        let reply = old_session(&mock).post(&batch(&[&call(3), PING]));
        assert_eq!((reply.status, shortly(&reply.json())), (200, expected), "{actions}");
    }
}

#[test]
fn a_request_that_is_held_holds_the_answers_of_its_batch_and_nothing_else() {
    let (home, mut client) = start(&shipped("hold-call").unwrap());
    client.send(&batch(&[&call(3), PING]));
    home.wait_for("gate.reached");
    client.send(LIST);
    assert_eq!(client.answer()["id"], 2);
    home.open_gate("before-answer");
    assert_eq!(client.answer(), json!([pong(), answered(3)]));
}

#[test]
fn a_held_request_that_is_cancelled_leaves_its_batch() {
    let (home, mut client) = start(&shipped("hold-call").unwrap());
    client.send(&batch(&[&call(3), PING]));
    home.wait_for("gate.reached");
    client.send(CANCELLED);
    assert_eq!(client.answer(), json!([pong()]));
    home.open_gate("before-answer");
    // It is not answered later either.
    client.send(PING);
    assert_eq!(client.answer(), pong());
}

#[test]
fn an_answer_in_spite_of_a_cancellation_comes_alone() {
    let (home, mut client) = start(&shipped("call-answered-late").unwrap());
    client.send(&batch(&[&call(3), PING]));
    let gate = home.wait_for_short("gate.reached")["gate"].as_str().unwrap().to_owned();
    client.send(CANCELLED);
    assert_eq!(client.answer(), json!([pong()]));
    home.open_gate(&gate);
    assert_eq!(client.answer(), answered(3));
}

#[test]
fn a_mock_that_exits_or_freezes_in_a_batch_answers_nothing_of_it() {
    let (home, mut client) = start(&script("{ exit = 3 }"));
    client.send(&batch(&[PING, &call(3), LIST]));
    assert_eq!((client.rest().as_str(), client.exit_code()), ("", 3));
    assert!(!home.journal().contains(&"wire.received tools/list".to_owned()), "it was read after the end");

    let (home, mut client) = start(&script("\"freeze\""));
    client.send(&batch(&[PING, &call(3), LIST]));
    client.close_stdin();
    home.wait_for("wire.eof");
    assert!(!home.journal().iter().any(|event| event == "wire.received tools/list" || event == "wire.sent p"));
}

#[test]
fn over_http_a_stream_brings_the_answers_of_a_batch_one_by_one() {
    let mock = Mock::start(&script("\"sse\""));
    let mut socket = old_session(&mock);
    socket.ask(&batch(&[PING, &call(3), LIST]));
    assert_eq!(socket.head().headers["content-type"], "text/event-stream");
    let mut ids = Vec::new();
    while let crate::mock::http_client::Chunk::Data(text) = socket.chunk() {
        let data = text.split_once("data: ").unwrap().1;
        ids.push(serde_json::from_str::<Value>(data).unwrap()["id"].clone());
    }
    assert_eq!(ids, [json!("p"), json!(3), json!(2)]);
}
