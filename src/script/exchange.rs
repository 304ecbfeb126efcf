//! What goes into an interpreter and what comes out of it.

use std::time::Duration;

use crate::history::{ConnectionId, EventKind};
use crate::plan::{Revision, Temperament};
use crate::script::{Script, Signal, TimerId};

/// What a mock is told before it starts.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What it does.
    pub script: Script,
    /// How it takes its end.
    pub temperament: Temperament,
    /// The newest revision it speaks; never one without `initialize`.
    pub revision: Revision,
    /// Name of its connection.
    pub connection: ConnectionId,
    /// Its process, for a reader.
    pub pid: Option<u32>,
    /// Above this, a body is journalled as head, length and hash.
    pub body_bytes_max: usize,
}

/// What comes about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The carrier is ready. Comes first, once.
    Started,
    /// One line, without its line end.
    Line(Vec<u8>),
    /// Bytes that are no line: too long a one, or one without its end.
    Noise {
        /// How many.
        bytes: u64,
        /// The first of them.
        head: Vec<u8>,
    },
    /// The input ended.
    Eof,
    /// The input broke.
    InputBroken,
    /// The output broke.
    OutputBroken,
    /// More was to be written than a client that does not read may leave behind.
    OutputFull,
    /// A signal arrived.
    Signal(Signal),
    /// A gate was opened. It stays open.
    GateOpened(String),
    /// A timer ran out.
    Timer(TimerId),
    /// The longest life is over.
    LifeOver,
}

/// What a carrier does, in order.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Journal this and wait until it is acknowledged.
    Journal(EventKind),
    /// Write these bytes.
    Write(Vec<u8>),
    /// Give `Input::Timer` after this time.
    SetTimer {
        /// Which.
        timer: TimerId,
        /// After how long.
        after: Duration,
    },
    /// Close the output.
    CloseStdout,
    /// End the process; nothing follows.
    End(End),
}

/// How a mock ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Exit(u8),
    /// By this signal.
    Signal(Signal),
}
