//! The bytes of one exchange: hyper's view of a socket, and when the request has left.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use hyper::body::{Body, Bytes, Frame, SizeHint};
use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::watch;

/// Read at once, in bytes.
const CHUNK: usize = 8 << 10;

/// How far a request has come.
pub(super) struct Flight {
    taken: AtomicBool,
    sent: watch::Sender<bool>,
    answered: AtomicBool,
}

impl Flight {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            taken: AtomicBool::new(false),
            sent: watch::Sender::new(false),
            answered: AtomicBool::new(false),
        })
    }

    /// Resolves when the whole request was handed to the system.
    pub(super) async fn sent(&self) {
        // The sender lives in self, so no error can occur.
        let _ = self.sent.subscribe().wait_for(|sent| *sent).await;
    }

    pub(super) fn mark_answered(&self) {
        self.answered.store(true, Ordering::Release);
    }

    /// Whether its answer has arrived.
    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Ordering::Acquire)
    }
}

/// The body of a request, which tells its flight when it was taken.
pub(super) struct Payload {
    bytes: Option<Bytes>,
    flight: Arc<Flight>,
}

impl Payload {
    pub(super) fn of(bytes: Bytes, flight: &Arc<Flight>) -> Self {
        Self { bytes: Some(bytes), flight: Arc::clone(flight) }
    }

    pub(super) fn none() -> Self {
        Self { bytes: None, flight: Flight::new() }
    }

    /// What it holds; nothing once it was taken.
    pub(super) fn bytes(&self) -> Bytes {
        self.bytes.clone().unwrap_or_default()
    }

    /// The same flight with other bytes.
    pub(super) fn with(&self, bytes: Bytes) -> Self {
        Self { bytes: (!bytes.is_empty()).then_some(bytes), flight: self.flight() }
    }

    pub(super) fn flight(&self) -> Arc<Flight> {
        Arc::clone(&self.flight)
    }
}

impl Body for Payload {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let bytes = self.bytes.take();
        self.flight.taken.store(true, Ordering::Release);
        Poll::Ready(bytes.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

/// What carries the bytes of an exchange, as a [`Dial`](super::dial::Dial) opens it.
pub(in super::super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A socket, which tells a flight when the request has left.
pub(super) struct Socket {
    stream: Box<dyn Stream>,
    flight: Arc<Flight>,
}

impl Socket {
    pub(super) fn new(stream: Box<dyn Stream>, flight: Arc<Flight>) -> Self {
        Self { stream, flight }
    }
}

impl Read for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut cursor: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // By way of the stack: without `unsafe`, hyper's buffer can only be copied into.
        let mut chunk = [0; CHUNK];
        let mut buffer = ReadBuf::new(&mut chunk[..CHUNK.min(cursor.remaining())]);
        ready!(Pin::new(&mut self.stream).poll_read(context, &mut buffer))?;
        cursor.put_slice(buffer.filled());
        Poll::Ready(Ok(()))
    }
}

impl Write for Socket {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    /// hyper flushes a socket when it has written all it had. If it had taken the body before, that is everything.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        if self.flight.taken.load(Ordering::Acquire) {
            self.flight.sent.send_if_modified(|sent| !std::mem::replace(sent, true));
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
