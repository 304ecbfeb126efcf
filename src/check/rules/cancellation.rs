//! Cancellation: which requests a client may cancel, for which reasons, and how soon the operation ends.

use std::time::Duration;

use crate::check::combinator::Judged;
use crate::check::rules::cancelled_requests::{CancelledRequests, may_have_timed_out};
use crate::check::{
    AppliesTo, Hears, Invariant, Level, Monitor, Of, Operation, Property, Tally, View, Violation, Witness,
};
use crate::history::{
    Action, ConnectionId, Event, EventKind, Header, KeySet, Kind, KnownMethod, Name, OpId, Seq, Table,
};
use crate::plan::Promise;

/// Counter-examples: A timeout of the loader itself is a reason, so a call that ran for seconds, or for as long as the
/// loader promises to wait, is not judged. A
/// cleanup, a removal, the end of the program and the end of the caller's context are reasons. A request that may
/// belong to another call is not judged.
pub(super) const CANCEL_HAS_A_REASON: Invariant = Invariant {
    id: "cancel-has-a-reason",
    property: Property::Safety,
    level: Level::Own,
    claim: "a call is cancelled on the wire only if its caller abandoned it",
    source: "VG-16: only the caller cancels its call",
    requirement: &["VG-16"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::OperationCompleted, Kind::ConnectionClosed],
    hears: Hears::only(&[
        (Kind::WireReceived, &[Of::Notice(KnownMethod::Cancelled)]),
        (Kind::OperationCompleted, &[Of::Action(Action::Call)]),
    ]),
    vacuous: "no call was cancelled on the wire",
    explain: "A call was in flight, its caller was still waiting, and the loader told the server to cancel it. A \
        cancel scope that does not belong to the call was cancelled: the session of a sibling was closed, or the \
        timeout of another call ended a task that both calls share.\n\n\
        Look at the event just before the notification. To fix it, give each call its own scope.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(GivenUpRequests::default()) },
};

/// Requests of calls that have ended without an answer: the caller gets the outcome before the server gets the notice.
#[derive(Default)]
struct GivenUpRequests {
    /// Their caller abandoned them.
    given_up: KeySet<(ConnectionId, Name)>,
    /// Nobody abandoned them: the call and its invocation.
    failed: Table<(ConnectionId, Name), (String, Seq)>,
}

impl GivenUpRequests {
    fn ended(&mut self, event: &Event, view: &View, operation: &Operation) {
        let requests = operation.requests.iter();
        if operation.is_excused() {
            self.given_up.extend(requests.map(|request| (request.connection.clone(), request.id.clone())));
        } else if !operation.is_ambiguous && !may_have_timed_out(event, view, operation) {
            let open = requests.filter(|request| request.answered.is_none());
            self.failed.extend(open.map(|request| {
                ((request.connection.clone(), request.id.clone()), (operation.describe(), operation.invoked))
            }));
        }
    }
}

impl Monitor for GivenUpRequests {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationCompleted { operation, .. } => {
                if let Some(operation) = view.operation(*operation) {
                    self.ended(event, view, operation);
                }
            }
            EventKind::ConnectionClosed { connection, .. } => {
                self.given_up.retain(|(known, _)| known != connection);
                self.failed.retain(|(known, _), _| known != connection);
            }
            EventKind::WireReceived { connection, message } => {
                let Some(id) = message.cancelled_request().map(Name::of) else { return };
                if self.given_up.contains(&(connection.clone(), id.clone())) {
                    return tally.held();
                }
                let is_healthy = view.is_healthy(event.source.server().unwrap_or_default());
                if let Some((call, invoked)) = self.failed.swap_remove(&(connection.clone(), id.clone())) {
                    if is_healthy {
                        tally.broken(unasked(event, &call, invoked));
                    }
                    return;
                }
                match judge_cancel(event, view, connection, &id) {
                    Judged::Unrelated => {}
                    Judged::Held => tally.held(),
                    Judged::Broken(violation) => tally.broken(violation),
                }
            }
            _ => {}
        }
    }
}

/// Judges a cancellation of an open call.
fn judge_cancel(event: &Event, view: &View, connection: &ConnectionId, id: &str) -> Judged {
    let is_it = |request: &crate::check::WireRequest| request.connection == *connection && request.id == id;
    let found = view.operations().find(|operation| operation.requests.iter().any(is_it));
    let Some(operation) = found.filter(|operation| !operation.is_ambiguous) else { return Judged::Unrelated };
    if operation.is_excused() {
        return Judged::Held;
    }
    if may_have_timed_out(event, view, operation) || !view.is_healthy(event.source.server().unwrap_or_default()) {
        return Judged::Unrelated;
    }
    Judged::Broken(unasked(event, &operation.describe(), operation.invoked))
}

fn unasked(event: &Event, call: &str, invoked: Seq) -> Violation {
    let because = format!("{call} was cancelled on the wire at {}, and its caller had not abandoned it", event.seq);
    Violation::new("unasked", because, &[invoked, event.seq])
}

