//! Answers to calls: each reaches its caller, and a call that needs input is repeated with its state.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::operations::{caller_of, sent_back};
use crate::check::{AppliesTo, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Impact, Kind, Message, OpId, Outcome, Seq};
use crate::plan::Promise;

/// Counter-examples: A script that garbles answers may have sent others than the journal shows. A loader that returns
/// no text gives nothing to compare. Some loaders return an error to the model as a text and report success: that is a
/// warning. A call that the server sends back is not answered; the journal has that message as the mock sent it,
/// whatever else is wrong.
pub(super) const ANSWER_REACHES_ITS_CALLER: Invariant = Invariant {
    id: "answer-reaches-its-caller",
    property: Property::Safety,
    level: Level::Own,
    claim: "a call that succeeds returns what its server answered to it",
    source: "VG-16: an answer belongs to the request whose id it carries (JSON-RPC 2.0)",
    requirement: &["VG-16", "LC-MSG-06"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::WireReceived,
        Kind::WireSent,
        Kind::FaultDelivered,
        Kind::OperationCompleted,
        Kind::OperationAbandoned,
    ],
    vacuous: "no call that names its operation was answered and succeeded",
    explain: "A call succeeded with another text than its server had answered: the answer to another call, a late \
        answer to an abandoned call, or a cached one. This is the worst that concurrency can do here, because \
        nothing fails.\n\n\
        Look at the two requests that were in flight together, and at their ids. To fix it, give each answer to the \
        waiter of its id, and drop the waiter when its call is abandoned.\n\n\
        Or a call succeeded that the server never answered: the server died, lost the connection, or sent the call \
        back to be repeated, and the caller does not know. To fix that, repeat the call as the server asks, or pass \
        the failure on.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(CallAnswers::default()) },
};

#[derive(Default)]
struct CallAnswers {
    asked: Vec<UnansweredCall>,
    /// The answer to each running call, and its text if it has one.
    answered: BTreeMap<OpId, (Seq, Option<String>)>,
    /// Calls that a server sent back and that were not repeated yet.
    sent_back: BTreeMap<OpId, Seq>,
    is_garbled: bool,
}

/// A call on the wire without an answer.
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
                    (Outcome::Ok { text: None, .. } | Outcome::Failed(_) | Outcome::Cancelled, _) => {}
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

    /// Judges a call that succeeded with this text.
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

/// Judges a call that succeeded with this text although its server had sent it back.
fn judge_sent_back(now: Seq, operation: OpId, text: &str, sent: Seq, tally: &mut Tally) {
    let because =
        format!("{operation} succeeded at {now}, although its server had sent it back at {sent} for more input");
    let violation = Violation::new("sent-back", because, &[sent, now]);
    tally.broken(if text.is_empty() { violation } else { violation.as_warning() });
}

/// Counter-examples: Whether a call is repeated is the caller's choice. The client may repeat it on another connection,
/// where its old id has no meaning, and more than once if the first repetition was lost. The recorder keeps a message
/// above the size limit without its parameters.
pub(super) const SENT_BACK_KEEPS_STATE: Invariant = Invariant {
    id: "sent-back-call-keeps-state",
    property: Property::Safety,
    level: Level::Must,
    claim: "a repeated call returns the state of the answer that sent it back, under a new id",
    source: "2026-07-28, basic/patterns/mrtr, Client Requirements",
    requirement: &["LC-MRTR-02", "LC-MRTR-03"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::OperationCompleted, Kind::OperationAbandoned],
    vacuous: "no call that a server had sent back was repeated",
    explain: "A stateless server keeps nothing of a call that it sends back: the work so far is in the state that it \
        returns. Without that state the call begins anew; with the state of another round it goes back, and the \
        server never stops sending it back.\n\n\
        Look at the two requests and at the answer between them. To fix it, return the state of the last answer \
        unchanged, and give each round its own request id.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(CallRounds::default()) },
};

#[derive(Default)]
struct CallRounds {
    /// The newest request of each call.
    made: BTreeMap<OpId, CallRound>,
    /// Calls that a server sent back and that were not answered since, with the state of the answer.
    sent_back: BTreeMap<OpId, (Seq, Option<Value>)>,
}

#[derive(PartialEq)]
struct CallRound {
    connection: ConnectionId,
    id: Value,
}

impl Monitor for CallRounds {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let (Some(operation), Some(id)) = (caller_of(message), message.id()) else { return };
                let round = CallRound { connection: connection.clone(), id: id.clone() };
                self.judge(event.seq, operation, message, &round, tally);
                self.made.insert(operation, round);
            }
            EventKind::WireSent { connection, message } => self.answer(event.seq, connection, message),
            EventKind::OperationCompleted { operation, .. } | EventKind::OperationAbandoned { operation, .. } => {
                self.made.remove(operation);
                self.sent_back.remove(operation);
            }
            _ => {}
        }
    }
}

impl CallRounds {
    fn answer(&mut self, seq: Seq, connection: &ConnectionId, message: &Message) {
        let Some(id) = message.id().filter(|_| message.is_response()) else { return };
        let mut made = self.made.iter();
        let is_it = |round: &CallRound| round.connection == *connection && round.id == *id;
        let Some(operation) = made.find(|(_, round)| is_it(round)).map(|(operation, _)| *operation) else { return };
        if sent_back(message).is_some() {
            self.sent_back.insert(operation, (seq, message.at(&["result", "requestState"]).cloned()));
        } else {
            self.sent_back.remove(&operation);
        }
    }

    /// Judges a call that arrived, maybe for the first time.
    fn judge(&self, now: Seq, operation: OpId, request: &Message, round: &CallRound, tally: &mut Tally) {
        let (Some((sent, state)), Some(before)) = (self.sent_back.get(&operation), self.made.get(&operation)) else {
            return;
        };
        let (variant, what) = match (state.as_ref(), request.at(&["params", "requestState"])) {
            (given, returned) if given == returned && *before != *round => return tally.held(),
            (given, returned) if given == returned => ("same-id", "under the same id"),
            (Some(_), None) => ("without-state", "without the state that the server had sent"),
            (Some(_), Some(_)) => ("other-state", "with another state than the server had sent"),
            (None, _) => ("state-made-up", "with a state that no server had sent"),
        };
        let because = format!("the call of {operation} was sent back at {sent} and repeated at {now} {what}");
        tally.broken(Violation::new(variant, because, &[*sent, now]));
    }
}
