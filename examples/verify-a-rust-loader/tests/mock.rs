//! A mock server in the tests of a client, and the messages that it received.

use mcp_lifecheck::testing::MockServer;
use mcp_lifecheck_specimens::reference::{Config, LoaderError, Options, ToolsLoader};
use serde_json::{Value, json};

/// The client under test: loads the tools of one server, calls one of them, and closes.
fn read_with(server: &Value) -> Result<String, LoaderError> {
    let loader = ToolsLoader::new(Options::default());
    let config = Config::from_value(&json!({ "mcpServers": { "files": server } })).unwrap();
    loader.load_blocking(&config)?;
    let answer = loader.call_blocking("files", "read", json!({ "path": "/a" }));
    loader.cleanup_blocking()?;
    Ok(answer.map_or_else(|error| error.to_string(), |answer| json!(answer)["content"][0]["text"].to_string()))
}

#[test]
fn over_http_the_client_calls_once() {
    let mock = MockServer::script("polite").expect("tools/call", 1).over_http().start().unwrap();
    assert!(read_with(&mock.config()).unwrap().contains("read"));
    assert_eq!(mock.received("tools/call")[0].param("arguments"), &json!({ "path": "/a" }));
    mock.verify().unwrap();
}

#[test]
fn over_stdio_the_client_survives_the_death_of_its_server() {
    let mock = MockServer::script("exit-on-call").expect("tools/call", 1..).over_stdio().start().unwrap();
    read_with(&mock.config()).unwrap();
    mock.verify().unwrap();
}
