//! The places where every message and every HTTP exchange pass, open to mutations of the conversation.
//!
//! Here are the messages, and the bytes of pipes; `http` has the exchanges, and `sockets` what carries them.
//!
//! Without a mutation, every hook is empty.

mod http;
mod sockets;

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll, ready};

use mcp_lifecheck::loader::target::BoxFuture;
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::io::{AsyncRead, ReadBuf};

use super::pipes::Inlet;
use super::wire::Wire;

pub(crate) use http::{Fate, Seen, TamperHttp};
pub(super) use http::{Passage, Requests};

/// Changes the messages of one conversation.
pub(crate) trait Tamper: Send {
    /// What is sent in place of a message.
    fn outgoing(&mut self, message: Value) -> Vec<Value>;

    /// What is seen in place of a message that was received, if anything.
    fn incoming(&mut self, message: Value) -> Option<Value> {
        Some(message)
    }
}

/// Changes the bytes that come from a server: over pipes all of them, over HTTP those of one body.
pub(crate) trait TamperBytes: Send {
    /// What is read in place of bytes that were read at once; nothing: the end.
    fn read(&mut self, bytes: &[u8]) -> Option<Vec<u8>>;
}

/// Where somebody may change what is said in every conversation. Only this crate can make one that does.
#[derive(Clone, Default)]
pub struct Seam {
    make: Option<fn() -> Box<dyn Tamper>>,
    make_http: Option<fn() -> Box<dyn TamperHttp>>,
    make_bytes: Option<fn(Framing) -> Box<dyn TamperBytes>>,
    /// Whether a server's stderr goes into a pipe that nobody reads.
    leaves_stderr: bool,
    /// Whether what a server has started is left alone.
    spares_group: bool,
}

/// How messages stand among bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// One in each line.
    Lines,
    /// One in a body, or in each event of one.
    Body,
}

impl Seam {
    /// A seam with something of its own for the messages of each conversation.
    pub(crate) fn with(make: fn() -> Box<dyn Tamper>) -> Self {
        Self { make: Some(make), ..Self::default() }
    }

    /// A seam with something of its own for the HTTP exchanges of each conversation.
    pub(crate) fn with_http(make: fn() -> Box<dyn TamperHttp>) -> Self {
        Self { make_http: Some(make), ..Self::default() }
    }

    /// A seam with something of its own for the bytes that each server writes.
    pub(crate) fn with_bytes(make: fn(Framing) -> Box<dyn TamperBytes>) -> Self {
        Self { make_bytes: Some(make), ..Self::default() }
    }

    /// A seam that leaves stderr in a pipe.
    pub(crate) fn with_stderr_left() -> Self {
        Self { leaves_stderr: true, ..Self::default() }
    }

    /// A seam that leaves what a server has started alone.
    pub(crate) fn with_group_spared() -> Self {
        Self { spares_group: true, ..Self::default() }
    }

    /// Whether what a server has started is left alone.
    pub(super) fn spares_group(&self) -> bool {
        self.spares_group
    }

    /// What becomes of a server's stderr, unless it goes where it should.
    pub(super) fn stderr(&self) -> Option<Stdio> {
        self.leaves_stderr.then(Stdio::piped)
    }

    /// The output of a server as it is read.
    pub(super) fn inlet(&self, inlet: Inlet) -> Inlet {
        match self.make_bytes {
            None => inlet,
            Some(make) => {
                Box::new(Tampered { inlet, tamper: make(Framing::Lines), rest: VecDeque::new(), over: false })
            }
        }
    }
}

/// The output of a server with what somebody does to it.
struct Tampered {
    inlet: Inlet,
    tamper: Box<dyn TamperBytes>,
    rest: VecDeque<u8>,
    over: bool,
}

/// Read at once, in bytes.
const CHUNK: usize = 8 << 10;

impl AsyncRead for Tampered {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() && !self.over {
            let mut chunk = [0; CHUNK];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.inlet).poll_read(context, &mut read))?;
            let seen = Some(read.filled()).filter(|bytes| !bytes.is_empty()).map(<[u8]>::to_vec);
            match seen.and_then(|bytes| self.tamper.read(&bytes)) {
                Some(bytes) => self.rest.extend(bytes),
                None => self.over = true,
            }
        }
        let n_bytes = self.rest.len().min(buffer.remaining());
        self.rest.drain(..n_bytes).for_each(|byte| buffer.put_slice(&[byte]));
        Poll::Ready(Ok(()))
    }
}

/// A wire with what somebody does to its messages, if anything.
pub(super) struct Seamed {
    wire: Wire,
    tamper: Option<Box<dyn Tamper>>,
}

impl Seamed {
    pub(super) fn new(wire: Wire, seam: &Seam) -> Self {
        Self { wire, tamper: seam.make.map(|make| make()) }
    }

    fn outgoing(&mut self, message: TxJsonRpcMessage<RoleClient>) -> Vec<TxJsonRpcMessage<RoleClient>> {
        let Some(tamper) = &mut self.tamper else { return vec![message] };
        let message = serde_json::to_value(message).expect("a message has string keys only");
        let changed = tamper.outgoing(message).into_iter();
        changed.map(|message| serde_json::from_value(message).expect("a seeded change sends messages")).collect()
    }

    fn incoming(&mut self, message: RxJsonRpcMessage<RoleClient>) -> Option<RxJsonRpcMessage<RoleClient>> {
        let Some(tamper) = &mut self.tamper else { return Some(message) };
        let message = serde_json::to_value(message).expect("a message has string keys only");
        let seen = tamper.incoming(message)?;
        Some(serde_json::from_value(seen).expect("a seeded change shows messages"))
    }
}

impl Transport<RoleClient> for Seamed {
    type Error = <Wire as Transport<RoleClient>>::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        // Each takes its turn on the wire here, in this order.
        let mut writes: Vec<BoxFuture<'static, Result<(), Self::Error>>> = Vec::new();
        for message in self.outgoing(message) {
            writes.push(Box::pin(self.wire.send(message)));
        }
        async move {
            for write in writes {
                write.await?;
            }
            Ok(())
        }
    }

    /// Safe to cancel, as the wire's own.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let message = self.wire.receive().await?;
            if let Some(seen) = self.incoming(message) {
                return Some(seen);
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.wire.close().await
    }
}
