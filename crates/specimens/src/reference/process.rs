//! A server process: started in a group of its own, ended by the shutdown steps, always reaped.
//!
//! Until the leader is reaped its zombie pins the number of the group, so no signal of ours can reach a group that happens to
//! get the same number. Where signals to a group need no number (see [`group`]) the leader is reaped as soon as it has ended;
//! elsewhere it is reaped last.

use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process, kill_process_group, waitid};
use tokio::io::unix::AsyncFd;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::time::timeout;

use super::config::CommandLine;
use super::group::{self, Watched};
use super::options::{Ladder, Options, ServerStderr};

/// How a server process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// This signal ended it.
    Signal(i32),
    /// It ended, and its status is unknown.
    Unknown,
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => write!(f, "status {status}"),
            Self::Signal(signal) => write!(f, "signal {signal}"),
            Self::Unknown => f.write_str("an unknown status"),
        }
    }
}

/// How a server ended: the shutdown step that ended its whole process group, or the end of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Ending {
    /// There was no process, or no conversation.
    NeverStarted,
    /// EOF on stdin, or the server ended by itself.
    Eof,
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
    /// Not even SIGKILL, within its grace.
    StillThere,
    /// Over HTTP, the server confirmed the DELETE of its session.
    SessionDeleted,
    /// Over HTTP, the server refused the DELETE, which it may, could not be reached, or did not answer within
    /// [`Bounds::delete`](super::Bounds::delete).
    SessionLeft,
    /// Over HTTP, the server had given no session id, or had forgotten it.
    NoSession,
    /// Over HTTP with server-sent events, the stream was closed, and the session with it.
    StreamClosed,
}

/// The process of a running server. Dropping it ends it as well, but blocks the thread for up to the drop grace.
pub(super) struct ServerProcess {
    leash: Arc<Leash>,
    exit: AsyncFd<Arc<OwnedFd>>,
    ladder: Ladder,
}

impl ServerProcess {
    /// Starts a server, with our ends of its pipes. Must be called on a runtime.
    ///
    /// # Errors
    /// What the system said. No process is left then.
    pub(super) fn spawn(line: &CommandLine, options: &Options) -> io::Result<(Self, ChildStdin, ChildStdout)> {
        let Options { hooks, ladder, .. } = options;
        let mut child = command(line, options).spawn()?;
        let ends = child.stdin.take().zip(child.stdout.take());
        let leash = Leash::of(child, hooks.spares_group())?;
        // From here on an early return drops the leash, which ends the process.
        let (stdin, stdout) = ends.ok_or(io::ErrorKind::BrokenPipe)?;
        let exit = leash.watched.on_runtime()?;
        let (stdin, stdout) = (ChildStdin::from_std(stdin)?, ChildStdout::from_std(stdout)?);
        Ok((Self { exit, leash: Arc::new(leash), ladder: *ladder }, stdin, stdout))
    }

    /// A handle that ends the process when the owner task cannot.
    pub(super) fn leash(&self) -> Arc<Leash> {
        Arc::clone(&self.leash)
    }

    /// Resolves when the leader has ended. Does not reap it.
    pub(super) async fn exited(&self) -> Exit {
        // An error means that the runtime is shutting down; then this task is about to be dropped.
        let _ = self.exit.readable().await;
        self.leash.exit()
    }

    /// Brings the process group to its end, step by step. Its stdin must be closed.
    pub(super) async fn climb(&self) -> Ending {
        let Ladder { eof_grace, term_grace, kill_grace, .. } = self.ladder;
        let left_early = timeout(eof_grace, self.exited()).await.is_ok();
        if left_early && self.leash.is_group_gone() {
            return Ending::Eof;
        }
        self.leash.signal(Signal::TERM);
        if timeout(term_grace, self.all_gone()).await.is_ok() {
            return Ending::Term;
        }
        self.leash.signal(Signal::KILL);
        match timeout(kill_grace, self.all_gone()).await {
            Ok(()) => Ending::Kill,
            Err(_) => Ending::StillThere,
        }
    }

    /// Kills what is left of the process group, and reaps the leader.
    pub(super) fn reap(&self) {
        self.leash.reap();
    }

