//! The mcp-lifecheck command. Start at [`main`].

mod args;
mod aside;
mod check;
mod client;
mod doctor;
#[cfg(target_os = "linux")]
mod entropy;
mod explain;
mod explore;
mod format;
mod host;
mod letters;
mod lines;
mod list;
mod lost;
mod matrix;
mod merge;
mod outcome;
mod print;
mod program;
mod progress;
mod run;
mod table;

use std::ffi::OsString;
use std::os::fd::OwnedFd;
use std::process::ExitCode;

use clap::Parser;
// Links the loaders that ship with the command, so that the early entry finds them by name.
use mcp_lifecheck::run::{ExitReason, RunError, survive_file_limit};
use mcp_lifecheck::supervise::OrphanReaper;
use mcp_lifecheck_specimens as _;

use crate::args::{Cli, Command};
use crate::aside::{Called, called, run_aside};
use crate::outcome::print_error;
use crate::print::{complain, say};

/// Runs the command that the arguments of this process name.
///
/// A first argument of `__mock`, `__supervise` or `__plan` makes this a helper process instead.
fn main() -> ExitCode {
    if let Some(code) = mcp_lifecheck::reentry::enter() {
        return ExitCode::from(code);
    }
    match called() {
        Ok(Called { arguments, parent }) => ExitCode::from(command(&arguments, parent)),
        Err(error) => {
            complain(format_args!("{error}"));
            error.reason().code()
        }
    }
}

fn command(arguments: &[OsString], parent: Option<OwnedFd>) -> u8 {
    let reason = match Cli::try_parse_from(arguments) {
        Ok(Cli { command }) if starts_loaders(&command) && parent.is_none() && !OrphanReaper::is_alone() => {
            match run_aside(arguments) {
                Ok(code) => return code,
                Err(error) => Err(RunError::system("no process of its own for the run")(error)),
            }
        }
        Ok(cli) => perform(cli.command, parent),
        // Help and version are asked for; anything else is a usage error.
        Err(error) if error.use_stderr() => {
            complain(format_args!("{}", error.render()));
            return ExitReason::BadInput.number();
        }
        Err(error) => say(&error.render().to_string()).map(|()| ExitReason::Conforms),
    };
    reason
        .unwrap_or_else(|error| {
            print_error(&error);
            error.reason()
        })
        .number()
}

/// Whether a command starts what it does not know: that needs a process with no children of others.
fn starts_loaders(command: &Command) -> bool {
    match command {
        Command::Run(_) | Command::Explore(_) | Command::Replay(_) | Command::Client(_) | Command::Host(_) => true,
        Command::Doctor(arguments) => arguments.adapter.is_some(),
        Command::Merge(_) | Command::Check(_) | Command::List(_) | Command::Explain(_) => false,
    }
}

fn perform(command: Command, parent: Option<OwnedFd>) -> Result<ExitReason, RunError> {
    survive_file_limit().map_err(RunError::system("signals cannot be caught"))?;
    match command {
        Command::Run(arguments) => run::run(&arguments, parent),
        Command::Explore(arguments) => explore::explore(&arguments, parent),
        Command::Merge(arguments) => merge::merge(&arguments),
        Command::Replay(arguments) => run::replay(&arguments, parent),
        Command::Client(arguments) => client::client(&arguments, parent),
        Command::Host(arguments) => host::host(&arguments, parent),
        Command::Check(arguments) => check::check(&arguments),
        Command::List(arguments) => list::list(&arguments),
        Command::Explain(arguments) => explain::explain(&arguments),
        Command::Doctor(arguments) => doctor::doctor(&arguments, parent),
    }
}
