//! A mock MCP server inside a test, with assertions on what it received.
//!
//! Start at [`MockServer::script`]: the name of a shipped script, or the path of a script file.
//!
//! ```
//! use mcp_lifecheck::testing::MockServer;
//! # fn my_client(url: &str) -> std::io::Result<()> {
//! #     use std::io::{Read, Write};
//! #     let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or(std::io::ErrorKind::InvalidInput)?;
//! #     let mut session = String::new();
//! #     for body in [
//! #         r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"doc","version":"1"}}}"#,
//! #         r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#,
//! #         r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"read","arguments":{"path":"/a"}}}"#,
//! #     ] {
//! #         let mut socket = std::net::TcpStream::connect(host)?;
//! #         write!(socket, "POST /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json, text/event-stream\r\nContent-Type: \
//! #             application/json\r\nConnection: close\r\n{session}Content-Length: {}\r\n\r\n{body}", body.len())?;
//! #         let mut answer = String::new();
//! #         socket.read_to_string(&mut answer)?;
//! #         if let Some(id) = answer.lines().find_map(|line| line.strip_prefix("mcp-session-id: ")) {
//! #             session = format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n");
//! #         }
//! #     }
//! #     Ok(())
//! # }
//!
//! // In a test this has a #[test] or #[tokio::test] above it.
//! fn my_client_calls_the_tool_once() -> Result<(), Box<dyn std::error::Error>> {
//!     let mock = MockServer::script("polite").expect("tools/call", 1).over_http().start()?;
//!     my_client(mock.url())?;
//!     assert_eq!(mock.received("tools/call")[0].param("arguments")["path"], "/a");
//!     mock.verify()?;
//!     Ok(())
//! }
//! # my_client_calls_the_tool_once().unwrap();
//! ```
//!
//! Over stdio the mock is a process that the client starts, from [`command`](MockServer::command) and
//! [`args`](MockServer::args), or from the whole entry for a configuration, [`config`](MockServer::config):
//!
//! ```no_run
//! # use mcp_lifecheck::testing::MockServer;
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mock = MockServer::script("die-in-call").over_stdio().start()?;
//! let child = std::process::Command::new(mock.command()).args(mock.args()).spawn()?;
//! # Ok(())
//! # }
//! ```
//!
//! An action at a gate waits for [`open_gate`](MockServer::open_gate). A test waits for later events with
//! [`until_received`](MockServer::until_received), [`until_held`](MockServer::until_held) and
//! [`until_closed`](MockServer::until_closed), never with a sleep. [`verify`](MockServer::verify) compares all messages with the
//! expectations, the protocol and the script. A fault that was never delivered is an error, because the test has tested nothing.
//! Dropping a mock ends it, and never panics.
//!
//! Any number of mocks may run at once. A mock needs no runtime of the test: each has a thread of its own, so that a
//! client that blocks its thread does not block its server.

mod builder;
mod host;
mod verify;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::history::{ConnectionId, Event, EventKind, History, Message};

pub use builder::{MockBuilder, OverHttp, OverStdio, StartError, Times};
pub use verify::Unmet;

use host::Host;

/// A running mock server. It ends when it is dropped.
///
/// `R` is its transport: [`OverHttp`] or [`OverStdio`].
#[derive(Debug)]
pub struct MockServer<R = OverHttp> {
    host: Host,
    reached: R,
    expected: Vec<(String, Times)>,
    limit: Duration,
}

/// A message that a mock received.
#[derive(Debug, Clone, PartialEq)]
pub struct Received {
    /// The connection of the message: over stdio a process, over HTTP the exchanges from one `initialize` on.
    pub connection: ConnectionId,
    /// The message. For a message longer than 64 KiB, the mock keeps its head, its length and a hash.
    pub message: Message,
}

impl Received {
    /// The parameter with this name, or `null` if there is none.
    #[must_use]
    pub fn param(&self, name: &str) -> &Value {
        self.message.at(&["params", name]).unwrap_or(&Value::Null)
    }
}

/// The condition that was not met within the limit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found no {what} within {} ms", limit.as_millis())]
pub struct Overdue {
    what: String,
    limit: Duration,
}

impl MockServer {
    /// Describes a mock with a shipped script of this name. If the name ends in `.toml` or contains a path separator,
    /// it is the path of a script file. `mcp-lifecheck list scripts` shows the shipped scripts.
    #[must_use]
    pub fn script(name_or_file: &str) -> MockBuilder<()> {
        MockBuilder::new(name_or_file)
    }

