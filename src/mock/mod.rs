//! Mock servers: I/O drivers that perform the effects of a [`server`](crate::server) on real bytes.
//!
//! Start at [`run_linked`] (a mock with a link to the recorder) and [`run_standalone`] (in any client's configuration). There are
//! three drivers. Standard input and output: blocking, with plain threads, so that a mock starts in a millisecond and its client
//! cannot stall it. HTTP: [`HttpMock`], on any runtime and over any stream of bytes. Lines over any stream of bytes:
//! [`LineMock`].
//!
//! Where a mock lives, and what it speaks, decide its driver:
//!
//! | | a process of its own: `run` | the process of its client: [`MemoryMocks`] | the runtime of its client: [`NearMocks`] |
//! |---|---|---|---|
//! | lines | standard input and output | [`LineMock`] | [`LineMock`] |
//! | streamable HTTP | [`HttpMock`], over TCP | [`HttpMock`] | [`HttpMock`] |
//! | HTTP with server-sent events | [`HttpMock`], over TCP | | |
//!
//! Deliberately absent: any judgement, and any memory of earlier processes.

mod arguments;
mod http;
mod input;
mod journal;
mod line_driver;
mod memory;
mod near;
mod output;
mod own_process;
mod recorder_link;
mod run;
mod signals;
mod standalone;
mod stdio;
mod stdio_driver;
mod wavering;

pub use arguments::{ArgumentError, DriverKind, LinkedArgs, MockError, StandaloneArgs, load_script};
pub use http::{ByteStream, Connector, HttpMock, Inbox, connector};
pub use journal::{FileJournal, Journal, JournalLost, NoJournal};
pub use line_driver::{LineInbox, LineMock, LineSender, line_inbox};
pub use memory::{ClientPipes, MemoryMocks, Served};
pub use near::{NearMocks, NearSetup};
pub use run::{run_linked, run_standalone};

/// Exit code of a mock whose journal is lost: its link ended, or its file cannot be written. It overrides every script.
pub const JOURNAL_LOST_CODE: u8 = 87;
