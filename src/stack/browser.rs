//! The browser lane: Chromium in PATH, and the program that drives it, on Node.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use std::{env, fs, io};

use crate::catalogue::{CacheError, cache_folder};
use crate::stack::bounded::{Ended, output_within, run_within};
use crate::stack::limits::{BROWSER, NODE, NPM, StackLimit};
use crate::stack::python::{Provisioned, tail};

/// The driver and its lock.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../../fixtures/host/browser/package.json")),
    ("package-lock.json", include_str!("../../fixtures/host/browser/package-lock.json")),
    (DRIVER, include_str!("../../fixtures/host/browser/page.mjs")),
];
const DRIVER: &str = "page.mjs";
/// What the browser may be called, the first that is found; the first one is Debian's package.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
/// The oldest Node on which the driver runs.
const NODE_MAJOR_MIN: u32 = 20;

/// A browser that can be driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browser {
    /// The driver, in the cache.
    driver: PathBuf,
    /// The browser's own program.
    program: PathBuf,
}

/// Why there is no browser to drive.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrowserError {
    /// There is none.
    #[error("found no browser in PATH, expected one of {}", BROWSERS.join(", "))]
    NoBrowser,
    /// There is no Node, or an old one.
    #[error("found {found}, expected node {NODE_MAJOR_MIN} or newer in PATH")]
    NoNode {
        /// What there is.
        found: String,
    },
    /// The driver is not installed.
    #[error("its driver is not installed; `mcp-vigil doctor --provision` installs it")]
    NotInstalled,
    /// A step failed.
    #[error("{step} failed: {output}")]
    Step {
        /// Which step.
        step: &'static str,
        /// The end of what it printed.
        output: String,
    },
    /// A step did not end in time.
    #[error("{step} did not end within limit {limit} of {} s", default.as_secs())]
    Overdue {
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
    /// A file can not be written, or a program not be started.
    #[error("{step}: {source}")]
    Io {
        /// Which step.
        step: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Browser {
    /// The browser of this machine. Nothing is started but Node, to ask which one it is.
    ///
    /// # Errors
    /// With what is missing.
    pub fn find() -> Result<Self, BrowserError> {
        let program = program().ok_or(BrowserError::NoBrowser)?;
        check_node()?;
        let driver = folder()?.join(DRIVER);
        if driver.is_file() { Ok(Self { driver, program }) } else { Err(BrowserError::NotInstalled) }
    }

    /// Installs the driver from its lock, where it is missing.
    ///
    /// # Errors
    /// With the step that failed and the end of what it printed.
    pub fn provision() -> Result<(Self, Provisioned), BrowserError> {
        match Self::find() {
            Ok(found) => Ok((found, Provisioned::Already)),
            Err(BrowserError::NotInstalled) => {
                install(&folder()?)?;
                Ok((Self::find()?, Provisioned::Now))
            }
            Err(error) => Err(error),
        }
    }

    /// The program that drives it, with its arguments: commands come as JSON lines on stdin, and it ends with its stdin.
    ///
    /// The browser's profile is a folder among the temporary files (`TMPDIR`), which is gone once the driver has ended by itself.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        let text = |path: &Path| path.display().to_string();
        vec!["node".to_owned(), text(&self.driver), text(&self.program)]
    }

    /// The browser's own program.
    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// Starts the browser, asks which one it is, and ends it.
    ///
    /// # Errors
    /// When it does not start, with what it said.
    pub fn version(&self) -> Result<String, BrowserError> {
        let folder = Unnamed::make("check")?;
        let words = self.command();
        let mut command = Command::new(&words[0]);
        // A browser that has to be killed leaves its profile.
        command.args(&words[1..]).arg("--version").env("TMPDIR", &folder.0);
        Ok(output("the browser", BROWSER, &mut command)?.trim().to_owned())
    }
}

/// Where the driver is when it is installed: it was put there whole.
fn folder() -> Result<PathBuf, CacheError> {
    let mut hasher = DefaultHasher::new();
    FILES.hash(&mut hasher);
    Ok(cache_folder()?.join("stacks").join(format!("browser-{:016x}", hasher.finish())))
}

fn program() -> Option<PathBuf> {
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH")?).collect();
    BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

fn check_node() -> Result<(), BrowserError> {
    let found = match output("node --version", NODE, Command::new("node").arg("--version")) {
        Ok(found) => found,
        Err(BrowserError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => "none".to_owned(),
        Err(error) => return Err(error),
    };
    let major = found.trim().trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    match major {
        Some(NODE_MAJOR_MIN..) => Ok(()),
        _ => Err(BrowserError::NoNode { found: found.trim().to_owned() }),
    }
}

/// Installs into a folder of its own and renames that: so whoever else does the same at the same time is not disturbed, and what a
/// killed run leaves is never taken for an installation.
fn install(folder: &Path) -> Result<(), BrowserError> {
    const STEP: &str = "npm ci";
    let failed = |source| BrowserError::Io { step: STEP, source };
    let making = Unnamed::make("partial")?;
    for (name, text) in FILES {
        fs::write(making.0.join(name), text).map_err(failed)?;
    }
    let arguments = ["ci", "--ignore-scripts", "--no-audit", "--no-fund"];
    let ended = run_within(Command::new("npm").args(arguments).current_dir(&making.0), NPM.default).map_err(failed)?;
    finished(STEP, NPM, ended)?;
    match fs::rename(&making.0, folder) {
        // Another run was faster.
        Err(_) if folder.join(DRIVER).is_file() => Ok(()),
        result => result.map_err(failed),
    }
}

fn output(step: &'static str, limit: StackLimit, command: &mut Command) -> Result<String, BrowserError> {
    let (ended, text) = output_within(command, limit.default).map_err(|source| BrowserError::Io { step, source })?;
    finished(step, limit, ended)?;
    Ok(text)
}

fn finished(step: &'static str, limit: StackLimit, ended: Ended) -> Result<(), BrowserError> {
    match ended {
        Ended::Itself(status, _) if status.success() => Ok(()),
        Ended::Itself(_, stderr) => Err(BrowserError::Step { step, output: tail(&stderr) }),
        Ended::Killed => Err(BrowserError::Overdue { step, limit: limit.name, default: limit.default }),
    }
}

/// A folder of this process beside the stacks, removed with what is in it.
struct Unnamed(PathBuf);

impl Unnamed {
    fn make(what: &str) -> Result<Self, BrowserError> {
        static N_MADE: AtomicU64 = AtomicU64::new(0);
        let number = N_MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("browser-{}-{number}.{what}", std::process::id());
        let folder = cache_folder()?.join("stacks").join(name);
        // What a killed process of the same number has left.
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).map_err(|source| BrowserError::Io { step: "making a folder", source })?;
        Ok(Self(folder))
    }
}

impl Drop for Unnamed {
    fn drop(&mut self) {
        // It was renamed, or nobody needs it; there is nobody to tell.
        let _ = fs::remove_dir_all(&self.0);
    }
}
