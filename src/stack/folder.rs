//! The folder of a stack: stacks of every language are installed in the same way, once, by one run at a time.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, io};

use include_dir::{Dir, include_dir};
use rustix::fs::{FlockOperation, flock};

use crate::catalogue::{cache_folder, write_whole};
use crate::foreign::without_secrets;
use crate::stack::error::{Provisioned, StackError};
use crate::stack::interruption::is_interrupted;
use crate::stack::limits::{LOCK, StackLimit};
use crate::stack::run_with_timeout::{Ended, output_with_timeout, run_with_timeout};

/// The locks of every stack: a file for Python, a folder for Node.
pub(super) static LOCKS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/loaders/locks");

/// Interval of checks whether another run has released a stack's lock.
const LOOK: Duration = Duration::from_millis(50);
/// Name of the file that marks a stack as installed and imported.
const COMPLETE: &str = "complete";

/// The folder of one stack in the cache.
pub(super) struct StackFolder {
    name: &'static str,
    /// The folder exists as soon as an installation has begun.
    pub path: PathBuf,
}

impl StackFolder {
    /// The folder for a stack of this name and lock.
    pub fn of(name: &'static str, lock: &[&str]) -> Result<Self, StackError> {
        let mut hasher = DefaultHasher::new();
        lock.iter().for_each(|text| text.hash(&mut hasher));
        let path = cache_folder()?.join("stacks").join(format!("{name}-{:016x}", hasher.finish()));
        Ok(Self { name, path })
    }

    /// Another folder, for an environment derived from the stack of this name.
    pub fn at(name: &'static str, path: PathBuf) -> Self {
        Self { name, path }
    }

    /// Whether it is completely installed.
    pub fn is_complete(&self) -> bool {
        self.path.join(COMPLETE).is_file()
    }

    /// Installs the stack unless it is installed. A second run that wants the same stack waits for the first.
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
        install(&self.path)?;
        self.complete()?;
        Ok(Provisioned::Now)
    }

    /// Installs the stack again, from nothing, unless another run has done so meanwhile.
    pub fn rebuild(
        &self,
        import: impl Fn() -> Result<(), StackError>,
        install: impl FnOnce(&Path) -> Result<(), StackError>,
    ) -> Result<Provisioned, StackError> {
        let _lock = self.hold()?;
        if self.is_complete() && import().is_ok() {
            return Ok(Provisioned::Already);
        }
        fs::remove_dir_all(&self.path).map_err(|source| self.failed(source))?;
        fs::create_dir_all(&self.path).map_err(|source| self.failed(source))?;
        install(&self.path)?;
        self.complete()?;
        Ok(Provisioned::Again)
    }

    /// Creates the folder and takes its lock. Closing the file releases the lock.
    pub fn hold(&self) -> Result<fs::File, StackError> {
        // Nothing but a stack belongs here, so whatever else has its path is a remnant.
        if self.path.symlink_metadata().is_ok_and(|found| !found.is_dir()) {
            fs::remove_file(&self.path).map_err(|source| self.failed(source))?;
        }
        fs::create_dir_all(&self.path).map_err(|source| self.failed(source))?;
        let lock = fs::File::create(lock_of(&self.path)).map_err(|source| self.failed(source))?;
        self.take(&lock)?;
        Ok(lock)
    }

    /// Marks the stack as completely installed.
    pub fn complete(&self) -> Result<(), StackError> {
        write_whole(&self.path.join(COMPLETE), self.name.as_bytes()).map_err(|source| self.failed(source))
    }

    /// Runs one step of an installation within its limit.
    pub fn run(&self, step: &'static str, limit: StackLimit, command: &mut Command) -> Result<(), StackError> {
        let ended = run_with_timeout(command, limit.default).map_err(|source| self.failed(source))?;
        self.finished(step, limit, ended)
    }

    /// Runs a step within its limit and returns its output.
    pub fn output(&self, step: &'static str, limit: StackLimit, command: &mut Command) -> Result<String, StackError> {
        let (ended, text) = output_with_timeout(command, limit.default).map_err(|source| self.failed(source))?;
        self.finished(step, limit, ended)?;
        Ok(text)
    }

    fn finished(&self, step: &'static str, limit: StackLimit, ended: Ended) -> Result<(), StackError> {
        match ended {
            Ended::ByItself(status, _) if status.success() => Ok(()),
            Ended::ByItself(_, stderr) => Err(StackError::Step { name: self.name, step, output: tail(&stderr) }),
            Ended::Killed => Err(self.overdue(step, limit)),
            Ended::Interrupted => Err(StackError::Interrupted { name: self.name, step }),
        }
    }

    /// Wraps an error of the system.
    pub fn failed(&self, source: io::Error) -> StackError {
        StackError::Io { name: self.name, source }
    }

    /// Waits for the lock, up to its limit.
    fn take(&self, lock: &fs::File) -> Result<(), StackError> {
        let deadline = Instant::now() + LOCK.default;
        loop {
            match flock(lock, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(()),
                Err(rustix::io::Errno::WOULDBLOCK | rustix::io::Errno::INTR) if is_interrupted() => {
                    return Err(StackError::Interrupted { name: self.name, step: "the wait for another run" });
                }
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

/// The lock file of a stack, next to its folder.
pub(super) fn lock_of(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    // Appended, because `with_extension` would replace the part of the name after the last point.
    name.push(".lock");
    PathBuf::from(name)
}

/// The last lines of a step's output, without the lines that pip puts around the output of its own steps.
fn tail(text: &str) -> String {
    let frames =
        ["note:", "hint:", "[end of output]", "[notice]", "error: subprocess-", "│ exit code", "╰─> See above"];
    let says_something = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !frames.iter().any(|frame| line.starts_with(frame))
    };
    let lines: Vec<&str> = text.lines().rev().filter(says_something).take(3).map(str::trim).collect();
    // An address of an index may have a password in it.
    without_secrets(&lines.into_iter().rev().collect::<Vec<_>>().join(" | ")).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(name: &'static str) -> StackError {
        StackError::Step { name, step: "import", output: "no module".to_owned() }
    }

    #[test]
    fn whatever_has_the_path_of_a_stack_and_is_none_makes_room_for_it() {
        let cache = tempfile::tempdir().unwrap();
        let path = cache.path().join("x-1");
        fs::write(&path, "a file").unwrap();
        let stack = StackFolder::at("x", path.clone());
        let provisioned = stack.provision(
            || stack.is_complete(),
            |folder| fs::write(folder.join("module"), "").map_err(|source| stack.failed(source)),
        );
        assert_eq!(provisioned.unwrap(), Provisioned::Now);
        assert!(path.join("module").is_file() && stack.is_complete());
    }

    #[test]
    fn a_stack_that_fails_its_import_is_installed_again_from_nothing() {
        let cache = tempfile::tempdir().unwrap();
        let stack = StackFolder::at("x", cache.path().join("x-1"));
        let module = stack.path.join("module");
        let install = |folder: &Path| fs::write(folder.join("module"), "").map_err(|source| stack.failed(source));
        stack.provision(|| stack.is_complete(), install).unwrap();
        fs::remove_file(&module).unwrap();
        fs::write(stack.path.join("remnant"), "").unwrap();
        let import = || if module.exists() { Ok(()) } else { Err(broken("x")) };
        assert_eq!(stack.rebuild(import, install).unwrap(), Provisioned::Again);
        assert!(module.is_file() && stack.is_complete() && !stack.path.join("remnant").exists());
        assert_eq!(stack.rebuild(import, |_| Err(broken("x"))).unwrap(), Provisioned::Already);
    }
}
