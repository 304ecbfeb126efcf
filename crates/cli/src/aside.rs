//! The subprocess shim: runs the command in a child if this process has children that it did not start.
//!
//! A run kills every orphan below its process. It could not distinguish orphans from children that it inherited, by
//! `sh -c 'sidecar & exec mcp-lifecheck run'` or as the first process of a container. In that case this process re-enters itself as a
//! child, passes signals on to the child, and returns the child's exit code.

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

/// First argument of a child that runs the command. The second one is the pid of its parent.
const MARK: &str = "__aside";

/// The arguments of the command, and the process with whose death it must end, if any.
pub(crate) struct Called {
    /// The arguments, with the name of the program first.
    pub arguments: Vec<OsString>,
    /// Becomes readable when the parent ends. `None` if this process is not a child of the shim.
    pub parent: Option<OwnedFd>,
}

/// Why a child has no parent to watch.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ParentError {
    #[error("found no process id after {MARK}, expected that of the parent")]
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

/// Parses the arguments of this process.
pub(crate) fn called() -> Result<Called, ParentError> {
    let mut arguments: Vec<OsString> = env::args_os().collect();
    if arguments.get(1).map(OsString::as_os_str) != Some(OsStr::new(MARK)) {
        return Ok(Called { arguments, parent: None });
    }
    let pid = arguments.get(2).and_then(|pid| pid.to_str()?.parse().ok()).and_then(Pid::from_raw);
    let pid = pid.ok_or(ParentError::NoPid)?;
    let parent = pidfd_open(pid, PidfdFlags::empty())?;
    // Opened first and compared afterwards: while it is the parent, no other process has its pid.
    if getppid() != Some(pid) {
        return Err(ParentError::Gone);
    }
    arguments.drain(1..=2);
    Ok(Called { arguments, parent: Some(parent) })
}

/// Runs the whole command in a child. Returns the child's exit code.
///
/// The child leads a process group, so that it receives a signal of the terminal once: through this process. Foreground processes of
/// the child receive the signal as well, as they would from the terminal.
///
/// # Errors
/// When the child cannot be started.
pub(crate) fn run_aside(arguments: &[OsString]) -> io::Result<u8> {
    // Caught before the child starts, so that no signal is lost.
    let mut signals = Signals::new(interrupting_signals())?;
    let mut command = Command::new(env::current_exe()?);
    command.arg(MARK).arg(std::process::id().to_string()).args(arguments.iter().skip(1)).process_group(0);
    let mut child = command.spawn()?;
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    thread::Builder::new().spawn(move || {
        for signal in signals.forever() {
            if let (Some(group), Some(signal)) = (group, Signal::from_named_raw(signal)) {
                // If the child has ended, this process ends as well.
                let _ = kill_process_group(group, signal);
            }
        }
    })?;
    let status = child.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or_else(|| {
        complain(format_args!("the process that ran the command was lost: {status}"));
        ExitReason::Inconclusive.number()
    }))
}
