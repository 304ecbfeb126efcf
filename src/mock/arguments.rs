//! The arguments of a mock.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::mock::journal::JournalLost;
use crate::plan::{InputError, Revision, Transport, read_text};
use crate::record::DialError;
use crate::script::{Script, shipped};

/// The I/O driver of a mock in a process of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DriverKind {
    /// Standard input and output.
    Stdio,
    /// Streamable HTTP on loopback.
    Http,
    /// HTTP with server-sent events on loopback.
    Sse,
}

impl DriverKind {
    /// Every driver.
    const ALL: [Self; 3] = [Self::Stdio, Self::Http, Self::Sse];

    /// The transport that it serves.
    #[must_use]
    pub fn transport(self) -> Transport {
        match self {
            Self::Stdio => Transport::Stdio,
            Self::Http => Transport::Http,
            Self::Sse => Transport::Sse,
        }
    }

    /// Its name in arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.transport().as_str()
    }
}

/// A mock with a link to the recorder: `stdio --link ADDR --token T --server NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedArgs {
    /// The I/O driver.
    pub driver: DriverKind,
    /// The address of the recorder endpoint.
    pub link: SocketAddr,
    /// The secret of the run, which the recorder endpoint requires.
    pub token: String,
    /// Name of the server in the scenario.
    pub server: String,
}

/// A standalone mock, without a recorder.
#[derive(Debug, Clone)]
pub struct StandaloneArgs {
    /// The script to carry out.
    pub script: Script,
    /// The file of its journal, if it keeps one.
    pub journal: Option<PathBuf>,
    /// Its longest life.
    pub max_life: Duration,
    /// The newest revision it speaks.
    pub revision: Revision,
    /// The address on which it listens over HTTP; by default a fresh port on loopback.
    pub listen: Option<SocketAddr>,
}

/// A defect in the arguments of a linked mock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// An unknown I/O driver.
    #[error("found driver {0:?}, expected stdio, http or sse")]
    Driver(String),
    /// An unknown argument.
    #[error("found argument {0:?}, expected --link, --token or --server")]
    Unknown(String),
    /// An argument without its value.
    #[error("found no value after {0}, expected one")]
    NoValue(&'static str),
    /// An argument is missing.
    #[error("found no {0}, expected it")]
    Missing(&'static str),
    /// A malformed address.
    #[error("found link address {0:?}, expected IP:PORT")]
    Address(String),
}

/// The reason why a mock did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MockError {
    /// The mock could not connect to the recorder.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The recorder's welcome is malformed.
    #[error("found a welcome that cannot be read: {0}")]
    Welcome(#[from] serde_json::Error),
    /// The journal file cannot be created.
    #[error("the journal cannot be made: {0}")]
    Journal(io::Error),
    /// The address is not on loopback.
    #[error("found listen address {0}, expected a loopback address such as 127.0.0.1:0")]
    NotLoopback(SocketAddr),
    /// The mock lost its journal.
    #[error(transparent)]
    Lost(#[from] JournalLost),
    /// The mock cannot listen on the port.
    #[error("cannot listen on {addr}: {source}")]
    Listen {
        /// The requested address.
        addr: SocketAddr,
        /// The system's error.
        source: io::Error,
    },
    /// The system refused a signal handler, a thread or a runtime.
    #[error("the mock cannot be set up: {0}")]
    Setup(io::Error),
}

impl LinkedArgs {
    /// Reads `stdio|http|sse --link ADDR --token T --server NAME`, options in any order, without the start-up cost of a parser.
    ///
    /// # Errors
    /// With what was found and what was expected.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Result<Self, ArgumentError> {
        let mut args = args.into_iter();
        let driver = args.next().ok_or(ArgumentError::Missing("driver"))?;
        let named = DriverKind::ALL.into_iter().find(|one| one.name() == driver);
        let driver = named.ok_or(ArgumentError::Driver(driver))?;
        let (mut link, mut token, mut server) = (None, None, None);
        while let Some(name) = args.next() {
            let (name, slot) = match name.as_str() {
                "--link" => ("--link", &mut link),
                "--token" => ("--token", &mut token),
                "--server" => ("--server", &mut server),
                _ => return Err(ArgumentError::Unknown(name)),
            };
            *slot = Some(args.next().ok_or(ArgumentError::NoValue(name))?);
        }
        let link = link.ok_or(ArgumentError::Missing("--link"))?;
        Ok(Self {
            driver,
            link: link.parse().map_err(|_| ArgumentError::Address(link))?,
            token: token.ok_or(ArgumentError::Missing("--token"))?,
            server: server.ok_or(ArgumentError::Missing("--server"))?,
        })
    }

    /// The arguments that [`LinkedArgs::from_args`] reads.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let link = self.link.to_string();
        [self.driver.name(), "--link", &link, "--token", &self.token, "--server", &self.server]
            .map(str::to_owned)
            .into()
    }
}

/// The script with this name or in this file. An argument names a file if it ends in `.toml` or has a path separator.
///
/// # Errors
/// With the position of what is wrong, what was found and what was expected.
pub fn load_script(name_or_file: &str) -> Result<Script, InputError> {
    let path = Path::new(name_or_file);
    let is_toml = path.extension().is_some_and(|extension| extension == "toml");
    if !is_toml && !name_or_file.contains(std::path::MAIN_SEPARATOR) {
        return shipped(name_or_file);
    }
    let text = read_text(path)?;
    let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or("script");
    Script::from_toml(name, name_or_file, &text)
}
