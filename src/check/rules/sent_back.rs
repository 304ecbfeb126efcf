//! Calls that a stateless server sends back for more input: each is repeated as itself, with its own state.

use serde_json::Value;

use crate::check::asked_answers::AskedAnswers;
use crate::check::metadata::CAPABILITIES;
use crate::check::operations::sent_back;
use crate::check::outcome::loaded;
use crate::check::parts::parts;
use crate::check::reading::RequestKey;
use crate::check::topics::FIRST_MESSAGE;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{
    ConnectionId, Event, EventKind, ExchangeId, Header, KeySet, Kind, Message, Name, OpId, Outcome, Seq, Source, Table,
};
use crate::plan::Promise;

/// Counter-examples: Whether a call is repeated is the caller's choice. The client may repeat it on another connection,
/// where its old id has no meaning, and more than once if the first repetition was lost. A call that is made once more
/// without an input and without a state is a new call. The recorder keeps a message above the size limit without its
/// parameters. Two calls with the same arguments that were both sent back may be repeated in any order.
pub(super) const SENT_BACK_KEEPS_STATE: Invariant = Invariant {
    id: "sent-back-call-keeps-state",
    property: Property::Safety,
    level: Level::Must,
    claim: "a repeated call returns the state of the answer that sent it back, under a new id, and no other call does",
    source: "2026-07-28, basic/patterns/mrtr, Client Requirements",
    requirement: &["LC-MRTR-02", "LC-MRTR-03", "LC-MRTR-04"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpEnded,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::OperationCompleted,
        Kind::OperationAbandoned,
    ],
    hears: Hears::ALL.from(FIRST_MESSAGE),
    vacuous: "no call that a server had sent back was repeated",
    explain: "A stateless server stores nothing about a call that it sends back: the state that it returns has the \
        work so far. Without that state the call starts from the beginning. With the state of an earlier round the \
        call goes back to that round, and the server sends it back again and again.\n\n\
        Look at the two requests and at the answer between them. To fix it, return the state of the last answer \
        unchanged, and give each round its own request id. Store inputs and state with the call that they belong to, \
        not with the tool or the session.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(CallRounds::default()) },
};

#[derive(Default)]
struct CallRounds {
    /// Repeated calls.
    answers: AskedAnswers,
    /// The requests of each call that were not answered.
    made: Table<CallKey, Vec<CallRound>>,
    /// Calls that servers have sent back; for a call that names its operation, only the newest.
    sent_back: Table<CallKey, Vec<SentBack>>,
    /// The states that servers have sent, and the call that each was sent for.
    given: Vec<(String, Value, CallKey, Seq)>,
    /// The keys of inputs that servers have asked for.
    asked: Vec<(String, String, CallKey, Seq)>,
    /// Calls with an answer that may belong to another client.
    unclear: KeySet<CallKey>,
    /// Whether the recorder kept a call without its parameters.
    has_cut: bool,
}

/// A call: the operation that it names, or its server, method and parameters.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum CallKey {
    Operation(OpId),
    Parameters(String),
}

impl CallKey {
    pub(super) fn of(event: &Event, view: &View, request: &Message) -> Option<Self> {
        let method = request.method()?;
        if request.is_cut() || !matches!(method, "tools/call" | "prompts/get" | "resources/read") {
            return None;
        }
        if let Some(operation) = view.caller_of(request) {
            return Some(Self::Operation(operation));
        }
        let mut params = request.at(&["params"]).cloned().unwrap_or_default();
        if let Some(params) = params.as_object_mut() {
            ["_meta", "requestState", "inputResponses"].iter().for_each(|name| drop(params.remove(*name)));
        }
        Some(Self::Parameters(format!("{} {method} {params}", event.source.server().unwrap_or_default())))
    }
}

struct SentBack {
    sent: Seq,
    state: Option<Value>,
    round: CallRound,
    /// The newest request that repeated the call with this state.
    repeated: Option<RequestKey>,
}

#[derive(Clone, PartialEq)]
struct CallRound {
    connection: ConnectionId,
    id: Value,
    /// The HTTP exchange: two clients of one server may use the same ids at once.
    exchange: Option<ExchangeId>,
}

impl CallRound {
    fn of(event: &Event, view: &View, connection: &ConnectionId, id: &Value) -> Self {
        let exchange = view.carrier(event).map(|carrier| carrier.exchange.clone());
        Self { connection: connection.clone(), id: id.clone(), exchange }
    }

    fn has_same_id(&self, other: &Self) -> bool {
        self.connection == other.connection && self.id == other.id
    }
}

