//! Requests that a client abandons, and whether it says so.

use super::given_up::{GivenUpCall, GivenUpCalls, TOLD_BY_THEN};
use crate::check::host::{ServerExchange, exchange_of, is_responsible};
use crate::check::parts::parts;
use crate::check::{
    AppliesTo, Hears, Invariant, Level, Monitor, Of, Operation, Property, Tally, View, Violation, Witness,
};
use crate::history::{
    Action, ConnectionId, Event, EventKind, Header, KeySet, Kind, Name, Outcome, Seq, Table, WireEnd,
};
use crate::plan::Promise;

/// Counter-examples: `initialize` must not be cancelled. If the server ended the stream, the client did not abandon the
/// request. A client that the harness killed, or that a signal asked to end, had no chance to cancel. Where the driver had a
/// loader cancel an operation, `cancel-announced` judges. A cleanup, a removal or the end of the program closes what is
/// open, and a response that had begun and was broken is not a request that was abandoned. The journal of a mock alone
/// does not show whether its client keeps running, so a later request of the session must show it. A cancellation on
/// another socket may overtake its request. Over other transports, and where the wire stays open, only the operation of
/// a driver shows that a request was abandoned. Since 2026-07-28 the end of a stream is its cancellation.
pub(super) const ABANDONED_CALL_CANCELLED: Invariant = Invariant {
    id: "abandoned-call-cancelled",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a request that the client abandons is cancelled",
    source: "2025-11-25, basic/transports, Sending Messages to the Server: a disconnect is not a cancellation; basic/lifecycle, Timeouts",
    requirement: &["LC-CAN-03", "LC-TMO-02"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::OperationInvoked,
        Kind::OperationCompleted,
        Kind::CancelRequested,
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::StreamEvent,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::WireEof,
        Kind::HttpEnded,
    ],
    hears: Hears::only(&[(Kind::OperationCompleted, &[Of::Action(Action::Call)])]),
    vacuous: "no request was answered or abandoned",
    explain: "The client closed the connection on which it waited for an answer and never sent \
        `notifications/cancelled`. Before 2026-07-28 the end of a connection does not cancel a request: the server \
        keeps working for a caller that is gone. Or the client told its caller that the call had failed, usually after \
        a timeout, and left the request open: the server keeps working in this case as well.\n\n\
        Look at the code that abandons the request; usually a timeout only drops the future. To fix it, send the \
        notification with the id of the request, and end only after every request was answered or cancelled.",
    start: |header: &Header| -> Box<dyn Monitor> {
        Box::new(AbandonedRequests { is_host: header.host.is_some(), ..AbandonedRequests::default() })
    },
};

#[derive(Default)]
struct AbandonedRequests {
    is_host: bool,
    calls: GivenUpCalls,
    /// Requests that HTTP itself answered with an error.
    refused: KeySet<(ConnectionId, Name)>,
    asked: Table<ServerExchange, PostedRequest>,
    given_up: Vec<GivenUp>,
    /// The ids of the events on each open stream.
    ids: Table<ServerExchange, Vec<String>>,
    /// Cancelled requests that have not arrived.
    early: KeySet<(ConnectionId, Name)>,
    /// Whether the driver has had an operation cancelled since the newest request.
    cancelled: Option<Seq>,
}

struct GivenUp {
    asked: PostedRequest,
    at: Seq,
    /// Whether the session continues.
    goes_on: bool,
    /// The ids of the events that its stream had.
    ids: Vec<String>,
}

struct PostedRequest {
    connection: ConnectionId,
    id: Name,
    method: String,
    seq: Seq,
}

