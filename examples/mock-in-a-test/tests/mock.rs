//! What a mock server adds to the tests of a client: scripted faults, and a record of the messages it received.

use mcp_lifecheck::testing::MockServer;
use mock_in_a_test::read;
use serde_json::json;

#[test]
fn the_client_calls_the_tool_once() {
    let mock = MockServer::script("polite").expect("tools/call", 1).over_stdio().start().unwrap();
    let text = read(mock.command(), mock.args(), "/a").unwrap();
    assert!(text.contains("/a"), "{text}");
    assert_eq!(mock.received("tools/call")[0].param("arguments"), &json!({ "path": "/a" }));
    // Fails if the counts differ, if a message breaks the protocol, or if a fault of the script was never delivered.
    mock.verify().unwrap();
}

#[test]
fn a_server_that_exits_in_a_call_is_an_error() {
    let mock = MockServer::script("exit-on-call").expect("tools/call", 1).over_stdio().start().unwrap();
    let error = read(mock.command(), mock.args(), "/a").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    mock.verify().unwrap();
}

#[test]
fn a_server_that_ignores_the_end_of_its_input_is_killed() {
    let mock = MockServer::script("polite").over_stdio().stubborn().start().unwrap();
    // `read` waits for the exit of the server, and only SIGKILL ends this one.
    read(mock.command(), mock.args(), "/a").unwrap();
    mock.verify().unwrap();
}
