//! Lines from an input that may contain any bytes.

#[cfg(test)]
mod tests;

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::pipe;

use crate::history::LONGEST_LINE_BYTES;
use crate::server::Input;

/// Longest line, in bytes.
pub(super) const LINE_BYTES_MAX: usize = LONGEST_LINE_BYTES as usize;
/// Length in bytes from which a line is long.
const LONG_BYTES: usize = 64 * 1_024;
/// Longest kept head of a line that is too long.
const HEAD_BYTES: usize = 256;
/// Bytes read at once.
const READ_BYTES: usize = 16 * 1_024;
/// Most lines that the reader is ahead of the machine: few, because each may be of full length.
const LINES_AHEAD: usize = 2;

/// How far a signal may be ahead of the end of the input for both to count as one act of the client.
const ONE_ACT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// Longest wait for the machine to take what the client wrote before it closed the input.
const TAKEN_MAX: Duration = Duration::from_millis(500);

/// Whether the machine knows of the end of the input.
#[derive(Debug, Default)]
pub(super) struct InputEnd {
    is_told: Mutex<bool>,
    told: Condvar,
}

impl InputEnd {
    fn tell(&self) {
        *self.is_told.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.told.notify_all();
    }

    /// Waits until the machine knows of the end, if the client has closed the input or closes it now.
    ///
    /// A client that closes the input and sends a signal in the next instruction has kept the order. The reader and the signals
    /// have a thread each, and which of them is quicker says nothing about the client.
    pub(super) fn await_if_closed(&self) {
        let input = std::io::stdin();
        let mut fds = [PollFd::new(&input, PollFlags::RDHUP)];
        // An error counts as an open input.
        let _ = poll(&mut fds, Some(&ONE_ACT));
        if fds[0].revents().intersects(PollFlags::HUP | PollFlags::RDHUP) {
            let is_told = self.is_told.lock().unwrap_or_else(PoisonError::into_inner);
            // A machine that takes no input still gets the signal.
            drop(self.told.wait_timeout_while(is_told, TAKEN_MAX, |is_told| !*is_told));
        }
    }
}

/// Splits bytes into lines. It keeps a bounded part of a line that never ends.
#[derive(Debug, Default)]
pub(super) struct Lines {
    line: Vec<u8>,
    n_dropped: u64,
}

impl Lines {
    /// Takes bytes, and gives every line that they complete.
    pub(super) fn push(&mut self, mut bytes: &[u8], mut give: impl FnMut(Input)) {
        while let Some(end) = bytes.iter().position(|byte| *byte == b'\n') {
            self.keep(&bytes[..end]);
            give(self.line_end());
            bytes = &bytes[end + 1..];
        }
        self.keep(bytes);
    }

    /// Gives the rest when the input has ended.
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
                // All the space at once, because growing step by step takes twice as much and fragments memory.
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

/// Lets the reader continue, one line at a time.
pub(super) struct Credit {
    taken: Receiver<()>,
    /// Makes the reader close the input; none if no script does.
    close: Option<OwnedFd>,
}

impl Credit {
    /// The machine took a line, so the reader may read another one.
    pub(super) fn give_back(&self) {
        // Empty when the input was not a line but a gate or a signal.
        let _ = self.taken.try_recv();
    }

    /// Makes the reader close the input: the client's writes then fail.
    pub(super) fn close(&self) {
        if let Some(close) = &self.close {
            // The reader may have ended.
            let _ = rustix::io::write(close, b"x");
        }
    }
}

/// Reads standard input on a thread of its own until it ends. `may_close`: whether the script may close it.
pub(super) fn read_stdin(inputs: Sender<Input>, may_close: bool, end: Arc<InputEnd>) -> io::Result<Credit> {
    let (spend, taken) = sync_channel(LINES_AHEAD);
    let (closing, close) = if may_close { Some(pipe()?).unzip() } else { (None, None) };
    std::thread::Builder::new().name("stdin".to_owned()).stack_size(128 * 1_024).spawn(move || {
        read_all(std::io::stdin().as_fd(), closing, &inputs, &spend);
        end.tell();
    })?;
    Ok(Credit { taken, close })
}

fn read_all(input: BorrowedFd<'_>, closing: Option<OwnedFd>, inputs: &Sender<Input>, spend: &SyncSender<()>) {
    let mut lines = Lines::default();
    let mut buffer = vec![0; READ_BYTES];
    let give = |input| {
        // Both fail only if the driver has ended.
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
            // A terminal or a closed descriptor gives these instead of an end.
            Err(Errno::IO | Errno::BADF) => break Input::Eof,
            Err(_) => break Input::InputBroken,
        }
    };
    lines.finish().into_iter().chain([last]).for_each(give);
}

/// Waits for bytes or for the order to close the input, and returns whether that order has come.
fn is_closing(input: BorrowedFd<'_>, closing: BorrowedFd<'_>) -> bool {
    let watch = |fd| PollFd::from_borrowed_fd(fd, PollFlags::IN);
    let mut fds = [watch(input), watch(closing)];
    // The caller repeats an interrupted wait.
    let _ = poll(&mut fds, None);
    !fds[1].revents().is_empty()
}

/// Replaces standard input, so that no later file can become it.
fn close_stdin() {
    let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::RDONLY | rustix::fs::OFlags::CLOEXEC, 0.into());
    // If it fails, the input stays open, and the client has a server that does not read.
    let _ = null.and_then(rustix::stdio::dup2_stdin);
}

/// Waits until a descriptor is ready or in error.
pub(super) fn wait_for(fd: BorrowedFd<'_>, what: PollFlags) {
    // The caller tries again, and repeats an interrupted wait.
    let _ = poll(&mut [PollFd::from_borrowed_fd(fd, what)], None);
}
