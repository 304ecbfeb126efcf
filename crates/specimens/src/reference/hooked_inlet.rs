//! The output of a server, with the hook for bytes in between.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, ReadBuf};

use super::hooks::{Framing, Hooks, TamperBytes};
use super::pipes::Inlet;

/// The output of a server as the loader reads it.
pub(super) fn hooked_inlet(hooks: &Hooks, inlet: Inlet) -> Inlet {
    match hooks.bytes() {
        None => inlet,
        Some(make) => Box::new(HookedInlet { inlet, tamper: make(Framing::Lines), rest: VecDeque::new(), over: false }),
    }
}

struct HookedInlet {
    inlet: Inlet,
    tamper: Box<dyn TamperBytes>,
    rest: VecDeque<u8>,
    over: bool,
}

/// The most bytes of one read.
const CHUNK: usize = 8 << 10;

impl AsyncRead for HookedInlet {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        while self.rest.is_empty() && !self.over {
            let mut chunk = [0; CHUNK];
            let mut read = ReadBuf::new(&mut chunk);
            ready!(Pin::new(&mut self.inlet).poll_read(context, &mut read))?;
            let seen = Some(read.filled()).filter(|bytes| !bytes.is_empty()).map(<[u8]>::to_vec);
            match seen.and_then(|bytes| self.tamper.read(&bytes)) {
                Some(bytes) => self.rest.extend(bytes),
                None => self.over = true,
            }
        }
        let n_bytes = self.rest.len().min(buffer.remaining());
        self.rest.drain(..n_bytes).for_each(|byte| buffer.put_slice(&[byte]));
        Poll::Ready(Ok(()))
    }
}
