//! Operations: their kinds, contexts and outcomes.

use std::collections::BTreeMap;
use std::fmt;

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::witness::CodeLine;

/// The kind of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Connect to every configured server and list its tools.
    Load,
    /// Load the same configuration once more, as a program does that runs its agent again.
    Rerun,
    /// Load with a changed configuration.
    Reload,
    /// List the tools that the loader currently offers.
    List,
    /// Call one tool.
    Call,
    /// Close every connection.
    Close,
    /// Force a garbage collection.
    Collect,
    /// Await something harmless, to see whether the context still works.
    Probe,
}

impl Action {
    /// Whether this is a load of any kind.
    #[must_use]
    pub fn loads(self) -> bool {
        matches!(self, Self::Load | Self::Rerun | Self::Reload)
    }

    /// The name as a history writes it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::Rerun => "rerun",
            Self::Reload => "reload",
            Self::List => "list",
            Self::Call => "call",
            Self::Close => "close",
            Self::Collect => "collect",
            Self::Probe => "probe",
        }
    }
}

/// A thread, runtime and task. The adapter numbers each in order of appearance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Context {
    /// Operating-system thread; the workers of one work-stealing runtime count as one.
    pub thread: u32,
    /// Event loop or runtime; absent outside of any.
    #[serde(rename = "loop", default, skip_serializing_if = "Option::is_none")]
    pub runtime: Option<u32>,
    /// Task; absent outside of any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<u32>,
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.task, self.runtime) {
            (Some(task), Some(runtime)) => write!(f, "task {task} of loop {runtime}"),
            (None, Some(runtime)) => write!(f, "no task of loop {runtime}"),
            (_, None) => f.write_str("no loop"),
        }?;
        write!(f, " on thread {}", self.thread)
    }
}

/// How an operation ended, as its caller saw it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Outcome {
    /// The operation succeeded.
    Ok {
        /// For load and list: the tools that the loader offers.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        tools: Vec<Tool>,
        /// For load and list: an error text for each server that failed.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        errors: BTreeMap<String, String>,
        /// For a call: the text that the tool returned.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        text: Option<String>,
    },
    /// The operation failed. A tool error counts as a failure, because the caller did not get its result.
    Failed(Failure),
    /// The operation ended because the driver cancelled it.
    Cancelled,
}

/// How an operation failed. The texts and the code are for readers; no rule uses them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// Type of the error in its own language.
    #[serde(rename = "type")]
    pub kind: String,
    /// Message of the error.
    pub message: String,
    /// The lines of the loader's own code through which the error came, innermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub code: Vec<CodeLine>,
}

/// A tool that a loader offers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
pub struct Tool {
    /// Name of its server in the configuration.
    pub server: String,
    /// Name of the tool on that server.
    pub name: String,
}
