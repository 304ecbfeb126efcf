//! Interception hooks: where a mutation changes the messages, the HTTP exchanges or the bytes of every conversation.
//!
//! The reference loader itself sets none. Each mutation sets one, to show that the invariants notice it. This module
//! defines the hooks; `hooked_wire`, `hooked_inlet` and `http::hooked` call the hooks.

use std::process::Stdio;

use hyper::body::Bytes;
use hyper::http::response::Parts;
use hyper::{Method, Request};
use serde_json::Value;

/// Changes the messages of one conversation.
pub(crate) trait Tamper: Send {
    /// The messages that are sent in place of `message`, in this order.
    fn outgoing(&mut self, message: Value) -> Vec<Value>;

    /// The message that rmcp sees in place of a received one; `None` hides it.
    fn incoming(&mut self, message: Value) -> Option<Value> {
        Some(message)
    }
}

/// Changes the bytes that come from a server: all of them over pipes, those of one body over HTTP.
pub(crate) trait TamperBytes: Send {
    /// The bytes that are read in place of those of one read; `None` is the end.
    fn read(&mut self, bytes: &[u8]) -> Option<Vec<u8>>;
}

/// Changes the HTTP exchanges of one conversation. The default methods change nothing.
pub(crate) trait TamperHttp: Send {
    /// Whether a request must wait until more of the server's responses was seen.
    fn holds(&mut self, _request: &Request<Bytes>) -> bool {
        false
    }

    /// The requests that are sent in place of `request`, one after the other.
    ///
    /// The response to the last of them counts as the response to `request`. An empty list leaves it without a response.
    fn request(&mut self, request: Request<Bytes>) -> Vec<Request<Bytes>> {
        vec![request]
    }

    /// Observes the exchange of a request of this method, and decides how its response is handled.
    fn see(&mut self, _method: &Method, _seen: Seen<'_>) -> Fate {
        Fate::Taken
    }

    /// Whether the next request uses the socket of such a request, without a look at its state.
    fn keeps_socket(&self, _method: &Method) -> bool {
        false
    }
}

/// One observation of an exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// The head of the response.
    Head(&'a Parts),
    /// A piece of the body.
    Piece(&'a [u8]),
    /// The end of the exchange, successful or not.
    Over,
}

/// The further handling of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// The client takes it as it is.
    Taken,
    /// The client sees a broken response if this is decided at its head, and the end of its body if at a piece.
    Lost,
}

/// How messages are framed in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One message in each line.
    Lines,
    /// One message in a body, or in each event of a body.
    Body,
}

/// The hooks of a loader. The default has none; only this crate can set one.
#[derive(Clone, Default)]
pub struct Hooks {
    make: Option<fn() -> Box<dyn Tamper>>,
    make_http: Option<fn() -> Box<dyn TamperHttp>>,
    make_bytes: Option<fn(Framing) -> Box<dyn TamperBytes>>,
    /// Whether a server's stderr goes into a pipe that no code reads.
    leaves_stderr: bool,
    /// Whether the loader leaves the processes alone that a server has started.
    spares_group: bool,
}

impl Hooks {
    /// A hook for the messages of each conversation.
    pub(crate) fn with(make: fn() -> Box<dyn Tamper>) -> Self {
        Self { make: Some(make), ..Self::default() }
    }

    /// A hook for the HTTP exchanges of each conversation.
    pub(crate) fn with_http(make: fn() -> Box<dyn TamperHttp>) -> Self {
        Self { make_http: Some(make), ..Self::default() }
    }

    /// A hook for the bytes that each server writes.
    pub(crate) fn with_bytes(make: fn(Framing) -> Box<dyn TamperBytes>) -> Self {
        Self { make_bytes: Some(make), ..Self::default() }
    }

    /// Leaves each server's stderr in a pipe that no code reads.
    pub(crate) fn with_stderr_left() -> Self {
        Self { leaves_stderr: true, ..Self::default() }
    }

    /// Leaves the processes alone that a server has started.
    pub(crate) fn with_group_spared() -> Self {
        Self { spares_group: true, ..Self::default() }
    }

    /// Whether the loader leaves the processes alone that a server has started.
    pub(super) fn spares_group(&self) -> bool {
        self.spares_group
    }

    /// Where a server's stderr goes, if not where the options say.
    pub(super) fn stderr(&self) -> Option<Stdio> {
        self.leaves_stderr.then(Stdio::piped)
    }

    /// A new hook for the messages of one conversation.
    pub(super) fn messages(&self) -> Option<Box<dyn Tamper>> {
        self.make.map(|make| make())
    }

    /// A new hook for the HTTP exchanges of one conversation.
    pub(super) fn exchanges(&self) -> Option<Box<dyn TamperHttp>> {
        self.make_http.map(|make| make())
    }

    /// What makes a hook for the bytes of one stream or body.
    pub(super) fn bytes(&self) -> Option<fn(Framing) -> Box<dyn TamperBytes>> {
        self.make_bytes
    }
}