impl Monitor for CallRounds {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.answers.see(event, view);
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                self.has_cut |= message.is_cut();
                let Some(id) = message.id() else { return };
                let Some(call) = CallKey::of(event, view, message) else {
                    return self.judge_other(event, message, tally);
                };
                let round = CallRound::of(event, view, connection, id);
                if !self.has_cut && !self.unclear.contains(&call) {
                    self.judge((event, view), &call, message, &round, tally);
                }
                self.made.entry(call).or_default().push(round);
            }
            EventKind::WireSent { connection, message } => self.answer(event, view, connection, message),
            EventKind::OperationCompleted { operation, .. } | EventKind::OperationAbandoned { operation, .. } => {
                let is_over = |call: &CallKey| matches!(call, CallKey::Operation(of) if of == operation);
                self.made.retain(|call, _| !is_over(call));
                self.sent_back.retain(|call, _| !is_over(call));
            }
            _ => {}
        }
    }
}

impl CallRounds {
    fn answer(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message) {
        let Some(id) = message.id().filter(|_| message.is_response()) else { return };
        let exchange = view.answered(event).map(|carrier| carrier.exchange.clone());
        let answer = CallRound { connection: connection.clone(), id: id.clone(), exchange };
        // If two clients used one id at once, the history does not show which of them the server answers.
        let is_it = |made: &&CallRound| **made == answer;
        let found = self.made.iter().find_map(|(call, made)| Some((call.clone(), made.iter().find(is_it)?.clone())));
        let Some((call, round)) = found else {
            let has_id = |(_, made): &(&CallKey, &Vec<CallRound>)| made.iter().any(|made| made.has_same_id(&answer));
            self.unclear.extend(self.made.iter().filter(has_id).map(|(call, _)| call.clone()));
            return;
        };
        self.made.entry(call.clone()).or_default().retain(|made| *made != round);
        let backs = self.sent_back.entry(call.clone()).or_default();
        if matches!(call, CallKey::Operation(_)) {
            backs.clear();
        }
        if sent_back(message).is_none() {
            return;
        }
        let server = || event.source.server().unwrap_or_default().into();
        let state = message.at(&["result", "requestState"]).cloned();
        self.given.extend(state.iter().map(|state| (server(), state.clone(), call.clone(), event.seq)));
        let asked = message.at(&["result", "inputRequests"]).and_then(Value::as_object).into_iter().flatten();
        self.asked.extend(asked.map(|(key, _)| (server(), key.clone(), call.clone(), event.seq)));
        backs.push(SentBack { sent: event.seq, state, round, repeated: None });
    }

    /// Judges a call that arrived, maybe for the first time.
    fn judge(
        &mut self,
        (event, view): (&Event, &View),
        call: &CallKey,
        request: &Message,
        round: &CallRound,
        tally: &mut Tally,
    ) {
        let now = event.seq;
        let returned = request.at(&["params", "requestState"]);
        if let Some((sent, what)) = self.of_another(event, call, request) {
            let because = format!("{} at {now} carries {what} of {sent}", describe(call, request));
            tally.broken(Violation::new("of-another-call", because, &[sent, now]));
            return;
        }
        let answers = &self.answers;
        let backs = self.sent_back.get_mut(call).map(Vec::as_mut_slice).unwrap_or_default();
        let Some(newest) = backs.last().map(|back| (back.sent, back.state.clone())) else {
            // The state may come from an earlier life of the server, which another journal has.
            let is_first_life = matches!(&event.source, Source::Mock { incarnation: 1, .. });
            if returned.is_some() && is_first_life && self.given.iter().all(|(_, _, of, _)| of != call) {
                let because = format!("{} at {now} carries a state that no server had sent", describe(call, request));
                tally.broken(Violation::new("state-made-up", because, &[now]));
            } else if brings_inputs(request) && is_first_life && self.asked.iter().all(|(_, _, of, _)| of != call) {
                let because =
                    format!("{} at {now} carries inputs for which no server had asked", describe(call, request));
                // The text forbids the inputs of another call, and so also inputs that no server asked for.
                tally.broken(Violation::new("inputs-made-up", because, &[now]).as_warning());
            }
            return;
        };
        let is_new_call = match call {
            CallKey::Operation(_) => false,
            CallKey::Parameters(_) => returned.is_none() && request.at(&["params", "inputResponses"]).is_none(),
        };
        if is_new_call {
            return;
        }
        // A state is used up once the client has read the answer to the call that returned it.
        let has_served = |back: &SentBack| back.repeated.as_ref().is_some_and(|key| answers.read(view, key).is_some());
        let fitting = |(_, back): &(usize, &SentBack)| back.state.as_ref() == returned;
        let fits: Vec<usize> = backs.iter().enumerate().filter(fitting).map(|(index, _)| index).collect();
        let unserved = || fits.iter().copied().filter(|index| !has_served(&backs[*index]));
        let of_new_id = unserved().rfind(|index| !backs[*index].round.has_same_id(round));
        let matching = of_new_id.or_else(|| unserved().next_back());
        let (variant, sent, what) = match (matching, fits.last(), &newest.1, returned) {
            (Some(index), ..) if of_new_id.is_some() => {
                let request = (round.connection.clone(), Name::of(&round.id));
                self.answers.follow(request.clone());
                backs[index].repeated = Some(request);
                return tally.held();
            }
            (Some(index), ..) => ("same-id", backs[index].sent, "under the same id"),
            // Without a state, one more call may be a new one.
            (None, Some(_), _, None) => return,
            (None, Some(index), _, Some(_)) => (
                "state-again",
                backs[*index].sent,
                "with a state that was already used: the client had read the answer to it",
            ),
            (None, None, Some(_), None) => ("without-state", newest.0, "without the state that the server had sent"),
            (None, None, Some(_), Some(_)) => ("other-state", newest.0, "with another state than the server had sent"),
            (None, None, None, _) => ("state-made-up", newest.0, "with a state that no server had sent"),
        };
        let because = format!("{} was sent back at {sent} and repeated at {now} {what}", describe(call, request));
        tally.broken(Violation::new(variant, because, &[sent, now]));
    }

