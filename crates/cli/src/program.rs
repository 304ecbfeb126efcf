//! Checks that a program exists before a command starts it.

use mcp_lifecheck::run::{RunError, select};

/// The program of a command must exist.
///
/// # Errors
/// When there is no command, or no such program.
pub(crate) fn check_program(command: &[String]) -> Result<(), RunError> {
    let Some(program) = command.first() else {
        return Err(RunError::usage("found an empty command, expected a program and its arguments"));
    };
    match select::find_program(program, None) {
        Some(_) => Ok(()),
        None => Err(RunError::usage(format!("found no program {program:?}, expected one that can be run"))),
    }
}
