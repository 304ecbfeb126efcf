//! Commands of the adapter protocol, as a plan process reads them.

use serde::Deserialize;
use serde_json::Value;

/// One command.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Command {
    pub id: u32,
    #[serde(rename = "do")]
    pub action: String,
    #[serde(rename = "in", default)]
    pub place: PlaceNames,
    #[serde(default)]
    pub config: Value,
    #[serde(default)]
    pub server: String,
    #[serde(default)]
    pub tool: String,
    #[serde(default)]
    pub arguments: Value,
    #[serde(default)]
    pub operation: u32,
}

/// The context of a command: a thread, a runtime that it drives, and a task of that runtime.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
pub(super) struct PlaceNames {
    pub thread: String,
    #[serde(rename = "loop")]
    pub runtime: String,
    pub task: String,
    #[serde(default)]
    pub flavour: Flavour,
}

/// The kind of runtime.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Flavour {
    /// A worker thread drives it at all times.
    #[default]
    MultiThread,
    /// It is driven only while a command runs on it.
    CurrentThread,
}

impl Default for PlaceNames {
    fn default() -> Self {
        Self {
            thread: "main".to_owned(),
            runtime: "main".to_owned(),
            task: "main".to_owned(),
            flavour: Flavour::MultiThread,
        }
    }
}
