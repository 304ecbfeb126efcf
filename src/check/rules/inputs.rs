//! The input that a stateless server requires before it continues a call.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::check::operations::sent_back;
use crate::check::rules::sent_back::CallKey;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Name, Seq, Table};
use crate::plan::Promise;

/// Counter-examples: A call that is made once more without an input and without a state is a new call. An answer that
/// requires no input may be repeated at once. Two calls with the same arguments that were both sent back may be repeated
/// in any order, so any of their answers that fits is meant. `sent-back-call-keeps-state` judges the state. A person may
/// decline: that is an input, too. A client may bring the inputs of earlier rounds once more.
pub(super) const SENT_BACK_HAS_INPUTS: Invariant = Invariant {
    id: "sent-back-call-has-inputs",
    property: Property::Safety,
    level: Level::Must,
    claim: "a repeated call brings every input that its server asked for",
    source: "2026-07-28, basic/patterns/mrtr, Client Requirements",
    requirement: &["LC-MRTR-01"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent],
    hears: Hears::ALL,
    vacuous: "no call was repeated for which a server had asked for input",
    explain: "The server sent a call back and asked for some inputs, each under a key. The client repeated the call \
        before it had all of them, or sent one under another key. The server then asks the person again, or continues \
        without an input that it needs.\n\n\
        Look at `inputRequests` in the answer and at `inputResponses` in the repeated call. To fix it, wait for every \
        handler, and give each result the key of its request.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RequiredInputs::default()) },
};

#[derive(Default)]
struct RequiredInputs {
    made: Table<(ConnectionId, Name), CallKey>,
    asked: Table<CallKey, Vec<AskedInputs>>,
}

struct AskedInputs {
    sent: Seq,
    state: Option<Value>,
    keys: BTreeSet<String>,
}

impl Monitor for RequiredInputs {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let (Some(call), Some(id)) = (CallKey::of(event, view, message), message.id()) else { return };
                self.judge(event.seq, &call, message, tally);
                self.made.insert((connection.clone(), Name::from(id)), call);
            }
            EventKind::WireSent { connection, message } if message.is_response() => {
                let key = (connection.clone(), message.id_text());
                let Some(call) = self.made.swap_remove(&key).filter(|_| sent_back(message).is_some()) else { return };
                let state = message.at(&["result", "requestState"]).cloned();
                let asked = message.at(&["result", "inputRequests"]).and_then(Value::as_object);
                let keys = asked.into_iter().flatten().map(|(key, _)| key.clone()).collect();
                self.asked.entry(call).or_default().push(AskedInputs { sent: event.seq, state, keys });
            }
            _ => {}
        }
    }
}

impl RequiredInputs {
    fn judge(&mut self, now: Seq, call: &CallKey, request: &Message, tally: &mut Tally) {
        let state = request.at(&["params", "requestState"]);
        let given = request.at(&["params", "inputResponses"]).and_then(Value::as_object);
        if state.is_none() && given.is_none() {
            return;
        }
        let Some(asked) = self.asked.get(call) else { return };
        let has = |key: &String| given.is_some_and(|given| given.contains_key(key));
        let fitting = || asked.iter().filter(|asked| asked.state.as_ref() == state);
        let Some(newest) = fitting().next_back() else { return };
        if fitting().any(|asked| asked.keys.iter().all(has)) {
            let was_asked = |key: &&String| asked.iter().any(|asked| asked.keys.contains(*key));
            if let Some(key) = given.into_iter().flatten().map(|(key, _)| key).find(|key| !was_asked(key)) {
                let because = format!(
                    "{} was sent back at {}, and repeated at {now} with the input {key}, for which its server has not asked",
                    request.method().unwrap_or_default(),
                    newest.sent
                );
                tally.broken(Violation::new("unasked-input", because, &[newest.sent, now]).as_warning());
                return;
            }
            // Without a key there was nothing to bring.
            if !newest.keys.is_empty() {
                tally.held();
            }
            return;
        }
        let missing: Vec<&str> = newest.keys.iter().filter(|key| !has(key)).map(String::as_str).collect();
        let because = format!(
            "{} was sent back at {} for the inputs {}, and repeated at {now} without {}",
            request.method().unwrap_or_default(),
            newest.sent,
            newest.keys.iter().map(String::as_str).collect::<Vec<_>>().join(", "),
            missing.join(", ")
        );
        tally.broken(Violation::new("without-input", because, &[newest.sent, now]));
    }
}

/// Rounds after which a client should have stopped.
const ROUNDS_MAX: usize = 50;

/// Counter-examples: A conversation may take many rounds, each with a question for a person. Only a call that was sent
/// back more often than any person would answer is judged.
pub(super) const SENT_BACK_BOUNDED: Invariant = Invariant {
    id: "sent-back-call-bounded",
    property: Property::Safety,
    level: Level::OwnResource,
    claim: "a client gives up a call that its server always sends back",
    source: "2026-07-28, basic/patterns/mrtr, Server Requirements: a server may ask on every attempt",
    requirement: &["LC-MRTR-05"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived],
    hears: Hears::ALL,
    vacuous: "no call that a server had sent back was repeated",
    explain: "A server may send a call back on every attempt. The client repeated one call more than fifty times, so \
        it has no limit: its caller waits forever, and client and server keep each other busy.\n\n\
        Look at the calls with the same arguments and a state. To fix it, count the rounds of a call, and fail it \
        above a limit that the caller can set.",
    start: |_: &Header| -> Box<dyn Monitor> {
        let mut rounds: Table<CallKey, (usize, Seq)> = Table::default();
        Box::new(move |event: &Event, view: &View, tally: &mut Tally| {
            let EventKind::WireReceived { message, .. } = &event.kind else { return };
            let is_repeated =
                ["requestState", "inputResponses"].iter().any(|name| message.at(&["params", name]).is_some());
            let Some(call) = CallKey::of(event, view, message).filter(|_| is_repeated) else { return };
            let (n, first) = rounds.entry(call).or_insert((0, event.seq));
            *n += 1;
            if *n <= ROUNDS_MAX {
                return tally.held();
            }
            let method = message.method().unwrap_or_default();
            let because = format!(
                "{method} was repeated {n} times from {first} to {}, each time with what its server had asked for",
                event.seq
            );
            tally.broken(Violation::new("endless", because, &[*first, event.seq]));
        })
    },
};
