//! Answers that are not as they should be, and what a server asks: exactly these bytes, on record, over either endpoint.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Stdio;

use mcp_lifecheck::plan::ShutdownBehaviour::Polite;
use mcp_lifecheck::script::shipped;
use rustix::pipe::{PipeFlags, pipe_with};
use serde_json::{Value, json};

use crate::mock::client::{Client, INITIALIZE, INITIALIZED, LIST, answered, call, mock_command};
use crate::mock::home::Home;
use crate::mock::http_client::Mock;

const RESULT: &str = r#"{"content":[{"text":"read {\"path\":\"/a\"}","type":"text"}],"isError":false}"#;
/// The conforming answer to call 3.
const CONFORMING: &str = r#"{"jsonrpc":"2.0","id":3,"result":{"content":[{"text":"read {\"path\":\"/a\"}","type":"text"}],"isError":false}}"#;

fn start(script: &str) -> (Home, Client) {
    let home = Home::new(&shipped(script).unwrap(), Polite);
    let client = Client::linked(&home);
    (home, client)
}

/// What each script sends in place of the answer to call 3.
fn forged() -> Vec<(&'static str, String)> {
    let error = r#"{"code":-32000,"message":"An error beside a result"}"#;
    vec![
        ("call-unknown-id", format!(r#"{{"id":1000003,"jsonrpc":"2.0","result":{RESULT}}}"#)),
        ("call-converted-id", format!(r#"{{"id":"3","jsonrpc":"2.0","result":{RESULT}}}"#)),
        ("call-null-id", format!(r#"{{"id":null,"jsonrpc":"2.0","result":{RESULT}}}"#)),
        ("call-result-and-error", format!(r#"{{"error":{error},"id":3,"jsonrpc":"2.0","result":{RESULT}}}"#)),
        ("call-no-result", r#"{"id":3,"jsonrpc":"2.0"}"#.to_owned()),
        ("call-no-jsonrpc", format!(r#"{{"id":3,"result":{RESULT}}}"#)),
        ("call-odd-result", r#"{"id":3,"jsonrpc":"2.0","result":{"content":7}}"#.to_owned()),
    ]
}

#[test]
fn an_answer_is_forged_over_http_as_over_lines() {
    for (script, expected) in forged() {
        let mock = Mock::shipped(script);
        let mut socket = mock.session();
        let reply = socket.post(&call(3));
        assert_eq!((reply.status, reply.json()), (200, serde_json::from_str::<Value>(&expected).unwrap()), "{script}");
        assert_eq!(socket.post(&call(4)).json(), answered(4), "{script}");
    }
}

/// Each read gets one byte, however late the client comes to read; what is written next is whole again.
#[test]
fn a_split_answer_is_written_byte_by_byte() {
    let (ours, theirs) = pipe_with(PipeFlags::CLOEXEC).unwrap();
    let mut command = mock_command();
    command.args(["stdio", "--script", "call-split"]).stdin(Stdio::piped()).stdout(theirs);
    let mut child = command.spawn().unwrap();
    // The command keeps its end too: while it lives, ours would never see the end.
    drop(command);
    let mut stdin = child.stdin.take().unwrap();
    writeln!(stdin, "{INITIALIZE}\n{}\n{}", call(3), call(4)).unwrap();
    drop(stdin);
    let (mut ours, mut reads) = (File::from(ours), Vec::new());
    let mut buffer = [0; 4_096];
    while let n @ 1.. = ours.read(&mut buffer).unwrap() {
        reads.push(String::from_utf8(buffer[..n].to_vec()).unwrap());
    }
    assert!(child.wait().unwrap().success());
    let (split, whole): (Vec<_>, Vec<_>) = reads.into_iter().partition(|read| read.len() == 1);
    assert_eq!(split.concat(), format!("{CONFORMING}\n"));
    let whole = whole.concat();
    assert_eq!(whole.lines().count(), 2, "the answers to initialize and to the next call: {whole}");
}

#[test]
fn half_a_line_is_glued_to_what_comes_next() {
    let (home, mut client) = start("call-half-line");
    client.open();
    client.send(&call(3));
    home.wait_for("fault.delivered");
    client.send(LIST);
    let line = client.line();
    let rest = line.strip_prefix(&CONFORMING[..CONFORMING.len() / 2]).unwrap_or_else(|| panic!("{line}"));
    assert!(rest.starts_with(r#"{"jsonrpc":"2.0","id":2,"result":{"tools""#), "{line}");
}

#[test]
fn initialize_and_the_list_are_answered_in_odd_ways() {
    for (script, pointer, expected) in [
        ("initialize-unknown-version", "/result/protocolVersion", json!("1999-01-01")),
        ("initialize-without-tools", "/result/capabilities", json!({})),
    ] {
        let (_home, mut client) = start(script);
        client.send(INITIALIZE);
        let answer = client.answer();
        assert_eq!(answer.pointer(pointer), Some(&expected), "{answer}");
        // The rest is as a conforming server has it.
        assert_eq!(answer.pointer("/result/serverInfo/name"), Some(&json!("mcp-mock")), "{answer}");
    }
    let (_home, mut client) = start("list-odd-result");
    client.send(INITIALIZE);
    client.line();
    client.send(INITIALIZED);
    client.send(LIST);
    assert_eq!(client.answer(), json!({ "jsonrpc": "2.0", "id": 2, "result": { "tools": "none" } }));
    client.send(LIST);
    assert_eq!(client.answer()["result"]["tools"][0]["name"], "read");
}

#[test]
fn a_server_asks_before_it_answers_and_what_it_is_told_is_on_record() {
    let (home, mut client) = start("ping-before-initialized");
    client.send(INITIALIZE);
    assert_eq!(client.line(), "{\"jsonrpc\":\"2.0\",\"id\":0,\"method\":\"ping\"}\n", "id 0 is an id");
    assert_eq!(client.answer()["result"]["protocolVersion"], "2025-11-25");
    client.send(r#"{"jsonrpc":"2.0","id":0,"result":{}}"#);
    client.send(INITIALIZED);
    client.close_stdin();
    assert_eq!(client.exit_code(), 0);
    let journal = home.journal();
    let opening =
        ["wire.received initialize", "fault.delivered ask:ping", "wire.sent ping", "wire.sent 1", "wire.received"];
    assert!(journal.windows(opening.len()).any(|events| events == opening), "{journal:?}");
    for (script, method) in [("ping-in-call", "ping"), ("roots-asked-in-call", "roots/list")] {
        let (_home, mut client) = start(script);
        client.open();
        client.send(&call(3));
        assert_eq!(client.answer(), json!({ "jsonrpc": "2.0", "id": 0, "method": method }));
        assert_eq!(client.answer(), answered(3));
        client.call(4);
    }
}

#[test]
fn over_http_a_server_asks_on_the_stream_of_the_session() {
    let mock = Mock::shipped("ping-in-call");
    let (mut socket, mut stream) = mock.session_with_stream();
    assert_eq!(socket.post(&call(3)).json(), answered(3));
    assert_eq!(stream.event(), json!({ "jsonrpc": "2.0", "id": 0, "method": "ping" }));
    assert_eq!(socket.post(r#"{"jsonrpc":"2.0","id":0,"result":{}}"#).status, 202);
    mock.home.wait_for_short("fault.delivered ask:ping");
}
