//! Answers to calls: each reaches its caller, and a call that needs input is repeated with its state.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::operations::{caller_of, sent_back};
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Impact, Kind, Message, OpId, Outcome, Seq};
use crate::plan::Promise;

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

/// Counter-examples that shaped it. A call that is not made again is its caller's to know of. It may be made again elsewhere, where its old id
/// says nothing, and more than once, where it was lost. A message above the limit is kept without its parameters.
pub(super) const SENT_BACK_KEEPS_STATE: Invariant = Invariant {
    id: "sent-back-call-keeps-state",
    property: Property::Safety,
    level: Level::Must,
    claim: "a call that is made again returns the state that it was sent back with, under an id of its own",
    source: "2026-07-28, basic/patterns/mrtr, Client Requirements",
    requirement: &["LC-MRTR-02", "LC-MRTR-03"],
    applies: Scope::MODERN,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::OperationCompleted, Kind::OperationAbandoned],
    vacuous: "no call that a server had sent back was made again",
    explain: "A server of this era keeps nothing of a call that it sends back: what it has done so far is in the state that it gives. \
        Without that state the call begins anew, with the state of another round it goes back, and the server asks for ever.\n\n\
        Look at the two requests and at the answer between them. Mend it by taking the state of the last answer as it is, and by making \
        each round a request of its own.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(CallRounds::default()) },
};

#[derive(Default)]
struct CallRounds {
    /// The newest request of each call.
    made: BTreeMap<OpId, CallRound>,
    /// How each call was sent back that was not answered since.
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

    /// A call has arrived, maybe for the first time.
    fn judge(&self, now: Seq, operation: OpId, request: &Message, round: &CallRound, tally: &mut Tally) {
        let (Some((sent, state)), Some(before)) = (self.sent_back.get(&operation), self.made.get(&operation)) else {
            return;
        };
        let (variant, what) = match (state.as_ref(), request.at(&["params", "requestState"])) {
            (given, returned) if given == returned && *before != *round => return tally.held(),
            (given, returned) if given == returned => ("same-id", "under the id that was answered"),
            (Some(_), None) => ("without-state", "without the state that it was sent back with"),
            (Some(_), Some(_)) => ("other-state", "with another state than it was sent back with"),
            (None, _) => ("state-made-up", "with a state that no server gave"),
        };
        let because = format!("the call of {operation} was sent back at {sent} and made again at {now} {what}");
        tally.broken(Violation::new(variant, because, &[*sent, now]));
    }
}
