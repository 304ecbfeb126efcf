//! Requests, responses and what a mock over HTTP is told before it starts.

use std::collections::BTreeMap;

use crate::history::{ExchangeId, SocketId};

/// A TCP connection, numbered from 1 by its carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketNo(pub u64);

/// An HTTP request and its response, numbered from 1 by the carrier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ExchangeNo(pub u64);

impl SocketNo {
    /// Its name in a history.
    #[must_use]
    pub fn id(self) -> SocketId {
        SocketId(format!("t{}", self.0))
    }
}

impl ExchangeNo {
    /// Its name in a history.
    #[must_use]
    pub fn id(self) -> ExchangeId {
        ExchangeId(format!("x{}", self.0))
    }
}

/// What a mock over HTTP is told before it starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpSetup {
    /// Where it is reached.
    pub url: String,
    /// The path of that URL.
    pub path: String,
    /// Which of the HTTP transports it speaks there.
    pub style: HttpStyle,
    /// What its session ids begin with: visible ASCII.
    pub session_prefix: String,
}

/// The HTTP transports of the protocol.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HttpStyle {
    /// Streamable HTTP: one path for everything.
    Streamable,
    /// HTTP with server-sent events: a GET is a connection, and messages are posted elsewhere.
    Sse {
        /// The path messages are posted to.
        messages: String,
    },
}

/// An HTTP request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// What it opens.
    pub exchange: ExchangeNo,
    /// Where it came.
    pub socket: SocketNo,
    /// Its method.
    pub verb: String,
    /// Its path, without a query.
    pub path: String,
    /// Its query; empty where it has none.
    pub query: String,
    /// The header fields of [`Request::HEADERS`] that it has, by name in lower case, shortened.
    pub headers: BTreeMap<String, String>,
    /// Its body.
    pub body: Body,
}

/// What became of the body of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// All of it.
    Whole(Vec<u8>),
    /// It was longer than a mock takes.
    TooLong,
    /// The client left before its end.
    Cut,
}

impl Request {
    /// The header fields the protocol speaks of.
    pub const HEADERS: &'static [&'static str] = &[
        "accept",
        "content-type",
        "last-event-id",
        "mcp-method",
        "mcp-name",
        "mcp-protocol-version",
        "mcp-session-id",
        "origin",
    ];

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
    /// Its header fields, beside those of its framing.
    pub headers: Vec<(&'static str, String)>,
    /// Its body, or how that begins.
    pub body: Vec<u8>,
}
