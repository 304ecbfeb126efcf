//! Whether a program that is to be run is there.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use mcp_lifecheck::run::RunError;

/// The program of a command must exist.
///
/// # Errors
/// When there is no command, or no such program.
pub(crate) fn check_program(command: &[String]) -> Result<(), RunError> {
    let Some(program) = command.first() else {
        return Err(RunError::usage("found an empty command, expected a program and its arguments"));
    };
    if is_there(program) {
        return Ok(());
    }
    Err(RunError::usage(format!("found no program {program:?}, expected one that can be run")))
}

fn is_there(program: &str) -> bool {
    let is_program =
        |path: PathBuf| path.metadata().is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
    if program.contains('/') {
        return is_program(Path::new(program).to_path_buf());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&folders).any(|folder| is_program(folder.join(program)))
}