/// Counter-examples: `operation-completes` judges an operation that never ends. The recorder may hold the completion
/// before the answer that the cancellation was delivered. A cancellation that was not delivered does not count: a
/// cleanup that accepts no cancellation is not slow to react to one.
pub(super) const CANCEL_PROMPT: Invariant = Invariant {
    id: "cancel-prompt",
    property: Property::Liveness,
    level: Level::OwnResource,
    claim: "a cancelled operation ends soon",
    source: "VG-12: a caller that cancels does not wait",
    requirement: &["VG-12", "LC-CAN-08"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::CancelRequested, Kind::CancelDelivered, Kind::OperationCompleted],
    hears: Hears::ALL.from(&[(Kind::CancelRequested, &[Of::Any])]),
    vacuous: "no operation that was cancelled came to an end",
    explain: "The user pressed stop and still had to wait. The cancellation was delivered, but the operation was in \
        code that cannot be interrupted: the shutdown of a server, a lock, a shielded wait.\n\n\
        Look at the events between the two witnesses. To fix it, leave slow work to the task that owns the session, \
        and release the caller.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(PromptCancellations::default()) },
};

#[derive(Default)]
struct PromptCancellations {
    cancelled: Table<OpId, CancelledOperation>,
}

struct CancelledOperation {
    seq: Seq,
    at_us: u64,
    is_delivered: bool,
    ended: Option<(Seq, u64)>,
}

impl Monitor for PromptCancellations {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let operation = match &event.kind {
            EventKind::CancelRequested { operation } => {
                let cancelled =
                    CancelledOperation { seq: event.seq, at_us: event.at_us, is_delivered: false, ended: None };
                self.cancelled.entry(*operation).or_insert(cancelled);
                return;
            }
            EventKind::CancelDelivered { operation, delivered } => {
                let Some(cancelled) = self.cancelled.get_mut(operation) else { return };
                // A cancellation that was delivered stays delivered, whatever happens to a second one.
                cancelled.is_delivered |= *delivered;
                if !cancelled.is_delivered {
                    self.cancelled.swap_remove(operation);
                    return;
                }
                operation
            }
            EventKind::OperationCompleted { operation, .. } => {
                let Some(cancelled) = self.cancelled.get_mut(operation) else { return };
                cancelled.ended = Some((event.seq, event.at_us));
                operation
            }
            _ => return,
        };
        let Some(&CancelledOperation { seq, at_us, is_delivered: true, ended: Some((ended, ended_us)) }) =
            self.cancelled.get(operation)
        else {
            return;
        };
        self.cancelled.swap_remove(operation);
        let limit = view.limits().failure;
        let took = Duration::from_micros(ended_us.saturating_sub(at_us));
        if took <= limit {
            tally.held();
            return;
        }
        let because = format!("{operation} ended at {ended}, {} ms after it was cancelled at {seq}", took.as_millis());
        tally.broken(Violation::new("late", because, &[seq, ended]).of_bound(limit));
    }
}

/// Counter-examples: A cancellation may cross the answer: without evidence that the client had read the answer, the
/// rule assumes that it had not. A client that seems to wait for each answer proves nothing, however long it does so:
/// its reader may be blocked while a timer sends. Over lines, if a client sends one request at a time and cancels call
/// after call after the answer, that is not chance. If a script delays the answers, a timeout of the loader may end
/// each call close to its answer: then only calls count whose answers the loader gave to their callers. Two sockets have
/// no order, so a cancellation may overtake its request. If bytes arrived that are not a message, or a request was cut
/// off or refused unread, the request may have been among them.
pub(super) const CANCEL_ONLY_OPEN_REQUESTS: Invariant = Invariant {
    id: "cancel-only-open-requests",
    property: Property::Safety,
    level: Level::Must,
    claim: "a cancellation names a request of the same connection that is still open, and never initialize or a task",
    source: "2025-11-25, basic/utilities/cancellation, Behavior Requirements; the same in all revisions",
    requirement: &["LC-CAN-01", "LC-CAN-02", "LC-CAN-14"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::HttpEnded,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::WireNoise,
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::CancelRequested,
        Kind::OperationCompleted,
    ],
    hears: Hears::only(&[(Kind::OperationCompleted, &[Of::Loads, Of::Action(Action::Call)])]),
    vacuous: "nothing was cancelled on the wire",
    explain: "The client cancelled a request that it never made on that connection, a request whose answer it \
        already had, a call that had become a task, or `initialize`. A server that tracks its requests may drop another \
        request with that id, or end the session. A task ignores the notification and continues.\n\n\
        Look at the request that the notification names, and at the event that shows that its answer had been read. The \
        usual reasons are a drop guard that fires after success, an id from another connection after a reconnect, and one \
        timeout around the whole load. To fix it, disarm the guard when the answer arrives, cancel a task with \
        `tasks/cancel`, and close the transport instead of cancelling `initialize`.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(CancelledRequests::default()) },
};
