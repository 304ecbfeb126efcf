//! Where a stack is installed, once, by one run at a time: what stacks of every language have in common.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, io};

use include_dir::{Dir, include_dir};
use rustix::fs::{FlockOperation, flock};

use crate::catalogue::{cache_folder, write_whole};
use crate::stack::bounded::{Ended, output_within, run_within};
use crate::stack::limits::{LOCK, StackLimit};
use crate::stack::python::{Provisioned, StackError};

/// The locks of every stack: a file for Python, a folder for Node.
pub(super) static LOCKS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/loaders/locks");

/// How often it is looked whether another run has let go of a stack: nothing tells.
const LOOK: Duration = Duration::from_millis(50);
/// Marks a stack that was installed whole and imported.
const COMPLETE: &str = "complete";

/// The place of one stack in the cache.
pub(super) struct Site {
    name: &'static str,
    /// Exists once somebody has begun to install it.
    pub folder: PathBuf,
}

impl Site {
    /// The place of the stack of that name and lock.
    pub fn of(name: &'static str, lock: &[&str]) -> Result<Self, StackError> {
        let mut hasher = DefaultHasher::new();
        lock.iter().for_each(|text| text.hash(&mut hasher));
        let folder = cache_folder()?.join("stacks").join(format!("{name}-{:016x}", hasher.finish()));
        Ok(Self { name, folder })
    }

    /// A place of its own for what is made of the stack of that name.
    pub fn at(name: &'static str, folder: PathBuf) -> Self {
        Self { name, folder }
    }

    /// Whether it was installed whole.
    pub fn is_complete(&self) -> bool {
        self.folder.join(COMPLETE).is_file()
    }

    /// Installs the stack, unless it is: two runs may want the same one, and the second waits for the first.
    pub fn provision(
        &self,
        is_installed: impl Fn() -> bool,
        install: impl FnOnce(&Path) -> Result<(), StackError>,
    ) -> Result<Provisioned, StackError> {
        if is_installed() {
            return Ok(Provisioned::Already);
        }
        let _lock = self.hold()?;
        if is_installed() {
            return Ok(Provisioned::Already);
        }
        install(&self.folder)?;
        self.complete()?;
        Ok(Provisioned::Now)
    }

    /// Makes the folder and takes its lock, which is held as long as the file is open.
    pub fn hold(&self) -> Result<fs::File, StackError> {
        fs::create_dir_all(&self.folder).map_err(|source| self.failed(source))?;
        let lock = fs::File::create(lock_of(&self.folder)).map_err(|source| self.failed(source))?;
        self.take(&lock)?;
        Ok(lock)
    }

    /// Says that it was installed whole.
    pub fn complete(&self) -> Result<(), StackError> {
        write_whole(&self.folder.join(COMPLETE), self.name.as_bytes()).map_err(|source| self.failed(source))
    }

    /// Runs one step of an installation, at most for its limit.
    pub fn run(&self, step: &'static str, limit: StackLimit, command: &mut Command) -> Result<(), StackError> {
        let ended = run_within(command, limit.default).map_err(|source| self.failed(source))?;
        self.finished(step, limit, ended)
    }

    /// Runs a step for what it prints, at most for its limit.
    pub fn output(&self, step: &'static str, limit: StackLimit, command: &mut Command) -> Result<String, StackError> {
        let (ended, text) = output_within(command, limit.default).map_err(|source| self.failed(source))?;
        self.finished(step, limit, ended)?;
        Ok(text)
    }

    fn finished(&self, step: &'static str, limit: StackLimit, ended: Ended) -> Result<(), StackError> {
        match ended {
            Ended::Itself(status, _) if status.success() => Ok(()),
            Ended::Itself(_, stderr) => Err(StackError::Step { name: self.name, step, output: tail(&stderr) }),
            Ended::Killed => Err(self.overdue(step, limit)),
        }
    }

    /// What the system refused.
    pub fn failed(&self, source: io::Error) -> StackError {
        StackError::Io { name: self.name, source }
    }

    /// Waits for the lock, at most for its limit.
    fn take(&self, lock: &fs::File) -> Result<(), StackError> {
        let deadline = Instant::now() + LOCK.default;
        loop {
            match flock(lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if Instant::now() < deadline => {
                    std::thread::sleep(LOOK);
                }
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) => {
                    return Err(self.overdue("the installation by another run", LOCK));
                }
                Err(error) => return Err(self.failed(error.into())),
            }
        }
    }

    fn overdue(&self, step: &'static str, limit: StackLimit) -> StackError {
        StackError::Overdue { name: self.name, step, limit: limit.name, default: limit.default }
    }
}

/// The file that is locked while a stack is installed, beside its folder.
pub(super) fn lock_of(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    // Appended: a stack's name has a point in it, behind which an extension would be put in place of the rest.
    name.push(".lock");
    PathBuf::from(name)
}

/// The last lines of what a step printed, without those by which pip frames the output of what it has run.
fn tail(text: &str) -> String {
    let frames =
        ["note:", "hint:", "[end of output]", "[notice]", "error: subprocess-", "│ exit code", "╰─> See above"];
    let says_something = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !frames.iter().any(|frame| line.starts_with(frame))
    };
    let lines: Vec<&str> = text.lines().rev().filter(says_something).take(3).map(str::trim).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
