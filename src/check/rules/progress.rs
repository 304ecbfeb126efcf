//! Progress: the tokens that a client gives, and the progress that it reports.

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::carriers::Carrier;
use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, KnownMethod, Message, Name, Seq, Table};
use crate::plan::Promise;

/// Counter-examples: A request is active until it is answered or cancelled; a cancellation may be overtaken by the
/// request that takes its token. Requests without a session may be those of several clients. Two sockets have no order,
/// so progress on one of them may overtake the response on the other. After a lost session, progress may come on the
/// new one. A request that runs as a task keeps its token until the
/// task is over. Over HTTP a request may have been refused, and its token is free again.
pub(super) const PROGRESS_TOKENS_VALID: Invariant = Invariant {
    id: "progress-tokens-valid",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client gives each open request a progress token of its own, and reports progress only of open requests of its server",
    source: "2025-11-25, basic/utilities/progress, Progress Flow and Behavior Requirements; the same in all revisions",
    requirement: &["LC-PROG-01", "LC-PROG-02", "LC-PROG-04"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::WireEof,
        Kind::ConnectionClosed,
    ],
    hears: Hears::only(&[
        (Kind::HttpReceived, &[]),
        (Kind::HttpAnswered, &[Of::Failure]),
        (
            Kind::WireReceived,
            &[Of::AnyRequest, Of::AnyAnswer, Of::Notice(KnownMethod::Cancelled), Of::Notice(KnownMethod::Progress)],
        ),
    ]),
    vacuous: "no client gave a progress token or reported progress",
    explain: "Two open requests had the same progress token, so the progress of one reached the caller of the other. \
        Or the client reported progress of a request that its server never made or that was already answered, or \
        reported progress that decreased.\n\n\
        Look at the token in the witness. The usual reasons are a fixed token, a counter for each task, and a handler \
        that continues after its response. To fix it, take the token from the id of the request, and stop reporting \
        once the response was written.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ProgressTokens::default()) },
};

#[derive(Default)]
struct ProgressTokens {
    /// Open requests of clients that have a token, by connection and id.
    open: Table<(ConnectionId, Name), GivenToken>,
    /// Requests that run as tasks, with their ids, by connection and task.
    working: Table<(ConnectionId, Name), (Name, GivenToken)>,
    /// Tokens that servers gave, by connection and token.
    asked: Table<(ConnectionId, Name), AskedProgress>,
}

struct GivenToken {
    token: Name,
    seq: Seq,
    /// An open request that had the same token when this one arrived.
    rival: Option<(Name, Seq)>,
}

struct AskedProgress {
    id: Name,
    server: String,
    is_task: bool,
    newest: Option<(f64, Seq, Option<Carrier>)>,
    responded: Option<(Seq, Option<Carrier>)>,
}

impl Monitor for ProgressTokens {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter() {
                    self.receive(event, view, connection, part, tally);
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    self.send(event, connection, part, tally);
                }
            }
            EventKind::HttpAnswered { .. } => {
                for failed in view.refusals().failed() {
                    self.open.swap_remove(failed);
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.open.retain(|(of, _), _| of != connection);
                self.working.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }
}

impl ProgressTokens {
    fn receive(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message, tally: &mut Tally) {
        let has_clients_in_common = matches!(view.spoken(connection), Spoken::Stateless) && !view.is_line();
        if message.is_any_request() && !has_clients_in_common {
            if let Some(token) = message.at(&["params", "_meta", "progressToken"]) {
                self.give(event.seq, view, connection, (message, token), tally);
            }
        } else if let Some(cancelled) = message.cancelled_request() {
            // The cancellation may have been sent before the request that took the token of the other.
            let id = Name::of(cancelled);
            self.open.swap_remove(&(connection.clone(), id.clone()));
            let is_rival = |given: &GivenToken| given.rival.as_ref().is_some_and(|(rival, _)| *rival == id);
            let of_connection = self.open.iter_mut().filter(|((of, _), _)| of == connection);
            of_connection.filter(|(_, given)| is_rival(given)).for_each(|(_, given)| given.rival = None);
        } else if message.is_notification("notifications/progress") {
            self.report(event, view, connection, message, tally);
        } else if message.is_response() {
            let carrier = view.carrier(event).cloned();
            let id = message.id_text();
            let its =
                self.asked.iter_mut().filter(|((of, _), asked)| of == connection && asked.id == id && !asked.is_task);
            its.for_each(|(_, asked)| asked.responded = Some((event.seq, carrier.clone())));
        }
    }

