//! A mock server inside a test: what it received is there to be looked at, and what is not as expected is told.

use std::process::Command;
use std::time::Duration;

use mcp_lifecheck::plan::Revision;
use mcp_lifecheck::testing::MockServer;
use mcp_lifecheck::testing::mock::{OverHttp, OverStdio, StartError};
use mcp_lifecheck_specimens::reference::{Config, Options, ToolsLoader};
use serde_json::{Value, json};

use crate::mock::client::{Client, INITIALIZE, INITIALIZED, LIST, call};
use crate::mock::http_client::Socket;

fn socket(mock: &MockServer<OverHttp>) -> Socket {
    let (host, path) = mock.url().strip_prefix("http://").unwrap().split_once('/').unwrap();
    Socket::to(host, &format!("/{path}"))
}

/// A socket whose session is open.
fn session(mock: &MockServer<OverHttp>) -> Socket {
    let mut socket = socket(mock);
    socket.session = Some(socket.post(INITIALIZE).headers["mcp-session-id"].clone());
    socket.revision = Some("2025-11-25");
    assert_eq!(socket.post(INITIALIZED).status, 202);
    socket
}

fn client(mock: &MockServer<OverStdio>) -> Client {
    Client::spawn(Command::new(mock.command()).args(mock.args()))
}

/// Whether it is awaited on any executor: this one knows nothing of tokio.
fn wait<T>(future: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(future)
}

#[test]
fn over_http_what_was_received_is_there_and_verified() {
    let mock = MockServer::script("polite").expect("tools/call", 2).over_http().start().unwrap();
    let mut socket = session(&mock);
    for id in [3, 4] {
        assert_eq!(socket.post(&call(id)).status, 200);
    }
    let calls = mock.received("tools/call");
    assert_eq!((calls.len(), &calls[0].param("arguments")["path"]), (2, &json!("/a")));
    assert_eq!(calls[1].message.id(), Some(&json!(4)));
    assert_eq!((mock.received("tools/list").len(), mock.all_received().len(), mock.n_open()), (0, 4, 1));
    mock.verify().unwrap();
    socket.delete();
    assert_eq!(socket.reply().status, 204);
    wait(mock.until_closed()).unwrap();
    assert_eq!(mock.n_open(), 0);
}

#[test]
fn over_stdio_the_client_starts_it_as_often_as_it_likes() {
    let mock = MockServer::script("polite").expect("initialize", 2).over_stdio().start().unwrap();
    for _ in 0..2 {
        let mut client = client(&mock);
        client.open();
        client.call(3);
        client.close_stdin();
        assert_eq!(client.exit_code(), 0);
    }
    wait(mock.until_closed()).unwrap();
    let calls = mock.received("tools/call");
    assert_eq!(calls.len(), 2);
    assert_ne!(calls[0].connection, calls[1].connection);
    mock.verify().unwrap();
}

#[test]
fn what_was_not_received_as_often_as_expected_is_told() {
    let mock = MockServer::script("polite").expect("tools/call", 1..).expect("initialize", ..=1).over_http();
    let mock = mock.expect("tools/list", 1..=2).start().unwrap();
    session(&mock);
    let told = mock.verify().unwrap_err().to_string();
    assert!(told.contains("found 0 messages tools/call, expected at least 1"), "{told}");
    assert!(told.contains("found 0 messages tools/list, expected 1 to 2") && !told.contains("initialize"), "{told}");
}

#[test]
fn a_client_that_breaks_the_protocol_is_told_with_the_invariant() {
    let mock = MockServer::script("polite").over_stdio().start().unwrap();
    let mut client = client(&mock);
    // Before the session is open.
    client.send(LIST);
    client.answer();
    let told = mock.verify().unwrap_err().to_string();
    assert!(told.contains("FAIL handshake-order (test.polite)") && told.contains("because:"), "{told}");
}

