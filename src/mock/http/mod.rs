//! The I/O driver of HTTP, streamable or with server-sent events: real HTTP/1.1 over any stream of bytes.
//!
//! Start at [`HttpMock`]: one task owns the machine and performs its effects in order. Each connection is a task of its own, so
//! that a client that does not read delays no other. The driver ends no process and installs nothing: `process` does, which
//! runs a mock in a process of its own.

mod body;
mod connection;
mod connector;
mod fate;
mod fields;
mod owner;
mod parts;
mod process;
mod reply;
mod shared;
mod stream;

pub use connector::{Connector, Inbox, connector};
pub use owner::HttpMock;
pub(super) use process::{HttpTransport, run_linked_http, run_standalone_http};
pub use stream::ByteStream;
