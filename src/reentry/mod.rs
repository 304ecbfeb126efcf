//! Re-entry: this executable runs as one of its own helper processes.
//!
//! A first argument of `__supervise`, `__mock` or `__plan` makes a process a helper. On Linux, a function in
//! `.init_array` decides this before `main`. The executable may be a test binary of another crate, whose `main` would
//! print to stdout. A helper's stdout must carry nothing but its protocol.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use crate::loader::host::{RecorderAddress, run_plan_process};
use crate::loader::registered::rust_loader;
use crate::mock::{LinkedArgs, run_linked};
use crate::reentry::memory::HostedMocks;
use crate::supervise::run_supervisor;

#[cfg(target_os = "linux")]
mod early;
mod memory;

/// Exit code of a helper with wrong arguments.
const USAGE_CODE: u8 = 2;

/// Runs the helper that the first argument names, and returns its exit code; `None` if it names no helper.
#[must_use]
pub fn enter() -> Option<u8> {
    enter_from(RecorderAddress::of_environment())
}

/// Like [`enter`], with the recorder's address from an earlier read of the environment.
fn enter_from(endpoint: RecorderAddress) -> Option<u8> {
    // A helper's arguments are text. Other arguments may not be, and must not end this process.
    let mut arguments = env::args_os().skip(1).map(|argument| argument.to_string_lossy().into_owned());
    match arguments.next()?.as_str() {
        "__supervise" => Some(code_of(run_supervisor())),
        "__mock" => Some(mock(arguments)),
        "__plan" => Some(plan(arguments, &endpoint)),
        _ => None,
    }
}

fn mock(arguments: impl Iterator<Item = String>) -> u8 {
    match LinkedArgs::from_args(arguments) {
        Ok(arguments) => code_of(run_linked(&arguments)),
        Err(error) => misused(format_args!("mock: {error}")),
    }
}

fn plan(mut arguments: impl Iterator<Item = String>, endpoint: &RecorderAddress) -> u8 {
    let (Some(name), Some(revision)) = (arguments.next(), arguments.next()) else {
        return misused(format_args!("found no loader or no revision, expected __plan LOADER REVISION"));
    };
    let mocks = HostedMocks::default();
    match rust_loader(&name, &revision, &mocks.connector()) {
        Some(factory) => {
            let code = code_of(run_plan_process(&name, &*factory, endpoint));
            mocks.close();
            code
        }
        None => misused(format_args!("found loader {name:?} for revision {revision:?}, expected a Rust loader")),
    }
}

fn misused(message: std::fmt::Arguments<'_>) -> u8 {
    // A closed stderr must not change the exit code.
    let _ = writeln!(io::stderr(), "mcp-lifecheck: {message}");
    USAGE_CODE
}

/// The number of an exit code. `ExitCode` has no getter, but it can be compared.
fn code_of(code: ExitCode) -> u8 {
    (0..=u8::MAX).find(|number| ExitCode::from(*number) == code).expect("an exit code on Unix is made of one byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_exit_code_is_told() {
        for number in 0..=u8::MAX {
            assert_eq!(code_of(ExitCode::from(number)), number);
        }
    }
}
