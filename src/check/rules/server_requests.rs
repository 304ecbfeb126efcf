//! Requests that a server makes of its client: pings and elicitation.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{
    Action, ConnectionId, Event, EventKind, Header, Kind, KnownMethod, Message, Name, Outcome, Seq, Table,
};
use crate::plan::Promise;

/// Bound on the answer to a ping. The specification says "promptly"; a busy client in Python takes a tenth of this
/// time.
const PROMPT: Duration = Duration::from_secs(1);
/// A client that waits for each of so many answers behind a ping, for so long, has read the ping.
const IN_TURN: usize = 4;
const PASSED: Duration = Duration::from_secs(2);
/// An answer that takes longer than this is late, however busy the client is.
const LATE: Duration = Duration::from_secs(5);

/// Counter-examples: A ping that was sent shortly before the end of the session or of the program may have come too
/// late. A client that shows nothing of what it reads may have stood still for a moment before its end: it counts as awake
/// once it has answered a later request, or completed an operation with a later answer. An answer that is some seconds late
/// is an answer. Over HTTP a ping counts only once it was sent on a stream.
pub(super) const PING_ANSWERED: Invariant = Invariant {
    id: "ping-answered",
    property: Property::Safety,
    level: Level::Must,
    claim: "a ping of the server is answered with an empty result",
    source: "2025-11-25, basic/utilities/ping, Behavior Requirements; the same in all revisions that open with initialize",
    requirement: &["LC-PING-01", "LC-PING-02"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::WireSent,
        Kind::WireReceived,
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::HttpReceived,
        Kind::HttpEnded,
        Kind::OperationInvoked,
        Kind::OperationCompleted,
        Kind::ExitRequested,
        Kind::SignalSent,
    ],
    hears: Hears::only(&[
        (Kind::HttpReceived, &[]),
        (Kind::HttpEnded, &[]),
        (Kind::WireSent, &[Of::Request(KnownMethod::Ping)]),
        (Kind::WireReceived, &[Of::AnyRequest, Of::AnyAnswer]),
        (Kind::OperationInvoked, &[Of::Action(Action::Close)]),
    ])
    .from(&[(Kind::WireSent, &[Of::Request(KnownMethod::Ping)])]),
    vacuous: "no server sent a ping that had time to be answered",
    explain: "A server sent a ping, and its client refused it or never answered. Servers close the sessions of \
        silent clients, so tools vanish during work for no visible reason. A loader fails to answer if no task reads \
        while no call is in flight, if no thread drives its loop, or if it reads the next request only after it has \
        the answer to its own.\n\n\
        Look at the client's activity between the ping and the end. To fix it, read in a separate task for as long \
        as the session lives, also before the answer to `initialize`.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Pings::default()) },
};

#[derive(Default)]
struct Pings {
    /// Unanswered pings.
    open: Table<(ConnectionId, Name), OpenPing>,
    /// The newest answer on each connection with which an operation was completed.
    completed: Table<ConnectionId, Seq>,
}

struct OpenPing {
    sent: Seq,
    at_us: u64,
    /// Number of requests that the client sent since, over pipes, each behind the answer to the one before, and the time of
    /// the newest.
    in_turn: usize,
    newest_us: u64,
    takes_turns: bool,
}

impl OpenPing {
    /// Takes a request of the client.
    fn goes_on(&mut self, event: &Event, is_alone: bool) {
        self.takes_turns &= is_alone;
        (self.in_turn, self.newest_us) = (self.in_turn + 1, event.at_us);
    }

    /// Whether the client has waited for so many answers behind the ping that it has read the ping as well.
    fn is_passed(&self) -> bool {
        let waited = Duration::from_micros(self.newest_us.saturating_sub(self.at_us));
        self.takes_turns && self.in_turn >= IN_TURN && waited >= PASSED
    }
}

impl Monitor for Pings {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                let pings =
                    parts(message).iter().filter_map(ping_id).map(|id| (connection.clone(), id)).collect::<Vec<_>>();
                self.open.extend(pings.into_iter().map(|ping| {
                    let (sent, at_us, takes_turns) = (event.seq, event.at_us, view.is_line());
                    (ping, OpenPing { sent, at_us, in_turn: 0, newest_us: at_us, takes_turns })
                }));
            }
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter() {
                    if part.is_response() {
                        self.answer(event, connection, part, tally);
                    } else if part.is_any_request() && !part.is_request("ping") {
                        let is_alone = view.connection(connection).is_none_or(|known| known.unanswered.len() <= 1);
                        let of_connection = self.open.iter_mut().filter(|((of, _), _)| of == connection);
                        of_connection.for_each(|(_, ping)| ping.goes_on(event, is_alone));
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.end_of_wait(event, view, tally, |of| of == connection);
            }
            EventKind::OperationCompleted { operation, outcome: Outcome::Ok { .. } } => {
                for request in view.operation(*operation).into_iter().flat_map(|operation| &operation.requests) {
                    let newest = self.completed.get(&request.connection).copied();
                    if let Some(answered) = request.answered.max(newest) {
                        self.completed.insert(request.connection.clone(), answered);
                    }
                }
            }
            EventKind::OperationInvoked { action: Action::Close, .. }
            | EventKind::ExitRequested { .. }
            | EventKind::SignalSent { .. } => self.end_of_wait(event, view, tally, |_| true),
            _ => {}
        }
    }

    fn end(&self, _view: &View, tally: &mut Tally) {
        if let Some((_, OpenPing { sent, .. })) = self.open.first() {
            tally.open(format!("a ping of {sent} was not answered yet"), &[*sent]);
        }
    }
}

fn ping_id(message: &Message) -> Option<Name> {
    if message.is_request("ping") { message.id().map(|_| message.id_text()) } else { None }
}

