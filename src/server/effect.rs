//! Effects of a machine, which an I/O driver performs in order.

use std::time::Duration;

use crate::history::EventKind;
use crate::script::{Grandchild, Signal};
use crate::server::http_io::{ExchangeNo, Response};

/// A timer that a machine asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId(pub u64);

/// One thing that the I/O driver does.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// Journal this event, and wait until it is acknowledged.
    Journal(EventKind),
    /// Write these bytes.
    Write(Vec<u8>),
    /// Write these bytes, each by itself.
    WriteApart(Vec<u8>),
    /// Give `Input::Timer` after this time.
    SetTimer {
        /// The timer to name in the input.
        timer: TimerId,
        /// The time from now on.
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
        /// The timer to name in the input.
        then: TimerId,
    },
    /// Stop the process, as SIGSTOP does.
    Stop,
    /// Start a child.
    Spawn(Grandchild),
    /// Answer a request with a complete body. This ends the exchange.
    Respond {
        /// The exchange.
        exchange: ExchangeNo,
        /// The response.
        response: Response,
    },
    /// Begin a response whose body continues; the body of `response` comes first.
    BeginStream {
        /// The exchange.
        exchange: ExchangeNo,
        /// The response.
        response: Response,
    },
    /// Send these bytes as the next part of such a body.
    StreamPart {
        /// The exchange.
        exchange: ExchangeNo,
        /// The bytes.
        bytes: Vec<u8>,
    },
    /// Complete such a body. This ends the exchange.
    EndStream(ExchangeNo),
    /// Close the socket of an exchange in the middle of the response. This ends the exchange.
    Cut(ExchangeNo),
    /// Reset the socket of an exchange. This ends the exchange.
    Reset(ExchangeNo),
    /// Write these bytes instead of the response of an exchange.
    Raw {
        /// The exchange.
        exchange: ExchangeNo,
        /// The bytes.
        bytes: Vec<u8>,
        /// The action of the driver on the socket afterwards.
        after: After,
    },
    /// End the server; nothing follows.
    End(End),
}

/// The end of a socket after a script's own bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum After {
    /// The driver closes it. This ends the exchange.
    Close,
    /// The driver closes its own direction. The exchange ends when the client leaves.
    HalfClose,
    /// The driver leaves it open. The exchange ends when the client leaves.
    Stall,
}

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// With this exit code.
    Exit(u8),
    /// By this signal.
    Signal(Signal),
}
