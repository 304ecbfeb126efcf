//! The places where every message and every HTTP request pass, open to whoever wants to know what a changed conversation leads to.
//!
//! Empty but for the seeded changes of the reference loader, by which this crate tests what it would notice.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use hyper::body::Bytes;
use hyper::{HeaderMap, Request};
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::Value;
use tokio::io::{AsyncRead, ReadBuf};

use super::pipes::Inlet;
use super::wire::Wire;
use crate::loader::target::BoxFuture;

/// Changes the messages of one conversation.
pub(in crate::loader) trait Tamper: Send {
    /// What is sent in place of a message.
    fn outgoing(&mut self, message: Value) -> Vec<Value>;

    /// What is seen in place of a message that was received, if anything.
    fn incoming(&mut self, message: Value) -> Option<Value> {
        Some(message)
    }
}

/// Changes the bytes that come from a server: over pipes all of them, over HTTP those of one body.
pub(in crate::loader) trait TamperBytes: Send {
    /// What is read in place of bytes that were read at once; nothing: the end.
    fn read(&mut self, bytes: &[u8]) -> Option<Vec<u8>>;
}

/// Changes the HTTP requests of one conversation.
pub(in crate::loader) trait TamperHttp: Send {
    /// What is sent in place of a request, one after the other. The response to the last of them is the response to it;
    /// where nothing is sent, there is none.
    fn request(&mut self, request: Request<Bytes>) -> Vec<Request<Bytes>>;

    /// Looks at the header of a response.
    fn response(&mut self, _headers: &HeaderMap) {}
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
pub(in crate::loader) enum Framing {
    /// One in each line.
    Lines,
    /// One in a body, or in each event of one.
    Body,
}

impl Seam {
    /// A seam with something of its own for the messages of each conversation.
    pub(in crate::loader) fn with(make: fn() -> Box<dyn Tamper>) -> Self {
        Self { make: Some(make), ..Self::default() }
    }

    /// A seam with something of its own for the HTTP requests of each conversation.
    pub(in crate::loader) fn with_http(make: fn() -> Box<dyn TamperHttp>) -> Self {
        Self { make_http: Some(make), ..Self::default() }
    }

    /// A seam with something of its own for the bytes that each server writes.
    pub(in crate::loader) fn with_bytes(make: fn(Framing) -> Box<dyn TamperBytes>) -> Self {
        Self { make_bytes: Some(make), ..Self::default() }
    }

    /// A seam that leaves stderr in a pipe.
    pub(in crate::loader) fn with_stderr_left() -> Self {
        Self { leaves_stderr: true, ..Self::default() }
    }

    /// A seam that leaves what a server has started alone.
    pub(in crate::loader) fn with_group_spared() -> Self {
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

/// What somebody does to the requests of one conversation, if anything.
pub(super) struct Requests {
    tamper: Option<Mutex<Box<dyn TamperHttp>>>,
    make_bytes: Option<fn(Framing) -> Box<dyn TamperBytes>>,
}

impl Requests {
    pub(super) fn of(seam: &Seam) -> Self {
        Self { tamper: seam.make_http.map(|make| Mutex::new(make())), make_bytes: seam.make_bytes }
    }

    /// What somebody does to the body of one response, if anything.
    pub(super) fn body(&self) -> Option<Box<dyn TamperBytes>> {
        self.make_bytes.map(|make| make(Framing::Body))
    }

    /// Shows somebody the header of a response.
    pub(super) fn seen(&self, headers: &HeaderMap) {
        if let Some(tamper) = &self.tamper {
            tamper.lock().unwrap_or_else(PoisonError::into_inner).response(headers);
        }
    }

    /// What is sent in place of a request with this body.
    pub(super) fn passed<B>(
        &self,
        request: Request<B>,
        bytes: impl FnOnce(&B) -> Bytes,
        body: impl Fn(&B, Bytes) -> B,
    ) -> Vec<Request<B>> {
        let Some(tamper) = &self.tamper else { return vec![request] };
        let (head, original) = request.into_parts();
        let request = Request::from_parts(head, bytes(&original));
        let changed = tamper.lock().unwrap_or_else(PoisonError::into_inner).request(request);
        changed.into_iter().map(|request| request.map(|bytes| body(&original, bytes))).collect()
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
