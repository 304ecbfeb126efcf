//! Responses of clients: to requests that a server made, and to all of them.

use std::time::Duration;

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::carriers::Carrier;
use crate::check::host::is_responsible;
use crate::check::parts::parts;
use crate::check::reading;
use crate::check::turns::Turns;
use crate::check::{
    Agreement, AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness,
};
use crate::history::{
    ConnectionId, Event, EventKind, ExchangeId, Header, KeySet, Kind, KnownMethod, Message, Name, Seq, Table, WireEnd,
};
use crate::plan::Promise;

/// Counter-examples: A response to a request that the server took back may have crossed the notice. After a lost session
/// a response may come on the new one. A client whose POST failed may post its response again. An error without an id
/// answers a message that could not be read, and its code says so. A server that repeats a request under its id gets a
/// response to each. A server that a script made misbehave may have sent a request that is not on record.
pub(super) const RESPONSES_MATCH_REQUESTS: Invariant = Invariant {
    id: "responses-match-requests",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client responds only to requests of its server, once to each, and never in revisions without a handshake",
    source: "2025-11-25, basic/index, Responses; 2026-07-28, basic/transports, Sending Messages: clients send no responses",
    requirement: &["LC-MSG-06", "LC-MSG-11", "LC-MSG-01"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::WireSent,
        Kind::WireReceived,
        Kind::WireEof,
        Kind::ConnectionClosed,
    ],
    hears: Hears::only(&[
        (Kind::HttpReceived, &[]),
        (Kind::HttpAnswered, &[Of::Failure, Of::OtherStatus]),
        (Kind::WireSent, &[Of::AnyRequest, Of::Notice(KnownMethod::Cancelled)]),
        (Kind::WireReceived, &[Of::AnyAnswer]),
    ]),
    vacuous: "no client sent a response",
    explain: "The client sent a response that belongs to no request: its id is not one of the server's, or was answered \
        before. The server waits for the right one until its timeout. A response may also complete a later request that \
        gets the same id.\n\n\
        Look at the id in the witness and at the requests of the server. The usual reasons are an id that was read as \
        text and written as a number, and a handler that runs twice. To fix it, copy the id of the request as it is. \
        Without a handshake, since 2026-07-28, a server sends no requests, so a client sends no responses.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Responses::default()) },
};

/// Codes of errors that answer an unreadable message: a parse error, and an invalid request.
const UNREADABLE: [i64; 2] = [-32700, -32600];

#[derive(Default)]
struct Responses {
    /// Requests of servers, by connection and id.
    asked: Table<(ConnectionId, Name), ServerRequest>,
    /// Ids that each server used, on any connection.
    used: Table<String, KeySet<Name>>,
    /// Exchanges that carried a response and were refused.
    refused: KeySet<(Name, ExchangeId)>,
}

#[derive(Default)]
struct ServerRequest {
    is_taken_back: bool,
    /// How often it was asked and not answered.
    n_unanswered: usize,
    answered: Option<(Seq, Option<Carrier>)>,
}

impl Monitor for Responses {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                let server = event.source.server().unwrap_or_default();
                for part in parts(message).iter() {
                    if let Some(id) = part.id().filter(|_| part.is_any_request()).map(|_| part.id_text()) {
                        self.used.entry(server.to_owned()).or_default().insert(id.clone());
                        let asked = self.asked.entry((connection.clone(), id)).or_default();
                        asked.n_unanswered += 1;
                        asked.is_taken_back = false;
                    }
                    if let Some(id) = part.cancelled_request().map(Name::of) {
                        self.asked.entry((connection.clone(), id)).and_modify(|asked| asked.is_taken_back = true);
                    }
                }
            }
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.method().is_none()) {
                    self.receive(event, view, connection, part, tally);
                }
            }
            EventKind::HttpAnswered { exchange, status, .. } if !(200..300).contains(status) => {
                self.refused.insert((event.source.to_name(), exchange.clone()));
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.asked.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }
}

impl Responses {
    fn was_refused(&self, carrier: Option<&Carrier>) -> bool {
        carrier.is_some_and(|carrier| self.refused.contains(&(carrier.mock.clone(), carrier.exchange.clone())))
    }

