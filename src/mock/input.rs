//! Lines from an input that may hold anything.

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::pipe::pipe;

use crate::script::Input;

/// Longest line that is taken, in bytes.
pub(super) const LINE_BYTES_MAX: usize = 4 << 20;
/// From here on a line is long.
const LONG_BYTES: usize = 64 * 1_024;
/// Longest head of a line that is not.
const HEAD_BYTES: usize = 256;
/// Bytes read at once.
const READ_BYTES: usize = 16 * 1_024;
/// Most lines that are read and not yet taken: few, because each may be as long as a line may be.
const LINES_AHEAD: usize = 2;

/// Cuts bytes into lines; what is kept of a line that never ends is bounded.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    n_dropped: u64,
}

impl Lines {
    /// Takes bytes and gives every line that is complete by now.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut give: impl FnMut(Input)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            give(self.line_end());
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// Gives what was left when the input ended.
    pub(super) fn finish(&mut self) -> Option<Input> {
        let is_empty = self.line.is_empty() && self.n_dropped == 0;
        (!is_empty).then(|| self.noise())
    }

    fn keep(&mut self, bytes: &[u8]) {
        if self.n_dropped > 0 || self.line.len() + bytes.len() > LINE_BYTES_MAX {
            let n_bytes = self.line.len() + bytes.len();
            // The head is the same however the bytes were cut into pieces.
            let n_wanted = HEAD_BYTES.saturating_sub(self.line.len());
            self.line.extend_from_slice(&bytes[..n_wanted.min(bytes.len())]);
            self.line.truncate(HEAD_BYTES);
            self.n_dropped += (n_bytes - self.line.len()) as u64;
            self.line.shrink_to_fit();
        } else {
            if self.line.len() + bytes.len() > LONG_BYTES {
                // At once all that it may ever need: growing step by step takes twice as much, and leaves holes behind.
                self.line.reserve_exact(LINE_BYTES_MAX - self.line.len());
            }
            self.line.extend_from_slice(bytes);
        }
    }

    fn line_end(&mut self) -> Input {
        if self.n_dropped > 0 {
            return self.noise();
        }
        let mut line = std::mem::take(&mut self.line);
        if line.last() == Some(&b'\r') {
            line.pop();
        }
        if line.len() > LONG_BYTES {
            line.shrink_to_fit();
        }
        Input::Line(line)
    }

    fn noise(&mut self) -> Input {
        let line = std::mem::take(&mut self.line);
        let bytes = line.len() as u64 + std::mem::take(&mut self.n_dropped);
        Input::Noise { bytes, head: line[..line.len().min(HEAD_BYTES)].to_vec() }
    }
}

/// Gives back the right to read ahead, one line at a time.
pub(super) struct Credit {
    taken: Receiver<()>,
    /// Tells the reader to close the input; there where a script may ask for that.
    close: Option<OwnedFd>,
}

impl Credit {
    /// A line was taken: the reader may read another one.
    pub(super) fn give_back(&self) {
        // Empty when the input was not a line but a gate or a signal.
        let _ = self.taken.try_recv();
    }

    /// Closes the input, as soon as the reader has seen to it: the client finds nobody at the other end of its pipe.
    pub(super) fn close(&self) {
        if let Some(close) = &self.close {
            // The reader may have ended.
            let _ = rustix::io::write(close, b"x");
        }
    }
}

/// Reads standard input on a thread of its own until it ends, or is closed where it `may_close`.
pub(super) fn read_stdin(inputs: Sender<Input>, may_close: bool) -> io::Result<Credit> {
    let (spend, taken) = sync_channel(LINES_AHEAD);
    let (closing, close) = if may_close { Some(pipe()?).unzip() } else { (None, None) };
    std::thread::Builder::new()
        .name("stdin".to_owned())
        .stack_size(128 * 1_024)
        .spawn(move || read_all(std::io::stdin().as_fd(), closing, &inputs, &spend))?;
    Ok(Credit { taken, close })
}

fn read_all(input: BorrowedFd<'_>, closing: Option<OwnedFd>, inputs: &Sender<Input>, spend: &SyncSender<()>) {
    let mut lines = Lines::default();
    let mut buffer = vec![0; READ_BYTES];
    let give = |input| {
        // Both fail only when the carrier has ended.
        let _ = spend.send(());
        let _ = inputs.send(input);
    };
    let last = loop {
        // A read that waits would keep the pipe open.
        if closing.as_ref().is_some_and(|closing| is_closing(input, closing.as_fd())) {
            return close_stdin();
        }
        match rustix::io::read(input, &mut buffer) {
            Ok(0) => break Input::Eof,
            Ok(n_bytes) => lines.push(&buffer[..n_bytes], give),
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(input, PollFlags::IN),
            // What a terminal or a closed descriptor gives instead of an end.
            Err(Errno::IO | Errno::BADF) => break Input::Eof,
            Err(_) => break Input::InputBroken,
        }
    };
    lines.finish().into_iter().chain([last]).for_each(give);
}

/// Waits until there is something to read, or the input is to be closed: that, where both are true.
fn is_closing(input: BorrowedFd<'_>, closing: BorrowedFd<'_>) -> bool {
    let watch = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    let mut fds = [watch(input), watch(closing)];
    // An interrupted wait is repeated by the caller.
    let _ = poll(&mut fds, None);
    !fds[1].revents().is_empty()
}

/// Puts something else in the place of standard input, so that nothing opened later can become it.
fn close_stdin() {
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC, 0.into());
    // Without it the input stays open, and the client sees a server that does not read.
    let _ = null.and_then(rustix::stdio::dup2_stdin);
}

/// Waits until a descriptor is ready, or in error.
pub(super) fn wait_for(fd: BorrowedFd<'_>, what: PollFlags) {
    // An interrupted wait is repeated by the caller, who tries again first.
    let _ = poll(&mut [PollFd::from_borrowed_fd(fd, what)], None);
}
