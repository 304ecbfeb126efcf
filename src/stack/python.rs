//! Python stacks.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::{fs, io};

use include_dir::{Dir, include_dir};
use rustix::fs::{FlockOperation, flock};

use crate::catalogue::{CacheError, cache_folder};

static LOCKS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/loaders/locks");

/// What every stack must be able to import.
const IMPORTS: &str = "import mcp, mcp.client.stdio, anyio";
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
        self.run("import", Command::new(self.interpreter()?).args(["-c", IMPORTS]))
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
        let lock = fs::File::create(folder.with_extension("lock")).map_err(failed)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|error| failed(error.into()))?;
        if self.interpreter().is_ok() {
            return Ok(Provisioned::Already);
        }
        self.install(&folder)?;
        fs::write(folder.join(COMPLETE), self.lock).map_err(failed)?;
        Ok(Provisioned::Now)
    }

    fn install(&self, folder: &Path) -> Result<(), StackError> {
        let failed = |source| StackError::Io { name: self.name, source };
        let requirements = folder.join("lock.txt");
        self.run("python3 -m venv", Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
        fs::write(&requirements, self.lock).map_err(failed)?;
        let interpreter = interpreter_in(folder);
        let pip =
            ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "-r"];
        self.run("pip install", Command::new(&interpreter).args(pip).arg(&requirements))?;
        self.run("import", Command::new(&interpreter).args(["-c", IMPORTS]))
    }

    fn run(&self, step: &'static str, command: &mut Command) -> Result<(), StackError> {
        // What runs the tool may point Python somewhere else; a stack is only what its lock says.
        command.env_remove("PYTHONPATH").env_remove("PYTHONHOME").stdin(Stdio::null());
        let output = command.output().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => StackError::NoPython { source },
            _ => StackError::Io { name: self.name, source },
        })?;
        if output.status.success() {
            return Ok(());
        }
        Err(StackError::Step { name: self.name, step, output: tail(&output) })
    }
}

fn interpreter_in(folder: &Path) -> PathBuf {
    folder.join("bin").join("python")
}

fn tail(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let lines: Vec<&str> = text.lines().rev().take(3).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}
