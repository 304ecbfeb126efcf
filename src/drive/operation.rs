//! One operation at a time: invoked, in flight, completed, overdue or abandoned.

use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::sync::oneshot;

use crate::drive::plan_run::Drive;
use crate::history::{Action, EventKind, OpId, Source};
use crate::plan::{Limits, Place, PlaceKind, Until};
use crate::record::{AdapterLink, Completion};

/// How long a completion may be under way when its bound passes.
const DRAIN: Duration = Duration::from_millis(100);

/// An operation that was invoked and whose completion has not been seen.
pub(super) struct Running {
    pub id: OpId,
    pub action: Action,
    pub place: Place,
    /// Position of its invocation in the history.
    pub from: usize,
    began: Instant,
    completion: oneshot::Receiver<Completion>,
}

/// What is asked of the loader.
pub(super) struct Asked {
    pub action: Action,
    pub place: Place,
    pub server: Option<String>,
    pub tool: Option<String>,
}

/// How waiting for an operation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waited {
    /// It has completed.
    Completed,
    /// It is in flight and runs on.
    InFlight,
    /// It was invoked and runs on.
    Invoked,
    /// Its bound has passed.
    Overdue,
    /// The loader's process is gone, or the experiment is broken.
    Lost,
}

impl Drive<'_> {
    /// Journals and sends an operation.
    pub(super) fn invoke(&mut self, asked: Asked) -> Running {
        let Asked { action, place, server, tool } = asked;
        self.n_operations += 1;
        let id = OpId(self.n_operations);
        let servers = if action.loads() { self.configured.clone() } else { Vec::new() };
        let mut command = command_of(action, &place);
        if action.loads() {
            command.insert("config".to_owned(), self.config());
        }
        for (name, value) in [("server", &server), ("tool", &tool)] {
            command.extend(value.clone().map(|value| (name.to_owned(), Value::from(value))));
        }
        if action == Action::Call {
            command.insert("arguments".to_owned(), json!({ "n": id.0 }));
        }
        let place_text = Some(place.to_string());
        let from = self.recorder.n_events();
        let changed = if action == Action::Reload { std::mem::take(&mut self.changed) } else { Vec::new() };
        self.note(EventKind::OperationInvoked {
            operation: id,
            action,
            place: place_text,
            server,
            tool,
            servers,
            changed,
        });
        let completion = self.adapter.send(id.0, command);
        Running { id, action, place, from, began: Instant::now(), completion }
    }

    /// Stays with an operation as long as its step says.
    pub(super) async fn stay(&mut self, running: &mut Running, until: Until, server: &str) -> Waited {
        match until {
            Until::Completed => self.complete(running).await,
            Until::Invoked => Waited::Invoked,
            Until::InFlight => {
                let recorder = self.recorder.clone();
                let (id, is_call) = (running.id, running.action == Action::Call);
                // A call is in flight when its request has arrived; anything else, when it has begun in its context.
                let arrived = recorder.wait_for(running.from, self.limits().in_flight, |event| match &event.kind {
                    EventKind::WireReceived { message, .. } => {
                        is_call && event.source.server() == Some(server) && message.is_request("tools/call")
                    }
                    EventKind::OperationStarted { operation, .. } => !is_call && *operation == id,
                    _ => false,
                });
                tokio::select! {
                    // A request that has arrived was in flight, however soon its answer came.
                    biased;
                    Some(_) = arrived => Waited::InFlight,
                    waited = self.complete(running) => waited,
                }
            }
        }
    }

    /// Waits for the completion of an operation, at most for what is left of its bound.
    pub(super) async fn complete(&self, running: &mut Running) -> Waited {
        let (_, bound) = bound_of(running.action, self.limits());
        let left = bound.saturating_sub(running.began.elapsed());
        tokio::select! {
            biased;
            completion = &mut running.completion => match completion {
                Ok(_) => Waited::Completed,
                Err(_) => Waited::Lost,
            },
            () = self.supervised.broken_or_ended() => self.last_word(running).await,
            () = self.environment.interruption() => Waited::Lost,
            () = tokio::time::sleep(left) => {
                // A completion that came while this process was kept waiting is still in its socket.
                if let Ok(Ok(_)) = tokio::time::timeout(DRAIN, &mut running.completion).await {
                    return Waited::Completed;
                }
                let (limit, bound) = bound_of(running.action, self.limits());
                let bound_ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
                self.note(EventKind::OperationOverdue { operation: running.id, limit: limit.to_owned(), bound_ms });
                Waited::Overdue
            }
        }
    }

    /// The process is gone; what it still said is on its way.
    async fn last_word(&self, running: &mut Running) -> Waited {
        self.endpoint.adapter_gone(self.limits().settle).await;
        match running.completion.try_recv() {
            Ok(_) => Waited::Completed,
            Err(_) => Waited::Lost,
        }
    }

    /// It will never be known how this operation ended.
    pub(super) fn abandon(&self, running: &Running, because: &str) {
        self.note(EventKind::OperationAbandoned { operation: running.id, because: because.to_owned() });
    }

    /// Sends a command that is no operation.
    pub(super) fn command(&mut self, action: &str, mut fields: Map<String, Value>) -> oneshot::Receiver<Completion> {
        self.n_commands += 1;
        fields.insert("do".to_owned(), Value::from(action));
        self.adapter.send(AdapterLink::FIRST_PLAIN_COMMAND + self.n_commands, fields)
    }

    pub(super) fn note(&self, kind: EventKind) {
        self.recorder.note(Source::Driver, kind);
    }
}

/// The limit of an action, by name and length.
fn bound_of(action: Action, limits: &Limits) -> (&'static str, Duration) {
    match action {
        Action::Load | Action::Rerun | Action::Reload => ("connect", limits.connect),
        Action::Close => ("cleanup", limits.cleanup),
        Action::List | Action::Call | Action::Collect | Action::Probe => ("operation", limits.operation),
    }
}

fn command_of(action: Action, place: &Place) -> Map<String, Value> {
    let name = match action {
        Action::Rerun => "load",
        other => other.name(),
    };
    Map::from_iter([("do".to_owned(), Value::from(name)), ("in".to_owned(), place_json(place))])
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