impl Monitor for AbandonedRequests {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.see_call(event, view, tally);
        if view.shows_ends() {
            return;
        }
        match &event.kind {
            EventKind::CancelRequested { .. } => self.cancelled = Some(event.seq),
            // An end of the connection after a whole answer, or after an answer that no client can read, abandons
            // nothing.
            EventKind::HttpAnswered { exchange, streams: false, .. } if !self.is_host => {
                self.asked.swap_remove(&exchange_of(event, exchange));
            }
            // Only an exchange in the handshake generation ends without a cancellation.
            EventKind::WireReceived { connection, message } if !view.is_stateless(connection) => {
                if let Some(cancelled) = message.cancelled_request() {
                    let id = Name::of(cancelled);
                    let is_it = |asked: &PostedRequest| asked.connection == *connection && asked.id == *id;
                    let n_before = self.given_up.len() + self.asked.len();
                    self.given_up.retain(|given_up| !is_it(&given_up.asked));
                    self.asked.retain(|_, asked| !is_it(asked));
                    if self.given_up.len() + self.asked.len() == n_before {
                        self.early.insert((connection.clone(), id.clone()));
                    }
                }
                let of_session = self.given_up.iter_mut().filter(|given_up| given_up.asked.connection == *connection);
                of_session.for_each(|given_up| given_up.goes_on = true);
                let Some(carrier) = view.carrier(event) else { return };
                if let (Some(method), Some(id)) = (message.method(), message.id()) {
                    let (connection, id, method) = (connection.clone(), Name::from(id), method.to_owned());
                    if self.early.swap_remove(&(connection.clone(), id.clone())) {
                        return;
                    }
                    let asked = PostedRequest { connection, id, method, seq: event.seq };
                    self.asked.insert(exchange_of(event, &carrier.exchange), asked);
                }
            }
            EventKind::WireSent { connection, message } if message.is_response() => {
                let id = message.id_text();
                let n_before = self.asked.len();
                self.asked.retain(|_, asked| asked.connection != *connection || asked.id != id);
                if self.asked.len() < n_before {
                    tally.held();
                }
            }
            EventKind::StreamEvent { exchange, id: Some(id), .. } => {
                self.ids.entry(exchange_of(event, exchange)).or_default().push(id.clone());
            }
            // The client has lost the stream, and resumes it.
            EventKind::HttpReceived { headers, .. } => {
                if let Some(last) = headers.get("last-event-id") {
                    self.given_up.retain(|given_up| !given_up.ids.contains(last));
                }
            }
            // A client that a signal asks to end has abandoned no request, and may have no time for a notice.
            EventKind::HttpEnded { exchange, how: WireEnd::ByClient } if view.signalled().is_none() => {
                let ids = self.ids.swap_remove(&exchange_of(event, exchange)).unwrap_or_default();
                let asked = self.asked.swap_remove(&exchange_of(event, exchange));
                let asked = asked.filter(|asked| asked.method != "initialize" && !self.is_excused(asked, view));
                self.given_up.extend(asked.map(|asked| GivenUp { asked, at: event.seq, goes_on: false, ids }));
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        for (call, owed) in self.calls.owed().filter(|_| is_responsible(view)) {
            tally.broken(left_open(call, owed));
        }
        let is_alive = self.is_host || view.is_ready();
        let owed = self.given_up.iter().filter(|given_up| is_alive || given_up.goes_on);
        for GivenUp { asked, at: gave_up, .. } in owed.filter(|_| is_responsible(view)) {
            let PostedRequest { connection, id, method, seq } = asked;
            let because = format!(
                "{method} (request {id} on {connection}, of {seq}) was abandoned at {gave_up} and never cancelled"
            );
            let violation = Violation::new("not-cancelled", because, &[*seq, *gave_up]);
            tally.broken(if self.is_host { violation } else { violation.as_warning() });
        }
    }
}

impl AbandonedRequests {
    /// Takes an event for the calls of a driver.
    fn see_call(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let is_line = view.shows_ends();
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                if view.is_stateless(connection) && !is_line {
                    return;
                }
                for part in parts(message).iter() {
                    (0..self.calls.receive(connection, part)).for_each(|_| tally.held());
                }
            }
            EventKind::HttpEnded { exchange, how } => {
                if let Some(asked) = self.asked.get(&exchange_of(event, exchange)) {
                    // The cleanup ends what a timeout has left open.
                    if *how == WireEnd::ByClient && view.last_close().is_some_and(|close| close > asked.seq) {
                        self.calls.cut(event.seq, view, &asked.connection, |id| *id == asked.id);
                    }
                    self.calls.forget(&asked.connection, &asked.id);
                }
            }
            EventKind::OperationCompleted { operation, outcome: Outcome::Ok { .. } } if is_line => {
                let call = view.operation(*operation).filter(|call| call.action == Action::Call);
                if call.is_some_and(|call| call.requests.iter().any(|request| request.answered.is_some())) {
                    tally.held();
                }
            }
            _ => {
                self.refused.extend(view.refusals().failed().iter().cloned());
                let (asked, refused) = (&self.asked, &self.refused);
                self.calls.see(event, view, |connection, id| {
                    let is_it = |asked: &PostedRequest| asked.connection == *connection && asked.id == *id;
                    let is_refused = refused.contains(&(connection.clone(), id.to_owned()));
                    !is_refused && (is_line || asked.values().any(is_it))
                });
            }
        }
    }

    /// Whether a request ended for another reason than a decision of the loader.
    fn is_excused(&self, asked: &PostedRequest, view: &View) -> bool {
        let is_after = |event: Option<Seq>| event.is_some_and(|event| event > asked.seq);
        !self.is_host
            && (is_after(self.cancelled)
                || is_after(view.last_close())
                || view.ending().is_some()
                || view.loader_exited().is_some()
                || view.operations().any(Operation::is_excused))
    }
}

/// The violation of a loader that told its caller of a failure and left the request open.
fn left_open(call: &GivenUpCall, owed: Seq) -> Violation {
    let GivenUpCall { connection, id, received, operation, failed, .. } = call;
    let because = format!(
        "{operation} failed at {failed}, its request {id} on {connection}, of {received}, was open at {owed} and was never cancelled"
    );
    let violation = Violation::new("left-open", because, &[*received, *failed, owed]).as_warning();
    if call.is_timed { violation.of_bound(TOLD_BY_THEN) } else { violation }
}
