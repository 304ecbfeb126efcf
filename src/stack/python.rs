//! Stacks of Python packages.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{fs, io};

use crate::stack::error::{Provisioned, StackError};
use crate::stack::folder::{LOCKS, StackFolder};
use crate::stack::limits::{IMPORT, PIP, StackLimit, VENV};
use crate::stack::run_with_timeout::PYTHON_WATCHES_LIFELINE;

/// Imports that every stack must support.
const IMPORTS: &str = "import mcp, mcp.client.stdio, anyio";
/// Additional imports, by prefix of the stack's name. These stacks are for applications; no loader runs on them alone.
const IMPORTS_OF_APPLICATIONS: &[(&str, &str)] = &[("streamlit-", "import streamlit.web.cli")];

/// A locked set of Python packages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonStack {
    /// Name of the stack, such as `mcp-1.30`.
    pub name: &'static str,
    lock: &'static str,
}

/// Every Python stack, sorted by name.
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

/// The Python stack of this name.
#[must_use]
pub fn python_stack(name: &str) -> Option<PythonStack> {
    python_stacks().into_iter().find(|stack| stack.name == name)
}

impl PythonStack {
    pub(super) fn folder(&self) -> Result<StackFolder, StackError> {
        StackFolder::of(self.name, &[self.lock])
    }

    /// Its interpreter, if it is installed.
    ///
    /// # Errors
    /// `NotInstalled`, or when there is no cache.
    pub fn interpreter(&self) -> Result<PathBuf, StackError> {
        let stack_folder = self.folder()?;
        let interpreter = interpreter_in(&stack_folder.path);
        // The base interpreter may have been removed since. Then the link is dangling.
        if stack_folder.is_complete() && interpreter.exists() {
            return Ok(interpreter);
        }
        Err(StackError::NotInstalled { name: self.name })
    }

    /// Imports the stack now.
    ///
    /// # Errors
    /// When it is not installed or fails to import.
    pub fn import(&self) -> Result<(), StackError> {
        self.run("import", IMPORT, &mut python(&self.interpreter()?, &self.imports()))
    }

    /// Installs the stack again, because it fails its import.
    ///
    /// # Errors
    /// With the step that failed and the end of its output.
    pub fn rebuild(&self) -> Result<Provisioned, StackError> {
        self.folder()?.rebuild(|| self.import(), |folder| self.install(folder))
    }

    /// A program that imports the stack's packages.
    fn imports(&self) -> String {
        let of_application = IMPORTS_OF_APPLICATIONS.iter().filter(|(prefix, _)| self.name.starts_with(prefix));
        let statements: Vec<_> = [IMPORTS].into_iter().chain(of_application.map(|(_, import)| *import)).collect();
        statements.join("\n")
    }

    /// Installs the stack from its lock and imports it. Checks hashes; resolves no versions.
    ///
    /// # Errors
    /// With the step that failed and the end of its output.
    pub fn provision(&self) -> Result<Provisioned, StackError> {
        self.folder()?.provision(|| self.interpreter().is_ok(), |folder| self.install(folder))
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
        // Variables of the caller's environment could redirect Python. A stack must contain only what its lock lists.
        command.env_remove("PYTHONPATH").env_remove("PYTHONHOME");
        self.folder()?.run(step, limit, command).map_err(|error| match error {
            StackError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                StackError::NoPython { source }
            }
            other => other,
        })
    }
}

/// A Python program, given as text, that ends with this process.
pub(super) fn python(interpreter: &Path, program: &str) -> Command {
    let mut command = Command::new(interpreter);
    command.args(["-c", &format!("{PYTHON_WATCHES_LIFELINE}{program}")]);
    command
}

/// A Python module that runs as a program, such as pip.
pub(super) fn module(interpreter: &Path, name: &str) -> Command {
    let run = format!("import runpy, sys\nsys.argv[0] = {name:?}\nrunpy.run_module({name:?}, run_name='__main__')");
    python(interpreter, &run)
}

pub(super) fn interpreter_in(folder: &Path) -> PathBuf {
    folder.join("bin").join("python")
}
