//! The browser lane: Chromium in PATH, and the program that drives it, on Node.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};
use std::{env, fs};

use crate::stack::limits::BROWSER;
use crate::stack::node::{node, npm_ci};
use crate::stack::python::{Provisioned, StackError};
use crate::stack::site::Site;

/// As messages name the driver and its packages.
const NAME: &str = "browser";
/// The driver and its lock.
const FILES: [(&str, &str); 3] = [
    ("package.json", include_str!("../../fixtures/host/browser/package.json")),
    ("package-lock.json", include_str!("../../fixtures/host/browser/package-lock.json")),
    (DRIVER, include_str!("../../fixtures/host/browser/page.mjs")),
];
const DRIVER: &str = "page.mjs";
/// What the browser may be called, the first that is found; the first one is Debian's package.
const BROWSERS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];

/// A browser that can be driven.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Browser {
    node: PathBuf,
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
    /// Its driver can not be run, or not be installed.
    #[error(transparent)]
    Driver(#[from] StackError),
}

impl Browser {
    /// The browser of this machine. Nothing is started but Node, to ask which one it is.
    ///
    /// # Errors
    /// With what is missing.
    pub fn find() -> Result<Self, BrowserError> {
        let program = program().ok_or(BrowserError::NoBrowser)?;
        let (node, site) = (node()?, site()?);
        if !site.is_complete() {
            return Err(StackError::NotInstalled { name: NAME }.into());
        }
        Ok(Self { node, driver: site.folder.join(DRIVER), program })
    }

    /// Installs the driver from its lock, where it is missing.
    ///
    /// # Errors
    /// With the step that failed and the end of what it printed.
    pub fn provision() -> Result<(Self, Provisioned), BrowserError> {
        // Without a browser or Node, its driver is of no use.
        program().ok_or(BrowserError::NoBrowser)?;
        node()?;
        let site = site()?;
        let provisioned = site.provision(|| site.is_complete(), |folder| install(&site, folder))?;
        Ok((Self::find()?, provisioned))
    }

    /// The program that drives it, with its arguments: commands come as JSON lines on stdin, and it ends with its stdin.
    ///
    /// The browser's profile is a folder among the temporary files (`TMPDIR`), which is gone once the driver has ended by itself.
    #[must_use]
    pub fn command(&self) -> Vec<String> {
        [&self.node, &self.driver, &self.program].map(|path| path.display().to_string()).to_vec()
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
        let site = site()?;
        let folder = Passing::make(&site)?;
        let words = self.command();
        let mut command = Command::new(&words[0]);
        // A browser that has to be killed leaves its profile.
        command.args(&words[1..]).arg("--version").env("TMPDIR", &folder.0);
        Ok(site.output("the browser", BROWSER, &mut command)?.trim().to_owned())
    }
}

fn site() -> Result<Site, StackError> {
    Site::of(NAME, &FILES.map(|(_, text)| text))
}

fn program() -> Option<PathBuf> {
    let folders: Vec<_> = env::split_paths(&env::var_os("PATH")?).collect();
    BROWSERS.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name))).find(|path| path.is_file())
}

fn install(site: &Site, folder: &Path) -> Result<(), StackError> {
    for (name, text) in FILES {
        fs::write(folder.join(name), text).map_err(|source| site.failed(source))?;
    }
    npm_ci(site, folder)
}

/// A folder of this process, removed with what is in it. Among the temporary files: a browser has sockets in its profile, whose paths
/// have to be short.
struct Passing(PathBuf);

impl Passing {
    fn make(site: &Site) -> Result<Self, StackError> {
        static N_MADE: AtomicU64 = AtomicU64::new(0);
        let number = N_MADE.fetch_add(1, Ordering::Relaxed);
        let unused = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let folder = env::temp_dir().join(format!("mcp-lifecheck-{}-{number}-{unused:x}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&folder).map_err(|source| site.failed(source))?;
        Ok(Self(folder))
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        // Nobody needs it; there is nobody to tell.
        let _ = fs::remove_dir_all(&self.0);
    }
}
