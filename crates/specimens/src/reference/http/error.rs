//! Errors between this client and a server over HTTP.

use std::io;
use std::sync::Arc;
use std::time::Duration;

/// Why a server could not be reached over HTTP, or why its answer is none.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// The address is none.
    #[error("found address {url:?}, which {problem}, expected http://HOST[:PORT][/PATH]")]
    BadUrl {
        /// The address as configured.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The address asks for TLS.
    #[error("https is not supported by this build: found address {url:?}, expected http://")]
    HttpsUnsupported {
        /// The address as configured.
        url: String,
    },
    /// A configured header has invalid characters.
    #[error("header {name:?} or its value has characters that cannot be sent")]
    BadHeader {
        /// Its name. The value may be a secret.
        name: String,
    },
    /// No connection.
    #[error("failed to connect to {authority}")]
    Connect {
        /// Host and port.
        authority: String,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The connection ended, or carried no HTTP, before the exchange was over.
    #[error("the exchange broke off")]
    BrokeOff(#[source] hyper::Error),
    /// A status that does not fit.
    #[error("server answered with status {found}, expected {expected}")]
    Status {
        /// The status.
        found: u16,
        /// What would have been right.
        expected: &'static str,
    },
    /// A content type that does not fit.
    #[error("server answered with content type {found:?}, expected {expected}")]
    ContentType {
        /// The content type; empty if there was none.
        found: String,
        /// What would have been right.
        expected: &'static str,
    },
    /// A body or an event that is not a message.
    #[error("server sent bytes that are not a message: {head:?}")]
    NotAMessage {
        /// Its beginning.
        head: String,
        /// Why it is none.
        #[source]
        source: serde_json::Error,
    },
    /// The response had messages, but not the answer to its request.
    #[error("the response ended without the answer to its request")]
    NoAnswer,
    /// A stream of events that does not begin with where to post.
    #[error("the stream of the server did not begin with where to post")]
    NoEndpoint,
    /// Where to post is no address.
    #[error("found endpoint {found:?}, expected a path or an address")]
    BadEndpoint {
        /// What the server said.
        found: String,
    },
    /// Where to post is at another server.
    #[error("found endpoint {found:?}, expected one of {origin}")]
    ForeignEndpoint {
        /// What the server said.
        found: String,
        /// Scheme and authority of its stream.
        origin: String,
    },
    /// The stream that carries every answer ended.
    #[error("the stream of the server ended")]
    StreamEnded,
    /// A body or an event is too large.
    #[error("server sent more than {bytes_max} bytes at once")]
    TooLarge {
        /// [`Bounds::message_bytes_max`](super::super::Bounds::message_bytes_max).
        bytes_max: usize,
    },
    /// The server answered 404 to a request with a session id.
    #[error("server no longer knows the session")]
    SessionExpired,
    /// A new session could not be opened after the server had forgotten the first.
    #[error("the session expired, and a new one could not be opened")]
    NotRenewed(#[source] Arc<HttpError>),
    /// The server answered a second `initialize` with a revision that this loader does not speak, or with an error.
    #[error("server answered the new initialize with {found}, expected a revision that this loader speaks")]
    BadRenewal {
        /// What it answered.
        found: String,
    },
    /// It took too long.
    #[error("not done within {bound:?}")]
    TimedOut {
        /// The bound that passed.
        bound: Duration,
    },
    /// The request was cancelled while it was on its way.
    #[error("the request was cancelled")]
    Cancelled,
    /// The conversation is over.
    #[error("the conversation is over")]
    Closed,
}
