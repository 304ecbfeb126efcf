//! The command line. Start at [`main`].

mod args;
mod check;
mod doctor;
mod explain;
mod failure;
mod list;
mod outcome;

mod run;
mod select;
mod table;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::args::{Cli, Command};
pub use crate::cli::outcome::{CliError, ExitReason};

/// Runs the command that the arguments of this process name.
///
/// A first argument of `__mock`, `__supervise` or `__plan` makes this a helper process instead.
#[must_use]
pub fn main() -> ExitCode {
    if let Some(code) = crate::reentry::enter() {
        return ExitCode::from(code);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are asked for; anything else is a usage error. There is nowhere to tell a failed print.
            let _ = error.print();
            return if error.use_stderr() { ExitReason::BadInput.code() } else { ExitReason::Conforms.code() };
        }
    };
    let result = match cli.command {
        Command::Run(arguments) => run::run(&arguments),
        Command::Replay(arguments) => run::replay(&arguments),
        Command::Check(arguments) => check::check(&arguments),
        Command::List(arguments) => list::list(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments),
    };
    match result {
        Ok(reason) => reason.code(),
        Err(error) => {
            error.print();
            error.reason().code()
        }
    }
}
