//! The operations of one plan: which of them run, and the wait for each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::drive::adapter::Adapter;
use crate::drive::context::Context;
use crate::drive::operation::{Request, Running, Waited, limit_of};
use crate::history::{Action, EventKind, OpId};
use crate::life::ms;
use crate::plan::{Place, Until};

/// How long a completion may stay in transit after its limit has passed.
const DRAIN: Duration = Duration::from_millis(100);

/// Every operation that was invoked and has not completed.
pub(super) struct Operations<'a> {
    context: Context<'a>,
    pub adapter: Adapter,
    running: Vec<Running>,
    /// Operations by the name that a step gave them with `as`.
    named: BTreeMap<String, OpId>,
    n_invoked: u32,
}

impl<'a> Operations<'a> {
    pub(super) fn new(context: Context<'a>, adapter: Adapter) -> Self {
        Self { context, adapter, running: Vec::new(), named: BTreeMap::new(), n_invoked: 0 }
    }

    /// Records an operation and sends its command.
    pub(super) fn invoke(&mut self, request: Request) -> Running {
        self.n_invoked += 1;
        let id = OpId(self.n_invoked);
        let command = request.command(id);
        let Request { action, place, target, handed } = request;
        let (server, tool) = target.unzip();
        let (servers, changed) = handed.map(|handed| (handed.servers, handed.changed)).unwrap_or_default();
        let from = self.context.stage.recorder.n_events();
        self.context.note(EventKind::OperationInvoked {
            operation: id,
            action,
            place: Some(place.to_string()),
            server,
            tool,
            servers,
            changed,
        });
        let completion = self.adapter.send(id.0, command);
        Running { id, action, place, from, began: Instant::now(), completion }
    }

    /// Waits for an operation as long as its step says. `server` is the one that a call goes to.
    pub(super) async fn stay(&self, running: &mut Running, until: Until, server: &str) -> Waited {
        match until {
            Until::Completed => self.complete(running).await,
            Until::Invoked => Waited::Invoked,
            Until::InFlight => {
                let (id, is_call) = (running.id, running.action == Action::Call);
                let limit = self.context.limits().in_flight;
                // A call is in flight when its request has arrived; any other operation, when it has begun in its context.
                let arrived = self.context.stage.recorder.wait_for(running.from, limit, |event| match &event.kind {
                    EventKind::WireReceived { message, .. } => {
                        is_call && event.source.server() == Some(server) && message.is_request("tools/call")
                    }
                    EventKind::OperationStarted { operation, .. } => !is_call && *operation == id,
                    _ => false,
                });
                tokio::select! {
                    // A request that has arrived was in flight, however soon its reply came.
                    biased;
                    Some(_) = arrived => Waited::InFlight,
                    waited = self.complete(running) => waited,
                }
            }
        }
    }

    /// Waits for the completion of an operation, at most for the rest of its limit.
    pub(super) async fn complete(&self, running: &mut Running) -> Waited {
        let (limit, bound) = limit_of(running.action, self.context.limits());
        let left = bound.saturating_sub(running.began.elapsed());
        tokio::select! {
            biased;
            completion = &mut running.completion => match completion {
                Ok(_) => Waited::Completed,
                Err(_) => Waited::Lost,
            },
            () = self.context.supervised.broken_or_ended() => self.last_word(running).await,
            () = self.context.stage.environment.interruption() => Waited::Lost,
            () = tokio::time::sleep(left) => {
                // A completion that came while this process was kept waiting is still in its socket.
                if let Ok(Ok(_)) = tokio::time::timeout(DRAIN, &mut running.completion).await {
                    return Waited::Completed;
                }
                let (operation, limit, bound_ms) = (running.id, limit.to_owned(), ms(bound));
                self.context.note(EventKind::OperationOverdue { operation, limit, bound_ms });
                Waited::Overdue
            }
        }
    }

    /// The loader's process is gone, but its last messages may still be in transit.
    async fn last_word(&self, running: &mut Running) -> Waited {
        self.context.stage.endpoint.adapter_gone(self.context.limits().settle).await;
        match running.completion.try_recv() {
            Ok(_) => Waited::Completed,
            Err(_) => Waited::Lost,
        }
    }

    /// Waits for every operation that no step has waited for. Stops at the first that does not complete.
    pub(super) async fn outstanding(&mut self) -> Waited {
        while let Some(mut running) = self.running.pop() {
            match self.complete(&mut running).await {
                Waited::Completed | Waited::InFlight | Waited::Invoked => {}
                waited @ (Waited::Overdue | Waited::Lost) => {
                    self.keep(running);
                    return waited;
                }
            }
        }
        Waited::Completed
    }

    /// Gives an operation the name of its step.
    pub(super) fn name(&mut self, name: &str, id: OpId) {
        self.named.insert(name.to_owned(), id);
    }

    /// Keeps an operation that runs on.
    pub(super) fn keep(&mut self, running: Running) {
        self.running.push(running);
    }

    /// Takes out the running operation of this name.
    pub(super) fn take(&mut self, name: &str) -> Option<Running> {
        let id = *self.named.get(name)?;
        let index = self.running.iter().position(|running| running.id == id)?;
        Some(self.running.remove(index))
    }

    /// Gives up the running operations. Their ends stay unknown.
    pub(super) fn abandon(&mut self, because: &str) {
        for running in std::mem::take(&mut self.running) {
            let because = because.to_owned();
            self.context.note(EventKind::OperationAbandoned { operation: running.id, because });
        }
    }

    /// Whether a new operation in this place would wait for a running one.
    pub(super) fn is_busy(&self, place: &Place) -> bool {
        let has_tasks = self.adapter.has_tasks();
        self.running.iter().any(|running| {
            running.place == *place || !has_tasks && running.place.is_on_main_thread() && place.is_on_main_thread()
        })
    }

    /// Whether no operation runs.
    pub(super) fn is_idle(&self) -> bool {
        self.running.is_empty()
    }

    /// The ids of the running operations.
    pub(super) fn ids(&self) -> BTreeSet<OpId> {
        self.running.iter().map(|running| running.id).collect()
    }

    /// Position in the history of the earliest invocation that runs.
    pub(super) fn earliest(&self) -> Option<usize> {
        self.running.iter().map(|running| running.from).min()
    }
}
