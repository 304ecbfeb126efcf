//! Output to a client that may not read.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::pipe::{fcntl_getpipe_size, fcntl_setpipe_size};

use crate::mock::input::wait_for;
use crate::server::Input;

/// Most bytes that wait for a client that does not read.
pub(super) const BACKLOG_BYTES_MAX: usize = 16 << 20;
/// Number of bytes that a ready pipe takes without blocking: PIPE_BUF.
const CHUNK_BYTES: usize = 4_096;

/// The smallest pipe.
const PAGE_BYTES: usize = 4_096;
/// How long a byte may wait in the pipe before the next one follows in any case.
const APART_LIMIT: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

/// The output of a mock.
///
/// Writes at once as much as the pipe takes. The rest goes to a thread, which starts when it is first needed, so that a client
/// that does not read delays nothing.
pub(super) struct Output {
    inputs: Sender<Input>,
    backlog: Option<Arc<Backlog>>,
    state: OutputState,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum OutputState {
    Open,
    /// Too much was waiting; the mock drops what does not fit.
    Full,
    Closed,
}

#[derive(Default)]
struct Backlog {
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    chunks: VecDeque<Chunk>,
    n_bytes: usize,
    writing: bool,
    broken: bool,
}

/// Bytes that wait, and how to write them.
enum Chunk {
    Together(Vec<u8>),
    Apart(Vec<u8>),
}

impl Chunk {
    fn bytes(&self) -> &[u8] {
        match self {
            Self::Together(bytes) | Self::Apart(bytes) => bytes,
        }
    }
}

impl Output {
    pub(super) fn new(inputs: Sender<Input>) -> Self {
        Self { inputs, backlog: None, state: OutputState::Open }
    }

    /// Writes all bytes, now or later and in order. A failure becomes an input.
    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.state == OutputState::Closed {
            return Ok(());
        }
        let is_idle = self.backlog.as_ref().is_none_or(|backlog| backlog.queue().is_idle());
        let written = if is_idle { write_ready(std::io::stdout().as_fd(), bytes) } else { Ok(0) };
        match written {
            Ok(n_bytes) if n_bytes == bytes.len() => Ok(()),
            Ok(n_bytes) => self.defer(Chunk::Together(bytes[n_bytes..].to_vec())),
            Err(_) => {
                self.state = OutputState::Closed;
                // The driver itself reads this channel, so it is open.
                let _ = self.inputs.send(Input::OutputBroken);
                Ok(())
            }
        }
    }

    /// Writes each byte by itself, now or later. On a pipe it waits until the client has read the byte before.
    pub(super) fn write_apart(&mut self, bytes: Vec<u8>) -> io::Result<()> {
        if self.state == OutputState::Closed { Ok(()) } else { self.defer(Chunk::Apart(bytes)) }
    }

    /// Waits until all bytes are written, at most for `limit`.
    pub(super) fn drain(&self, limit: Duration) {
        let Some(backlog) = &self.backlog else { return };
        let is_busy = |queue: &mut Queue| !queue.is_idle() && !queue.broken;
        // Bytes that are unwritten by then are lost, as when a real server ends.
        let _ = backlog.changed.wait_timeout_while(backlog.queue(), limit, is_busy);
    }

    /// Closes the output, so that the client reads its end.
    pub(super) fn close(&mut self) -> io::Result<()> {
        self.state = OutputState::Closed;
        let null = rustix::fs::open("/dev/null", rustix::fs::OFlags::WRONLY | rustix::fs::OFlags::CLOEXEC, 0.into())?;
        // The descriptor stays in use, so that no later file can become the output.
        rustix::stdio::dup2_stdout(null)?;
        Ok(())
    }

