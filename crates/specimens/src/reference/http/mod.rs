//! Streamable HTTP, and HTTP with server-sent events: transports of our own on bare hyper connections.
//!
//! rmcp has a client for streamable HTTP that accepts other HTTP implementations through its `StreamableHttpClient` trait. The
//! reference loader does not use it, because five of its defects lie above that trait. All five are present in rmcp 3.9.0,
//! where they were measured, and in 3.11.0, where they were read from `transport/streamable_http_client.rs`:
//!
//! - It reopens a stream that the server ends every second, without limit; after `retry: 0`, at once. The default policy
//!   (`ExponentialBackoff`) has no `max_times`.
//! - If the server answers a GET with 404, it repeats the GET forever, and never opens a new session because of it
//!   (`classify_reconnect_error` retries `SessionExpired`).
//! - A new session waits for the POSTs of the old one, 5 s unless `session_recovery_timeout` says otherwise, and its
//!   `initialize` repeats the request id of the first.
//! - It sends `initialize` outside any `select!`, so a caller that gives up on a handshake leaves the worker and its socket.
//! - DELETE has a private limit of 5 s (`SESSION_CLEANUP_TIMEOUT`), and the worker aborts the tasks of its streams at the end
//!   without waiting for them.
//!
//! So this module has a `Transport` of its own next to the one for pipes; rmcp's serve loop runs on either. From the outside in:
//!
//! - `conversation`: either of the two transports. `driver`: the state of one conversation over streamable HTTP. It spawns
//!   nothing: the owner task polls every future, so nothing is left in flight when that task stops.
//! - `turns`: everything that the driver sends, each as one future. `post`: one message to the server and its answer.
//!   `stream`: the stream on which the server sends messages of its own.
//! - `mcp_session`: one session of the protocol. `target`: the address of the server. `dial`: how connections to it are opened.
//!   `error`: what can fail.
//! - `request_metadata`: the headers that repeat parts of the body under revision 2026-07-28, which has no sessions.
//! - `posted`: rmcp's end of a conversation.
//! - `sse`, `endpoint`: the transport of revision 2024-11-05, which rmcp does not have, in place of `driver` and `post`.
//! - `exchange`, `socket`, `events`: one HTTP exchange, its bytes, and the events of a stream.
//! - `hooked`, `kept_socket`: where a mutation changes an exchange.
//!
//! Every exchange has a connection of its own. A server may close a connection that was kept just when the client writes the
//! next request to it, and then the client cannot know whether the server processed that request. With a fresh
//! connection this cannot happen, and no connection is left to close at the end.
//!
//! Deliberately absent: TLS, redirects, compression, authorization.

mod conversation;
mod dial;
mod driver;
mod endpoint;
mod error;
mod events;
mod exchange;
mod hooked;
mod kept_socket;
mod mcp_session;
mod post;
mod posted;
mod request_metadata;
mod socket;
mod sse;
mod stream;
mod target;
mod turns;

pub(super) use conversation::Conversation;
pub(super) use dial::Dial;
pub use endpoint::Endpoint as PostTarget;
pub use error::HttpError;
pub use events::Events;
pub(super) use posted::Posted;
pub use request_metadata::RequestMetadata;
pub(super) use socket::Stream;
pub use stream::Backoff;
pub(super) use target::Target;
