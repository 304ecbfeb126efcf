//! Origins: what recorded a history, and so which evidence it can have at all.

use serde::{Deserialize, Serialize};

/// The recorder of a history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Origin {
    /// The harness: mocks, the driver, the adapter and the supervisor.
    #[default]
    Harness,
    /// One mock server without a harness, in its `--journal`.
    Mock,
    /// Another program, which kept only the messages.
    Trace {
        /// Whether each message has a time, in one known unit, and no time goes back.
        has_times: bool,
        /// Whether it shows the first message of every connection.
        has_beginnings: bool,
    },
}

impl Origin {
    /// Whether it is the harness, which records every kind of event.
    #[must_use]
    pub fn is_harness(&self) -> bool {
        *self == Self::Harness
    }

    /// Its name in a sentence.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Harness => "the harness",
            Self::Mock => "a mock server",
            Self::Trace { .. } => "a trace",
        }
    }
}