    fn defer(&mut self, chunk: Chunk) -> io::Result<()> {
        let backlog = match &self.backlog {
            Some(backlog) => Arc::clone(backlog),
            None => self.start_backlog()?,
        };
        let mut queue = backlog.queue();
        // One message always has room, because scripts bound its length.
        if !queue.is_idle() && queue.n_bytes + chunk.bytes().len() > BACKLOG_BYTES_MAX {
            if self.state == OutputState::Open {
                self.state = OutputState::Full;
                let _ = self.inputs.send(Input::OutputFull);
            }
            return Ok(());
        }
        queue.n_bytes += chunk.bytes().len();
        queue.chunks.push_back(chunk);
        backlog.changed.notify_all();
        Ok(())
    }

    fn start_backlog(&mut self) -> io::Result<Arc<Backlog>> {
        let backlog = Arc::new(Backlog::default());
        let (working, inputs) = (Arc::clone(&backlog), self.inputs.clone());
        let thread = std::thread::Builder::new().name("stdout".to_owned()).stack_size(64 * 1_024);
        thread.spawn(move || working.work(&inputs))?;
        self.backlog = Some(Arc::clone(&backlog));
        Ok(backlog)
    }
}

impl Queue {
    fn is_idle(&self) -> bool {
        self.chunks.is_empty() && !self.writing
    }
}

impl Backlog {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn work(&self, inputs: &Sender<Input>) {
        loop {
            let waited = self.changed.wait_while(self.queue(), |queue| queue.chunks.is_empty());
            let mut queue = waited.unwrap_or_else(PoisonError::into_inner);
            let Some(chunk) = queue.chunks.pop_front() else { continue };
            queue.n_bytes -= chunk.bytes().len();
            queue.writing = true;
            drop(queue);
            let stdout = std::io::stdout();
            let written = match &chunk {
                Chunk::Together(bytes) => write_all(stdout.as_fd(), bytes),
                Chunk::Apart(bytes) => write_apart(stdout.as_fd(), bytes),
            };
            let mut queue = self.queue();
            queue.writing = false;
            queue.broken = written.is_err();
            drop(queue);
            self.changed.notify_all();
            if written.is_err() {
                // The driver may have ended.
                let _ = inputs.send(Input::OutputBroken);
                return;
            }
        }
    }
}

/// Writes as much as the pipe takes at once, and returns the number of bytes.
fn write_ready(fd: BorrowedFd<'_>, bytes: &[u8]) -> rustix::io::Result<usize> {
    let mut n_written = 0;
    while n_written < bytes.len() {
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
        match poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })) {
            Ok(0) => break,
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error),
        }
        let end = bytes.len().min(n_written + CHUNK_BYTES);
        match rustix::io::write(fd, &bytes[n_written..end]) {
            Ok(n_bytes) => n_written += n_bytes,
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(n_written)
}

fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> rustix::io::Result<()> {
    while !bytes.is_empty() {
        match rustix::io::write(fd, bytes) {
            Ok(n_bytes) => bytes = &bytes[n_bytes..],
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => wait_for(fd, PollFlags::OUT),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Writes each byte when the client has read the one before. Without a pipe, or without a client that reads, it still
/// writes.
fn write_apart(fd: BorrowedFd<'_>, bytes: &[u8]) -> rustix::io::Result<()> {
    // A pipe of one page is ready only if it is empty, so it is ready when the client has read all bytes.
    let n_bytes = fcntl_getpipe_size(fd).and_then(|before| fcntl_setpipe_size(fd, PAGE_BYTES).map(|_| before));
    let mut is_read = n_bytes.is_ok() && is_ready_within(fd, APART_LIMIT)?;
    for byte in bytes.chunks(1) {
        write_all(fd, byte)?;
        is_read = is_read && is_ready_within(fd, APART_LIMIT)?;
    }
    // If it holds more by now than fits, it keeps its size.
    let _ = n_bytes.and_then(|before| fcntl_setpipe_size(fd, before));
    Ok(())
}

fn is_ready_within(fd: BorrowedFd<'_>, limit: Timespec) -> rustix::io::Result<bool> {
    let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::OUT)];
    match poll(&mut fds, Some(&limit)) {
        Ok(n_ready) => Ok(n_ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error),
    }
}
