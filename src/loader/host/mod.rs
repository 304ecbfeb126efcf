//! Hosts one Rust loader: runs its operations in the requested contexts and reports.
//!
//! A host speaks the adapter protocol, so one driver drives the loaders of every language. Start at [`run_plan_process`], a process of
//! its own, or at [`TaskHost`], whose contexts are tasks of one thread in virtual time.

mod command;
mod contexts;
mod numbering;
mod operate;
mod process;
mod reporting;
mod tasks;

pub use process::{LoaderFactory, RecorderAddress, run_plan_process};
pub use reporting::PanicsHere;
pub use tasks::TaskHost;
