//! Checks that an interpreter can import the modules that a program needs.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::stack::limits::IMPORT;
use crate::stack::python::python;
use crate::stack::run_with_timeout::{Ended, run_with_timeout};

/// Why an interpreter cannot run a program.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The interpreter cannot be started.
    #[error("cannot run {interpreter}: {source}")]
    NotRun {
        /// Path of the interpreter.
        interpreter: PathBuf,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A module is missing, or fails to import.
    #[error("{interpreter} cannot import the modules of {program}: {output}")]
    Lacking {
        /// Path of the interpreter.
        interpreter: PathBuf,
        /// Path of the program.
        program: String,
        /// Last line of its output: for a traceback, the error.
        output: String,
    },
    /// The import exceeded its limit.
    #[error("{interpreter} did not import the modules of {program} within limit {limit} of {} s", default.as_secs())]
    Overdue {
        /// Path of the interpreter.
        interpreter: PathBuf,
        /// Path of the program.
        program: String,
        /// Name of the limit, as `explain` knows it.
        limit: &'static str,
        /// Length of the limit.
        default: Duration,
    },
}

/// Imports the modules of a Python program without running it. Skips code below `if __name__ == "__main__"`.
///
/// `folder` is the working directory; `path` is the `PYTHONPATH`.
///
/// # Errors
/// When the interpreter cannot run, a module is missing, or the limit passes.
pub fn import_program(interpreter: &Path, folder: &Path, program: &str, path: &str) -> Result<(), ImportError> {
    // Like the interpreter, search the program's folder first.
    let run = "import os, runpy, sys\n\
               sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[1]))\n\
               runpy.run_path(sys.argv[1], run_name='__imported__')";
    let mut command = python(interpreter, run);
    command.arg(program).current_dir(folder).env("PYTHONPATH", path);
    let interpreter = || interpreter.to_path_buf();
    let program = || program.to_owned();
    match run_with_timeout(&mut command, IMPORT.default) {
        Err(source) => Err(ImportError::NotRun { interpreter: interpreter(), source }),
        Ok(Ended::ByItself(status, _)) if status.success() => Ok(()),
        Ok(Ended::ByItself(status, stderr)) if stderr.trim().is_empty() => {
            Err(ImportError::Lacking { interpreter: interpreter(), program: program(), output: status.to_string() })
        }
        Ok(Ended::ByItself(_, stderr)) => {
            Err(ImportError::Lacking { interpreter: interpreter(), program: program(), output: last_line(&stderr) })
        }
        Ok(Ended::Interrupted) => Err(ImportError::NotRun {
            interpreter: interpreter(),
            source: io::Error::new(io::ErrorKind::Interrupted, "interrupted"),
        }),
        Ok(Ended::Killed) => Err(ImportError::Overdue {
            interpreter: interpreter(),
            program: program(),
            limit: IMPORT.name,
            default: IMPORT.default,
        }),
    }
}

fn last_line(text: &str) -> String {
    text.trim_end().lines().next_back().unwrap_or_default().to_owned()
}
