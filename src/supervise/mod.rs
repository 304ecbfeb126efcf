//! Supervision: every loader runs below a supervisor, which ensures that no process survives the plan.
//!
//! Start at [`Supervised`], the handle in the reporting process, and [`run_supervisor`], the supervisor's own process.
//!
//! Each plan has its own supervisor. A process adopts all orphans below it, so one supervisor could not tell the
//! processes of two plans apart.

mod handle;
mod launch;
mod os;
mod process;
mod process_count;
mod protocol;
mod reaper;
mod session;
mod signals;
mod supervisor;
mod template;
mod tree;
mod warm;

pub use handle::{Exiting, LoaderEnd, SuperviseError, Supervised};
pub use protocol::{LaunchSpec, ProcessFacts, Sample, Signalled, StartKind, StdinKind, WarmStart, Written};
pub use reaper::OrphanReaper;
pub use supervisor::run_supervisor;

/// A variable of the environment with which a process was started, if the system shows it.
pub(crate) fn variable(pid: u32, name: &str) -> Option<String> {
    os::variable(pid, name)
}

/// The beginning of the command line of a process; empty if the process has ended.
pub(crate) fn command_line(pid: u32) -> String {
    os::command_line(pid)
}

/// How many tasks of the whole machine run or wait for a core, without the caller; `None` where the system does not say.
#[must_use]
pub fn n_runnable() -> Option<usize> {
    os::n_runnable()
}
