//! Cancellation on the wire.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::sight::parts;
use crate::check::{Invariant, Level, Monitor, Operation, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{
    Action, ConnectionId, Event, EventKind, ExchangeId, Header, Kind, LinkPeer, Message, OpId, Outcome, Seq, Source,
    WireEnd,
};
use crate::plan::Promise;

/// A request on the wire: its connection and its id as JSON text.
type RequestKey = (ConnectionId, String);

/// Counter-examples that shaped it. An answer that crosses the cancellation ends the request, and then there is nothing to
/// announce. A request that can not be told from another's is not judged. A server that died, or a program that was signalled, can
/// not be told.
pub(super) const CANCEL_ANNOUNCED: Invariant = Invariant {
    id: "cancel-announced",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a call that is cancelled in flight is announced to its server exactly once",
    source: "the loader's promise announces-cancel; 2026-07-28, basic/patterns/cancellation (SHOULD), basic/transports/stdio (MUST)",
    requirement: &["LC-CAN-04", "LC-CAN-06"],
    applies: Scope::ALL,
    needs: Promise::AnnouncesCancel,
    witness: Witness::Always,
    kinds: &[
        Kind::CancelRequested,
        Kind::CancelDelivered,
        Kind::OperationCompleted,
        Kind::OperationAbandoned,
        Kind::HttpReceived,
        Kind::HttpEnded,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::MockEnding,
        Kind::LinkClosed,
        Kind::GraceExpired,
        Kind::PlanEnded,
    ],
    vacuous: "no call was cancelled while its request was in flight",
    explain: "The user pressed stop, the caller got its cancellation, and the server was never told: it goes on with work that \
        nobody wants, and may hold a lock or spend money meanwhile.\n\n\
        Look at the connection after the cancellation: no `notifications/cancelled` with the id of the request. Often the code that would send \
        it runs inside the scope that was just cancelled. Mend it by sending it from the session's own task, or shielded. Over HTTP, \
        since 2026-07-28, the end of the response stream says it, and nothing else does: close it.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(CancellationNotices::default()) },
};

#[derive(Default)]
struct CancellationNotices {
    owed: BTreeMap<OpId, OwedNotice>,
    notices: BTreeMap<RequestKey, usize>,
    exchanges: RequestExchanges,
    /// Connections that were opened by `initialize` although the plan is of the modern era.
    fallen_back: BTreeSet<ConnectionId>,
}

impl CancellationNotices {
    fn fell_back(&mut self, connection: &ConnectionId, message: &Message) -> bool {
        if message.is_request("initialize") {
            self.fallen_back.insert(connection.clone());
        }
        self.fallen_back.contains(connection)
    }
}

/// Which request each open HTTP exchange carries.
#[derive(Default)]
struct RequestExchanges {
    newest: Option<(Source, ExchangeId)>,
    requests: BTreeMap<(String, ExchangeId), RequestKey>,
}

impl RequestExchanges {
    fn begin(&mut self, source: &Source, exchange: &ExchangeId) {
        self.newest = Some((source.clone(), exchange.clone()));
    }

    /// A message follows the exchange that brought it.
    fn carry(&mut self, source: &Source, connection: &ConnectionId, message: &Message) {
        if let (Some((_, exchange)), Some(id)) = (self.newest.take_if(|(of, _)| of == source), message.id()) {
            self.requests.insert((source.to_string(), exchange), (connection.clone(), id.to_string()));
        }
    }

    fn end(&mut self, source: &Source, exchange: &ExchangeId) -> Option<RequestKey> {
        self.requests.remove(&(source.to_string(), exchange.clone()))
    }
}

struct OwedNotice {
    key: RequestKey,
    server: String,
    incarnation: u32,
    requested: Seq,
    is_delivered: bool,
    has_ended: bool,
}

impl Monitor for CancellationNotices {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, &event.source) {
            (EventKind::CancelRequested { operation }, _) => {
                if let Some(owed) = view.operation(*operation).and_then(|found| OwedNotice::of(found, view, event.seq))
                {
                    self.owed.entry(*operation).or_insert(owed);
                }
            }
            (EventKind::CancelDelivered { operation, delivered }, _) => match self.owed.get_mut(operation) {
                Some(owed) if *delivered => owed.is_delivered = true,
                // An earlier cancel that was delivered stays delivered, whatever a second one finds.
                Some(owed) if owed.is_delivered => {}
                Some(_) | None => {
                    self.owed.remove(operation);
                }
            },
            (EventKind::OperationCompleted { operation, outcome }, _) => match outcome {
                Outcome::Ok { .. } => {
                    self.owed.remove(operation);
                }
                Outcome::Failed(_) | Outcome::Cancelled => {
                    self.owed.entry(*operation).and_modify(|owed| owed.has_ended = true);
                }
            },
            (EventKind::OperationAbandoned { operation, .. }, _) => {
                self.owed.remove(operation);
            }
            (EventKind::HttpReceived { exchange, .. }, source) => self.exchanges.begin(source, exchange),
            (EventKind::HttpEnded { exchange, how }, source) => {
                if let Some(key) = self.exchanges.end(source, exchange).filter(|_| *how == WireEnd::ByClient) {
                    *self.notices.entry(key).or_default() += 1;
                }
            }
            // What is posted of it in the modern era tells the server nothing; where a client fell back, it does.
            (EventKind::WireReceived { connection, message }, source)
                if view.is_modern() && !view.is_line() && !self.fell_back(connection, message) =>
            {
                self.exchanges.carry(source, connection, message);
            }
            (EventKind::WireReceived { connection, message }, _) => {
                for id in parts(message).iter().filter_map(Message::cancelled_request) {
                    *self.notices.entry((connection.clone(), id.to_string())).or_default() += 1;
                }
            }
            (EventKind::WireSent { connection, message }, _) => {
                for id in parts(message).iter().filter(|part| part.is_response()).filter_map(Message::id) {
                    let key = (connection.clone(), id.to_string());
                    self.owed.retain(|_, owed| owed.has_ended || owed.key != key);
                }
            }
            (EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. }, _) => {
                self.due(event.seq, view, tally, |owed| owed.key.0 == *connection);
            }
            (EventKind::MockEnding { .. }, Source::Mock { server, incarnation })
            | (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, .. }, _) => {
                self.due(event.seq, view, tally, |owed| owed.server == *server && owed.incarnation == *incarnation);
            }
            (EventKind::GraceExpired { .. } | EventKind::PlanEnded {}, _) => self.due(event.seq, view, tally, |_| true),
            _ => {}
        }
    }

    fn end(&mut self, _view: &View, tally: &mut Tally) {
        if let Some((operation, owed)) = self.owed.iter().find(|(_, owed)| owed.is_delivered) {
            tally.open(format!("the cancellation of {operation} was not announced yet"), &[owed.requested]);
        }
    }
}

