//! What a loader's process reports about itself: scopes and unhandled errors.

use std::fmt;

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::history::OpId;

/// One line of the loader's own code, outside the SDK, the adapter, and packages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CodeLine {
    /// The file, as seen from the loader's folder.
    pub file: String,
    /// The line in the file, from 1.
    pub line: u32,
    /// The function that contains the line; absent if the language does not tell it.
    #[serde(rename = "in", default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
}

impl fmt::Display for CodeLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)?;
        match &self.function {
            Some(function) => write!(f, " in {function}"),
            None => Ok(()),
        }
    }
}

/// The loader's own code in an operation that has not completed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct WaitingCode {
    /// The operation, as the driver numbered it.
    pub operation: OpId,
    /// The lines that wait, innermost first.
    pub code: Vec<CodeLine>,
}

/// Whether a scope is bound to the task that entered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ScopeForm {
    /// The task that entered it must leave it: a cancel scope, a task group, and anything built on them.
    TaskBound,
    /// Any task may leave it: an ordinary context manager or guard.
    ContextManager,
}

/// How a scope was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Leaving {
    /// Its owner left it.
    Explicit,
    /// A finaliser or a drop left it.
    Finaliser,
    /// The end of its event loop left it.
    LoopEnd,
}

/// A channel for errors that no caller receives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Channel {
    /// asyncio's exception handler.
    LoopExceptionHandler,
    /// Python's `sys.unraisablehook`.
    UnraisableHook,
    /// Python's `threading.excepthook`.
    ThreadExceptionHook,
    /// An exception that ended the program.
    UncaughtException,
    /// Node's unhandled rejection.
    UnhandledRejection,
    /// A Rust panic.
    Panic,
    /// A traceback or panic text on stderr. The supervisor finds it; no link reports it.
    #[cfg_attr(feature = "schemas", schemars(skip))]
    Stderr,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LoopExceptionHandler => "loop-exception-handler",
            Self::UnraisableHook => "unraisable-hook",
            Self::ThreadExceptionHook => "thread-exception-hook",
            Self::UncaughtException => "uncaught-exception",
            Self::UnhandledRejection => "unhandled-rejection",
            Self::Panic => "panic",
            Self::Stderr => "stderr",
        })
    }
}
