//! The state of the loader's life at one event. The engine updates it before the monitors get the event.

use crate::check::agreement::Agreements;
use crate::check::carriers::{Carrier, Carriers};
use crate::check::course::{Course, is_end_signal};
use crate::check::generations::Generations;
use crate::check::in_force::InForce;
use crate::check::observability::Observability;
use crate::check::operations::{
    LoadPlace, Overtaken, Removal, WireRequest, caller_of, owner_of, refuses_call, switch_from,
};
use crate::check::parts::parts;
use crate::check::peers::Peers;
use crate::check::reading::Reading;
use crate::check::refusals::Refusals;
use crate::check::requirement::UnderTest;
use crate::check::senders::Senders;
use crate::check::topics::Answered;
use crate::check::{Agreement, Connection, Operation, Server};
use crate::history::{
    Action, ConnectionId, Event, EventKind, Header, Impact, Message, Name, OpId, Outcome, Seq, Source, Table,
};
use crate::plan::{Limits, Place, Promises, Revision, Transport};

/// The state at one event: open operations, known servers, live connections.
#[derive(Debug)]
pub struct View {
    promises: Promises,
    limits: Limits,
    /// `None` for a recorded name that is not the name of a transport, such as `memory/http`.
    pub(super) transport: Option<Transport>,
    pub(super) course: Course,
    scopes: Observability,
    operations: Table<OpId, Operation>,
    /// Whether the driver has invoked an operation.
    has_driver: bool,
    /// The latest invocation of an operation that has completed: so far the loader has kept up.
    kept_up: Option<Seq>,
    pub(super) peers: Peers,
    carriers: Carriers,
    reading: Reading,
    refusals: Refusals,
    senders: Senders,
    configured: Vec<String>,
    in_force: InForce,
    load_places: Vec<LoadPlace>,
    n_closes: usize,
    removal: Option<Removal>,
    last_close: Option<Seq>,
    /// The latest load that was cancelled or failed.
    forsaken: Option<ForsakenLoad>,
    closed: Option<(Seq, u64)>,
    pub(super) generations: Generations,
    agreements: Agreements,
    under_test: UnderTest,
    /// The request that the current event answers.
    pub(super) answering: Answered,
}

/// A load that was cancelled or failed: its invocation, and its end with the time in microseconds.
#[derive(Debug)]
struct ForsakenLoad {
    invoked: Seq,
    ended: Seq,
    ended_us: u64,
}

impl View {
    pub(super) fn new(header: &Header) -> Self {
        Self {
            promises: header.promises.clone(),
            limits: header.limits.clone(),
            transport: Transport::named(&header.transport),
            course: Course::default(),
            scopes: Observability::NoAdapter,
            operations: Table::default(),
            has_driver: false,
            kept_up: None,
            peers: Peers::default(),
            carriers: Carriers::default(),
            reading: Reading::of(Transport::named(&header.transport)),
            refusals: Refusals::default(),
            senders: Senders::new(header),
            configured: Vec::new(),
            in_force: InForce::default(),
            load_places: Vec::new(),
            n_closes: 0,
            removal: None,
            last_close: None,
            forsaken: None,
            closed: None,
            generations: Generations::of(header),
            agreements: Agreements::default(),
            under_test: UnderTest::of(header),
            answering: Answered::Unknown,
        }
    }

    /// The promises of the loader.
    #[must_use]
    pub fn promises(&self) -> &Promises {
        &self.promises
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Whether servers are children of the loader.
    #[must_use]
    pub fn is_stdio(&self) -> bool {
        self.transport.is_some_and(Transport::has_children)
    }

    /// Whether the loader starts its servers.
    #[must_use]
    pub fn starts_servers(&self) -> bool {
        self.transport.is_some_and(|transport| !transport.is_http())
    }

    /// An open operation. It is still present at the event that completes it.
    #[must_use]
    pub fn operation(&self, id: OpId) -> Option<&Operation> {
        self.operations.get(&id)
    }

    /// The operation that a `tools/call` names. Without a driver the argument `n` is the program's own.
    pub(super) fn caller_of(&self, message: &Message) -> Option<OpId> {
        caller_of(message).filter(|_| self.has_driver)
    }

    /// Every open operation.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.operations.values()
    }

    /// What may be in force of the loads and cleanups.
    pub(super) fn in_force(&self) -> &InForce {
        &self.in_force
    }

    /// The servers of the configuration that was given last.
    #[must_use]
    pub fn configured(&self) -> &[String] {
        &self.configured
    }

