//! Supervision: every loader runs below a supervisor that leaves nothing alive, whatever happens.
//!
//! Start at [`Supervised`] (the reporting process's side) and [`run_supervisor`] (the supervisor's own process). One
//! supervisor a plan: adopting orphans is a property of a process, so two plans below one could not be told apart.

mod handle;
mod headcount;
mod os;
mod protocol;
mod reaper;
mod signals;
mod supervisor;
mod tree;

pub use handle::{Exiting, LoaderEnd, SuperviseError, Supervised};
pub use protocol::{LaunchSpec, ProcessFacts, Sample, Signalled, StdinKind, Written};
pub use reaper::OrphanReaper;
pub use supervisor::run_supervisor;
