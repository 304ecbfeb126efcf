//! Sources: the reporters of events.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::history::Name;

/// The reporter of an event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Source {
    /// The driver: the requests to the loader.
    Driver,
    /// The loader's process, through its adapter.
    Loader,
    /// The supervisor: processes, signals, resources.
    System,
    /// The recorder: links.
    Recorder,
    /// A mock server.
    Mock {
        /// Name of the server in the scenario.
        server: String,
        /// Which process or listener of this server, counted from 1.
        incarnation: u32,
    },
}

impl Source {
    /// Name of the server; `None` for any other source.
    #[must_use]
    pub fn server(&self) -> Option<&str> {
        match self {
            Self::Mock { server, .. } => Some(server),
            Self::Driver | Self::Loader | Self::System | Self::Recorder => None,
        }
    }

    /// The displayed text; for a mock its server and incarnation.
    #[must_use]
    pub fn to_name(&self) -> Name {
        match self {
            Self::Mock { server, incarnation } if *incarnation <= 9 => {
                const DIGITS: [&str; 10] = ["#0", "#1", "#2", "#3", "#4", "#5", "#6", "#7", "#8", "#9"];
                Name::concat(&["mock:", server, DIGITS[*incarnation as usize]])
            }
            Self::Driver | Self::Loader | Self::System | Self::Recorder | Self::Mock { .. } => Name::of(self),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Driver => f.write_str("driver"),
            Self::Loader => f.write_str("loader"),
            Self::System => f.write_str("system"),
            Self::Recorder => f.write_str("recorder"),
            Self::Mock { server, incarnation } => write!(f, "mock:{server}#{incarnation}"),
        }
    }
}

/// Text that does not name a source.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found source {0:?}, expected driver, loader, system, recorder or mock:NAME#N")]
pub struct SourceError(String);

impl FromStr for Source {
    type Err = SourceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let error = || SourceError(text.to_owned());
        match text {
            "driver" => return Ok(Self::Driver),
            "loader" => return Ok(Self::Loader),
            "system" => return Ok(Self::System),
            "recorder" => return Ok(Self::Recorder),
            _ => {}
        }
        let (server, incarnation) =
            text.strip_prefix("mock:").and_then(|rest| rest.rsplit_once('#')).ok_or_else(error)?;
        let incarnation = incarnation.parse().map_err(|_| error())?;
        if server.is_empty() {
            return Err(error());
        }
        Ok(Self::Mock { server: server.to_owned(), incarnation })
    }
}

impl TryFrom<String> for Source {
    type Error = SourceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Source> for String {
    fn from(source: Source) -> Self {
        source.to_string()
    }
}
