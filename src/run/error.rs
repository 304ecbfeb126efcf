//! Errors that a user can fix, and errors of the operating system.

use std::io;

use crate::catalogue::CacheError;
use crate::plan::InputError;
use crate::run::ExitReason;

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// A file of the user is malformed.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An argument names something that does not exist, or contradicts another.
    #[error("{message}")]
    Usage {
        /// The text: found one thing, expected another.
        message: String,
    },
    /// The cache is not usable.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A signal came before anything ran.
    #[error("interrupted before anything ran")]
    Interrupted,
    /// The system refused something before anything ran.
    #[error("{what}: {source}")]
    System {
        /// The refused action or file.
        what: String,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
}

impl RunError {
    /// A usage error.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into() }
    }

    /// A refusal of the system.
    pub fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what: what.into(), source }
    }

    /// The error in an input file, where this is one: its position points into the file.
    #[must_use]
    pub fn input(&self) -> Option<&InputError> {
        match self {
            Self::Input(error) => Some(error),
            Self::Usage { .. } | Self::Cache(_) | Self::Interrupted | Self::System { .. } => None,
        }
    }

    /// The exit code this error leads to.
    #[must_use]
    pub fn reason(&self) -> ExitReason {
        match self {
            Self::Input(_) | Self::Usage { .. } => ExitReason::BadInput,
            Self::Cache(_) | Self::Interrupted | Self::System { .. } => ExitReason::Inconclusive,
        }
    }
}
