//! Calls on the wire: that each arrives once, where it was sent and as it was made, and that its answer finds its caller.
//!
//! The driver gives each call its operation's number as argument `n`; so a call on the wire tells whose it is. One without it is not judged.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::check::combinator::{Judged, each};
use crate::check::operations::caller_of;
use crate::check::rounds::sent_back;
use crate::check::sight::parts;
use crate::check::{Gone, Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{Action, ConnectionId, Event, EventKind, Header, Impact, Kind, Message, OpId, Outcome, Seq};
use crate::plan::Promise;

/// Counter-examples that shaped it. A server that says over HTTP that it does not know the session has not done the work, so
/// the call may be sent again on a new one. One that a server answered with its own need of more is asked again as it says. Where a server died, it may have done the work before: that is a warning, because
/// some callers want it so.
pub(super) const CALL_SENT_ONCE: Invariant = Invariant {
    id: "call-sent-once",
    property: Property::Safety,
    level: Level::Own,
    claim: "one call of a tool is one request on the wire",
    source: "VG-16: a tool may have effects, and whoever called it once wants them once",
    requirement: &["VG-16", "LC-STD-15"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::OperationCompleted, Kind::OperationAbandoned],
    vacuous: "no call that tells whose it is reached a server",
    explain: "The program called a tool once and a server received the call twice. A retry below the caller, after a lost answer \
        or a new session, does that: the mail goes out twice, the row is written twice, and nobody is told.\n\n\
        Look at the two requests and at what happened between them. Mend it by failing the call and letting the caller \
        decide; only what a server has surely not seen may be sent again.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(SentCalls::default()) },
};

#[derive(Default)]
struct SentCalls {
    sent: BTreeMap<OpId, SentCall>,
}

struct SentCall {
    connection: ConnectionId,
    request: String,
    seq: Seq,
}

impl Monitor for SentCalls {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter() {
                    if let Some(operation) = caller_of(part) {
                        let request = part.id().map(ToString::to_string).unwrap_or_default();
                        let sent = SentCall { connection: connection.clone(), request, seq: event.seq };
                        self.receive(view, sent, operation, tally);
                    }
                }
            }
            EventKind::WireSent { connection, message } => {
                for request in parts(message).iter().filter_map(|part| sent_back(part).map(ToString::to_string)) {
                    self.sent.retain(|_, sent| sent.connection != *connection || sent.request != request);
                }
            }
            EventKind::OperationCompleted { operation, .. } | EventKind::OperationAbandoned { operation, .. } => {
                self.sent.remove(operation);
            }
            _ => {}
        }
    }
}

impl SentCalls {
    fn receive(&mut self, view: &View, sent: SentCall, operation: OpId, tally: &mut Tally) {
        let (connection, seq) = (sent.connection.clone(), sent.seq);
        let Some(SentCall { connection: before, seq: first, .. }) = self.sent.insert(operation, sent) else {
            tally.held();
            return;
        };
        let is_lost = view.connection(&before).is_none_or(|before| matches!(before.gone, Some((_, Gone::ByServer))));
        if is_lost && !view.is_stdio() && !view.is_sse() {
            return;
        }
        let because = format!("the call of {operation} was received at {first} and again at {seq}");
        let variant = if before == connection { "sent-twice" } else { "sent-again-elsewhere" };
        let violation = Violation::new(variant, because, &[first, seq]);
        tally.broken(if is_lost { violation.as_warning() } else { violation });
    }
}

/// Counter-example that shaped it: a call that arrives when its operation has completed, cancelled for example, is not judged.
pub(super) const CALL_ARRIVES_AS_MADE: Invariant = Invariant {
    id: "call-arrives-as-made",
    property: Property::Safety,
    level: Level::Own,
    claim: "a call arrives at the server it was made to, for the tool and with the arguments it was made with",
    source: "VG-16: what is called is what was meant",
    requirement: &["VG-16"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived],
    vacuous: "no call that tells whose it is reached a server while it ran",
    explain: "A call reached another server than the one it was made to, or another tool, or lost or gained an argument. Loaders \
        keep tools of several servers in one table; when two have the same name, the last one wins, and the caller talks to a stranger.\n\n\
        Look at the request and at the invocation. Mend it by keeping tools by server *and* name, by refusing names that \
        collide, and by passing arguments through untouched.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_arrival) },
};

fn judge_arrival(event: &Event, view: &View) -> Judged {
    let EventKind::WireReceived { message, .. } = &event.kind else { return Judged::Unrelated };
    let Some(operation) = caller_of(message).and_then(|id| view.operation(id)) else { return Judged::Unrelated };
    if operation.action != Action::Call {
        return Judged::Unrelated;
    }
    let arguments = message.at(&["params", "arguments"]).and_then(Value::as_object);
    let tool = message.at(&["params", "name"]).and_then(Value::as_str);
    let variant = if operation.server.as_deref() != event.source.server() {
        "other-server"
    } else if operation.tool.as_deref() != tool {
        "other-tool"
    } else if arguments.is_some_and(|arguments| arguments.len() != 1) {
        "other-arguments"
    } else {
        return Judged::Held;
    };
    let because = format!("{} arrived at {} with {variant}", operation.describe(), event.seq);
    Judged::Broken(Violation::new(variant, because, &[operation.invoked, event.seq]))
}