#[test]
fn a_fault_that_had_no_occasion_has_tested_nothing() {
    let mock = MockServer::script("exit-on-call").over_stdio().start().unwrap();
    let mut client = client(&mock);
    client.open();
    let told = mock.verify().unwrap_err().to_string();
    assert!(told.contains("fault exit:3 of the script was never delivered"), "{told}");
    client.send(&call(3));
    assert_eq!(client.exit_code(), 3);
    wait(mock.until_closed()).unwrap();
    mock.verify().unwrap();
}

#[test]
fn a_gate_holds_until_it_is_opened() {
    let over_http = MockServer::script("hold-call").over_http().start().unwrap();
    let mut socket = session(&over_http);
    socket.ask(&call(3));
    wait(over_http.until_held("before-answer")).unwrap();
    over_http.open_gate("before-answer");
    assert_eq!(socket.reply().json()["id"], 3);
    let over_stdio = MockServer::script("hold-call").over_stdio().start().unwrap();
    let mut client = client(&over_stdio);
    client.open();
    client.send(&call(3));
    wait(over_stdio.until_held("before-answer")).unwrap();
    over_stdio.open_gate("before-answer");
    assert_eq!(client.answer()["id"], 3);
}

#[test]
fn what_does_not_come_about_is_told_within_the_limit() {
    let mock = MockServer::script("polite").limit(Duration::from_millis(20)).over_http().start().unwrap();
    let overdue = wait(mock.until_received("tools/call", 2)).unwrap_err().to_string();
    assert_eq!(overdue, "found no 2 messages tools/call within 20 ms");
    assert_eq!(wait(mock.until_closed()).unwrap_err().to_string(), "found no end of every connection within 20 ms");
}

#[test]
fn a_server_that_cannot_start_says_why() {
    let over_http = |script| MockServer::script(script).over_http().start().unwrap_err().to_string();
    assert!(over_http("nobody").contains("found no shipped script of this name"));
    assert!(over_http("stdout-closed-in-call").contains("needs lines over pipes: rule 1 has close-stdout"));
    let over_stdio = MockServer::script("get-refused").over_stdio().start().unwrap_err().to_string();
    assert!(over_stdio.contains("needs HTTP"), "{over_stdio}");
    let old = MockServer::script("polite").revision(Revision::R20241105).over_http().start();
    assert!(matches!(old, Err(StartError::Revision { .. })), "{old:?}");
}

#[test]
fn mocks_are_apart_and_end_when_they_are_dropped() {
    let [one, other] = [(); 2].map(|()| MockServer::script("polite").over_http().start().unwrap());
    session(&one);
    assert_eq!((one.received("initialize").len(), other.all_received().len()), (1, 0));
    let stubborn = MockServer::script("polite").over_stdio().stubborn().start().unwrap();
    let mut client = client(&stubborn);
    client.open();
    client.close_stdin();
    drop(stubborn);
    // Nobody is left to report to: it must not live on, whatever its script says.
    assert_eq!(client.exit_code(), 87);
    let mut open = session(&one);
    drop(one);
    assert!(open.has_ended(), "it still serves");
}

/// The loader of the whole life of a client, on a runtime with one thread, on which the mock is started and dropped as well.
async fn live(server: Value) {
    let loader = ToolsLoader::new(Options::default());
    let config = json!({ "mcpServers": { "files": server } });
    let report = loader.load(&Config::from_value(&config).unwrap()).await.unwrap();
    assert!(report.errors.is_empty(), "{report:?}");
    loader.cleanup().await.unwrap();
}

#[tokio::test]
async fn a_real_client_lives_with_it_within_a_runtime() {
    let over_http = MockServer::script("polite").expect("tools/list", 1).over_http().start().unwrap();
    live(over_http.config()).await;
    over_http.until_closed().await.unwrap();
    over_http.verify().unwrap();
    let over_stdio = MockServer::script("polite").expect("tools/list", 1).over_stdio().start().unwrap();
    live(over_stdio.config()).await;
    over_stdio.until_closed().await.unwrap();
    over_stdio.verify().unwrap();
}
