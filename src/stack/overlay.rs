//! A stack with something else installed over it: the user's own versions or checkout.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;

use rustix::fs::{FlockOperation, flock};

use crate::catalogue::cache_folder;
use crate::stack::limits::{VENV, WITH};
use crate::stack::python::{PythonStack, StackError, interpreter_in, module, python};
use crate::stack::site::{Site, lock_of};
use crate::stack::spec::PipSpec;

/// Environments in use: each is locked, shared, as long as this process lives, so that no other run clears it away.
static IN_USE: Mutex<Vec<File>> = Mutex::new(Vec::new());

/// A stack with specs installed over it.
#[derive(Debug, Clone)]
pub struct Overlay {
    /// The stack below.
    pub base: PythonStack,
    /// What is installed over it.
    pub specs: Vec<PipSpec>,
}

impl Overlay {
    /// Its interpreter; installs it where that was not done for this state of what it consists of.
    ///
    /// The packages of the stack are copied, and pip installs over them what the specs ask for, resolving their needs in the
    /// ordinary way. Nothing is installed where `may_install` is false. `tell` hears what is installed before it is.
    ///
    /// # Errors
    /// With the step that failed and the end of what it printed.
    pub fn provision(&self, may_install: bool, tell: &dyn Fn(&str)) -> Result<PathBuf, StackError> {
        let base = self.base.interpreter()?;
        let (family, state) = (self.family()?, self.state()?);
        let site = Site::at(self.base.name, family.join(format!("{state:016x}")));
        let lock = site.hold()?;
        let interpreter = interpreter_in(&site.folder);
        if !(site.is_complete() && interpreter.exists()) {
            if !may_install {
                return Err(StackError::NotAllowed { name: self.base.name });
            }
            tell(&self.words().join(" "));
            self.install(&base, &site.folder)?;
            site.complete()?;
        }
        flock(&lock, FlockOperation::LockShared).map_err(|error| site.failed(error.into()))?;
        IN_USE.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(lock);
        clear_others(&family, &site.folder);
        Ok(interpreter)
    }

    fn words(&self) -> Vec<String> {
        self.specs.iter().flat_map(PipSpec::words).collect()
    }

    /// Where its environments lie, one for each state that was seen of it.
    fn family(&self) -> Result<PathBuf, StackError> {
        let mut hasher = DefaultHasher::new();
        (self.base.site()?.folder, self.words()).hash(&mut hasher);
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
        // The new environment has the same Python, so the same folder below its own prefix.
        let copy = "import os, shutil, sys, sysconfig\n\
                    there = sysconfig.get_path('purelib')\n\
                    below = os.path.relpath(there, sys.prefix)\n\
                    shutil.copytree(there, os.path.join(sys.argv[1], below), dirs_exist_ok=True)";
        run("copying the stack", VENV, python(base, copy).arg(folder))?;
        // Not quiet: what a build has printed would then be left out of the error.
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
        // What can not be removed now is left to the next run.
        let Ok(lock) = File::create(lock_of(&path)) else { continue };
        if flock(&lock, FlockOperation::NonBlockingLockExclusive).is_ok() {
            let _ = fs::remove_dir_all(&path);
        }
    }
}
