//! What a mock is started with.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::mock::journal::JournalLost;
use crate::plan::{InputError, Revision, Transport, read_text};
use crate::record::DialError;
use crate::script::{Script, shipped};

/// What carries a mock's messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CarrierKind {
    /// Standard input and output.
    Stdio,
    /// Streamable HTTP on loopback.
    Http,
    /// HTTP with server-sent events on loopback.
    Sse,
}

impl CarrierKind {
    /// The transport whose messages it carries.
    #[must_use]
    pub fn transport(self) -> Transport {
        match self {
            Self::Stdio => Transport::Stdio,
            Self::Http => Transport::Http,
            Self::Sse => Transport::Sse,
        }
    }

    /// As it is written in arguments.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Stdio => "stdio",
            Self::Http => "http",
            Self::Sse => "sse",
        }
    }
}

/// A mock that reports home: `stdio --link ADDR --token T --server NAME`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkedArgs {
    /// What carries its messages.
    pub carrier: CarrierKind,
    /// Where home listens.
    pub link: SocketAddr,
    /// The secret of the run.
    pub token: String,
    /// Name of the server in the scenario.
    pub server: String,
}

/// A mock that runs alone.
#[derive(Debug, Clone)]
pub struct StandaloneArgs {
    /// What it does.
    pub script: Script,
    /// Where it writes its journal, if anywhere.
    pub journal: Option<PathBuf>,
    /// How long it lives at most.
    pub max_life: Duration,
    /// The newest revision it speaks.
    pub revision: Revision,
    /// Where it listens, over HTTP; a fresh port on loopback where none is asked for.
    pub listen: Option<SocketAddr>,
}

/// What is wrong with the arguments of a linked mock.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ArgumentError {
    /// An unknown carrier.
    #[error("found carrier {0:?}, expected stdio, http or sse")]
    Carrier(String),
    /// An argument nobody knows.
    #[error("found argument {0:?}, expected --link, --token or --server")]
    Unknown(String),
    /// An argument without its value.
    #[error("found no value after {0}, expected one")]
    NoValue(&'static str),
    /// An argument is missing.
    #[error("found no {0}, expected it")]
    Missing(&'static str),
    /// An address that is none.
    #[error("found link address {0:?}, expected IP:PORT")]
    Address(String),
}

/// Why a mock did not run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum MockError {
    /// No link came about.
    #[error(transparent)]
    Dial(#[from] DialError),
    /// The welcome can not be read.
    #[error("found a welcome that can not be read: {0}")]
    Welcome(#[from] serde_json::Error),
    /// The journal can not be made.
    #[error("the journal can not be made: {0}")]
    Journal(io::Error),
    /// The address is not on this machine.
    #[error("found listen address {0}, expected a loopback address such as 127.0.0.1:0")]
    NotLoopback(SocketAddr),
    /// The journal is lost.
    #[error(transparent)]
    Lost(#[from] JournalLost),
    /// The port can not be had.
    #[error("can not listen on {addr}: {source}")]
    Listen {
        /// Where.
        addr: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// Signals or threads can not be had.
    #[error("the mock can not be set up: {0}")]
    Setup(io::Error),
}

impl LinkedArgs {
    /// Reads `stdio|http|sse --link ADDR --token T --server NAME`, in any order, without a parser that costs start-up time.
    ///
    /// # Errors
    /// With what was found and what was expected.
    pub fn from_args(args: impl IntoIterator<Item = String>) -> Result<Self, ArgumentError> {
        let mut args = args.into_iter();
        let carrier = args.next().ok_or(ArgumentError::Missing("carrier"))?;
        let carrier = match carrier.as_str() {
            "stdio" => CarrierKind::Stdio,
            "http" => CarrierKind::Http,
            "sse" => CarrierKind::Sse,
            _ => return Err(ArgumentError::Carrier(carrier)),
        };
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
            carrier,
            link: link.parse().map_err(|_| ArgumentError::Address(link))?,
            token: token.ok_or(ArgumentError::Missing("--token"))?,
            server: server.ok_or(ArgumentError::Missing("--server"))?,
        })
    }

    /// The arguments that [`LinkedArgs::from_args`] reads.
    #[must_use]
    pub fn to_args(&self) -> Vec<String> {
        let link = self.link.to_string();
        [self.carrier.name(), "--link", &link, "--token", &self.token, "--server", &self.server]
            .map(str::to_owned)
            .into()
    }
}

/// The script with this name, or in this file: a file when it ends in `.toml` or has a path separator in it.
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
