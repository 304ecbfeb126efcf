//! Any stream of bytes, adapted to hyper.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream, ReadBuf};
use tokio::net::TcpStream;

use crate::mock::http::fate::{Fate, SEEN_EOF, SEEN_ERROR};
use crate::mock::http::reply::Raw;
use crate::server::After;

/// Bytes read at once.
const READ_BYTES: usize = 8 * 1_024;

/// A stream that carries HTTP: a socket, or a pipe within this process.
pub trait ByteStream: AsyncRead + AsyncWrite + Unpin + Send + 'static {
    /// Makes the next drop abrupt: bytes in flight are lost, and the other end observes a reset.
    fn reset_on_drop(&self);

    /// Whether bytes have arrived that were not read, as far as the system tells.
    fn has_unread(&self) -> bool;
}

impl ByteStream for TcpStream {
    fn reset_on_drop(&self) {
        // A closed socket needs no reset.
        let _ = self.set_zero_linger();
    }

    fn has_unread(&self) -> bool {
        rustix::io::ioctl_fionread(self).is_ok_and(|n_bytes| n_bytes > 0)
    }
}

impl ByteStream for DuplexStream {
    /// A pipe within a process ends in one way only.
    fn reset_on_drop(&self) {}

    /// A pipe within a process does not tell.
    fn has_unread(&self) -> bool {
        false
    }
}

/// A stream that observes how it ends.
pub(super) struct Wire<S: ByteStream> {
    stream: S,
    fate: Arc<Fate>,
}

impl<S: ByteStream> Wire<S> {
    pub(super) fn new(stream: S, fate: Arc<Fate>) -> Self {
        Self { stream, fate }
    }

    /// Notes a write. What waited before it had been sent without it.
    fn see_written(&self, written: &Poll<io::Result<usize>>, had_waiting: bool) {
        self.fate.see_result(written);
        if matches!(written, Poll::Ready(Ok(_))) {
            self.fate.see_written(had_waiting);
        }
    }

    /// Ends this side of the connection.
    pub(super) async fn shut(&mut self) {
        // The client may have left.
        let _ = self.stream.shutdown().await;
    }

    /// Writes a script's own bytes, and ends the connection as the script says. Returns when the connection has ended.
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
        if self.fate.is_reset() {
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
            } else {
                self.fate.see_read();
                self.fate.bytes_came();
            }
            target.put_slice(buffer.filled());
        }
        read
    }
}

impl<S: ByteStream> Write for Wire<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let had_waiting = self.stream.has_unread();
        let written = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.see_written(&written, had_waiting);
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
        let had_waiting = self.stream.has_unread();
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.see_written(&written, had_waiting);
        written
    }
}
