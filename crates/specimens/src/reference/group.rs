//! The members of a process group, and how to wait for their end.
//!
//! A group has no event of its own, so its members are read from `/proc` and each is watched through a pidfd, which
//! works for processes that are not our children and cannot be fooled by a reused pid. The cost of reading grows with
//! the number of processes on the machine. Nearly always the group is empty, and a recent kernel reports that at once
//! through the pidfd of the leader. This pidfd refers to the group even after the leader was reaped and another process
//! got its number.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::{Duration, Instant};

use mcp_lifecheck::process_table::processes;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open};
use tokio::io::unix::AsyncFd;

/// A process that can be waited for. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Watched {
    pidfd: Arc<OwnedFd>,
}

impl Watched {
    /// # Errors
    /// When the process is gone already, or the system has no pidfds.
    pub(crate) fn open(pid: Pid) -> io::Result<Self> {
        Ok(Self { pidfd: Arc::new(pidfd_open(pid, PidfdFlags::NONBLOCK)?) })
    }

    /// Makes it waitable on the current runtime.
    ///
    /// # Errors
    /// When the runtime has no I/O driver or refuses another file.
    #[expect(deprecated, reason = "its successor is unsafe; an OwnedFd in an Arc keeps what that one asks for")]
    pub(crate) fn on_runtime(&self) -> io::Result<AsyncFd<Arc<OwnedFd>>> {
        AsyncFd::new(Arc::clone(&self.pidfd))
    }

    /// Signals the group that this process leads or has led, and no other process, also after the process was reaped.
    ///
    /// # Errors
    /// `SRCH` when the group has no member, be it a zombie; `INVAL` before Linux 6.9.
    pub(super) fn signal_group(&self, signal: Option<Signal>) -> rustix::io::Result<()> {
        let number = signal.map_or(0, Signal::as_raw);
        pidfd_signal_group(self.pidfd.as_fd(), number)
    }

    /// Blocks until the process ends or `limit` passes.
    pub(super) fn wait_blocking(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Ok(timeout) = Timespec::try_from(left) else { return };
            let mut fds = [PollFd::from_borrowed_fd(self.pidfd.as_fd(), PollFlags::IN)];
            match poll(&mut fds, Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => {}
                Ok(_) | Err(_) => return,
            }
        }
    }
}

/// What `pidfd_send_signal` takes for a whole group, since Linux 6.9: PIDFD_SIGNAL_PROCESS_GROUP of <linux/pidfd.h>.
const TO_THE_GROUP: libc::c_uint = 1 << 2;

#[expect(unsafe_code, reason = "no safe wrapper passes the flag for a group; nothing is handed over but three numbers")]
fn pidfd_signal_group(pidfd: BorrowedFd<'_>, signal: i32) -> rustix::io::Result<()> {
    let nothing = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: the descriptor is open for as long as it is borrowed, and the kernel takes a null pointer for no details.
    let sent = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), signal, nothing, TO_THE_GROUP) };
    if sent == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    Err(rustix::io::Errno::from_io_error(&error).unwrap_or(rustix::io::Errno::INVAL))
}

/// Resolves when no member of `group` is left alive. Zombies count as gone.
///
/// Has no bound of its own: a member that does not end keeps it waiting.
pub(super) async fn gone(group: Pid) {
    loop {
        let members = living_members(group);
        if members.is_empty() {
            return;
        }
        for pid in members {
            // A member that cannot be watched has just ended.
            let Ok(member) = Watched::open(pid).and_then(|watched| watched.on_runtime()) else {
                continue;
            };
            let _ = member.readable().await;
        }
        // The next reading may find members that were forked meanwhile. It follows at least one end of a process, or a
        // yield if none could be watched, so that a bound around this future always gets its turn.
        tokio::task::yield_now().await;
    }
}

/// Whether no member of `group` is left alive. Zombies count as gone.
pub(super) fn is_gone(group: Pid) -> bool {
    living_members(group).is_empty()
}

/// The members of `group` that are neither zombie nor dead. Empty when `/proc` cannot be read.
fn living_members(group: Pid) -> Vec<Pid> {
    let number = group.as_raw_nonzero().get();
    let members = processes().filter(|process| process.group == number && !process.has_ended());
    members.filter_map(|process| Pid::from_raw(process.pid.try_into().ok()?)).collect()
}
