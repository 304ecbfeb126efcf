//! The parts of a streamed body, on their way from the mock to a client.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::sync::mpsc;

/// Most bytes of a stream that wait for a client that does not read.
const STREAM_BYTES_MAX: usize = 16 << 20;

/// A part of a streamed body.
#[derive(Debug)]
pub(super) enum Part {
    Bytes(Vec<u8>),
    /// The body is complete.
    End,
    /// The socket is closed in the middle of the body.
    Cut,
    /// The socket is reset.
    Reset,
}

/// Sends the parts of one body.
#[derive(Debug)]
pub(super) struct PartSender {
    parts: mpsc::UnboundedSender<Part>,
    n_bytes: Arc<AtomicUsize>,
}

impl PartSender {
    /// Sends a part, and returns whether there was room for it.
    pub(super) fn send(&self, part: Part) -> bool {
        if let Part::Bytes(bytes) = &part {
            let n_waiting = self.n_bytes.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
            // One message always has room, because scripts bound its length.
            if n_waiting > STREAM_BYTES_MAX && n_waiting > bytes.len() {
                self.n_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
                return false;
            }
        }
        // The client may be gone.
        let _ = self.parts.send(part);
        true
    }
}

/// Receives the parts of one body.
#[derive(Debug)]
pub(super) struct Parts {
    parts: mpsc::UnboundedReceiver<Part>,
    n_bytes: Arc<AtomicUsize>,
}

/// Both ends of a streamed body.
pub(super) fn parts() -> (PartSender, Parts) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let n_bytes = Arc::new(AtomicUsize::new(0));
    (PartSender { parts: sender, n_bytes: Arc::clone(&n_bytes) }, Parts { parts: receiver, n_bytes })
}

impl Parts {
    /// Receives the next part; none when the mock is over.
    pub(super) fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Part>> {
        let polled = self.parts.poll_recv(cx);
        if let Poll::Ready(Some(Part::Bytes(bytes))) = &polled {
            self.n_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
        }
        polled
    }
}
