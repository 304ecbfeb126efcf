//! Pipe ends that another part of the loader can close.
//!
//! rmcp owns the transport while a session lives, and its close waits for writes in progress. A server that does not
//! read would block this close forever. So the session keeps a second handle to both pipes and closes them itself.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a server writes.
pub(super) type Inlet = Box<dyn AsyncRead + Send + Unpin>;
/// What a server reads.
pub(super) type Outlet = Box<dyn AsyncWrite + Send + Unpin>;

/// One end of a pipe, shared by rmcp and the session.
pub(super) struct Gate<T> {
    slot: Arc<Mutex<Slot<T>>>,
}

struct Slot<T> {
    end: Option<T>,
    waiting: Option<Waker>,
}

impl<T> Clone for Gate<T> {
    fn clone(&self) -> Self {
        Self { slot: Arc::clone(&self.slot) }
    }
}

impl<T> Gate<T> {
    pub(super) fn new(end: T) -> Self {
        Self { slot: Arc::new(Mutex::new(Slot { end: Some(end), waiting: None })) }
    }

    /// Takes the end out and wakes its waiters, which then get end of file or a broken pipe.
    pub(super) fn take(&self) -> Option<T> {
        let mut slot = self.lock();
        let end = slot.end.take();
        let waiting = slot.waiting.take();
        drop(slot);
        if let Some(waker) = waiting {
            waker.wake();
        }
        end
    }

    fn lock(&self) -> MutexGuard<'_, Slot<T>> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Unpin> Gate<T> {
    /// Polls the end, or answers `shut` when it was taken.
    fn poll_end<R>(
        &self,
        context: &mut Context<'_>,
        shut: R,
        poll: impl FnOnce(Pin<&mut T>, &mut Context<'_>) -> Poll<R>,
    ) -> Poll<R> {
        let mut slot = self.lock();
        let Some(end) = slot.end.as_mut() else {
            return Poll::Ready(shut);
        };
        let polled = poll(Pin::new(end), context);
        if polled.is_pending() {
            slot.waiting = Some(context.waker().clone());
        }
        polled
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Gate<T> {
    fn poll_read(self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.poll_end(context, Ok(()), |end, context| end.poll_read(context, buffer))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gate<T> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let shut = Err(io::ErrorKind::BrokenPipe.into());
        self.poll_end(context, shut, |end, context| end.poll_write(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Err(io::ErrorKind::BrokenPipe.into());
        self.poll_end(context, shut, T::poll_flush)
    }

    fn poll_shutdown(self: Pin<&mut Self>, _context: &mut Context<'_>) -> Poll<io::Result<()>> {
        drop(self.take());
        Poll::Ready(Ok(()))
    }
}

/// Reads what a server still writes, until that ends.
pub(super) async fn drained(stdout: Option<Inlet>) {
    if let Some(mut stdout) = stdout {
        // Errors and end of file alike: nothing more comes.
        let _ = tokio::io::copy(&mut stdout, &mut tokio::io::sink()).await;
    }
}