impl Pings {
    fn answer(&mut self, event: &Event, connection: &ConnectionId, answer: &Message, tally: &mut Tally) {
        let now = event.seq;
        let Some(id) = answer.id().map(|_| answer.id_text()) else { return };
        let Some(OpenPing { sent, at_us: sent_us, .. }) = self.open.swap_remove(&(connection.clone(), id)) else {
            return;
        };
        match answer.at(&["result"]).and_then(Value::as_object) {
            Some(result) if result.keys().all(|key| key == "_meta") => {
                let waited = Duration::from_micros(event.at_us.saturating_sub(sent_us));
                if waited < LATE {
                    return tally.held();
                }
                let because = format!("the ping of {sent} was answered {} ms later, at {now}", waited.as_millis());
                tally.broken(Violation::new("late", because, &[sent, now]).as_warning().of_bound(LATE));
            }
            Some(_) => {
                let because = format!("the ping of {sent} was answered at {now} with a result that is not empty");
                tally.broken(Violation::new("not-empty", because, &[sent, now]).as_warning());
            }
            None => {
                let because = format!("the ping of {sent} was refused at {now}");
                tally.broken(Violation::new("refused", because, &[sent, now]));
            }
        }
    }

    /// Ends the wait for answers on the connections for which the predicate holds.
    fn end_of_wait(&mut self, event: &Event, view: &View, tally: &mut Tally, concerns: impl Fn(&ConnectionId) -> bool) {
        self.open.retain(|(connection, _), ping| {
            let OpenPing { sent, at_us, .. } = &*ping;
            let is_over = concerns(connection);
            let waited = Duration::from_micros(event.at_us.saturating_sub(*at_us));
            let has_gone_on = self.completed.get(connection).is_some_and(|answered| answered > sent);
            let is_shown = has_gone_on || view.reading().has_read(connection, *sent).is_some();
            let least = if is_shown || ping.is_passed() { PROMPT } else { LATE };
            if is_over && waited >= least {
                let ms = waited.as_millis();
                let because = format!("the ping of {sent} had not been answered after {ms} ms, at {}", event.seq);
                let violation = Violation::new("never", because, &[*sent, event.seq]).of_bound(PROMPT);
                // A client that takes turns has probably read the ping.
                tally.broken(if is_shown || waited >= LATE { violation } else { violation.as_warning() });
            }
            !is_over
        });
    }
}

/// Counter-examples: A value that a person entered need not be the default. An answer may leave out a field without a
/// default.
pub(super) const DEFAULTS_APPLIED: Invariant = Invariant {
    id: "defaults-applied",
    property: Property::Safety,
    level: Level::Own,
    claim: "accepted input has a value for each field that has a default",
    source: "2025-11-25, client/elicitation, Requested Schema; a field with a default has a value",
    requirement: &["LC-INIT-12"],
    applies: AppliesTo::HANDSHAKE.of_clients(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::WireReceived],
    hears: Hears::only(&[
        (Kind::WireSent, &[Of::Request(KnownMethod::ElicitationCreate)]),
        (Kind::WireReceived, &[Of::AnyAnswer]),
    ])
    .from(&[(Kind::WireSent, &[Of::Request(KnownMethod::ElicitationCreate)])]),
    vacuous: "no request for input with defaults was answered",
    explain: "The server requested input, with defaults for its fields, and the answer left out such a field or did \
        not accept the request. A server that relies on its defaults then has no value.\n\n\
        Look at the answer and at the schema in the request. To fix it, fill in the defaults before you send the \
        answer, and advertise that support in `initialize`.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ElicitedDefaults::default()) },
};

#[derive(Default)]
struct ElicitedDefaults {
    /// Requests for input, by connection and id: the fields with a default, and the event.
    asked: Table<(ConnectionId, Name), (Vec<String>, Seq)>,
}

impl Monitor for ElicitedDefaults {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } if message.is_request("elicitation/create") => {
                let fields = fields_with_default(message);
                if let (Some(id), false) = (message.id(), fields.is_empty()) {
                    self.asked.insert((connection.clone(), Name::from(id)), (fields, event.seq));
                }
            }
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    self.answered(event.seq, connection, part, tally);
                }
            }
            _ => {}
        }
    }
}

impl ElicitedDefaults {
    fn answered(&mut self, seq: Seq, connection: &ConnectionId, answer: &Message, tally: &mut Tally) {
        let id = answer.id_text();
        let Some((fields, asked)) = self.asked.swap_remove(&(connection.clone(), id)) else { return };
        let action = answer.at(&["result", "action"]).and_then(Value::as_str);
        // A person may refuse.
        if matches!(action, Some("decline" | "cancel")) {
            return;
        }
        if action != Some("accept") {
            let because = format!("the input requested at {asked} was not given at {seq}");
            return tally.broken(Violation::new("not-accepted", because, &[asked, seq]));
        }
        let content = answer.at(&["result", "content"]).and_then(Value::as_object);
        let is_missing = |field: &&String| content.is_none_or(|content| !content.contains_key(*field));
        match fields.iter().find(is_missing) {
            None => tally.held(),
            Some(field) => {
                let because = format!("{field}, which has a default at {asked}, was left out at {seq}");
                tally.broken(Violation::new("left-out", because, &[asked, seq]));
            }
        }
    }
}

fn fields_with_default(request: &Message) -> Vec<String> {
    let properties = request.at(&["params", "requestedSchema", "properties"]).and_then(Value::as_object);
    let has_default =
        |schema: &Value| schema.as_object().is_some_and(|schema: &Map<_, _>| schema.contains_key("default"));
    let fields = properties.into_iter().flatten().filter(|(_, schema)| has_default(schema));
    fields.map(|(name, _)| name.clone()).collect()
}
