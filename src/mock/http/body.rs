//! Bodies of requests, which are bounded, and of responses, complete or streamed.

use std::pin::Pin;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};

use crate::history::LONGEST_LINE_BYTES;
use crate::mock::http::fate::OpenExchange;
use crate::mock::http::parts::{Part, Parts};
use crate::mock::http::shared::HttpShared;
use crate::server;

/// Longest body of a request, in bytes: as long as a line over stdio.
const BODY_BYTES_MAX: usize = LONGEST_LINE_BYTES as usize;
/// Most bytes of the bodies that the mock reads at once, over all clients.
const BODIES_BYTES_MAX: usize = 64 << 20;
/// Reads the body of a request, up to its limit.
pub(super) async fn read_body(mut incoming: Incoming, shared: &HttpShared) -> server::Body {
    let mut whole = Held { bytes: Vec::new(), n_bytes: 0, shared };
    loop {
        match std::future::poll_fn(|cx| Pin::new(&mut incoming).poll_frame(cx)).await {
            Some(Ok(frame)) => {
                let Ok(data) = frame.into_data() else { continue };
                if !whole.extend(&data) {
                    return server::Body::TooLong;
                }
            }
            Some(Err(_)) => return server::Body::Cut,
            None => return server::Body::Whole(std::mem::take(&mut whole.bytes)),
        }
    }
}

/// Bytes that count against the limit of all bodies.
struct Held<'a> {
    bytes: Vec<u8>,
    n_bytes: usize,
    shared: &'a HttpShared,
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
        // A complete body is an input by now, and the machine handles one input at a time.
        self.shared.n_body_bytes.fetch_sub(self.n_bytes, Ordering::Relaxed);
    }
}

/// The body of a response.
pub(super) enum MockBody {
    Whole(Option<Bytes>),
    Stream { parts: Parts, open: OpenExchange, cut: CutState },
}

/// Whether the mock is about to cut a body.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum CutState {
    No,
    /// The bytes before the cut are written first.
    Next,
}

impl MockBody {
    pub(super) fn whole(bytes: Vec<u8>) -> Self {
        Self::Whole((!bytes.is_empty()).then(|| Bytes::from(bytes)))
    }
}

/// The script cuts a body.
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
            Self::Stream { parts, open, cut } => match parts.poll_next(cx) {
                Poll::Pending => Poll::Pending,
                Poll::Ready(Some(Part::Bytes(bytes))) => Poll::Ready(Some(Ok(Frame::data(Bytes::from(bytes))))),
                Poll::Ready(Some(Part::End)) => {
                    open.settle();
                    Poll::Ready(None)
                }
                Poll::Ready(Some(part @ (Part::Cut | Part::Reset))) => {
                    open.settle();
                    if matches!(part, Part::Reset) {
                        open.reset();
                    }
                    // hyper writes the pending bytes before it polls again.
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
