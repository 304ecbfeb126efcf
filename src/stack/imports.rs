//! Whether an interpreter has what a program imports.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::stack::bounded::{Ended, run_within};
use crate::stack::limits::IMPORT;
use crate::stack::python::python;

/// Why a program can not be run by an interpreter.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The interpreter can not be started.
    #[error("{interpreter} can not be run: {source}")]
    NotRun {
        /// The interpreter.
        interpreter: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It lacks something, or what it has can not be used.
    #[error("{interpreter} can not import what {program} needs: {output}")]
    Lacking {
        /// The interpreter.
        interpreter: PathBuf,
        /// The program.
        program: String,
        /// The last line it printed: of a traceback, the error.
        output: String,
    },
    /// It did not end in time.
    #[error("{interpreter} did not import what {program} needs within limit {limit} of {} s", default.as_secs())]
    Overdue {
        /// The interpreter.
        interpreter: PathBuf,
        /// The program.
        program: String,
        /// Name of the limit.
        limit: &'static str,
        /// Its length.
        default: Duration,
    },
}

/// Imports what a Python program imports, without running it: all of it but what stands below `if __name__ == "__main__"`.
///
/// `folder` is where the program lies and is started, `path` its `PYTHONPATH`.
///
/// # Errors
/// When the interpreter can not be run, lacks something, or does not end in time.
pub fn import_program(interpreter: &Path, folder: &Path, program: &str, path: &str) -> Result<(), ImportError> {
    // As the interpreter would do it: modules are found beside the program first.
    let run = "import os, runpy, sys\n\
               sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[1]))\n\
               runpy.run_path(sys.argv[1], run_name='__imported__')";
    let mut command = python(interpreter, run);
    command.arg(program).current_dir(folder).env("PYTHONPATH", path);
    let interpreter = || interpreter.to_path_buf();
    let program = || program.to_owned();
    match run_within(&mut command, IMPORT.default) {
        Err(source) => Err(ImportError::NotRun { interpreter: interpreter(), source }),
        Ok(Ended::Itself(status, _)) if status.success() => Ok(()),
        Ok(Ended::Itself(status, stderr)) if stderr.trim().is_empty() => {
            Err(ImportError::Lacking { interpreter: interpreter(), program: program(), output: status.to_string() })
        }
        Ok(Ended::Itself(_, stderr)) => {
            Err(ImportError::Lacking { interpreter: interpreter(), program: program(), output: last_line(&stderr) })
        }
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
