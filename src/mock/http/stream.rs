//! Any stream of bytes, as hyper wants to have it.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

use crate::history::WireEnd;

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
#[derive(Debug, Default)]
pub(super) struct Fate {
    reset: AtomicBool,
    seen: AtomicU8,
}

const SEEN_EOF: u8 = 1;
const SEEN_ERROR: u8 = 2;

impl Fate {
    /// The connection is to be reset when it is dropped.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
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
