//! Bodies: of requests, bounded, and of responses, whole or part by part.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use tokio::sync::mpsc;

use crate::mock::http::connection::Open;
use crate::mock::http::{BODIES_BYTES_MAX, Shared};
use crate::script;

/// Longest body of a request that is taken, in bytes; as long as a line over stdio.
const BODY_BYTES_MAX: usize = 4 << 20;
/// Most bytes of a stream that wait for a client that does not read.
const STREAM_BYTES_MAX: usize = 16 << 20;

/// Reads the body of a request, and no more than is allowed.
pub(super) async fn read_body(mut incoming: Incoming, shared: &Shared) -> script::Body {
    let mut whole = Held { bytes: Vec::new(), n_bytes: 0, shared };
    loop {
        match std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if !whole.extend(&data) {
                    return script::Body::TooLong;
                }
            }
            Some(Err(_)) => return script::Body::Cut,
            None => return script::Body::Whole(std::mem::take(&mut whole.bytes)),
        }
    }
}

/// Bytes that count against the bound of all bodies that are being read.
struct Held<'a> {
    bytes: Vec<u8>,
    n_bytes: usize,
    shared: &'a Shared,
}

impl Held<'_> {
    fn extend(&mut self, data: &[u8]) -> bool {
        self.n_bytes += data.len();
        let n_all = self.shared.n_body_bytes.fetch_add(data.len(), Ordering::Relaxed) + data.len();
        self.bytes.extend_from_slice(data);
        n_all <= BODIES_BYTES_MAX && self.bytes.len() <= BODY_BYTES_MAX
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        // What was taken out is an input by now, and those are handled one at a time.
        self.shared.n_body_bytes.fetch_sub(self.n_bytes, Ordering::Relaxed);
    }
}

/// A part of a body that goes on.
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
    /// Sends a part; whether there was room for it.
    pub(super) fn send(&self, part: Part) -> bool {
        if let Part::Bytes(bytes) = &part {
            let n_waiting = self.n_bytes.fetch_add(bytes.len(), Ordering::Relaxed) + bytes.len();
            // One message of whatever length a script wants has room: scripts bound it.
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

/// The parts of one body as they come.
#[derive(Debug)]
pub(super) struct Parts {
    parts: mpsc::UnboundedReceiver<Part>,
    n_bytes: Arc<AtomicUsize>,
}

/// Both ends of a body that goes on.
pub(super) fn parts() -> (PartSender, Parts) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let n_bytes = Arc::new(AtomicUsize::new(0));
    (PartSender { parts: sender, n_bytes: Arc::clone(&n_bytes) }, Parts { parts: receiver, n_bytes })
}

/// The body of a response.
pub(super) enum MockBody {
    Whole(Option<Bytes>),
    Stream { parts: Parts, open: Open, cut: CutState },
}

/// Whether a body is about to be cut.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CutState {
    No,
    /// What came before is written first.
    Next,
}

impl MockBody {
    pub(super) fn whole(bytes: Vec<u8>) -> Self {
        Self::Whole((!bytes.is_empty()).then(|| Bytes::from(bytes)))
    }
}

/// Why a body breaks off: its script says so.
#[derive(Debug, thiserror::Error)]
#[error("the script cuts this body")]
pub(super) struct CutByScript;

impl Body for MockBody {
    type Data = Bytes;
    type Error = CutByScript;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, CutByScript>>> {
        match self.get_mut() {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream { cut: CutState::Next, .. } => Poll::Ready(Some(Err(CutByScript))),
            Self::Stream { parts, open, cut } => match parts.parts.poll_recv(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Part::Bytes(bytes))) => {
                    parts.n_bytes.fetch_sub(bytes.len(), Ordering::Relaxed);
                    Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes)))))
                }
                Poll::Ready(Some(Part::End)) => {
                    open.settle();
                    Poll::Ready(None)
                }
                Poll::Ready(Some(part @ (Part::Cut | Part::Reset))) => {
                    open.settle();
                    if matches!(part, Part::Reset) {
                        open.reset();
                    }
                    // What is pending is written before hyper asks again.
                    *cut = CutState::Next;
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                // The mock is over.
                Poll::Ready(None) => {
                    open.settle();
                    Poll::Ready(Some(Err(CutByScript)))
                }
            },
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream { .. } => SizeHint::default(),
        }
    }
}
