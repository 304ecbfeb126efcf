//! Sockets that stay open for the next request, in the state in which the last one left them.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::socket::Stream;

/// Where a socket waits for the next request.
#[derive(Clone, Default)]
pub(super) struct Shelf(Arc<Mutex<Option<Box<dyn Stream>>>>);

impl Shelf {
    pub(super) fn take(&self) -> Option<Box<dyn Stream>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn put(&self, stream: Option<Box<dyn Stream>>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = stream;
    }
}

/// A socket that its exchange does not close: dropped, it is on the shelf.
pub(super) struct Kept {
    stream: Option<Box<dyn Stream>>,
    shelf: Shelf,
}

impl Kept {
    pub(super) fn new(stream: Box<dyn Stream>, shelf: &Shelf) -> Self {
        Self { stream: Some(stream), shelf: shelf.clone() }
    }

    fn stream(&mut self) -> Pin<&mut dyn Stream> {
        Pin::new(self.stream.as_mut().expect("only drop takes it"))
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        self.shelf.put(self.stream.take());
    }
}

impl AsyncRead for Kept {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.stream().poll_read(context, buffer)
    }
}

impl AsyncWrite for Kept {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.stream().poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream().poll_flush(context)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
