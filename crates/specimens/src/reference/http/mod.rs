//! HTTP, streamable or with server-sent events: own transports on bare hyper connections.
//!
//! rmcp 3.9 has a client worker for streamable HTTP, open to other HTTP clients through its `StreamableHttpClient`
//! trait. It is not used, because what is wrong with it lies above that trait:
//!
//! - a stream of the server that ends is opened again every second without limit, and at once if `retry: 0` was given;
//! - a GET that is answered 404 is tried again for ever and never leads to a new session;
//! - a new session waits up to 5 s for POSTs of the old one, and its `initialize` has the request id of the first;
//! - `initialize` is sent outside of any select, so a handshake that is given up leaves the worker and its socket;
//! - DELETE has a private bound of 5 s, and what runs when the worker ends runs in tasks that nobody waits for.
//!
//! So this is a `Transport` beside the one for pipes, and rmcp's serve loop is the same for both. From the outside in:
//!
//! - `carrier`: the state of one conversation. It spawns nothing: everything that is in flight is polled by the owner
//!   task, so nothing of it is left when that task lets go.
//! - `post`: one message to the server, and the answer. `stream`: the stream for what the server says unasked.
//! - `epoch`: one session of the protocol. `site`: where the server is. `error`: what can go wrong.
//! - `mirror`: what a header says of its body in the modern era, which has neither sessions nor a stream of the server's.
//! - `posted`: rmcp's end of a conversation.
//! - `sse`, `endpoint`: the transport of revision 2024-11-05, of which rmcp 3.9 has nothing, in place of `carrier` and `post`.
//! - `exchange`, `socket`, `events`: one HTTP exchange, its bytes, and the events of a stream.
//!
//! Every exchange has a connection of its own. A connection that was kept may be closed by the server just when the
//! next request is written, and then nobody can know whether that was processed; a fresh one has no such moment, and
//! none is left to be closed at the end.
//!
//! Deliberately absent: TLS, redirects, compression, authorization.

mod carrier;
mod conversation;
mod endpoint;
mod epoch;
mod error;
mod events;
mod exchange;
mod mirror;
mod post;
mod posted;
mod site;
mod socket;
mod sse;
mod stream;

pub(super) use conversation::Conversation;
pub use error::HttpError;
pub(super) use posted::Posted;
pub(super) use site::Site;
pub(super) use socket::Stream;
pub(super) use stream::Backoff;