    async fn all_gone(&self) {
        let _ = self.exited().await;
        if !self.leash.is_group_gone() {
            group::gone(self.leash.group).await;
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.leash.end_blocking(self.ladder);
    }
}

fn command(line: &CommandLine, options: &Options) -> Command {
    let mut command = line.command();
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).process_group(0);
    command.stderr(options.hooks.stderr().unwrap_or_else(|| match options.stderr {
        ServerStderr::Inherit => Stdio::inherit(),
        ServerStderr::Discard => Stdio::null(),
    }));
    command
}

/// A hand on a process group that works from any thread, with or without a runtime.
pub(super) struct Leash {
    group: Pid,
    watched: Watched,
    /// None after it was reaped: from then on another group may have the number.
    leader: Mutex<Option<Child>>,
    /// Only in a seeded change: whether signals go to the leader alone.
    spares_group: bool,
}

impl Leash {
    fn of(mut child: Child, spares_group: bool) -> io::Result<Self> {
        let group = Pid::from_child(&child);
        match Watched::open(group) {
            Ok(watched) => Ok(Self { group, watched, leader: Mutex::new(Some(child)), spares_group }),
            Err(error) => {
                // Killed before anybody could talk to it, so the wait is short.
                let _ = child.kill();
                let _ = child.wait();
                Err(error)
            }
        }
    }

    /// Ends the group without a runtime: waits the drop grace for a server that has seen EOF, then kills.
    pub(super) fn end_blocking(&self, ladder: Ladder) {
        if self.leader().is_none() {
            // Others may have outlived the leader, where it was reaped before them.
            return self.signal(Signal::KILL);
        }
        self.watched.wait_blocking(ladder.drop_grace);
        self.signal(Signal::KILL);
        self.watched.wait_blocking(ladder.kill_grace);
        self.reap();
    }

    /// How the leader ended; [`Exit::Unknown`] while it lives or once it is reaped.
    fn exit(&self) -> Exit {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        let leader = self.leader();
        let status = leader.as_ref().and_then(|_| waitid(WaitId::Pid(self.group), options).ok().flatten());
        let Some(status) = status else { return Exit::Unknown };
        match (status.exit_status(), status.terminating_signal()) {
            (Some(status), _) => Exit::Status(status),
            (None, Some(signal)) => Exit::Signal(signal),
            (None, None) => Exit::Unknown,
        }
    }

    fn signal(&self, signal: Signal) {
        if self.spares_group {
            // It may have ended by itself; its zombie is still ours.
            let _ = self.leader().as_ref().map(|_| kill_process(self.group, signal));
            return;
        }
        // A failure leaves the next step of the ladder.
        let _ = match *self.leader() {
            // The group has at least the leader, be it as a zombie.
            Some(_) => kill_process_group(self.group, signal),
            None => self.watched.signal_group(Some(signal)),
        };
    }

    /// Whether no member of the group is left alive; to be asked once the leader has ended, which is reaped where its zombie
    /// is not needed any more.
    fn is_group_gone(&self) -> bool {
        if self.spares_group {
            return true;
        }
        // The leader is still there, be it as a zombie: only a kernel that knows no signals to groups refuses.
        let needs_zombie = self.leader().is_some() && self.watched.signal_group(None).is_err();
        if !needs_zombie {
            self.reap_leader();
            if self.watched.signal_group(None) == Err(Errno::SRCH) {
                return true;
            }
        }
        group::is_gone(self.group)
    }

    /// Kills what is left of the group, then reaps the leader if it has ended.
    fn reap(&self) {
        self.signal(Signal::KILL);
        self.reap_leader();
    }

    fn reap_leader(&self) {
        let mut leader = self.leader();
        if let Some(child) = leader.as_mut()
            && let Ok(Some(_)) = child.try_wait()
        {
            *leader = None;
        }
    }

    fn leader(&self) -> std::sync::MutexGuard<'_, Option<Child>> {
        self.leader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // Only when the process could not be handed on; otherwise it was ended before.
        self.end_blocking(Ladder { drop_grace: std::time::Duration::ZERO, ..Ladder::default() });
    }
}
