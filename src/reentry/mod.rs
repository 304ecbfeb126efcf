//! Re-entry: this executable as one of its own helper processes.
//!
//! A first argument of `__supervise`, `__mock` or `__plan` makes a process a helper. On Linux that is decided before `main`,
//! by a function the loader of the executable runs: the executable may be a test binary of a downstream crate, whose own
//! main would print to stdout, which is the helper's protocol channel.

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use crate::loader::host::{RecorderAddress, run_plan_process};
use crate::loader::memory::Connector;
use crate::loader::registry::rust_loader;
use crate::mock::{LinkedArgs, MemoryMocks, run_linked};
use crate::supervise::run_supervisor;

#[cfg(target_os = "linux")]
mod early;
mod memory;

/// Exit code of a helper that was started the wrong way.
const USAGE_CODE: u8 = 2;
/// How long mocks in memory have to end once their loader is gone, as it would be with its process.
const MOCKS_LIMIT: Duration = Duration::from_secs(1);

/// Runs the helper that the first argument names and gives its exit code; `None` when it names none.
#[must_use]
pub fn enter() -> Option<u8> {
    enter_from(RecorderAddress::of_environment())
}

/// As [`enter`], with what the environment said of the way home.
fn enter_from(endpoint: RecorderAddress) -> Option<u8> {
    // Arguments of a helper are text; others are for whoever reads them next, and must not end this process.
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
    let mocks = Arc::new(MemoryMocks::default());
    let connector: Arc<dyn Connector> = Arc::<MemoryMocks>::clone(&mocks);
    match rust_loader(&name, &revision, &connector) {
        Some(factory) => {
            let code = code_of(run_plan_process(&name, &*factory, endpoint));
            mocks.close(MOCKS_LIMIT);
            code
        }
        None => misused(format_args!("found loader {name:?} for revision {revision:?}, expected a Rust loader")),
    }
}

fn misused(message: std::fmt::Arguments<'_>) -> u8 {
    // A stderr that is gone is no reason to end differently.
    let _ = writeln!(io::stderr(), "mcp-lifecheck: {message}");
    USAGE_CODE
}

/// The number of an exit code. It can not be read, but it can be compared.
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
