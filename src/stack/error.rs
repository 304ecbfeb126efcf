//! Results of an installation: why a stack cannot be used, and whether this run installed it.

use std::io;
use std::time::Duration;

use crate::catalogue::CacheError;

/// Why a stack cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StackError {
    /// The stack is not installed.
    #[error("stack {name} is not installed; `mcp-lifecheck doctor --provision` installs it")]
    NotInstalled {
        /// Name of the stack.
        name: &'static str,
    },
    /// The specs over the stack are not installed, and no installation is allowed.
    #[error(
        "stack {name}: the packages of --with are not installed, and MCP_LIFECHECK_OFFLINE forbids their installation"
    )]
    NotAllowed {
        /// Name of the stack.
        name: &'static str,
    },
    /// Python is missing.
    #[error("cannot run python3 from PATH: {source}")]
    NoPython {
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// Node is missing or too old.
    #[error("no usable node: {because}")]
    NoNode {
        /// What was found and what was expected.
        because: String,
    },
    /// A step of the installation failed.
    #[error("stack {name}: {step} failed: {output}")]
    Step {
        /// Name of the stack.
        name: &'static str,
        /// The step, such as `pip install`.
        step: &'static str,
        /// The end of its output.
        output: String,
    },
    /// An installed stack fails its import.
    #[error("stack {name} is damaged: its import fails: {because}; `mcp-lifecheck doctor --provision` rebuilds it")]
    Damaged {
        /// Name of the stack.
        name: &'static str,
        /// Why the import fails.
        because: String,
    },
    /// A signal ended the step.
    #[error("stack {name}: {step} was interrupted")]
    Interrupted {
        /// Name of the stack.
        name: &'static str,
        /// The step, such as `pip install`.
        step: &'static str,
    },
    /// A step exceeded its limit.
    #[error("stack {name}: {step} did not end within limit {limit} of {} s", default.as_secs())]
    Overdue {
        /// Name of the stack.
        name: &'static str,
        /// The step, such as `pip install`.
        step: &'static str,
        /// Name of the limit, as `explain` knows it.
        limit: &'static str,
        /// Length of the limit.
        default: Duration,
    },
    /// The cache cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// A file cannot be written.
    #[error("stack {name}: {source}")]
    Io {
        /// Name of the stack.
        name: &'static str,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// Whether this call installed the stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Provisioned {
    /// It was already installed.
    Already,
    /// It was installed now.
    Now,
    /// It was there and failed its import, so it was installed again.
    Again,
}