impl OwedNotice {
    /// What a cancellation owes: exactly one request in flight that is surely the operation's own.
    fn of(operation: &Operation, view: &View, requested: Seq) -> Option<Self> {
        let [request] = operation.requests.as_slice() else { return None };
        if operation.action != Action::Call || operation.is_ambiguous || request.answered.is_some() {
            return None;
        }
        let connection = view.connection(&request.connection).filter(|connection| connection.gone.is_none())?;
        Some(Self {
            key: (request.connection.clone(), request.id.clone()),
            server: connection.server.clone(),
            incarnation: connection.incarnation,
            requested,
            is_delivered: false,
            has_ended: false,
        })
    }
}

impl CancellationNotices {
    fn due(&mut self, seq: Seq, view: &View, tally: &mut Tally, concerns: impl Fn(&OwedNotice) -> bool) {
        let notices = &self.notices;
        self.owed.retain(|operation, owed| {
            if !concerns(owed) {
                return true;
            }
            let is_excused =
                !owed.has_ended || !owed.is_delivered || !view.is_healthy(&owed.server) || view.signalled().is_some();
            if is_excused {
                return false;
            }
            let (connection, id) = &owed.key;
            let what =
                format!("the cancellation of {operation}, requested at {} with request {id} in flight", owed.requested);
            match notices.get(&owed.key).copied().unwrap_or_default() {
                0 => {
                    let because = format!("{what}, had not been announced on connection {connection} at {seq}");
                    tally.broken(Violation::new("not-announced", because, &[owed.requested, seq]));
                }
                1 => tally.held(),
                n => {
                    let because = format!("{what}, had been announced {n} times on connection {connection} at {seq}");
                    tally.broken(Violation::new("announced-twice", because, &[owed.requested, seq]));
                }
            }
            false
        });
    }
}