    /// Judges a request of a method that no server may send back.
    fn judge_other(&self, event: &Event, request: &Message, tally: &mut Tally) {
        let server = event.source.server().unwrap_or_default();
        let state = request.at(&["params", "requestState"]);
        let inputs = request.at(&["params", "inputResponses"]).and_then(Value::as_object);
        let mut given = self.given.iter().filter(|(at, given, ..)| at == server && Some(given) == state);
        let of_state = given.next().map(|(.., sent)| (*sent, "the state"));
        let is_given = |key: &String| inputs.is_some_and(|inputs| inputs.contains_key(key));
        let mut asked = self.asked.iter().filter(|(at, key, ..)| at == server && is_given(key));
        let of_inputs = asked.next().map(|(.., sent)| (*sent, "the inputs"));
        if let Some((sent, what)) = of_state.or(of_inputs) {
            let method = request.method().unwrap_or_default();
            let because =
                format!("{method} at {} carries {what} that a call needs, which was sent back at {sent}", event.seq);
            tally.broken(Violation::new("of-another-call", because, &[sent, event.seq]));
        }
    }

    fn was_given(&self, call: &CallKey, state: &Value) -> bool {
        self.given.iter().any(|(_, given, of, _)| given == state && of == call)
    }

    /// The answer to another call whose state or input this request carries, if its own call got neither.
    fn of_another(&self, event: &Event, call: &CallKey, request: &Message) -> Option<(Seq, &'static str)> {
        let server = event.source.server().unwrap_or_default();
        if let Some(state) = request.at(&["params", "requestState"]).filter(|state| !self.was_given(call, state)) {
            let mut given = self.given.iter().filter(|(at, given, ..)| at == server && given == state);
            if let Some((.., sent)) = given.next() {
                return Some((*sent, "the state that was sent for another call in the answer"));
            }
        }
        let inputs = request.at(&["params", "inputResponses"]).and_then(Value::as_object)?;
        let is_own = self.asked.iter().any(|(_, key, of, _)| of == call && inputs.contains_key(key));
        let mut asked = self.asked.iter().filter(|(at, key, ..)| at == server && inputs.contains_key(key));
        asked
            .next()
            .filter(|_| !is_own)
            .map(|(.., sent)| (*sent, "inputs that were asked for another call in the answer"))
    }
}

/// Whether a request carries an input.
fn brings_inputs(request: &Message) -> bool {
    let inputs = request.at(&["params", "inputResponses"]).and_then(Value::as_object);
    inputs.is_some_and(|inputs| !inputs.is_empty())
}

fn describe(call: &CallKey, request: &Message) -> String {
    match call {
        CallKey::Operation(operation) => format!("the call of {operation}"),
        CallKey::Parameters(_) => {
            let id = request.id_text();
            format!("the {} with request id {id}", request.method().unwrap_or_default())
        }
    }
}

/// Counter-examples: A result without a type is complete. Earlier revisions have no types, so a connection with a
/// handshake is not judged. A client that declares the extension for tasks knows results of type `task`.
pub(super) const RESULT_TYPE_KNOWN: Invariant = Invariant {
    id: "result-type-known",
    property: Property::Safety,
    level: Level::Must,
    claim: "no call or load succeeds whose result is of a type that the revision does not have",
    source: "2026-07-28, basic/index, ResultType",
    requirement: &["LC-META-13"],
    applies: AppliesTo::STATELESS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::OperationCompleted, Kind::OperationAbandoned],
    hears: Hears::ALL.from(FIRST_MESSAGE),
    vacuous: "no call that names its operation got a result",
    explain: "The result of a call had a type that the client does not know, and the caller got it as a success. Such \
        a result may contain the promise of a later result, or a question, instead of the result of the tool.\n\n\
        Look at `resultType` in the answer of the witness. To fix it, fail a call whose result is neither complete \
        nor of a type that the client has declared.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ResultTypes::default()) },
};

