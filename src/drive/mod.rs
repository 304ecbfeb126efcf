//! The driver: a loader as the [`Subject`](crate::life::Subject) of one plan, with every step recorded.
//!
//! Start at [`PlanInput`]. The `Driver` coordinates; each part owns its state: the `adapter` and what it offers, the
//! `configuration` of servers, and the `operations` that run. The driver never judges, and reads the replies of a loader only to
//! decide how to continue.

mod adapter;
mod configuration;
mod context;
mod driver;
mod ending;
mod hello;
mod input;
mod launch;
mod operation;
mod operations;
mod program;
mod step_end;
mod subject;
mod waits;

pub use input::PlanInput;
pub use launch::LoaderLaunch;
pub use program::TaskProgram;
pub(crate) use subject::drive_tasks;