/// Counter-examples that shaped it. A cancellation that crosses the answer is fair: only where its operation had returned
/// the answer, and nobody had asked for a cancellation before, did the client know. Where bytes arrived that are no
/// message, a request may have been among them.
pub(super) const CANCEL_ONLY_OPEN_REQUESTS: Invariant = Invariant {
    id: "cancel-only-open-requests",
    property: Property::Safety,
    level: Level::Must,
    claim: "a cancellation names a request of the same connection that is still open, and never initialize",
    source: "2025-11-25, basic/utilities/cancellation, Behavior Requirements; the same in all revisions",
    requirement: &["LC-CAN-01", "LC-CAN-02"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::WireReceived,
        Kind::WireSent,
        Kind::WireNoise,
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::CancelRequested,
        Kind::OperationCompleted,
    ],
    vacuous: "nothing was cancelled on the wire",
    explain: "The client cancelled a request it never made on that connection, one whose answer it already had, or `initialize`. \
        A server that keeps its books may drop another request with that id, or end the session.\n\n\
        Look at the request the notification names. A drop guard that fires after success, an id taken from another \
        connection after a reconnect, and a timeout laid over the whole load are the usual reasons. Mend it by disarming the guard when the answer arrives, \
        and by closing the transport instead of cancelling `initialize`.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(CancelledRequests::default()) },
};

#[derive(Default)]
struct CancelledRequests {
    requests: BTreeMap<RequestKey, TrackedRequest>,
    noisy: Vec<ConnectionId>,
}

struct TrackedRequest {
    method: String,
    received: Seq,
    operation: Option<OpId>,
    is_answered: bool,
    is_cancel_wanted: bool,
    consumed: Option<Seq>,
}

impl Monitor for CancelledRequests {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter() {
                    self.receive(event.seq, view, connection, part, tally);
                }
            }
            EventKind::WireSent { connection, message } => {
                for id in parts(message).iter().filter(|part| part.is_response()).filter_map(Message::id) {
                    let key = (connection.clone(), id.to_string());
                    self.requests.entry(key).and_modify(|asked| asked.is_answered = true);
                }
            }
            EventKind::WireNoise { connection, .. } => self.noisy.push(connection.clone()),
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.requests.retain(|(of, _), _| of != connection);
                self.noisy.retain(|of| of != connection);
            }
            EventKind::CancelRequested { operation } => {
                for asked in self.of_operation(*operation).filter(|asked| asked.consumed.is_none()) {
                    asked.is_cancel_wanted = true;
                }
            }
            EventKind::OperationCompleted { operation, outcome: Outcome::Ok { .. } } => {
                for asked in self.of_operation(*operation).filter(|asked| asked.is_answered) {
                    asked.consumed.get_or_insert(event.seq);
                }
            }
            _ => {}
        }
    }
}

impl CancelledRequests {
    fn of_operation(&mut self, operation: OpId) -> impl Iterator<Item = &mut TrackedRequest> {
        self.requests.values_mut().filter(move |asked| asked.operation == Some(operation))
    }

    fn receive(&mut self, seq: Seq, view: &View, connection: &ConnectionId, message: &Message, tally: &mut Tally) {
        if let (Some(method), Some(id)) = (message.method(), message.id()) {
            let asked = TrackedRequest {
                method: method.to_owned(),
                received: seq,
                operation: owner(view, connection, method, seq),
                is_answered: false,
                is_cancel_wanted: false,
                consumed: None,
            };
            self.requests.insert((connection.clone(), id.to_string()), asked);
        }
        let Some(id) = message.cancelled_request() else { return };
        let Some(asked) = self.requests.get(&(connection.clone(), id.to_string())) else {
            if !self.noisy.contains(connection) {
                let because =
                    format!("request {id} was cancelled on connection {connection} at {seq}, where it was never made");
                tally.broken(Violation::new("unknown-request", because, &[seq]));
            }
            return;
        };
        if asked.method == "initialize" {
            let because = format!("initialize (request {id} of {}) was cancelled at {seq}", asked.received);
            tally.broken(Violation::new("initialize", because, &[asked.received, seq]));
            return;
        }
        match asked.consumed.filter(|_| !asked.is_cancel_wanted) {
            Some(consumed) => {
                let because = format!(
                    "request {id} of {} was cancelled at {seq}, after its answer had been returned at {consumed}",
                    asked.received
                );
                tally.broken(Violation::new("already-answered", because, &[asked.received, consumed, seq]));
            }
            None => tally.held(),
        }
    }
}

/// The operation a request surely belongs to: the call whose request it is, or the only load that runs.
fn owner(view: &View, connection: &ConnectionId, method: &str, seq: Seq) -> Option<OpId> {
    if method == "tools/call" {
        let is_its = |operation: &&Operation| {
            operation.requests.iter().any(|request| request.connection == *connection && request.received == seq)
        };
        return view
            .operations()
            .find(is_its)
            .filter(|operation| !operation.is_ambiguous)
            .map(|operation| operation.id);
    }
    let mut loads = view.operations().filter(|operation| operation.action.loads());
    let only = loads.next().filter(|_| loads.next().is_none());
    only.map(|operation| operation.id)
}
