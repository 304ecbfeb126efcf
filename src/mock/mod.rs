//! Mock servers: what carries the bytes of a [`script`](crate::script) interpreter.
//!
//! Start at [`run_linked`] (the loader's child, reporting home) and [`run_standalone`] (alone, in any client's
//! configuration). Over stdio: blocking, with plain threads, so that a mock starts in a millisecond and can not be stalled by
//! its client. Over HTTP: see [`HttpMock`], which runs on any runtime and over any stream of bytes. In memory: see
//! [`MemoryMocks`], which hosts mocks of both kinds in a process that has other things to do; over lines, each is a
//! [`LineMock`].
//!
//! Deliberately absent: any judgement, and any memory of earlier processes.

mod arguments;
mod carrier;
mod http;
mod input;
mod journal;
mod memory;
mod output;
mod own;
mod stdio;

pub use arguments::{ArgumentError, CarrierKind, LinkedArgs, MockError, StandaloneArgs, load_script};
pub use http::{ByteStream, Connector, HttpMock, Inbox, connector};
pub use journal::{FileJournal, Journal, JournalLost, NoJournal};
pub use memory::{ClientPipes, LineInbox, LineMock, LineSender, MemoryMocks, Served, line_inbox};
pub use stdio::{run_linked, run_standalone};

/// Exit code of a mock whose journal is lost: its link ended, or its file can not be written. Overrides every script.
pub const JOURNAL_LOST_CODE: u8 = 87;