    /// The state of a server, if any event named it.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&Server> {
        self.peers.server(name)
    }

    /// A live connection, or the last one of its server.
    #[must_use]
    pub fn connection(&self, id: &ConnectionId) -> Option<&Connection> {
        self.peers.connection(id)
    }

    /// The live connections of a server, and the last one.
    pub fn connections_of(&self, server: &str) -> impl Iterator<Item = (&ConnectionId, &Connection)> {
        self.peers.connections_of(server)
    }

    /// The HTTP exchange of the request that the current event answers, if that is known.
    pub(super) fn answered(&self, event: &Event) -> Option<&Carrier> {
        self.carriers.answered(event)
    }

    /// The HTTP exchange that carries the message of a client; none over lines.
    pub(super) fn carrier(&self, event: &Event) -> Option<&Carrier> {
        self.carriers.of(event)
    }

    /// What clients have read.
    pub(super) fn reading(&self) -> &Reading {
        &self.reading
    }

    /// The requests that the current event refuses or fails as HTTP does.
    pub(super) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// The clients that messages came from.
    pub(super) fn senders(&self) -> &Senders {
        &self.senders
    }

    /// The invocation of the latest cleanup.
    #[must_use]
    pub fn last_close(&self) -> Option<Seq> {
        self.last_close
    }

    /// Whether a connection was opened by a load that was cancelled or failed less than `within_us` ago. Its loader may still
    /// be closing it.
    pub(super) fn is_being_undone(&self, connection: &Connection, now_us: u64, within_us: u64) -> bool {
        self.forsaken.as_ref().is_some_and(|load| {
            (load.invoked..=load.ended).contains(&connection.opened) && now_us < load.ended_us + within_us
        })
    }

    /// The event and time, in microseconds, of a successful cleanup without a load that is or may be later.
    #[must_use]
    pub fn closed(&self) -> Option<(Seq, u64)> {
        self.closed
    }

    /// The first fault or kill that may have cost answers or connections of a server.
    #[must_use]
    pub fn faulted(&self) -> Option<Seq> {
        self.course.faulted.or_else(|| self.peers.altered())
    }

    /// The agreement of client and server on a connection with `initialize`, until the connection ends.
    #[must_use]
    pub fn agreement(&self, connection: &ConnectionId) -> Option<&Agreement> {
        self.agreements.of(connection)
    }

    /// The ids of the requirements that a server put to the test, and that a violation with this witness concerns.
    pub(super) fn requirements_under_test(&self, rule: &str, witness: &[Seq]) -> Vec<&'static str> {
        if witness.is_empty() { Vec::new() } else { self.under_test.requirements(rule, witness, self.transport) }
    }

    /// The reason why the history has no evidence about scopes, if it has none.
    pub(super) fn scopes_missing_because(&self) -> Option<String> {
        self.scopes.missing_because()
    }

    pub(super) fn see(&mut self, event: &Event) {
        let seq = event.seq;
        self.peers.see(event);
        self.carriers.see(event);
        self.refusals.see(event, &self.carriers);
        self.senders.see(event);
        self.course.see(event);
        self.agreements.see(event);
        self.generations.see(event, &self.agreements);
        self.under_test.see(event, &self.agreements);
        match &event.kind {
            EventKind::LoaderReady { observes, unobservable, .. } => {
                self.scopes = Observability::of_scopes(observes, unobservable);
            }
            EventKind::OperationInvoked { operation, action, .. } => self.invoke(event, *operation, *action),
            EventKind::OperationStarted { operation, .. } => {
                if let Some(operation) = self.operations.get_mut(operation) {
                    operation.started = Some((seq, event.at_us));
                }
            }
            EventKind::OperationCompleted { operation, outcome } => self.complete(event, *operation, outcome),
            EventKind::CancelRequested { operation } => {
                if let Some(operation) = self.operations.get_mut(operation) {
                    operation.cancel_requested.get_or_insert(seq);
                }
            }
            EventKind::ContextEnded { place } => {
                self.overtake(Overtaken::ByContextEnd, |operation| operation.place.to_string() == *place);
                let ended = self.load_places.iter_mut().filter(|known| known.place.to_string() == *place);
                ended.for_each(|known| known.is_over = true);
            }
            EventKind::FaultDelivered { impairs: Impact::Answers | Impact::Connection, .. } => self.touch(event),
            EventKind::WireReceived { connection, message } => self.receive(event, connection, message),
            EventKind::WireSent { connection, message } => self.send(seq, connection, message),
            EventKind::ExitRequested {} => self.overtake(Overtaken::ByEnding, |_| true),
            EventKind::SignalSent { .. } if is_end_signal(event) => self.overtake(Overtaken::ByEnding, |_| true),
            _ => {}
        }
        let completed = match &event.kind {
            EventKind::OperationCompleted { operation, .. } => self.operations.get(operation),
            _ => None,
        };
        self.reading.see(event, &self.carriers, completed);
    }

    /// Drops operations that ended with this event, after the monitors have judged it.
    pub(super) fn forget(&mut self, event: &Event) {
        self.agreements.forget(event);
        self.reading.forget(event);
        match &event.kind {
            EventKind::OperationCompleted { operation, .. } => drop(self.operations.swap_remove(operation)),
            EventKind::OperationAbandoned { operation, .. } => {
                self.in_force.ended(event.seq, *operation, true);
                self.operations.swap_remove(operation);
            }
            EventKind::OperationOverdue { operation, .. } => {
                if let Some(operation) = self.operations.get_mut(operation) {
                    operation.overtaken = Some(Overtaken::ByBound);
                }
            }
            _ => {}
        }
    }

    fn invoke(&mut self, event: &Event, id: OpId, action: Action) {
        let EventKind::OperationInvoked { place, server, tool, servers, changed, .. } = &event.kind else { return };
        self.has_driver = true;
        let seq = event.seq;
        let place = place.as_deref().and_then(|place| place.parse().ok()).unwrap_or_else(Place::main);
        if action.loads() {
            self.closed = None;
            self.peers.servers_mut().for_each(|(_, server)| server.load_begins(event));
            // A rerun passes the previous configuration; only a reload may remove the last server.
            // A reload removes a server whose entry changes and adds it again.
            let takes_away = action == Action::Reload
                && self.configured.iter().any(|known| !servers.contains(known) || changed.contains(known));
            if takes_away {
                self.removal = Some(Removal { operation: id, completed: None });
            }
            if !servers.is_empty() || action == Action::Reload {
                self.configured.clone_from(servers);
            }
            let (configured, in_force) = (&self.configured, &mut self.in_force);
            in_force.load_begins(seq, id, configured, changed);
            let is_kept = |name: &String| configured.contains(name) && in_force.is_settled(name);
            self.peers.servers_mut().filter(|(name, _)| !is_kept(name)).for_each(|(_, server)| {
                server.handed_out = None;
            });
            self.overtake(Overtaken::ByRemoval, |operation| {
                let is_taken = |server: &String| !servers.contains(server) || changed.contains(server);
                operation.server.as_ref().is_some_and(is_taken) && action == Action::Reload
            });
        }
        let called = server.as_ref().and_then(|server| self.peers.server(server));
        let (loaded, asked) = called.map(|server| (server.handed_out, server.asked)).unwrap_or_default();
        let (switch, is_promised) = switch_from(&self.load_places, &place, &self.promises.contexts);
        if action == Action::Close {
            self.overtake(Overtaken::ByCleanup, |operation| operation.action != Action::Close);
            self.in_force.cleanup_begins(seq, id);
            self.n_closes += 1;
            self.last_close = Some(seq);
            self.peers.servers_mut().for_each(|(_, server)| server.handed_out = None);
        }
        let is_closing = self.operations.values().any(|operation| operation.action == Action::Close);
        let ending = self.course.ending.or(self.course.loader_exited).map(|_| Overtaken::ByEnding);
        // A cleanup that runs may be carried out after the operation.
        let overtaken = ending.or((action != Action::Close && is_closing).then_some(Overtaken::ByCleanup));
        let operation = Operation {
            id,
            action,
            place,
            server: server.clone(),
            tool: tool.clone(),
            servers: if action.loads() { self.configured.clone() } else { Vec::new() },
            invoked: seq,
            started: None,
            n_closes_before: self.n_closes - usize::from(action == Action::Close),
            removal: self.removal,
            switch,
            is_promised,
            loaded,
            asked,
            kept_up: self.kept_up,
            requests: Vec::new(),
            is_ambiguous: false,
            cancel_requested: None,
            overtaken,
        };
        self.operations.insert(id, operation);
    }

    fn complete(&mut self, event: &Event, id: OpId, outcome: &Outcome) {
        let seq = event.seq;
        self.in_force.ended(seq, id, !matches!(outcome, Outcome::Ok { .. }));
        if let Some(removal) = self.removal.as_mut().filter(|removal| removal.operation == id) {
            removal.completed = Some(seq);
        }
        let Some(operation) = self.operations.get(&id) else { return };
        self.kept_up = self.kept_up.max(Some(operation.invoked));
        if let (Action::Call, Some(server)) = (operation.action, &operation.server) {
            let (server, invoked) = (server.clone(), operation.invoked);
            let is_served = operation.requests.iter().any(|request| request.answered.is_some());
            match outcome {
                Outcome::Ok { .. } if is_served => self.recovered(&server, invoked),
                Outcome::Ok { .. } => {}
                Outcome::Failed(_) | Outcome::Cancelled => self.peers.server_mut(&server).call_failed(invoked, seq),
            }
            return;
        }
        if operation.action == Action::Close {
            let is_loading = || self.operations.values().any(|operation| operation.action.loads());
            // A load that overlapped the cleanup and has opened a connection since may be carried out after it.
            let since = operation.invoked;
            let is_open = |open: &Connection| open.gone.is_none() && open.opened > since;
            let is_opened = |server: &String| self.connections_of(server).any(|(_, open)| is_open(open));
            let may_follow = || is_loading() || self.in_force.loaded().any(is_opened);
            if matches!(outcome, Outcome::Ok { .. }) && self.closed.is_none() && !may_follow() {
                self.closed = Some((seq, event.at_us));
            }
            return;
        }
        if !operation.action.loads() || operation.overtaken.is_some() {
            return;
        }
        let Outcome::Ok { tools, .. } = outcome else {
            let invoked = operation.invoked;
            self.forsaken = Some(ForsakenLoad { invoked, ended: seq, ended_us: event.at_us });
            // A load that was cancelled may have closed old sessions already, so no tools count as handed out.
            if operation.cancel_requested.is_some() {
                self.peers.servers_mut().for_each(|(_, server)| server.handed_out = None);
            }
            return;
        };
        let (invoked, kept_up) = (operation.invoked, operation.kept_up);
        if !self.load_places.iter().any(|known| known.place == operation.place && !known.is_over) {
            self.load_places.push(LoadPlace { place: operation.place.clone(), is_over: false });
        }
        for name in operation.servers.clone() {
            let has_tools = tools.iter().any(|tool| tool.server == name);
            // The tools of a server that an overlapping load replaces may be gone already.
            let is_settled = self.in_force.is_settled(&name);
            self.peers.server_mut(&name).load_ended((invoked, kept_up), seq, has_tools, is_settled);
            if has_tools {
                self.peers.all_ready(&name, seq);
                self.recovered(&name, invoked);
            }
        }
    }

    fn receive(&mut self, event: &Event, connection: &ConnectionId, message: &Message) {
        let Source::Mock { server, .. } = &event.source else { return };
        for part in parts(message).iter() {
            let owner = owner_of(&mut self.operations, server, part);
            if let (Some(operation), Some(id)) = (owner.and_then(|id| self.operations.get_mut(&id)), part.id()) {
                let (connection, id) = (connection.clone(), Name::from(id));
                operation.requests.push(WireRequest {
                    connection,
                    id,
                    received: event.seq,
                    answered: None,
                    is_refused: false,
                    is_touched: false,
                });
            }
            self.peers.receive(event, connection, part, owner);
            if self.is_ready_with(connection, server, part) {
                self.peers.ready(connection, event.seq);
            }
        }
    }

    /// A fault was delivered. Which message it touched is not recorded, so it is each that waits for its answer.
    fn touch(&mut self, event: &Event) {
        let calls = self.operations.values_mut().filter(|call| call.server.as_deref() == event.source.server());
        for request in calls.flat_map(|call| &mut call.requests) {
            request.is_touched |= request.answered.is_none();
        }
    }

    fn send(&mut self, seq: Seq, connection: &ConnectionId, message: &Message) {
        self.answering = Answered::Unknown;
        for part in parts(message).iter().filter(|part| part.is_response()) {
            let agreed = self.agreements.of(connection).and_then(Agreement::revision);
            let revision = agreed.or(self.is_stateless(connection).then_some(Revision::R20260728));
            let Some(pending) = self.peers.answer(connection, part, revision) else { continue };
            if self.peers.connection(connection).is_some_and(|known| !known.is_unclear) {
                self.answering = Answered::of(pending.known);
            }
            let Some(operation) = pending.operation.and_then(|id| self.operations.get_mut(&id)) else { continue };
            let id = part.id().map(|_| part.id_text());
            // A request that is repeated on a new connection may keep its id.
            let is_it =
                |request: &&mut WireRequest| request.connection == *connection && Some(&request.id) == id.as_ref();
            let request = operation.requests.iter_mut().find(is_it);
            if let Some(request) = request {
                request.answered.get_or_insert(seq);
                request.is_refused |= refuses_call(part);
                request.is_touched &= !pending.is_altered_legally;
            }
        }
    }

    fn overtake(&mut self, by: Overtaken, concerns: impl Fn(&Operation) -> bool) {
        for operation in self.operations.values_mut().filter(|operation| concerns(operation)) {
            if !operation.is_moot() {
                operation.overtaken = Some(by);
            }
        }
    }
}