/// Counter-examples that shaped it. A script that garbles answers may have sent others than the journal shows. A loader that
/// gives no text for an answer gives nothing to compare. Some loaders hand what went wrong to a model as a text, which is told
/// as a success: that is a warning. A call that is sent back is not answered; that is on record as it was sent, whatever else is wrong.
pub(super) const ANSWER_REACHES_ITS_CALLER: Invariant = Invariant {
    id: "answer-reaches-its-caller",
    property: Property::Safety,
    level: Level::Own,
    claim: "a call that succeeds returns what its server answered to it",
    source: "VG-16: an answer belongs to the request whose id it carries (JSON-RPC 2.0)",
    requirement: &["VG-16", "LC-MSG-06"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::WireReceived,
        Kind::WireSent,
        Kind::FaultDelivered,
        Kind::OperationCompleted,
        Kind::OperationAbandoned,
    ],
    vacuous: "no call that tells whose it is was answered and succeeded",
    explain: "A call succeeded with another text than its server had answered: the answer of another call, a late one of a call \
        that was given up, or one out of a cache. This is the worst that concurrency can do here, because nothing fails.\n\n\
        Look at the two requests that were in flight together, and at their ids. Mend it by handing each answer to the waiter \
        of its id, and by forgetting the waiter when its call is given up.\n\n\
        Or a call succeeded that was never answered: its server died or was cut off, or sent it back to be made again, and the caller \
        was told nothing of it. Mend that by making it again as the server says, or by letting the failure through.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(CallAnswers::default()) },
};

#[derive(Default)]
struct CallAnswers {
    asked: Vec<UnansweredCall>,
    /// What was answered to each call that runs, and when; without a text where the answer has none.
    answered: BTreeMap<OpId, (Seq, Option<String>)>,
    /// When each call was sent back that was not made again.
    sent_back: BTreeMap<OpId, Seq>,
    is_garbled: bool,
}

/// A call on the wire that has not been answered.
struct UnansweredCall {
    at: Seq,
    connection: ConnectionId,
    id: Value,
    operation: OpId,
}

impl Monitor for CallAnswers {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                if let (Some(operation), Some(id)) = (caller_of(message), message.id()) {
                    self.sent_back.remove(&operation);
                    self.asked.push(UnansweredCall {
                        at: event.seq,
                        connection: connection.clone(),
                        id: id.clone(),
                        operation,
                    });
                }
            }
            EventKind::WireSent { connection, message } if !self.asked.is_empty() => {
                self.answer(event.seq, connection, message);
            }
            EventKind::FaultDelivered { impairs: Impact::Answers, .. } => self.is_garbled = true,
            EventKind::OperationCompleted { operation, outcome } => {
                let asked = self.asked.iter().find(|asked| asked.operation == *operation).map(|asked| asked.at);
                self.asked.retain(|asked| asked.operation != *operation);
                let answered = self.answered.remove(operation);
                let sent_back = self.sent_back.remove(operation);
                match (outcome, sent_back) {
                    (Outcome::Ok { text: Some(text), .. }, Some(sent)) => {
                        judge_sent_back(event.seq, *operation, text, sent, tally);
                    }
                    (Outcome::Ok { text: Some(text), .. }, None) => {
                        self.judge(event.seq, *operation, text, asked, answered, tally);
                    }
                    _ => {}
                }
            }
            EventKind::OperationAbandoned { operation, .. } => {
                self.asked.retain(|asked| asked.operation != *operation);
                self.answered.remove(operation);
                self.sent_back.remove(operation);
            }
            _ => {}
        }
    }
}

impl CallAnswers {
    fn answer(&mut self, seq: Seq, connection: &ConnectionId, message: &Message) {
        let Some(id) = message.id().filter(|_| message.is_response()) else { return };
        let is_it = |asked: &UnansweredCall| asked.connection == *connection && asked.id == *id;
        let Some(index) = self.asked.iter().position(is_it) else { return };
        let asked = self.asked.swap_remove(index);
        if sent_back(message).is_some() {
            self.sent_back.insert(asked.operation, seq);
            return;
        }
        let content = message.at(&["result", "content"]).and_then(|content| content.get(0));
        let text = content.and_then(|first| first.get("text")).and_then(Value::as_str);
        self.answered.insert(asked.operation, (seq, text.map(str::to_owned)));
    }

    /// A call that succeeded with this text.
    fn judge(
        &self,
        now: Seq,
        operation: OpId,
        text: &str,
        asked: Option<Seq>,
        answered: Option<(Seq, Option<String>)>,
        tally: &mut Tally,
    ) {
        match (answered, asked) {
            (Some((_, Some(expected))), _) if expected == text => tally.held(),
            _ if self.is_garbled => {}
            (Some((sent, Some(_))), _) => {
                let because = format!("{operation} returned at {now} another text than was sent at {sent}");
                tally.broken(Violation::new("other-text", because, &[sent, now]));
            }
            (None, Some(asked)) => {
                let because = format!("{operation} succeeded at {now}, and its request of {asked} was never answered");
                let violation = Violation::new("never-answered", because, &[asked, now]);
                tally.broken(if text.is_empty() { violation } else { violation.as_warning() });
            }
            (Some((_, None)) | None, _) => {}
        }
    }
}

