//! The operations of one plan: which of them run, and the wait for each.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio::time::Instant;

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
    /// Calls and lists whose limit has passed. They may keep their contexts busy for ever.
    hung: Vec<Running>,
    /// Operations by the name that a step gave them with `as`.
    named: BTreeMap<String, OpId>,
    n_invoked: u32,
}

impl<'a> Operations<'a> {
    pub(super) fn new(context: Context<'a>, adapter: Adapter) -> Self {
        Self { context, adapter, running: Vec::new(), hung: Vec::new(), named: BTreeMap::new(), n_invoked: 0 }
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
            server: server.clone(),
            tool,
            servers,
            changed,
        });
        let completion = self.adapter.send(id.0, command);
        let servers = server.into_iter().collect();
        Running { id, action, place, servers, from, began: Instant::now(), completion }
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
    ///
    /// An operation may wait for another one in the same thread before it starts. Its limit counts from its start then.
    pub(super) async fn complete(&self, running: &mut Running) -> Waited {
        let (_, bound) = limit_of(running.action, self.context.limits());
        let waited = self.complete_within(running, bound).await;
        if waited != Waited::Overdue {
            return waited;
        }
        let waited = match self.start_of(running) {
            Some(late) => self.complete_within(running, bound + late).await,
            None if self.is_thread_occupied(running) => Waited::Blocked,
            None => Waited::Overdue,
        };
        if waited == Waited::Overdue {
            let (limit, bound) = limit_of(running.action, self.context.limits());
            let (operation, limit, bound_ms) = (running.id, limit.to_owned(), ms(bound));
            self.context.note(EventKind::OperationOverdue { operation, limit, bound_ms });
        }
        waited
    }

    /// How long after its invocation an operation started; `None` if it has not.
    fn start_of(&self, running: &Running) -> Option<Duration> {
        let (mut invoked_us, mut started_us) = (None, None);
        self.context.stage.recorder.any(|event| {
            match &event.kind {
                EventKind::OperationInvoked { operation, .. } if *operation == running.id => {
                    invoked_us = Some(event.at_us);
                }
                EventKind::OperationStarted { operation, .. } if *operation == running.id => {
                    started_us = Some(event.at_us);
                }
                _ => {}
            }
            started_us.is_some()
        });
        Some(Duration::from_micros(started_us?.saturating_sub(invoked_us?)))
    }

    /// Whether an earlier operation runs in the thread of this one.
    fn is_thread_occupied(&self, running: &Running) -> bool {
        self.running
            .iter()
            .chain(&self.hung)
            .any(|other| other.id < running.id && other.place.shares_thread(&running.place))
    }

    async fn complete_within(&self, running: &mut Running, bound: Duration) -> Waited {
        let left = bound.saturating_sub(running.began.elapsed());
        tokio::select! {
            biased;
            completion = &mut running.completion => match completion {
                Ok(_) => Waited::Completed,
                Err(_) => Waited::Lost,
            },
            () = self.context.program.broken_or_ended() => self.last_word(running).await,
            () = self.context.stage.environment.interruption() => Waited::Lost,
            () = tokio::time::sleep(left) => {
                // A completion that came while this process was kept waiting is still in its socket.
                if let Ok(Ok(_)) = tokio::time::timeout(DRAIN, &mut running.completion).await {
                    return Waited::Completed;
                }
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
                waited @ (Waited::Overdue | Waited::Blocked | Waited::Lost) => {
                    self.keep(running);
                    return waited;
                }
            }
        }
        Waited::Completed
    }

    /// Gives up the operations that the adapter has not started because others occupy their threads. Returns why.
    pub(super) fn abandon_blocked(&mut self) -> String {
        let mut names = Vec::new();
        for running in std::mem::take(&mut self.running) {
            if self.start_of(&running).is_some() {
                self.running.push(running);
                continue;
            }
            let because = "another operation occupies its thread".to_owned();
            self.context.note(EventKind::OperationAbandoned { operation: running.id, because });
            names.push(format!("{} ({})", running.action.name(), running.id));
        }
        format!("the adapter never started {}: another operation occupies its thread", names.join(" and "))
    }

    /// Sets a call or a list aside that has passed its limit.
    pub(super) fn set_aside(&mut self, mut running: Running) {
        if running.action == Action::List {
            running.servers = self.silent_since(running.from);
        }
        self.hung.push(running);
    }

    /// The servers that have not answered a request that came since a position in the history.
    fn silent_since(&self, from: usize) -> BTreeSet<String> {
        let (mut open, mut n_seen) = (BTreeSet::new(), 0);
        self.context.stage.recorder.any(|event| {
            n_seen += 1;
            let server = event.source.server().filter(|_| n_seen > from);
            match (&event.kind, server) {
                (EventKind::WireReceived { message, .. }, Some(server)) if message.is_any_request() => {
                    open.insert((server.to_owned(), message.id_text()));
                }
                (EventKind::WireSent { message, .. }, Some(server)) if message.is_response() => {
                    open.remove(&(server.to_owned(), message.id_text()));
                }
                _ => {}
            }
            false
        });
        open.into_iter().map(|(server, _)| server).collect()
    }

    /// The operation that hangs on this server.
    pub(super) fn hung_on(&self, server: &str) -> Option<(OpId, Action)> {
        self.hung.iter().find(|hung| hung.servers.contains(server)).map(|hung| (hung.id, hung.action))
    }

    /// Whether any operation hangs and the plan goes on.
    pub(super) fn any_hung(&self) -> bool {
        !self.hung.is_empty()
    }

    /// Whether a call runs on a server on which none hangs.
    pub(super) fn any_on_another_server(&self) -> bool {
        self.running.iter().flat_map(|running| &running.servers).any(|server| self.hung_on(server).is_none())
    }

    /// Whether the operation that a step named hangs.
    pub(super) fn is_hung(&self, name: &str) -> bool {
        self.named.get(name).is_some_and(|id| self.hung.iter().any(|hung| hung.id == *id))
    }

    /// This place, or another one of its kind if a call that hangs keeps it busy.
    pub(super) fn free_place(&self, place: &Place) -> Place {
        let mut free = place.clone();
        while self.hung.iter().any(|hung| hung.place == free) {
            free.name.push_str("-too");
        }
        free
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
        let hung = std::mem::take(&mut self.hung);
        for running in std::mem::take(&mut self.running).into_iter().chain(hung) {
            let because = because.to_owned();
            self.context.note(EventKind::OperationAbandoned { operation: running.id, because });
        }
    }

    /// Whether a new operation in this place would wait for a running one.
    pub(super) fn is_busy(&self, place: &Place) -> bool {
        let has_tasks = self.adapter.has_tasks();
        self.running.iter().chain(&self.hung).any(|running| {
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