    /// Judges a response without the id of a request, while requests are open that could be read.
    fn judge_null(&self, event: &Event, view: &View, connection: &ConnectionId, answer: &Message, tally: &mut Tally) {
        let code = answer.at(&["error", "code"]).and_then(Value::as_i64);
        let is_unread = code.is_none_or(|code| UNREADABLE.contains(&code));
        let is_open = |asked: &ServerRequest| asked.n_unanswered > 0 && !asked.is_taken_back;
        let has_open = self.asked.iter().any(|((of, _), asked)| of == connection && is_open(asked));
        if is_unread || !has_open || !matches!(view.spoken(connection), Spoken::Handshake(..)) {
            return;
        }
        let because = format!(
            "a response with the id null was sent on connection {connection} at {}, where a request of the server was open",
            event.seq
        );
        tally.broken(Violation::new("without-id", because, &[event.seq]));
    }

    fn receive(&mut self, event: &Event, view: &View, connection: &ConnectionId, answer: &Message, tally: &mut Tally) {
        let seq = event.seq;
        let is_response = answer.at(&["result"]).is_some() || answer.at(&["error"]).is_some() || answer.is_cut();
        if is_response && answer.at(&["id"]).is_some_and(Value::is_null) {
            return self.judge_null(event, view, connection, answer, tally);
        }
        let Some(id) = answer.id().filter(|_| is_response).map(|_| answer.id_text()) else { return };
        match view.spoken(connection) {
            Spoken::Stateless => {
                let because = format!(
                    "a response to request {id} was sent on connection {connection} at {seq}, and clients of this revision send none"
                );
                return tally.broken(Violation::new("sent", because, &[seq]));
            }
            Spoken::Unknown => return,
            Spoken::Handshake(..) => {}
        }
        let carrier = view.carrier(event).cloned();
        let server = event.source.server().unwrap_or_default();
        let key = (connection.clone(), id.clone());
        match self.asked.get(&key) {
            Some(ServerRequest { answered: Some((earlier, before)), n_unanswered: 0, .. }) => {
                // Over HTTP, a client posts a response again if the first POST failed. A second response on the same
                // socket shows that the first POST did not fail.
                let is_certain = match (&carrier, before) {
                    (Some(now), Some(before)) => now.mock == before.mock && now.socket == before.socket,
                    (None, None) => true,
                    (Some(_), None) | (None, Some(_)) => false,
                };
                if is_certain && !self.was_refused(before.as_ref()) {
                    let because =
                        format!("request {id} of connection {connection} was answered at {earlier} and again at {seq}");
                    tally.broken(Violation::new("twice", because, &[*earlier, seq]));
                }
            }
            Some(ServerRequest { is_taken_back, .. }) => {
                if !is_taken_back {
                    tally.held();
                }
                self.asked.entry(key).and_modify(|asked| {
                    asked.answered = Some((seq, carrier));
                    asked.n_unanswered = asked.n_unanswered.saturating_sub(1);
                });
            }
            None => {
                let is_known = self.used.get(server).is_some_and(|used| used.contains(&id));
                if !is_known && view.shows_messages(server) {
                    let because = format!(
                        "a response to request {id} was sent on connection {connection} at {seq}, and the server made no such request"
                    );
                    tally.broken(Violation::new("unknown-request", because, &[seq]));
                }
            }
        }
    }
}

/// How many requests of its own a client sends, and for how long, before a missing answer counts.
type Continues = (usize, Duration);
/// For a client that has read the request of its server.
const HAS_READ: Continues = (2, Duration::from_secs(1));
/// For a client that sends one request at a time, without evidence of what it has read. A reader that was blocked by
/// chance reads again within this time.
const MAY_HAVE_READ: Continues = (4, Duration::from_secs(2));

