//! Python stacks.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, io};

use crate::catalogue::CacheError;
use crate::stack::bounded::PYTHON_HEEDS_LIFELINE;
use crate::stack::limits::{IMPORT, PIP, StackLimit, VENV};
use crate::stack::site::{LOCKS, Site};

/// What every stack must be able to import.
const IMPORTS: &str = "import mcp, mcp.client.stdio, anyio";
/// What stacks whose name begins so must be able to import beside that: those of applications, on which no loader is run alone.
const IMPORTS_OF_APPLICATIONS: &[(&str, &str)] = &[("streamlit-", "import streamlit.web.cli")];

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
    #[error("stack {name} is not installed; `mcp-lifecheck doctor --provision` installs it")]
    NotInstalled {
        /// Its name.
        name: &'static str,
    },
    /// It would have to be installed, and nothing may be.
    #[error("stack {name}: what is to be installed over it is not, and MCP_LIFECHECK_OFFLINE forbids to do it")]
    NotAllowed {
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
    /// There is no Node, or none that is new enough.
    #[error("no usable node: {because}")]
    NoNode {
        /// What was found, and what was expected.
        because: String,
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
    pub(super) fn site(&self) -> Result<Site, StackError> {
        Site::of(self.name, &[self.lock])
    }

    /// Its interpreter, when it is installed.
    ///
    /// # Errors
    /// `NotInstalled`, or when there is no cache.
    pub fn interpreter(&self) -> Result<PathBuf, StackError> {
        let site = self.site()?;
        let interpreter = interpreter_in(&site.folder);
        // The base interpreter may have vanished since: the link would dangle then.
        if site.is_complete() && interpreter.exists() {
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
        self.site()?.provision(|| self.interpreter().is_ok(), |folder| self.install(folder))
    }

    fn install(&self, folder: &Path) -> Result<(), StackError> {
        let failed = |source| StackError::Io { name: self.name, source };
        let requirements = folder.join("lock.txt");
        self.run("python3 -m venv", VENV, module(Path::new("python3"), "venv").arg("--clear").arg(folder))?;
        fs::write(&requirements, self.lock).map_err(failed)?;
        let interpreter = interpreter_in(folder);
        let install = ["install", "--quiet", "--disable-pip-version-check", "--require-hashes", "--no-deps", "-r"];
        self.run("pip install", PIP, module(&interpreter, "pip").args(install).arg(&requirements))?;
        self.run("import", IMPORT, &mut python(&interpreter, &self.imports()))
    }

    pub(super) fn run(&self, step: &'static str, limit: StackLimit, command: &mut Command) -> Result<(), StackError> {
        // What runs the tool may point Python somewhere else; a stack is only what its lock says.
        command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        self.site()?.run(step, limit, command).map_err(|error| match error {
            StackError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                StackError::NoPython { source }
            }
            other => other,
        })
    }
}

/// A Python program, given as text, that does not outlive this process.
pub(super) fn python(interpreter: &Path, program: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.args(["-c", &format!("{PYTHON_HEEDS_LIFELINE}{program}")]);
    command
}

/// A module that is run as a program, such as pip.
pub(super) fn module(interpreter: &Path, name: &str) -> Command {
    let run = format!("import runpy, sys\nsys.argv[0] = {name:?}\nrunpy.run_module({name:?}, run_name='__main__')");
    python(interpreter, &run)
}

pub(super) fn interpreter_in(folder: &Path) -> PathBuf {
    folder.join("bin").join("python")
}
