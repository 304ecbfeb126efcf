//! One operation of the loader: its request, its limit, and how it looks on the wire.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::drive::configuration::Handed;
use crate::history::{Action, OpId};
use crate::plan::{Limits, Place, PlaceKind};
use crate::record::Completion;

/// An operation to be invoked.
pub(super) struct Request {
    pub action: Action,
    pub place: Place,
    /// Server and tool of a call.
    pub target: Option<(String, String)>,
    /// The configuration of an operation that loads.
    pub handed: Option<Handed>,
}

impl Request {
    /// The command of the adapter protocol.
    pub(super) fn command(&self, id: OpId) -> Map<String, Value> {
        let name = match self.action {
            Action::Rerun => "load",
            other => other.name(),
        };
        let mut command =
            Map::from_iter([("do".to_owned(), Value::from(name)), ("in".to_owned(), place_json(&self.place))]);
        if let Some(handed) = &self.handed {
            command.insert("config".to_owned(), handed.document.clone());
        }
        if let Some((server, tool)) = &self.target {
            command.insert("server".to_owned(), Value::from(server.as_str()));
            command.insert("tool".to_owned(), Value::from(tool.as_str()));
        }
        if self.action == Action::Call {
            command.insert("arguments".to_owned(), json!({ "n": id.0 }));
        }
        command
    }
}

/// An invoked operation whose completion the driver has not seen.
pub(super) struct Running {
    pub id: OpId,
    pub action: Action,
    pub place: Place,
    /// The server of a call, or of a list that hangs: those that it waits for.
    pub servers: BTreeSet<String>,
    /// Position of its invocation in the history.
    pub from: usize,
    pub began: Instant,
    pub completion: oneshot::Receiver<Completion>,
}

/// Why the driver stopped waiting for an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// The operation has completed.
    Completed,
    /// The operation is in flight and runs on.
    InFlight,
    /// The operation was invoked and runs on.
    Invoked,
    /// The limit of the operation has passed.
    Overdue,
    /// The limit of the operation has passed before the adapter started it: another operation occupies its thread.
    Blocked,
    /// The loader's process is gone, or the experiment is broken.
    Lost,
}

/// The limit of an action, by name and length.
pub(super) fn limit_of(action: Action, limits: &Limits) -> (&'static str, Duration) {
    match action {
        Action::Load | Action::Rerun | Action::Reload => ("connect", limits.connect),
        Action::Close => ("cleanup", limits.cleanup),
        Action::List | Action::Call | Action::Collect | Action::Probe => ("operation", limits.operation),
    }
}

/// A place as the adapter protocol names it.
pub(super) fn place_json(place: &Place) -> Value {
    let name = &place.name;
    match place.kind {
        PlaceKind::Task => json!({ "thread": "main", "loop": "main", "task": name }),
        PlaceKind::Thread => {
            json!({ "thread": name, "loop": name, "task": name, "flavour": "current-thread" })
        }
        PlaceKind::Runtime => {
            json!({ "thread": "main", "loop": name, "task": name, "flavour": "multi-thread" })
        }
        PlaceKind::CurrentThreadRuntime => {
            json!({ "thread": "main", "loop": name, "task": name, "flavour": "current-thread" })
        }
    }
}
