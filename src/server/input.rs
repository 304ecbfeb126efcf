//! Inputs of a machine.

use crate::history::WireEnd;
use crate::script::Signal;
use crate::server::effect::TimerId;
use crate::server::http_io::{ExchangeNo, Request, SocketNo};

/// One thing that happens to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// The I/O driver is ready. It comes first, once.
    Started,
    /// One line, without its line end.
    Line(Vec<u8>),
    /// Bytes that are not a line: too long, or cut off by the end of the input.
    Noise {
        /// The number of bytes.
        bytes: u64,
        /// The first of them.
        head: Vec<u8>,
    },
    /// The input ended; over HTTP, clients can no longer connect.
    Eof,
    /// The input failed.
    InputBroken,
    /// The output failed.
    OutputBroken,
    /// The driver dropped output, because the client does not read.
    OutputFull,
    /// A client connected over TCP.
    SocketOpened(SocketNo),
    /// A TCP connection ended. `ExchangeGone` precedes it for each of its open exchanges.
    SocketClosed {
        /// The connection.
        socket: SocketNo,
        /// Who ended it, unless an effect did.
        how: WireEnd,
    },
    /// The driver refused a client, because too many are connected.
    SocketRefused,
    /// An HTTP request arrived, with its body or with the reason why it has none.
    Request(Request),
    /// A client gave up an exchange that was still open.
    ExchangeGone(ExchangeNo),
    /// A signal arrived.
    Signal(Signal),
    /// A gate was opened. It stays open.
    GateOpened(String),
    /// A timer fired, or a write to stderr is complete.
    Timer(TimerId),
    /// The longest life of the server is over.
    LifeOver,
}
