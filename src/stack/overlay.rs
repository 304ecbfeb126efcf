//! A stack with other packages installed over it, such as the user's own versions or checkout.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use rustix::fs::{FlockOperation, flock};

use crate::catalogue::cache_folder;
use crate::stack::error::StackError;
use crate::stack::folder::{StackFolder, lock_of};
use crate::stack::limits::{VENV, WITH};
use crate::stack::python::{PythonStack, interpreter_in, module, python};
use crate::stack::spec::PipSpec;

/// Environments that this process uses. Each has a shared lock until the process ends, so no other run removes it.
static IN_USE: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A stack with specs installed over it.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// The stack below.
    pub base: PythonStack,
    /// The packages to install over it.
    pub specs: Vec<PipSpec>,
}

impl Overlay {
    /// The interpreter of the environment. Installs the environment if there is none for the current state of the
    /// specs.
    ///
    /// Copies the stack's packages and lets pip install the specs over them, with pip's usual resolution. Installs
    /// nothing if `may_install` is false. Calls `announce` with the specs before an installation.
    ///
    /// # Errors
    /// With the step that failed and the end of its output.
    pub fn provision(&self, may_install: bool, announce: &dyn Fn(&str)) -> Result<PathBuf, StackError> {
        let base = self.base.interpreter()?;
        let (family, state) = (self.family()?, self.state()?);
        let stack_folder = StackFolder::at(self.base.name, family.join(format!("{state:016x}")));
        let lock = stack_folder.hold()?;
        let interpreter = interpreter_in(&stack_folder.path);
        if !(stack_folder.is_complete() && interpreter.exists()) {
            if !may_install {
                return Err(StackError::NotAllowed { name: self.base.name });
            }
            announce(&self.words().join(" "));
            self.install(&base, &stack_folder.path)?;
            stack_folder.complete()?;
        }
        flock(&lock, FlockOperation::LockShared).map_err(|error| stack_folder.failed(error.into()))?;
        IN_USE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(lock);
        clear_others(&family, &stack_folder.path);
        Ok(interpreter)
    }

    fn words(&self) -> Vec<String> {
        self.specs.iter().flat_map(PipSpec::words).collect()
    }

    /// The folder of its environments, one for each state of the specs.
    fn family(&self) -> Result<PathBuf, StackError> {
        let mut hasher = DefaultHasher::new();
        (self.base.folder()?.path, self.words()).hash(&mut hasher);
        let name = format!("{}-{:016x}", self.base.name, hasher.finish());
        Ok(cache_folder()?.join("with").join(name))
    }

    fn state(&self) -> Result<u64, StackError> {
        let mut hasher = DefaultHasher::new();
        for spec in &self.specs {
            spec.hash_state(&mut hasher).map_err(|source| StackError::Io { name: self.base.name, source })?;
        }
        Ok(hasher.finish())
    }

    fn install(&self, base: &Path, folder: &Path) -> Result<(), StackError> {
        let run = |step, limit, command: &mut Command| self.base.run(step, limit, command);
        run("python3 -m venv", VENV, module(base, "venv").arg("--clear").arg(folder))?;
        let interpreter = interpreter_in(folder);
        // The new environment has the same Python, so its packages have the same path below its prefix.
        let copy = "import os, shutil, sys, sysconfig\n\
                    there = sysconfig.get_path('purelib')\n\
                    below = os.path.relpath(there, sys.prefix)\n\
                    shutil.copytree(there, os.path.join(sys.argv[1], below), dirs_exist_ok=True)";
        run("copying the stack", VENV, python(base, copy).arg(folder))?;
        // Not `--quiet`, because the error message shows the output of a failed build.
        let install = ["install", "--progress-bar", "off", "--disable-pip-version-check", "--no-input"];
        run("pip install", WITH, module(&interpreter, "pip").args(install).args(self.words()))
    }
}

/// Removes environments of the same specs in other states, unless a run uses them.
fn clear_others(family: &Path, kept: &Path) {
    for entry in fs::read_dir(family).into_iter().flatten().flatten() {
        let path = entry.path();
        if path == *kept || !path.is_dir() {
            continue;
        }
        // The next run retries a removal that fails.
        let Ok(lock) = File::create(lock_of(&path)) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}