/// A call that succeeded with this text when it was to be made again.
fn judge_sent_back(now: Seq, operation: OpId, text: &str, sent: Seq, tally: &mut Tally) {
    let because = format!("{operation} succeeded at {now}, and was sent back at {sent} to be made again");
    let violation = Violation::new("sent-back", because, &[sent, now]);
    tally.broken(if text.is_empty() { violation } else { violation.as_warning() });
}

/// A loader that has waited this long may have a timeout of its own.
const OWN_TIMEOUT_US: u64 = 4_000_000;

/// Counter-examples that shaped it. A timeout of the loader's own is a reason, so a call that ran for seconds is not judged. A
/// cleanup, a removal, the end of the program and the end of the caller's context are reasons. A request that could be another call's is not judged.
pub(super) const CANCEL_HAS_A_REASON: Invariant = Invariant {
    id: "cancel-has-a-reason",
    property: Property::Safety,
    level: Level::Own,
    claim: "a call is cancelled on the wire only if somebody gave it up",
    source: "VG-16: nobody's work is stopped unasked",
    requirement: &["VG-16"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::OperationCompleted, Kind::ConnectionClosed],
    vacuous: "no call was cancelled on the wire",
    explain: "A call was in flight, nobody had given it up, and the loader told the server to cancel it. A cancel scope that \
        belongs to somebody else was hit: the session of a sibling was closed, or another call's timeout ended the task both share.\n\n\
        Look at what happened just before the notification. Mend it by giving each call a scope of its own.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(GivenUpRequests::default()) },
};

/// Requests of calls that were given up and have ended: their caller is told first, and the server after.
#[derive(Default)]
struct GivenUpRequests {
    given_up: BTreeSet<(ConnectionId, String)>,
}

impl Monitor for GivenUpRequests {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationCompleted { operation, .. } => {
                let excused = view.operation(*operation).filter(|operation| operation.is_excused());
                let requests = excused.into_iter().flat_map(|operation| &operation.requests);
                self.given_up.extend(requests.map(|request| (request.connection.clone(), request.id.clone())));
            }
            EventKind::ConnectionClosed { connection, .. } => self.given_up.retain(|(known, _)| known != connection),
            EventKind::WireReceived { connection, message } => {
                let Some(id) = message.cancelled_request().map(ToString::to_string) else { return };
                if self.given_up.contains(&(connection.clone(), id.clone())) {
                    return tally.held();
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

/// A cancellation of a call that is still open.
fn judge_cancel(event: &Event, view: &View, connection: &ConnectionId, id: &str) -> Judged {
    let is_it = |request: &crate::check::Request| request.connection == *connection && request.id == id;
    let found = view.operations().find(|operation| operation.requests.iter().any(is_it));
    let Some(operation) = found.filter(|operation| !operation.is_ambiguous) else { return Judged::Unrelated };
    if operation.is_excused() {
        return Judged::Held;
    }
    let is_long = operation.started.is_none_or(|(_, at_us)| event.at_us > at_us + OWN_TIMEOUT_US);
    if is_long || !view.is_healthy(event.source.server().unwrap_or_default()) {
        return Judged::Unrelated;
    }
    let because =
        format!("{} was cancelled on the wire at {}, and nobody had given it up", operation.describe(), event.seq);
    Judged::Broken(Violation::new("unasked", because, &[operation.invoked, event.seq]))
}

/// Counter-examples that shaped it. An operation that never ends is told by `operation-completes`. The completion may be
/// journalled before the answer that the cancellation was delivered. One that nobody could be told of is no cancellation: a
/// cleanup that takes no signal is not slow to heed it.
pub(super) const CANCEL_PROMPT: Invariant = Invariant {
    id: "cancel-prompt",
    property: Property::Liveness,
    level: Level::OwnResource,
    claim: "an operation that is cancelled ends soon",
    source: "VG-12: whoever gives up is not made to wait",
    requirement: &["VG-12", "LC-CAN-08"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::CancelRequested, Kind::CancelDelivered, Kind::OperationCompleted],
    vacuous: "no operation that was cancelled came to an end",
    explain: "The user pressed stop and had to wait all the same. The cancellation was delivered, and the operation went on with \
        something it could not be taken out of: the shutdown of a server, a lock, a shielded wait.\n\n\
        Look at what happened between the two witnesses. Mend it by leaving slow work to the task that owns the session, and \
        letting the caller go.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(PromptCancellations::default()) },
};

#[derive(Default)]
struct PromptCancellations {
    cancelled: BTreeMap<OpId, CancelledOperation>,
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
                // An earlier cancel that was delivered stays delivered, whatever a second one finds.
                cancelled.is_delivered |= *delivered;
                if !cancelled.is_delivered {
                    self.cancelled.remove(operation);
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
        self.cancelled.remove(operation);
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
