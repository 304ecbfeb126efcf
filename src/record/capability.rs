//! What an adapter may offer: operations, commands and kinds of contexts.

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// An operation or command that an adapter may offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum Capability {
    /// Connect to every configured server.
    Load,
    /// Call one tool.
    Call,
    /// List the tools that the loader currently offers.
    List,
    /// Cancel an operation that runs.
    Cancel,
    /// Load with a changed configuration.
    Reload,
    /// Close every connection.
    Close,
    /// Force a garbage collection.
    Collect,
    /// Await something harmless.
    Probe,
    /// End a context.
    DropContext,
}

/// A kind of context that an adapter may offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(rename_all = "kebab-case")]
pub enum ContextKindName {
    /// Long-lived tasks, each with a number of its own.
    Task,
    /// Threads other than the main thread.
    Thread,
    /// Event loops or runtimes other than the main one.
    Loop,
}
