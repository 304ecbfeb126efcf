//! A stream of bytes whose pieces and pauses follow from a seed.
//!
//! Within one thread, bytes arrive at once and whole. A real pipe gives them later and in pieces, and a client must not depend on either.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};

use crate::mock::http::ByteStream;
use crate::record::Dice;

/// Most turns of other tasks that one operation lets pass.
const TURNS_MAX: u64 = 4;
/// One operation in so many lets turns pass.
const PAUSE_ONCE_IN: u64 = 3;
/// One operation in so many carries a piece only.
const PIECE_ONCE_IN: u64 = 6;
/// Most bytes of such a piece.
const PIECE_BYTES_MAX: u64 = 48;

/// A stream that lets other tasks go first, and carries bytes in pieces, as its dice decide.
pub(super) struct Wavering<S> {
    stream: S,
    dice: Dice,
    reading: Turns,
    writing: Turns,
}

/// What one direction still waits for.
#[derive(Clone, Copy)]
enum Turns {
    /// The dice decide about the next operation.
    Undecided,
    /// So many turns pass before it.
    Left(u64),
}

impl<S> Wavering<S> {
    pub(super) fn new(stream: S, dice: Dice) -> Self {
        Self { stream, dice, reading: Turns::Undecided, writing: Turns::Undecided }
    }
}

impl Turns {
    /// Whether the operation may go on. Otherwise its task runs again after others.
    fn poll(&mut self, dice: &mut Dice, cx: &mut Context<'_>) -> Poll<()> {
        let left = match *self {
            Self::Undecided if dice.once_in(PAUSE_ONCE_IN) => 1 + dice.below(TURNS_MAX),
            Self::Undecided => 0,
            Self::Left(left) => left,
        };
        if left == 0 {
            *self = Self::Left(0);
            return Poll::Ready(());
        }
        *self = Self::Left(left - 1);
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

/// Length of the next piece, of at most so many bytes.
fn piece(dice: &mut Dice, n_bytes: usize) -> usize {
    if n_bytes > 1 && dice.once_in(PIECE_ONCE_IN) {
        let piece = 1 + dice.below(PIECE_BYTES_MAX);
        return n_bytes.min(usize::try_from(piece).unwrap_or(n_bytes));
    }
    n_bytes
}

impl<S: AsyncRead + Unpin> AsyncRead for Wavering<S> {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.reading.poll(&mut this.dice, cx));
        let n_bytes = piece(&mut this.dice, buffer.remaining());
        let result = if n_bytes == buffer.remaining() {
            ready!(Pin::new(&mut this.stream).poll_read(cx, buffer))
        } else {
            let mut some = ReadBuf::new(buffer.initialize_unfilled_to(n_bytes));
            let result = ready!(Pin::new(&mut this.stream).poll_read(cx, &mut some));
            let n_read = some.filled().len();
            buffer.advance(n_read);
            result
        };
        this.reading = Turns::Undecided;
        Poll::Ready(result)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wavering<S> {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.writing.poll(&mut this.dice, cx));
        let n_bytes = piece(&mut this.dice, bytes.len());
        let written = ready!(Pin::new(&mut this.stream).poll_write(cx, &bytes[..n_bytes]));
        this.writing = Turns::Undecided;
        Poll::Ready(written)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().stream).poll_shutdown(cx)
    }
}

impl ByteStream for Wavering<DuplexStream> {
    fn reset_on_drop(&self) {
        self.stream.reset_on_drop();
    }

    fn has_unread(&self) -> bool {
        self.stream.has_unread()
    }
}
