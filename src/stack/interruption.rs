//! An interruption by the user while packages are being installed. An installation takes minutes, and begins before a
//! run.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::OnceLock;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::low_level::pipe;

/// Becomes readable with the first signal, and stays so.
static SIGNALLED: OnceLock<UnixStream> = OnceLock::new();

/// From now on these signals end an installation gracefully, instead of this process.
///
/// # Errors
/// When the system refuses a pair of sockets or a handler.
pub fn watch_interruption(signals: &[i32]) -> io::Result<()> {
    let (signalled, signal) = UnixStream::pair()?;
    // A handler must never wait. One byte is enough, so a full socket loses nothing.
    signal.set_nonblocking(true)?;
    if SIGNALLED.set(signalled).is_err() {
        return Ok(());
    }
    for number in signals {
        pipe::register(*number, signal.try_clone()?)?;
    }
    Ok(())
}

/// Whether such a signal has come.
#[must_use]
pub fn is_interrupted() -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    let readable = |signalled: BorrowedFd<'_>| poll(&mut [PollFd::new(&signalled, PollFlags::IN)], Some(&now));
    signalled().is_some_and(|signalled| readable(signalled).is_ok_and(|n_ready| n_ready > 0))
}

/// A descriptor that becomes readable with the first signal; none in a process that does not watch.
pub(super) fn signalled() -> Option<BorrowedFd<'static>> {
    SIGNALLED.get().map(AsFd::as_fd)
}
