//! The plan process: it hosts one Rust loader, runs its operations in the requested contexts and reports.
//!
//! It speaks the adapter protocol, so one driver drives the loaders of every language. Start at [`run_plan_process`].

mod command;
mod contexts;
mod numbering;
mod process;
mod reporting;

pub use process::{LoaderFactory, RecorderAddress, run_plan_process};
