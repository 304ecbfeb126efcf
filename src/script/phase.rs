//! Phases of a connection.

use std::fmt;

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Phase {
    /// Before `initialize` has arrived.
    BeforeInitialize,
    /// From the arrival of `initialize` to that of `notifications/initialized`, both included.
    DuringInitialize,
    /// After that.
    AfterInitialize,
    /// After something asked it to end: the end of the input, a signal or a DELETE.
    DuringShutdown,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BeforeInitialize => "before-initialize",
            Self::DuringInitialize => "during-initialize",
            Self::AfterInitialize => "after-initialize",
            Self::DuringShutdown => "during-shutdown",
        })
    }
}
