//! What goes into an interpreter and what comes out of it.

use std::time::Duration;

use crate::history::{ConnectionId, EventKind, WireEnd};
use crate::plan::{Revision, ShutdownBehaviour};
use crate::script::{
    BODY_BYTES_MAX, Era, ExchangeNo, Grandchild, HttpSetup, HttpStyle, Request, Response, Script, Signal, SocketNo,
    TimerId,
};

/// What a mock is told before it starts.
#[derive(Debug, Clone)]
pub struct Setup {
    /// What it does.
    pub script: Script,
    /// How it takes its end.
    pub temperament: ShutdownBehaviour,
    /// The newest revision it speaks; its era is that of the script, where that names one.
    pub revision: Revision,
    /// Name of its connection; over HTTP, what the names of its connections begin with.
    pub connection: ConnectionId,
    /// Which process serves this name, from 1: over lines also the number of its one connection.
    pub incarnation: u64,
    /// What carries its messages.
    pub medium: Medium,
    /// Its process, for a reader.
    pub pid: Option<u32>,
    /// Above this, a body is journalled as head, length and hash.
    pub body_bytes_max: usize,
}

impl Setup {
    /// The era it speaks. HTTP with server-sent events is of the legacy one.
    #[must_use]
    pub fn era(&self) -> Era {
        if matches!(&self.medium, Medium::Http(HttpSetup { style: HttpStyle::Sse { .. }, .. })) {
            return Era::Legacy;
        }
        self.script.era(self.incarnation).unwrap_or_else(|| Era::of(self.revision))
    }

    /// What a polite mock is told that nobody has to tell from another: its first process, without a pid.
    #[must_use]
    pub fn alone(script: Script, revision: Revision, medium: Medium) -> Self {
        Self {
            script,
            temperament: ShutdownBehaviour::Polite,
            revision,
            connection: ConnectionId("c1".to_owned()),
            incarnation: 1,
            medium,
            pid: None,
            body_bytes_max: BODY_BYTES_MAX,
        }
    }
}

/// What carries the messages of a mock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Medium {
    /// Lines: one connection for the whole life of the mock.
    Lines,
    /// HTTP: over streamable HTTP a connection for each `initialize`, and one for all of the modern era; with server-sent events
    /// one for each GET.
    Http(HttpSetup),
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
    /// The input ended; over HTTP, nobody can connect any more.
    Eof,
    /// The input broke.
    InputBroken,
    /// The output broke.
    OutputBroken,
    /// More was to be written than a client that does not read may leave behind.
    OutputFull,
    /// A client connected over TCP.
    SocketOpened(SocketNo),
    /// Such a connection is over; its exchanges are told to be over before.
    SocketClosed {
        /// Which.
        socket: SocketNo,
        /// Who ended it, where it was not ended by an effect.
        how: WireEnd,
    },
    /// A client was turned away: there are too many.
    SocketRefused,
    /// An HTTP request arrived, with its body or with what became of that.
    Request(Request),
    /// A client gave up an exchange that is not over.
    ExchangeGone(ExchangeNo),
    /// A signal arrived.
    Signal(Signal),
    /// A gate was opened. It stays open.
    GateOpened(String),
    /// A timer ran out, or what was to be written to stderr is written.
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
    /// Write these bytes, each by itself.
    WriteApart(Vec<u8>),
    /// Give `Input::Timer` after this time.
    SetTimer {
        /// Which.
        timer: TimerId,
        /// After how long.
        after: Duration,
    },
    /// Close the output.
    CloseStdout,
    /// Close the input.
    CloseStdin,
    /// Write these bytes to stderr, however long that takes; then give `Input::Timer`.
    WriteStderr {
        /// The bytes.
        bytes: Vec<u8>,
        /// Which.
        then: TimerId,
    },
    /// Stop the process, as SIGSTOP does.
    Stop,
    /// Start a child.
    Spawn(Grandchild),
    /// Answer a request, with its whole body: its exchange is over.
    Respond {
        /// Which.
        exchange: ExchangeNo,
        /// With what.
        response: Response,
    },
    /// Begin to answer a request with a body that goes on; its own body comes first.
    BeginStream {
        /// Which.
        exchange: ExchangeNo,
        /// With what.
        response: Response,
    },
    /// Send these bytes as the next part of such a body.
    StreamPart {
        /// Of which exchange.
        exchange: ExchangeNo,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// End such a body in order: its exchange is over.
    EndStream(ExchangeNo),
    /// Close the socket of an exchange in the middle: its exchange is over.
    Cut(ExchangeNo),
    /// Reset the socket of an exchange: its exchange is over.
    Reset(ExchangeNo),
    /// Write these bytes where the response of an exchange should be.
    Raw {
        /// Which.
        exchange: ExchangeNo,
        /// The bytes.
        bytes: Vec<u8>,
        /// What becomes of its socket.
        after: After,
    },
    /// End the mock; nothing follows.
    End(End),
}

/// What becomes of a socket after bytes of a script's own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// It is closed: the exchange is over.
    Close,
    /// This side of it is closed. The exchange is over when its client has left.
    HalfClose,
    /// Nothing: the exchange is over when its client has left.
    Stall,
}

/// How a mock ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Exit(u8),
    /// By this signal.
    Signal(Signal),
}
