//! Python stacks.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};
use std::{fs, io};

use include_dir::{Dir, include_dir};
use rustix::fs::{FlockOperation, flock};

use crate::catalogue::{CacheError, cache_folder, write_whole};
use crate::stack::bounded::{Ended, PYTHON_HEEDS_LIFELINE, run_within};
use crate::stack::limits::{IMPORT, LOCK, PIP, StackLimit, VENV};

static LOCKS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/loaders/locks");

/// What every stack must be able to import.
const IMPORTS: &str = "import mcp, mcp.client.stdio, anyio";
/// What stacks whose name begins so must be able to import beside that: those of applications, on which no loader is run alone.
const IMPORTS_OF_APPLICATIONS: &[(&str, &str)] = &[("streamlit-", "import streamlit.web.cli")];
/// How often it is looked whether another run has let go of a stack: nothing tells.
const LOOK: Duration = Duration::from_millis(50);
/// Marks a stack that was installed whole and imported.
const COMPLETE: &str = "complete";

/// A locked set of Python packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonStack {
    /// Its name, such as `mcp-1.30`.
    pub name: &'static str,
    lock: &'static str,
}

/// Why a stack can not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// It is not installed.
    #[error("stack {name} is not installed; `mcp-vigil doctor --provision` installs it")]
    NotInstalled {
        /// Its name.
        name: &'static str,
    },
    /// There is no Python.
    #[error("no python3 in PATH can be run: {source}")]
    NoPython {
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A step of the installation failed.
    #[error("stack {name}: {step} failed: {output}")]
    Step {
        /// Name of the stack.
        name: &'static str,
        /// Which step.
        step: &'static str,
        /// The end of what it printed.
        output: String,
    },
    /// A step did not end in time.
    #[error("stack {name}: {step} did not end within limit {limit} of {} s", default.as_secs())]
    Overdue {
        /// Name of the stack.
        name: &'static str,
        /// Which step.
        step: &'static str,
        /// Name of the limit.
        limit: &'static str,
        /// Its length.
        default: Duration,
    },
    /// The cache can not be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A file can not be written.
    #[error("stack {name}: {source}")]
    Io {
        /// Name of the stack.
        name: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// Whether a stack had to be installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provisioned {
    /// It was there.
    Already,
    /// It was installed now.
    Now,
}

/// Every Python stack, by name.
#[must_use]
pub fn python_stacks() -> Vec<PythonStack> {
    let mut stacks: Vec<_> = LOCKS
        .files()
        .filter(|file| file.path().extension().is_some_and(|extension| extension == "txt"))
        .filter_map(|file| Some(PythonStack { name: file.path().file_stem()?.to_str()?, lock: file.contents_utf8()? }))
        .collect();
    stacks.sort_by_key(|stack| stack.name);
    stacks
}

/// The Python stack of that name.
#[must_use]
pub fn python_stack(name: &str) -> Option<PythonStack> {
    python_stacks().into_iter().find(|stack| stack.name == name)
}

impl PythonStack {
    fn folder(&self) -> Result<PathBuf, StackError> {
        let mut hasher = DefaultHasher::new();
        self.lock.hash(&mut hasher);
        Ok(cache_folder()?.join("stacks").join(format!("{}-{:016x}", self.name, hasher.finish())))
    }

    /// Its interpreter, when it is installed.
    ///
    /// # Errors
    /// `NotInstalled`, or when there is no cache.
    pub fn interpreter(&self) -> Result<PathBuf, StackError> {
        let folder = self.folder()?;
        let interpreter = interpreter_in(&folder);
        // The base interpreter may have vanished since: the link would dangle then.
        if folder.join(COMPLETE).is_file() && interpreter.exists() {
            return Ok(interpreter);
        }
        Err(StackError::NotInstalled { name: self.name })
    }

    /// Imports the stack now.
    ///
    /// # Errors
    /// When it is not installed or can not be imported.
    pub fn import(&self) -> Result<(), StackError> {
        self.run("import", IMPORT, &mut python(&self.interpreter()?, &self.imports()))
    }

    /// A program that imports what this stack is for.
    fn imports(&self) -> String {
        let of_application = IMPORTS_OF_APPLICATIONS.iter().filter(|(prefix, _)| self.name.starts_with(prefix));
        let statements: Vec<_> = [IMPORTS].into_iter().chain(of_application.map(|(_, import)| *import)).collect();
        statements.join("\n")
    }

    /// Installs the stack from its lock, with hashes and without resolution, and imports it.
    ///
    /// # Errors
    /// With the step that failed and the end of what it printed.
    pub fn provision(&self) -> Result<Provisioned, StackError> {
        if self.interpreter().is_ok() {
            return Ok(Provisioned::Already);
        }
        let folder = self.folder()?;
        let failed = |source| StackError::Io { name: self.name, source };
        fs::create_dir_all(&folder).map_err(failed)?;
        // Two runs may want the same stack; the second waits for the first and finds it installed.
        let lock = fs::File::create(lock_of(&folder)).map_err(failed)?;
        self.take(&lock)?;
        if self.interpreter().is_ok() {
            return Ok(Provisioned::Already);
        }
        self.install(&folder)?;
        write_whole(&folder.join(COMPLETE), self.lock.as_bytes()).map_err(failed)?;
        Ok(Provisioned::Now)
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
                Err(error) => return Err(StackError::Io { name: self.name, source: error.into() }),
            }
        }
    }

    fn overdue(&self, step: &'static str, limit: StackLimit) -> StackError {
        StackError::Overdue { name: self.name, step, limit: limit.name, default: limit.default }
    }

    fn install(&self, folder: &Path) -> Result<(), StackError> {
        let failed = |source| StackError::Io { name: self.name, source };
        let requirements = folder.join("lock.txt");
        let module = |interpreter: &Path, name: &str| {
            let run =
                format!("import runpy, sys\nsys.argv[0] = {name:?}\nrunpy.run_module({name:?}, run_name='__main__')");
            python(interpreter, &run)
        };
        self.run("python3 -m venv", VENV, module(Path::new("python3"), "venv").arg("--clear").arg(folder))?;
        fs::write(&requirements, self.lock).map_err(failed)?;
        let interpreter = interpreter_in(folder);
        let install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "-r"];
        self.run("pip install", PIP, module(&interpreter, "pip").args(install).arg(&requirements))?;
        self.run("import", IMPORT, &mut python(&interpreter, &self.imports()))
    }

    fn run(&self, step: &'static str, limit: StackLimit, command: &mut Command) -> Result<(), StackError> {
        // What runs the tool may point Python somewhere else; a stack is only what its lock says.
        command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        let ended = run_within(command, limit.default).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StackError::NoPython { source },
            _ => StackError::Io { name: self.name, source },
        })?;
        match ended {
            Ended::Itself(status, _) if status.success() => Ok(()),
            Ended::Itself(_, stderr) => Err(StackError::Step { name: self.name, step, output: tail(&stderr) }),
            Ended::Killed => Err(self.overdue(step, limit)),
        }
    }
}

/// A Python program, given as text, that does not outlive this process.
fn python(interpreter: &Path, program: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.args(["-c", &format!("{PYTHON_HEEDS_LIFELINE}{program}")]);
    command
}

/// The file that is locked while a stack is installed, beside its folder.
fn lock_of(folder: &Path) -> PathBuf {
    let mut name = folder.as_os_str().to_owned();
    // Appended: a stack's name has a point in it, behind which an extension would be put in place of the rest.
    name.push(".lock");
    PathBuf::from(name)
}

fn interpreter_in(folder: &Path) -> PathBuf {
    folder.join("bin").join("python")
}

/// The last lines of what a step printed.
pub(super) fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
