//! HTTP requests and responses, as machine and I/O driver exchange them.

use std::collections::BTreeMap;

use crate::history::{ExchangeId, SocketId};

/// A TCP connection, numbered from 1 by the I/O driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketNo(pub u64);

/// An HTTP request and its response, numbered from 1 by the I/O driver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeNo(pub u64);

impl SocketNo {
    /// Its name in a history.
    #[must_use]
    pub fn id(self) -> SocketId {
        SocketId(format!("t{}", self.0).into())
    }
}

impl ExchangeNo {
    /// Its name in a history.
    #[must_use]
    pub fn id(self) -> ExchangeId {
        ExchangeId(format!("x{}", self.0).into())
    }
}

/// The address of a server over HTTP, and its transport.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSetup {
    /// Its URL.
    pub url: String,
    /// The path of that URL.
    pub path: String,
    /// The HTTP transport that it speaks.
    pub style: HttpStyle,
    /// The prefix of its session ids, in visible ASCII.
    pub session_prefix: String,
}

/// The HTTP transports of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpStyle {
    /// Streamable HTTP: one path for everything.
    Streamable,
    /// HTTP with server-sent events: a GET opens a connection, and another path takes messages.
    Sse {
        /// The path for messages.
        messages: String,
    },
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The exchange that it opens.
    pub exchange: ExchangeNo,
    /// The TCP connection on which it arrived.
    pub socket: SocketNo,
    /// Its HTTP method.
    pub verb: String,
    /// Its path, without a query.
    pub path: String,
    /// Its query; empty if it has none.
    pub query: String,
    /// The query as the journal shows it, with a digest in place of each secret.
    pub shown_query: String,
    /// The header fields that [`Request::keeps`], by name in lower case, shortened. Several lines of one field are one
    /// value with commas; of `authorization` there is only a digest.
    pub headers: BTreeMap<String, String>,
    /// Whether it had begun to arrive before the last response on its socket was written.
    pub is_pipelined: bool,
    /// Its body.
    pub body: Body,
}

/// The body of a request, or the reason why it is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// The complete body.
    Whole(Vec<u8>),
    /// The body was longer than a mock takes.
    TooLong,
    /// The client left before the end of the body.
    Cut,
}

impl Request {
    /// The header fields that the protocol defines or uses.
    const HEADERS: &'static [&'static str] = &[
        "accept",
        "authorization",
        "content-type",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "origin",
    ];

    /// Whether a mock keeps the header field with this name in lower case.
    #[must_use]
    pub fn keeps(name: &str) -> bool {
        Self::HEADERS.contains(&name) || name.starts_with("mcp-param-")
    }

    /// A header field by its name in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// An HTTP response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// Its status code.
    pub status: u16,
    /// Its header fields, without those that the driver adds.
    pub headers: Vec<(&'static str, String)>,
    /// Its body, or the beginning of a streamed body.
    pub body: Vec<u8>,
}
