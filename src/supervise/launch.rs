//! Starting the loader's process.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{ChildStdin, Command, Stdio};

use crate::supervise::protocol::{LaunchSpec, StdinKind};

/// A loader's process that was started.
pub(super) struct Started {
    pub pid: u32,
    /// Its stdin, if it is a pipe.
    pub stdin: Option<ChildStdin>,
}

/// Opens the files for the loader's stdout and stderr.
pub(super) fn open_outputs(spec: &LaunchSpec) -> io::Result<[File; 2]> {
    Ok([append(&spec.stdout)?, append(&spec.stderr)?])
}

/// Starts a new process as the loader's, at the head of its own process group.
pub(super) fn start(spec: &LaunchSpec, [stdout, stderr]: &[File; 2]) -> io::Result<Started> {
    let (program, arguments) =
        spec.command.split_first().ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "no command"))?;
    let mut command = Command::new(program);
    let stdin = match spec.stdin {
        StdinKind::Null => Stdio::null(),
        StdinKind::Pipe => Stdio::piped(),
    };
    command.args(arguments).envs(&spec.env).stdin(stdin);
    command.stdout(stdout.try_clone()?).stderr(stderr.try_clone()?).process_group(0);
    if let Some(directory) = &spec.directory {
        command.current_dir(directory);
    }
    let mut child = command.spawn()?;
    Ok(Started { pid: child.id(), stdin: child.stdin.take() })
}

fn append(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).append(true).open(path)
}
