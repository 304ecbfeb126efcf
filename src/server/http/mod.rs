//! The framing of HTTP: sessions, exchanges, and the responses of a conforming server.
//!
//! Start at [`Http`]. A connection is what one `initialize` opens, however many sockets and exchanges it uses. Requests that name
//! no session, except for `initialize`, belong to a connection of their own, number 0. Stateless requests share one connection,
//! which lasts as long as the server. [`sse`] has the differences of HTTP with server-sent events.
//!
//! Source: revisions 2025-03-26, 2025-06-18 and 2025-11-25, basic/transports, Streamable HTTP; revision 2024-11-05,
//! basic/transports, HTTP with SSE; revision 2026-07-28, basic/transports/streamable-http.

mod admit;
mod answers;
mod exchanges;
mod metadata;
mod possible;
mod requests;
mod server;
mod sessions;
mod sockets;
mod sse;
mod streams;
#[cfg(test)]
mod tests;

pub(super) use admit::Refusal;
pub(super) use possible::is_possible;
pub(super) use requests::Receiver;
pub(super) use server::{Http, JSON, SESSION};