#[derive(Default)]
struct ResultTypes {
    /// The request of each running call, and whether its client declared tasks.
    asked: Table<OpId, (CallRound, bool)>,
    /// The answer to each running call, and its type if it is unknown.
    answered: Table<OpId, (Seq, Option<String>)>,
    initialized: Vec<ConnectionId>,
    /// Servers that have listed their tools: the unknown type of their lists, unless one was of a known type.
    listed: Table<String, Option<(Seq, String)>>,
}

impl Monitor for ResultTypes {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                if message.is_request("initialize") {
                    self.initialized.push(connection.clone());
                }
                if let (Some(operation), Some(id)) = (view.caller_of(message), message.id())
                    && !self.initialized.contains(connection)
                {
                    let round = CallRound::of(event, view, connection, id);
                    self.asked.insert(operation, (round, has_tasks(message)));
                }
            }
            EventKind::WireSent { connection, message } => {
                parts(message).iter().for_each(|part| self.answer(event.seq, connection, part));
                if !self.initialized.contains(connection) {
                    parts(message).iter().for_each(|part| self.list(event, part));
                }
            }
            EventKind::OperationCompleted { operation, outcome } => {
                self.judge_load(event, view, tally);
                self.asked.swap_remove(operation);
                let Some((sent, unknown)) = self.answered.swap_remove(operation) else { return };
                match (outcome, unknown) {
                    (Outcome::Ok { .. }, Some(kind)) => {
                        let now = event.seq;
                        let because =
                            format!("{operation} succeeded at {now}, and its result of {sent} is of type {kind}");
                        tally.broken(Violation::new("unknown-as-success", because, &[sent, now]));
                    }
                    (Outcome::Ok { .. } | Outcome::Failed(_) | Outcome::Cancelled, _) => tally.held(),
                }
            }
            EventKind::OperationAbandoned { operation, .. } => {
                self.asked.swap_remove(operation);
                self.answered.swap_remove(operation);
            }
            _ => {}
        }
    }
}

impl ResultTypes {
    fn answer(&mut self, sent: Seq, connection: &ConnectionId, answer: &Message) {
        let (Some(id), Some(_)) = (answer.id(), answer.at(&["result"])) else { return };
        let is_it = |round: &CallRound| round.connection == *connection && round.id == *id;
        let found = self.asked.iter().find(|(_, (round, _))| is_it(round));
        let Some((operation, (_, has_tasks))) = found.map(|(operation, asked)| (*operation, asked)) else { return };
        let unknown = unknown_type(answer, *has_tasks);
        self.answered.insert(operation, (sent, unknown));
    }

    fn list(&mut self, event: &Event, answer: &Message) {
        let (Some(server), Some(Value::Array(_))) = (event.source.server(), answer.at(&["result", "tools"])) else {
            return;
        };
        let unknown = unknown_type(answer, false).map(|kind| (event.seq, kind));
        let listed = self.listed.entry(server.to_owned()).or_insert_with(|| unknown.clone());
        *listed = if listed.is_some() { unknown } else { None };
    }

    fn judge_load(&self, event: &Event, view: &View, tally: &mut Tally) {
        let Some((operation, tools, _)) = loaded(event, view) else { return };
        for server in &operation.servers {
            let Some(Some((sent, kind))) = self.listed.get(server) else { continue };
            if tools.iter().any(|tool| tool.server == *server) {
                let because = format!(
                    "{}, invoked at {}, handed out at {} the tools of {server}, whose list of {sent} is of type {kind}",
                    operation.describe(),
                    operation.invoked,
                    event.seq
                );
                let witness = [*sent, operation.invoked, event.seq];
                tally.broken(Violation::new("unknown-as-success", because, &witness));
            }
        }
    }
}

/// The type of a result, if the client does not know it.
fn unknown_type(answer: &Message, has_tasks: bool) -> Option<String> {
    let is_known = |kind: &str| matches!(kind, "complete" | "input_required") || (kind == "task" && has_tasks);
    match answer.at(&["result", "resultType"])? {
        Value::String(kind) => Some(kind.clone()).filter(|kind| !is_known(kind)),
        other => Some(other.to_string()),
    }
}

/// Whether the client of a request declares the extension for tasks.
fn has_tasks(request: &Message) -> bool {
    let declared = request.at(&["params", "_meta", CAPABILITIES]);
    let extensions = declared.and_then(|declared| declared.get("extensions")).and_then(Value::as_object);
    extensions.is_some_and(|extensions| extensions.keys().any(|name| name.ends_with("/tasks")))
}
