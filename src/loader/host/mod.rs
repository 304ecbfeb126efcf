//! The plan process: hosts one Rust loader, runs its operations in the contexts they are asked for, and reports.
//!
//! It speaks the adapter protocol, as any adapter does, so that one driver drives loaders of every language. Start at
//! [`run_plan_process`].

mod command;
mod contexts;
mod numbering;
mod process;
mod reporting;

pub use process::{LoaderFactory, RecorderAddress, run_plan_process};