/// Counter-examples: `ping-answered` judges pings. A person may think about a request for input, or for permission to
/// sample, as long as the session lasts, so such a request needs an answer only if the client did not declare the
/// feature. A client that sends no further requests of its own is not judged. A request that was sent shortly before
/// the end may have come too late, and one that the server took back needs no answer. A client may send further requests
/// although it has not read the request of its server. Without evidence that it has read it, the client must send more
/// requests, for a longer time, and wait for the answer to each.
pub(super) const SERVER_REQUESTS_ANSWERED: Invariant = Invariant {
    id: "server-requests-answered",
    property: Property::Liveness,
    level: Level::Should,
    claim: "a client that sends more requests also answers the requests of its server",
    source: "2025-11-25, basic/transports, Sending Messages to the Server; client/roots, Error Handling: an error where it is not supported",
    requirement: &["LC-S2C-01", "LC-S2C-03", "LC-S2C-04", "LC-MSG-01", "LC-MSG-06"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: reading::KINDS,
    hears: Hears::only(&[
        (Kind::HttpReceived, &[]),
        (Kind::HttpEnded, &[]),
        (Kind::OperationCompleted, &[]),
        (Kind::WireSent, &[Of::AnyRequest, Of::Notice(KnownMethod::Cancelled)]),
        (Kind::WireReceived, &[Of::AnyRequest, Of::AnyAnswer]),
    ])
    .sleeping(
        &[(Kind::WireSent, &[Of::AnyRequest])],
        &[(Kind::WireReceived, &[Of::AnyRequest]), (Kind::WireEof, &[Of::Any]), (Kind::ConnectionClosed, &[Of::Any])],
    ),
    vacuous: "no server made a request that had time to be answered",
    explain: "The server asked its client for roots, a completion or input, and never got an answer, although the \
        client continued with requests of its own. The call that needed the answer waits until a timeout.\n\n\
        Look at the request in the witness. A client without a handler often drops the request silently. A client \
        whose reader waits for its own answer never reads the request. To fix it, answer each request that has no \
        handler with the error -32601, and run handlers in other tasks than the reader.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(OwedAnswers::default()) },
};

/// Whether a client may ask a person before it answers.
fn asks_a_person(method: &str, agreement: Option<&Agreement>) -> bool {
    let feature = match method {
        "elicitation/create" => "elicitation",
        "sampling/createMessage" => "sampling",
        _ => return false,
    };
    agreement.is_some_and(|agreement| agreement.of_client(&[feature]).is_some())
}

#[derive(Default)]
struct OwedAnswers {
    turns: Turns,
    owed: Table<(ConnectionId, Name), OwedAnswer>,
}

struct OwedAnswer {
    method: String,
    server: String,
    seq: Seq,
    at_us: u64,
    /// Requests of the client that came later, and the newest of them.
    later: (usize, Seq, u64),
    /// Whether the client had read this request when it sent the newest, and whether it took turns until then.
    is_read: bool,
    takes_turns: bool,
}

impl Monitor for OwedAnswers {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.turns.see(event, view);
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    if let Some(id) = part.cancelled_request() {
                        self.owed.swap_remove(&(connection.clone(), Name::from(id)));
                    }
                    let (Some(id), Some(method)) = (part.id(), part.method().filter(|method| *method != "ping")) else {
                        continue;
                    };
                    if asks_a_person(method, view.agreement(connection)) {
                        continue;
                    }
                    let (seq, at_us) = (event.seq, event.at_us);
                    let server = event.source.server().unwrap_or_default().into();
                    let owed = OwedAnswer {
                        method: method.to_owned(),
                        server,
                        seq,
                        at_us,
                        later: (0, seq, at_us),
                        is_read: false,
                        takes_turns: false,
                    };
                    self.owed.insert((connection.clone(), Name::from(id)), owed);
                }
            }
            EventKind::WireReceived { connection, message } if !self.owed.is_empty() => {
                for part in parts(message).iter() {
                    if part.is_response() {
                        let id = part.id_text();
                        if self.owed.swap_remove(&(connection.clone(), id)).is_some() {
                            tally.held();
                        }
                    } else if part.is_any_request() {
                        for (_, owed) in self.owed.iter_mut().filter(|((of, _), _)| of == connection) {
                            owed.later = (owed.later.0 + 1, event.seq, event.at_us);
                            owed.is_read |= view.reading().has_read(connection, owed.seq).is_some();
                            owed.takes_turns = self.turns.takes_turns(connection);
                        }
                    }
                }
            }
            EventKind::ConnectionClosed { connection, how: WireEnd::ByServer | WireEnd::Broken } => {
                self.owed.retain(|(of, _), _| of != connection);
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, how: WireEnd::ByClient } => {
                self.due(view, tally, |of| of == connection);
                self.owed.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        if is_responsible(view) && !view.is_killed() {
            self.due(view, tally, |_| true);
        }
    }
}

impl OwedAnswers {
    fn due(&self, view: &View, tally: &mut Tally, concerns: impl Fn(&ConnectionId) -> bool) {
        for ((connection, id), owed) in self.owed.iter().filter(|((connection, _), _)| concerns(connection)) {
            let (n_later, later, later_us) = owed.later;
            let waited = Duration::from_micros(later_us.saturating_sub(owed.at_us));
            let (n_min, time) = if owed.is_read { HAS_READ } else { MAY_HAVE_READ };
            let is_due = n_later >= n_min && waited >= time && (owed.is_read || owed.takes_turns);
            if is_due && view.shows_messages(&owed.server) {
                let because = format!(
                    "{} of the server (request {id} on connection {connection}, {}) was never answered, and the client continued with {n_later} requests, the last at {later}",
                    owed.method, owed.seq
                );
                tally.broken(Violation::new("never", because, &[owed.seq, later]).of_bound(time));
            }
        }
    }
}
