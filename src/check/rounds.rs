//! Calls that a server sends back, to be made again.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::operations::caller_of;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, OpId, Seq};
use crate::plan::Promise;

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

/// What kind of result an answer has, where it sends its call back.
const SENT_BACK: &str = "input_required";

/// The id of the request that an answer sends back.
pub(super) fn sent_back(answer: &Message) -> Option<&Value> {
    let kind = answer.at(&["result", "resultType"]).and_then(Value::as_str);
    answer.id().filter(|_| kind == Some(SENT_BACK))
}

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
