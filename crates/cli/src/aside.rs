//! A run beside processes that are not its own: in a child that has none of them below it.
//!
//! The process that reports ends every orphan below it. Where it was given processes it did not start (by
//! `sh -c 'sidecar & exec mcp-lifecheck run'`, or as the first process of a container) it could not tell them apart. There the
//! command runs in a re-entered child, and this process only passes signals on and its exit code back.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;

use mcp_lifecheck::run::{ExitReason, interrupting_signals};
use rustix::process::{Pid, PidfdFlags, Signal, getppid, kill_process_group, pidfd_open};
use signal_hook::iterator::Signals;

use crate::print::complain;

/// First argument of a child that runs the command; the second is the pid of its parent.
const MARK: &str = "__aside";

/// The arguments of the command, and the process with whose death it must end, if any.
pub(crate) struct Called {
    /// With the name of the program.
    pub arguments: Vec<OsString>,
    /// Readable as soon as the parent has ended.
    pub parent: Option<OwnedFd>,
}

/// Why the parent of a child is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParentError {
    #[error("found no process id behind {MARK}, expected that of the parent")]
    NoPid,
    #[error("the parent has ended already")]
    Gone,
    #[error("the parent cannot be watched: {0}")]
    Unwatched(#[from] rustix::io::Errno),
}

impl ParentError {
    pub(crate) fn reason(&self) -> ExitReason {
        match self {
            Self::NoPid => ExitReason::BadInput,
            Self::Gone | Self::Unwatched(_) => ExitReason::Inconclusive,
        }
    }
}

/// How this process was called.
pub(crate) fn called() -> Result<Called, ParentError> {
    let mut arguments: Vec<OsString> = env::args_os().collect();
    if arguments.get(1).map(OsString::as_os_str) != Some(OsStr::new(MARK)) {
        return Ok(Called { arguments, parent: None });
    }
    let pid = arguments.get(2).and_then(|pid| pid.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let pid = pid.ok_or(ParentError::NoPid)?;
    let parent = pidfd_open(pid, PidfdFlags::empty())?;
    // Taken first and compared after: while it is our parent, its pid is nobody else's.
    if getppid() != Some(pid) {
        return Err(ParentError::Gone);
    }
    arguments.drain(1..=2);
    Ok(Called { arguments, parent: Some(parent) })
}

/// Runs the whole command in a child; gives the child's exit code.
///
/// The child leads a process group, so that a signal of the terminal comes to it once: through this process. What the
/// child itself waits for in the foreground gets it as well, as it would from the terminal.
///
/// # Errors
/// When the child cannot be started.
pub(crate) fn run_aside(arguments: &[OsString]) -> io::Result<u8> {
    // Caught before there is a child, so that none is lost.
    let mut signals = Signals::new(interrupting_signals())?;
    let mut command = Command::new(env::current_exe()?);
    command.arg(MARK).arg(std::process::id().to_string()).args(arguments.iter().skip(1)).process_group(0);
    let mut child = command.spawn()?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    thread::spawn(move || {
        for signal in signals.forever() {
            if let (Some(group), Some(signal)) = (group, Signal::from_named_raw(signal)) {
                // It may have ended by now; then this process ends as well.
                let _ = kill_process_group(group, signal);
            }
        }
    });
    let status = child.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or_else(|| {
        complain(format_args!("the process that ran the command was lost: {status}"));
        ExitReason::Inconclusive.number()
    }))
}