    fn give(
        &mut self,
        seq: Seq,
        view: &View,
        connection: &ConnectionId,
        (request, token): (&Message, &Value),
        tally: &mut Tally,
    ) {
        let method = request.method().unwrap_or_default();
        if !(token.is_string() || token.is_i64() || token.is_u64()) {
            let because =
                format!("{method} was sent on connection {connection} at {seq} with the progress token {token}");
            return tally.broken(Violation::new("malformed", because, &[seq]));
        }
        let (id, token) = (request.id_text(), Name::of(token));
        let mut others = self.open.iter().filter(|((of, other), _)| of == connection && *other != id);
        let rival = others.find(|(_, given)| given.token == token).map(|((_, id), given)| (id.clone(), given.seq));
        let mut working = self.working.iter().filter(|((of, _), _)| of == connection);
        let rival = rival.or_else(|| {
            working.find(|(_, (_, given))| given.token == token).map(|(_, (id, given))| (id.clone(), given.seq))
        });
        let rival = match rival {
            // Over lines nothing overtakes, so the token is in use.
            Some((rival, earlier)) if view.is_line() => {
                tally.broken(token_of_two(connection, (&rival, earlier), (&id, seq), &token));
                None
            }
            Some(rival) => Some(rival),
            None => {
                tally.held();
                None
            }
        };
        self.open.insert((connection.clone(), id), GivenToken { token, seq, rival });
    }

    fn send(&mut self, event: &Event, connection: &ConnectionId, message: &Message, tally: &mut Tally) {
        for task in ended_tasks(message) {
            self.working.swap_remove(&(connection.clone(), task.into()));
        }
        let Some(id) = message.id().map(|_| message.id_text()) else { return };
        if message.is_response() {
            let Some(given) = self.open.swap_remove(&(connection.clone(), id.clone())) else { return };
            if let Some((rival, earlier)) = &given.rival {
                tally.broken(token_of_two(connection, (rival, *earlier), (&id, given.seq), &given.token));
            }
            if let Some(task) = message.at(&["result", "task", "taskId"]).and_then(Value::as_str) {
                self.working.insert((connection.clone(), task.into()), (id, given));
            }
        } else if let Some(token) = message.at(&["params", "_meta", "progressToken"]) {
            let asked = AskedProgress {
                id,
                server: event.source.server().unwrap_or_default().into(),
                is_task: message.at(&["params", "task"]).is_some(),
                newest: None,
                responded: None,
            };
            self.asked.insert((connection.clone(), Name::of(token)), asked);
        }
    }

    fn report(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message, tally: &mut Tally) {
        let Spoken::Handshake(..) = view.spoken(connection) else { return };
        let seq = event.seq;
        let token = message.at(&["params", "progressToken"]).map(Name::of).unwrap_or_default();
        let server = event.source.server().unwrap_or_default();
        let broken = |variant, what: String, witness: &[Seq]| {
            let because =
                format!("progress of the token {token} was reported on connection {connection} at {seq}{what}");
            Violation::new(variant, because, witness)
        };
        let carrier = view.carrier(event).cloned();
        let Some(asked) = self.asked.get_mut(&(connection.clone(), token.clone())) else {
            let is_known = self.asked.iter().any(|((_, known), asked)| *known == token && asked.server == server);
            if !is_known {
                tally.broken(broken("unknown-token", ", which the server gave in no request".to_owned(), &[seq]));
            }
            return;
        };
        if let Some((responded, _)) = asked.responded.as_ref().filter(|(_, before)| is_later(&carrier, before)) {
            let what = format!(", after the response of {responded}");
            return tally.broken(broken("after-response", what, &[*responded, seq]));
        }
        let Some(progress) = message.at(&["params", "progress"]).and_then(Value::as_f64) else {
            return tally.broken(broken("without-number", " without a number".to_owned(), &[seq]));
        };
        match &asked.newest {
            Some((before, at, on)) if progress <= *before && is_later(&carrier, on) => {
                let what = format!(" as {progress}, after {before} at {at}");
                let violation = broken("not-increasing", what, &[*at, seq]);
                tally.broken(violation);
            }
            Some(_) | None => tally.held(),
        }
        asked.newest = Some((progress, seq, carrier));
    }
}

fn token_of_two(
    connection: &ConnectionId,
    (rival, earlier): (&str, Seq),
    (id, seq): (&str, Seq),
    token: &str,
) -> Violation {
    let because = format!(
        "requests {rival} of {earlier} and {id} of {seq} on connection {connection} were open at once with the progress token {token}"
    );
    Violation::new("token-of-two", because, &[earlier, seq])
}

/// The tasks whose end a message of their server reports.
fn ended_tasks(message: &Message) -> Vec<&str> {
    let of = |outer: &str| {
        let status = message.at(&[outer, "status"]).and_then(Value::as_str);
        let task = message.at(&[outer, "taskId"]).and_then(Value::as_str);
        task.filter(|_| matches!(status, Some("completed" | "failed" | "cancelled")))
    };
    let related = message.at(&["result", "_meta", "io.modelcontextprotocol/related-task", "taskId"]);
    [of("result"), of("params"), related.and_then(Value::as_str)].into_iter().flatten().collect()
}

/// Whether the message of one exchange was sent after the message of another: they share a socket, or there are only
/// lines.
fn is_later(now: &Option<Carrier>, before: &Option<Carrier>) -> bool {
    match (now, before) {
        (Some(now), Some(before)) => now.mock == before.mock && now.socket == before.socket,
        (None, None) => true,
        (Some(_), None) | (None, Some(_)) => false,
    }
}
