//! Errors by their origin: a session, a call, a load, a look-up by bare name. Configuration has errors of its own.

use std::sync::Arc;
use std::time::Duration;

use rmcp::model::ErrorData;
use rmcp::service::{ClientInitializeError, ServiceError};

use super::http::HttpError;
use super::process::Exit;

/// Why a session is not usable. Shared by everybody who asks, hence the [`Arc`]s around it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SessionError {
    /// The server's program did not start.
    #[error("failed to start {program:?}")]
    Spawn {
        /// The program as configured.
        program: String,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// A server in memory cannot be reached.
    #[error("failed to reach server {server:?} in memory")]
    Memory {
        /// The server's name.
        server: String,
        /// Why; without a [`Connector`](mcp_lifecheck::loader::memory::Connector) nothing in memory is reached.
        #[source]
        source: std::io::Error,
    },
    /// The HTTP conversation with the server failed.
    #[error("the HTTP conversation with the server failed")]
    Http {
        /// Why.
        #[source]
        source: Arc<HttpError>,
    },
    /// The session is being opened.
    #[error("the session is still being opened")]
    Connecting,
    /// The server took too long to answer `initialize` and list its tools.
    #[error("not connected within {bound:?}")]
    ConnectTimedOut {
        /// [`Bounds::connect`](super::Bounds::connect).
        bound: Duration,
    },
    /// The server insists on a revision that this loader does not speak.
    #[error(
        "server answered initialize with revision {found:?}, expected 2024-11-05, 2025-03-26, 2025-06-18 or 2025-11-25"
    )]
    UnsupportedRevision {
        /// The revision in the server's answer.
        found: String,
    },
    /// `initialize` was not answered as it should be.
    #[error("handshake failed")]
    Handshake {
        /// What rmcp made of it.
        #[source]
        source: Box<ClientInitializeError>,
    },
    /// `tools/list` was not answered as it should be.
    #[error("listing the tools failed")]
    List {
        /// The failed request.
        #[source]
        source: RequestError,
    },
    /// One server lists two tools of one name.
    #[error("server lists tool {tool:?} twice")]
    DuplicateTool {
        /// The name.
        tool: String,
    },
    /// The pages of `tools/list` did not end.
    #[error("tools/list did not end within {n_pages_max} pages")]
    EndlessList {
        /// [`Bounds::n_pages_max`](super::Bounds::n_pages_max).
        n_pages_max: usize,
    },
    /// The server process ended.
    #[error("server exited with {exit}")]
    ServerExited {
        /// How it ended.
        exit: Exit,
    },
    /// The server closed its stdout, or it could not be read, while its process lives.
    #[error("server closed its stdout")]
    StdoutClosed,
    /// The session was closed: by cleanup, or because the configuration no longer has it.
    #[error("the session was closed")]
    Closed,
    /// The runtime that owned the session is gone.
    #[error("the runtime that owned the session is gone")]
    OwnerLost,
}

/// Why one request to a server has no usable answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// No answer in time. `notifications/cancelled` was sent.
    #[error("no answer within {bound:?}")]
    TimedOut {
        /// The bound that passed.
        bound: Duration,
    },
    /// The server answered with a JSON-RPC error.
    #[error("server answered with error {}: {}", .0.code.0, .0.message)]
    Refused(ErrorData),
    /// The server answered with a result of another kind.
    #[error("server answered with a result that does not fit the request")]
    UnexpectedResult,
    /// The server sends the request back for what this client does not have: it announces nothing that a server may ask of it.
    #[error("server asks its client for what the client does not offer")]
    InputUnavailable,
    /// The server sent the request back too often.
    #[error("server has sent the request back {n_rounds_max} times")]
    EndlessRounds {
        /// [`Bounds::n_rounds_max`](super::Bounds::n_rounds_max).
        n_rounds_max: usize,
    },
    /// The request could not be sent.
    #[error("the request could not be sent")]
    NotSent(#[source] Box<ServiceError>),
    /// The HTTP exchange of the request failed.
    #[error("the HTTP exchange failed")]
    Http(#[source] Arc<HttpError>),
    /// The session ended, or was closed, before the answer.
    #[error("the session ended before the answer")]
    SessionEnded,
    /// The caller no longer waits. `notifications/cancelled` was sent.
    #[error("nobody waits for the answer any more")]
    Abandoned,
}

/// Why a call has no answer of its tool.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// Nothing was loaded yet.
    #[error("nothing is loaded")]
    NotLoaded,
    /// Cleanup has begun or is over, or the session was removed by a load.
    #[error("the session was closed")]
    Closed,
    /// No server of that name is configured.
    #[error("no server is called {server:?}")]
    UnknownServer {
        /// The name asked for.
        server: String,
    },
    /// The server is configured, but its session is not usable: it never connected, or it died.
    #[error("server {server:?} is not usable")]
    Unavailable {
        /// The server's name.
        server: String,
        /// Why its session is not usable.
        #[source]
        because: Arc<SessionError>,
    },
    /// The server never said that it has tools, so none of it may be called.
    #[error("server {server:?} offers no tools")]
    NoTools {
        /// The server's name.
        server: String,
    },
    /// Arguments that are neither an object nor null.
    #[error("arguments are {found}, expected an object or null")]
    BadArguments {
        /// The kind of JSON value found.
        found: &'static str,
    },
    /// Too many calls are in flight on that session.
    #[error("{n_calls_max} calls are in flight on server {server:?}")]
    TooManyCalls {
        /// The server's name.
        server: String,
        /// [`Bounds::n_calls_max`](super::Bounds::n_calls_max).
        n_calls_max: usize,
    },
    /// The request failed.
    #[error("calling {tool:?} on server {server:?} failed")]
    Request {
        /// The server's name.
        server: String,
        /// The tool's name.
        tool: String,
        /// Why.
        #[source]
        source: RequestError,
    },
    /// The runtime given to [`ToolsLoader::on`](super::ToolsLoader::on) is not being driven.
    #[error("the owner runtime did not react within {waited:?}")]
    OwnerSilent {
        /// How long the blocking caller waited.
        waited: Duration,
    },
}

/// Why a load or a cleanup has no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoaderError {
    /// Cleanup was asked for while the load ran, and won.
    #[error("cleanup ended the load")]
    Closed,
    /// The owner thread or its runtime could not be started.
    #[error("failed to start the owner thread")]
    OwnerStart {
        /// What the system said.
        #[source]
        source: Arc<std::io::Error>,
    },
    /// The owner runtime is gone: the one given to [`ToolsLoader::on`](super::ToolsLoader::on) was shut down.
    #[error("the owner runtime is gone")]
    OwnerLost,
    /// The runtime given to [`ToolsLoader::on`](super::ToolsLoader::on) is not being driven.
    #[error("the owner runtime did not react within {waited:?}")]
    OwnerSilent {
        /// How long the blocking caller waited.
        waited: Duration,
    },
}

/// Why a bare tool name names no tool.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LookupError {
    /// No server has it.
    #[error("no server has a tool called {name:?}")]
    Unknown {
        /// The name asked for.
        name: String,
    },
    /// More than one server has it.
    #[error("tool {name:?} belongs to more than one server: {}", .owners.join(", "))]
    Ambiguous {
        /// The name asked for.
        name: String,
        /// Every server that has it, in server order.
        owners: Vec<String>,
    },
}
