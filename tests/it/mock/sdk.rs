//! The official SDKs as clients of the mocks: what real clients take without complaint, over pipes, over
//! HTTP, and the one for Python over HTTP with server-sent events.
//!
//! The third one, rmcp, is in the tests of the loaders.

use std::process::{Command, Stdio};
use std::time::Duration;

use mcp_lifecheck::mock::DriverKind;
use mcp_lifecheck::plan::ShutdownBehaviour;
use mcp_lifecheck::script::shipped;
use mcp_lifecheck::stack::python_stack;
use serde_json::{Value, json};

use crate::lanes::{typescript_client, unavailable};
use crate::mock::client::Client;
use crate::mock::home::Home;
use crate::mock::http_client::Mock;
use crate::rig::{finish, root};

/// Scripts of servers with which nothing is wrong; whether they change their tools.
const SCRIPTS: [(&str, bool); 5] = [
    ("polite", false),
    ("tools-that-change", true),
    ("ping-in-call", false),
    ("ping-before-initialized", false),
    ("roots-asked-in-call", false),
];
const OVER_HTTP_ALONE: [(&str, bool); 1] = [("sse-answers", false)];
/// How long a client may take for all of them, its own start included.
const LIMIT: Duration = Duration::from_secs(90);

/// A mock for each script over each transport.
struct Servers {
    over_pipes: Vec<Home>,
    over_http: Vec<Mock>,
    over_sse: Vec<Mock>,
    configured: Vec<Value>,
}

/// Whether a client speaks HTTP with server-sent events as well.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sse {
    Spoken,
    Not,
}

fn servers(sse: Sse) -> Servers {
    let (over_pipes, over_http, over_sse) = (Vec::new(), Vec::new(), Vec::new());
    let mut servers = Servers { over_pipes, over_http, over_sse, configured: Vec::new() };
    for (name, changes) in SCRIPTS {
        let home = Home::new(&shipped(name).unwrap(), ShutdownBehaviour::Polite);
        let (command, args) = (env!("CARGO_BIN_EXE_mcp-mock"), Client::arguments(DriverKind::Stdio, &home));
        servers.configured.push(json!({ "command": command, "args": args, "changes": changes }));
        servers.over_pipes.push(home);
    }
    for (name, changes) in SCRIPTS.into_iter().chain(OVER_HTTP_ALONE) {
        let mock = Mock::shipped(name);
        let url = format!("http://{}{}", mock.host, mock.path);
        servers.configured.push(json!({ "url": url, "changes": changes }));
        servers.over_http.push(mock);
    }
    for (name, changes) in SCRIPTS.into_iter().filter(|_| sse == Sse::Spoken) {
        let mock = Mock::over(DriverKind::Sse, &shipped(name).unwrap(), json!({}));
        let url = format!("http://{}{}", mock.host, mock.path);
        servers.configured.push(json!({ "type": "sse", "url": url, "changes": changes }));
        servers.over_sse.push(mock);
    }
    servers
}

/// Lets a client live with every server; it has nothing to complain of, and the servers saw whole lives.
fn lives_without_complaint(name: &str, client: &mut Command, sse: Sse) {
    let servers = servers(sse);
    client.arg(Value::from(servers.configured.clone()).to_string()).stdin(Stdio::null());
    let ran = finish(client.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap(), LIMIT);
    assert_eq!((ran.stdout.trim(), ran.code), ("no complaint", 0), "{name}: {}", ran.stderr);
    for home in &servers.over_pipes {
        home.wait_for_short("mock.ending eof");
        let journal = home.journal();
        let n_of = |words: &str| journal.iter().filter(|event| event.starts_with(words)).count();
        assert_eq!((n_of("connection.opened"), n_of("connection.closed by-client")), (1, 1), "{name}: {journal:#?}");
        assert_eq!((n_of("wire.noise"), n_of("wire.received tools/call")), (0, 2), "{name}: {journal:#?}");
    }
    // Streamable HTTP ends a session by DELETE, the older transport by the end of its stream.
    let over_web = servers.over_http.iter().map(|mock| (mock, 1)).chain(servers.over_sse.iter().map(|mock| (mock, 0)));
    for (mock, n_deletes) in over_web {
        mock.home.wait_for_short("session.closed by-client");
        let journal = mock.home.journal();
        let n_of = |words: &str| journal.iter().filter(|event| event.contains(words)).count();
        assert_eq!((n_of("GET"), n_of("DELETE"), n_of("session.opened")), (1, n_deletes, 1), "{name}: {journal:#?}");
        let answers = || journal.iter().filter(|event| event.starts_with("http.answered"));
        assert!(answers().all(|event| event.contains(" 20")), "{name}: {journal:#?}");
    }
}

#[test]
fn the_python_sdk_lives_whole_lives_without_complaint() {
    for name in ["mcp-2.3", "mcp-1.30", "mcp-1.13"] {
        match python_stack(name).unwrap().interpreter() {
            Ok(interpreter) => {
                let client = root().join("tests/it/mock/sdk.py");
                lives_without_complaint(name, Command::new(interpreter).arg(client), Sse::Spoken);
            }
            Err(error) => unavailable(name, &error.to_string()),
        }
    }
}

#[test]
fn the_typescript_sdk_lives_whole_lives_without_complaint() {
    let Some(client) = typescript_client("client.mjs") else { return };
    lives_without_complaint("the TypeScript SDK", Command::new("node").arg(client), Sse::Not);
}
