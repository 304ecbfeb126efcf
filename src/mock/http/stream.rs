//! Any stream of bytes, as hyper wants to have it.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

use crate::history::WireEnd;
use crate::mock::http::connection::Open;
use crate::script::After;

/// Bytes read at once.
const READ_BYTES: usize = 8 * 1_024;

/// What carries HTTP: a socket, or pipes in memory.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes the drop that follows an abrupt one: what is under way is lost, and the other end sees that.
    fn reset_on_drop(&self);
}

impl ByteStream for TcpStream {
    fn reset_on_drop(&self) {
        // A socket that is gone already needs no reset.
        let _ = self.set_zero_linger();
    }
}

impl ByteStream for DuplexStream {
    /// A pipe in memory has one way to end.
    fn reset_on_drop(&self) {}
}

/// How a connection ends, as its parts see it.
#[derive(Default)]
pub(super) struct Fate {
    reset: AtomicBool,
    seen: AtomicU8,
    raw: Mutex<Option<(Raw, Open)>>,
}

/// Bytes of a script's own in place of a response.
pub(super) struct Raw {
    pub bytes: Vec<u8>,
    pub after: After,
}

const SEEN_EOF: u8 = 1;
const SEEN_ERROR: u8 = 2;

impl Fate {
    /// The connection is to be reset when it is dropped.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    /// What is to be written when hyper has let go of the connection, and the exchange it belongs to.
    pub(super) fn keep_raw(&self, raw: Raw, open: Open) {
        *self.raw.lock().unwrap_or_else(PoisonError::into_inner) = Some((raw, open));
    }

    pub(super) fn take_raw(&self) -> Option<(Raw, Open)> {
        self.raw.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Who ended it, as far as the bytes tell; what nobody ended we did.
    pub(super) fn end(&self) -> WireEnd {
        match self.seen.load(Ordering::Relaxed) {
            SEEN_EOF => WireEnd::ByClient,
            SEEN_ERROR => WireEnd::Broken,
            _ => WireEnd::ByServer,
        }
    }

    fn see(&self, what: u8) {
        // The first thing that was seen tells.
        let _ = self.seen.compare_exchange(0, what, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn see_result<T>(&self, result: &Poll<io::Result<T>>) {
        if matches!(result, Poll::Ready(Err(_))) {
            self.see(SEEN_ERROR);
        }
    }
}

/// A stream that notices how it ends.
pub(super) struct Wire<S: ByteStream> {
    stream: S,
    fate: Arc<Fate>,
}

impl<S: ByteStream> Wire<S> {
    pub(super) fn new(stream: S, fate: Arc<Fate>) -> Self {
        Self { stream, fate }
    }

    /// Ends this side of the connection.
    pub(super) async fn shut(&mut self) {
        // The client may have left.
        let _ = self.stream.shutdown().await;
    }

    /// Writes bytes of a script's own, and does what follows. Returns when nothing more can come of the connection.
    pub(super) async fn write_raw(&mut self, raw: Raw) {
        if let Err(_gone) = self.stream.write_all(&raw.bytes).await {
            return self.fate.see(SEEN_ERROR);
        }
        if raw.after != After::Stall {
            self.shut().await;
        }
        if raw.after != After::Close {
            self.until_left().await;
        }
    }

    /// Reads until the client has left.
    async fn until_left(&mut self) {
        let mut rest = [0; 1_024];
        loop {
            match self.stream.read(&mut rest).await {
                Ok(0) => return self.fate.see(SEEN_EOF),
                Ok(_) => {}
                Err(_) => return self.fate.see(SEEN_ERROR),
            }
        }
    }
}

impl<S: ByteStream> Drop for Wire<S> {
    fn drop(&mut self) {
        if self.fate.reset.load(Ordering::Relaxed) {
            self.stream.reset_on_drop();
        }
    }
}

impl<S: ByteStream> Read for Wire<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut target: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        // hyper's cursor takes bytes safely only as a copy.
        let mut space = [MaybeUninit::uninit(); READ_BYTES];
        let n_bytes_max = READ_BYTES.min(target.remaining());
        let mut buffer = ReadBuf::uninit(&mut space[..n_bytes_max]);
        let read = Pin::new(&mut self.stream).poll_read(cx, &mut buffer);
        self.fate.see_result(&read);
        if matches!(read, Poll::Ready(Ok(()))) {
            if buffer.filled().is_empty() {
                self.fate.see(SEEN_EOF);
            }
            target.put_slice(buffer.filled());
        }
        read
    }
}

impl<S: ByteStream> Write for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.fate.see_result(&written);
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.fate.see_result(&written);
        written
    }
}
