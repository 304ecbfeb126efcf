//! Re-entry: this executable as one of its own helper processes.
//!
//! A first argument of `__supervise`, `__mock` or `__plan` makes a process a helper. On Linux that is decided before `main`,
//! by a function the loader of the executable runs: the executable may be a test binary of a downstream crate, whose own
//! main would print to stdout, which is the helper's protocol channel.

use std::env;
use std::process::ExitCode;

use crate::loader::host::run_plan_process;
use crate::loader::registry::rust_loader;
use crate::mock::{LinkedArgs, run_linked};
use crate::supervise::run_supervisor;

#[cfg(target_os = "linux")]
mod early;

/// Runs the helper that the first argument names; `None` when it names none.
#[must_use]
pub fn enter() -> Option<ExitCode> {
    let mut arguments = env::args().skip(1);
    match arguments.next()?.as_str() {
        "__supervise" => Some(run_supervisor()),
        "__mock" => Some(mock(arguments)),
        "__plan" => Some(plan(&arguments.next()?, &arguments.next()?)),
        _ => None,
    }
}

fn mock(arguments: impl Iterator<Item = String>) -> ExitCode {
    match LinkedArgs::from_args(arguments) {
        Ok(arguments) => run_linked(&arguments),
        Err(error) => {
            eprintln!("mcp-vigil: mock: {error}");
            ExitCode::from(2)
        }
    }
}

fn plan(name: &str, revision: &str) -> ExitCode {
    match rust_loader(name, revision) {
        Some(factory) => run_plan_process(name, &*factory),
        None => {
            eprintln!("mcp-vigil: found loader {name:?} for revision {revision:?}, expected a Rust loader");
            ExitCode::from(2)
        }
    }
}
