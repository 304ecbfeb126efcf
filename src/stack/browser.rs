//! The browser lane: Chromium from PATH, and the Node program that drives it.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use crate::stack::error::{Provisioned, StackError};
use crate::stack::folder::StackFolder;
use crate::stack::limits::BROWSER;
use crate::stack::node::{node, npm_ci};

/// Name of the driver and its packages in messages.
const NAME: &str = "browser";
/// The driver and its lock.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../../fixtures/host/browser/package.json")),
    ("package-lock.json", include_str!("../../fixtures/host/browser/package-lock.json")),
    (DRIVER, include_str!("../../fixtures/host/browser/page.mjs")),
];
const DRIVER: &str = "page.mjs";
/// Possible names of the browser, in order of preference. The first is Debian's package.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// A browser and its driver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browser {
    node: PathBuf,
    /// The driver, in the cache.
    driver: PathBuf,
    /// The browser's executable.
    program: PathBuf,
}

/// Why no browser can be driven.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// PATH contains no browser.
    #[error("found no browser in PATH, expected one of {}", BROWSERS.join(", "))]
    NoBrowser,
    /// The driver cannot run, or cannot be installed.
    #[error(transparent)]
    Driver(#[from] StackError),
}

impl Browser {
    /// Finds this machine's browser. Starts only Node, to read its version.
    ///
    /// # Errors
    /// With the missing part.
    pub fn find() -> Result<Self, BrowserError> {
        let program = program().ok_or(BrowserError::NoBrowser)?;
        let (node, stack_folder) = (node()?, folder()?);
        if !stack_folder.is_complete() {
            return Err(StackError::NotInstalled { name: NAME }.into());
        }
        Ok(Self { node, driver: stack_folder.path.join(DRIVER), program })
    }

    /// Installs the driver from its lock, if it is missing.
    ///
    /// # Errors
    /// With the step that failed and the end of its output.
    pub fn provision() -> Result<(Self, Provisioned), BrowserError> {
        // Without a browser and Node, the driver is useless.
        program().ok_or(BrowserError::NoBrowser)?;
        node()?;
        let stack_folder = folder()?;
        let provisioned =
            stack_folder.provision(|| stack_folder.is_complete(), |folder| install(&stack_folder, folder))?;
        Ok((Self::find()?, provisioned))
    }

    /// The driver's command line. The driver reads commands as JSON lines from stdin, and ends when stdin ends.
    ///
    /// The browser's profile is a folder in `TMPDIR`. The driver removes it when it ends by itself.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        [&self.node, &self.driver, &self.program].map(|path| path.display().to_string()).to_vec()
    }

    /// The browser's executable.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Starts the browser, reads its version and ends it.
    ///
    /// # Errors
    /// When the browser does not start, with its output.
    pub fn version(&self) -> Result<String, BrowserError> {
        let stack_folder = folder()?;
        let folder = TemporaryFolder::make(&stack_folder)?;
        let words = self.command();
        let mut command = Command::new(&words[0]);
        // A browser that is killed leaves its profile behind.
        command.args(&words[1..]).arg("--version").env("TMPDIR", &folder.0);
        Ok(stack_folder.output("the browser", BROWSER, &mut command)?.trim().to_owned())
    }
}

fn folder() -> Result<StackFolder, StackError> {
    StackFolder::of(NAME, &FILES.map(|(_, text)| text))
}

fn program() -> Option<PathBuf> {
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH")?).collect();
    BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

fn install(stack_folder: &StackFolder, folder: &Path) -> Result<(), StackError> {
    for (name, text) in FILES {
        fs::write(folder.join(name), text).map_err(|source| stack_folder.failed(source))?;
    }
    npm_ci(stack_folder, folder)
}

/// A temporary folder, removed with its contents when dropped. It lies in the system's temporary folder, because a
/// browser's profile contains sockets, whose paths must be short.
struct TemporaryFolder(PathBuf);

impl TemporaryFolder {
    fn make(stack_folder: &StackFolder) -> Result<Self, StackError> {
        static N_MADE: AtomicU64 = AtomicU64::new(0);
        let number = N_MADE.fetch_add(1, Ordering::Relaxed);
        let unused = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let folder = env::temp_dir().join(format!("mcp-lifecheck-{}-{number}-{unused:x}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).map_err(|source| stack_folder.failed(source))?;
        Ok(Self(folder))
    }
}

impl Drop for TemporaryFolder {
    fn drop(&mut self) {
        // A folder that cannot be removed causes no harm.
        let _ = fs::remove_dir_all(&self.0);
    }
}