    /// The URL of the mock. Its path contains a secret, and the mock refuses requests without it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.reached.url
    }

    /// The entry for this server in an `mcpServers` configuration: `{"type": "http", "url": …}`.
    #[must_use]
    pub fn config(&self) -> Value {
        json!({ "type": "http", "url": self.reached.url })
    }
}

impl MockServer<OverStdio> {
    /// The program that a client must start: this executable, which on Linux re-enters itself before its `main`.
    ///
    /// On other systems, the first line of your own `main` must call [`enter`](crate::testing::enter).
    #[must_use]
    pub fn command(&self) -> &Path {
        &self.reached.command
    }

    /// The arguments of that program.
    #[must_use]
    pub fn args(&self) -> &[String] {
        &self.reached.args
    }

    /// The entry for this server in an `mcpServers` configuration: `{"command": …, "args": […]}`.
    #[must_use]
    pub fn config(&self) -> Value {
        json!({ "command": self.reached.command, "args": self.reached.args })
    }
}

impl<R> MockServer<R> {
    /// Every request and notification of this method so far, in the order of arrival.
    #[must_use]
    pub fn received(&self, method: &str) -> Vec<Received> {
        self.all_received().into_iter().filter(|one| one.message.method() == Some(method)).collect()
    }

    /// Every message so far, in the order of arrival.
    #[must_use]
    pub fn all_received(&self) -> Vec<Received> {
        let received = |event: &Event| match &event.kind {
            EventKind::WireReceived { connection, message } => {
                Some(Received { connection: connection.clone(), message: message.clone() })
            }
            _ => None,
        };
        self.history().events().iter().filter_map(received).collect()
    }

    /// How many connections are open.
    #[must_use]
    pub fn n_open(&self) -> usize {
        n_open(self.history().events())
    }

    /// All events so far: messages in both directions, connections, faults, sockets.
    #[must_use]
    pub fn history(&self) -> History {
        self.host.history()
    }

    /// Opens a gate: releases the actions that the script holds there, now and later.
    pub fn open_gate(&self, gate: &str) {
        self.host.open_gate(gate);
    }

    /// Waits until `n` messages of this method have arrived.
    ///
    /// # Errors
    /// When fewer have arrived within the limit.
    pub async fn until_received(&self, method: &str, n: usize) -> Result<(), Overdue> {
        let is_it = {
            let method = method.to_owned();
            move |event: &Event| match &event.kind {
                EventKind::WireReceived { message, .. } => message.method() == Some(&method),
                _ => false,
            }
        };
        self.until(format!("{n} messages {method}"), move |events| {
            events.iter().filter(|event| is_it(event)).count() >= n
        })
        .await
    }

    /// Waits until an action is held at this gate.
    ///
    /// # Errors
    /// When no action is held within the limit.
    pub async fn until_held(&self, gate: &str) -> Result<(), Overdue> {
        let wanted = EventKind::GateReached { gate: gate.to_owned() };
        self.until(format!("action at gate {gate}"), move |events| events.iter().any(|event| event.kind == wanted))
            .await
    }

    /// Waits until a client has connected and every connection is closed.
    ///
    /// # Errors
    /// When a connection is still open after the limit, or none was opened.
    pub async fn until_closed(&self) -> Result<(), Overdue> {
        let is_over = |events: &[Event]| {
            let was_opened = events.iter().any(|event| matches!(event.kind, EventKind::ConnectionOpened { .. }));
            was_opened && n_open(events) == 0
        };
        self.until("end of every connection".to_owned(), is_over).await
    }

    async fn until(&self, what: String, is_so: impl Fn(&[Event]) -> bool + Send + 'static) -> Result<(), Overdue> {
        let limit = self.limit;
        if self.host.until(limit, is_so).await { Ok(()) } else { Err(Overdue { what, limit }) }
    }

    /// Compares all events so far with the expectations, the protocol and the script.
    ///
    /// It does not check that connections are closed. See [`until_closed`](Self::until_closed).
    ///
    /// # Errors
    /// With every difference.
    pub fn verify(&self) -> Result<(), Unmet> {
        verify::verify(&self.history(), &self.host.script, &self.expected)
    }
}

fn n_open(events: &[Event]) -> usize {
    let n_of = |wanted: fn(&EventKind) -> bool| events.iter().filter(|event| wanted(&event.kind)).count();
    let n_opened = n_of(|kind| matches!(kind, EventKind::ConnectionOpened { .. }));
    n_opened.saturating_sub(n_of(|kind| matches!(kind, EventKind::ConnectionClosed { .. })))
}
