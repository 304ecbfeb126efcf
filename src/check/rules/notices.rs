//! Notifications of servers: a client answers none of them, and sends no response to a request that a notification
//! takes back.

use std::time::Duration;

use serde_json::Value;

use crate::check::parts::parts;
use crate::check::reading;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, KnownMethod, Message, Name, Seq, Table};
use crate::plan::Promise;

/// The codes of errors about a message that could not be read, so that its id is unknown.
const UNREADABLE: [i64; 2] = [-32_700, -32_600];

/// Counter-examples: An error without an id may report a message that could not be read. A server that sent a request
/// with a null id gets its answer. Where a script garbles messages, the journal does not show what was answered.
pub(super) const NOTIFICATIONS_UNANSWERED: Invariant = Invariant {
    id: "notifications-unanswered",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client answers no notification",
    source: "2025-11-25, basic/index, Notifications; the same from 2025-03-26",
    requirement: &["LC-MSG-08"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[(Kind::WireSent, &[Of::AnyNotice]), (Kind::WireReceived, &[])])
        .from(&[(Kind::WireSent, &[Of::AnyNotice])]),
    vacuous: "no server sent a notification before the end of its connection",
    explain: "The server sent a notification, and the client answered it with an error, under a null id because a \
        notification has none. The server cannot tell which message the error is about. Some servers treat it as a \
        failure of the whole session and close the session; others fail the call that is in flight.\n\n\
        Look at the error in the witness and at the notifications before it. The usual reason is a dispatcher that sends \
        `method not found` for every message without a handler. To fix it, answer only messages that have an id.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Notified::default()) },
};

#[derive(Default)]
struct Notified {
    /// The newest notification of each server, by connection.
    newest: Table<ConnectionId, Seq>,
    /// Connections whose server sent a request with a null id.
    unnamed: Vec<ConnectionId>,
}

impl Monitor for Notified {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter().filter(|part| part.method().is_some() && part.id().is_none()) {
                    if part.at(&["id"]).is_some() {
                        self.unnamed.push(connection.clone());
                    }
                    self.newest.insert(connection.clone(), event.seq);
                }
            }
            EventKind::WireReceived { connection, message } if !self.newest.is_empty() => {
                let Some(newest) = self.newest.get(connection) else { return };
                let is_shown = view.shows_messages(event.source.server().unwrap_or_default());
                if is_shown && !self.unnamed.contains(connection) && parts(message).iter().any(answers_nothing) {
                    let because = format!(
                        "an error without an id was sent on connection {connection} at {}, after the notification of {newest}",
                        event.seq
                    );
                    tally.broken(Violation::new("answered", because, &[*newest, event.seq]));
                    self.newest.swap_remove(connection);
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                if self.newest.swap_remove(connection).is_some() {
                    tally.held();
                }
                self.unnamed.retain(|of| of != connection);
            }
            _ => {}
        }
    }
}

/// Whether a message is an error about a readable message without an id.
fn answers_nothing(message: &Message) -> bool {
    let code = message.at(&["error", "code"]).and_then(Value::as_i64);
    message.method().is_none() && message.id().is_none() && code.is_some_and(|code| !UNREADABLE.contains(&code))
}

/// Time in which one part of a client may tell another that a request was taken back.
const TOLD_BY_THEN: Duration = Duration::from_millis(500);

/// Counter-examples: A response may cross the notification that takes its request back. However much time has passed, the
/// client may not have read the notification: an answer to a later request of the server, for instance, proves that it
/// has. Then the part of it that reads must still tell the part that works on the request.
pub(super) const TAKEN_BACK_UNANSWERED: Invariant = Invariant {
    id: "taken-back-request-unanswered",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client sends no response to a request that its server took back",
    source: "2025-11-25, basic/utilities/cancellation, Behavior Requirements; the same in all revisions that open with initialize",
    requirement: &["LC-CAN-10"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: reading::KINDS,
    hears: Hears::only(&[
        (Kind::HttpReceived, &[]),
        (Kind::HttpEnded, &[]),
        (Kind::OperationCompleted, &[]),
        (Kind::WireSent, &[Of::AnyRequest, Of::Notice(KnownMethod::Cancelled)]),
        (Kind::WireReceived, &[Of::AnyAnswer]),
    ])
    .from(&[(Kind::WireSent, &[Of::AnyRequest])]),
    vacuous: "no server took back a request that had not been answered",
    explain: "The server took back a request of its own, and the client still answered it, long after it could have \
        read the notification. The handler continued without need: it asked a person, or paid for a completion, \
        although the server no longer waits for the answer. A server that has used the id again mistakes the answer \
        for the answer to another request.\n\n\
        Look at the notification in the witness. To fix it, keep the handler of each request with its id, and end it \
        without an answer when `notifications/cancelled` names the id.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(TakenBack::default()) },
};

#[derive(Default)]
struct TakenBack {
    /// Unanswered requests of servers, by connection and id, with the notification that took each back, and its time.
    asked: Table<(ConnectionId, Name), Option<(Seq, u64)>>,
}

impl Monitor for TakenBack {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    if let Some(id) = part.id().filter(|_| part.is_any_request()) {
                        self.asked.insert((connection.clone(), Name::from(id)), None);
                    } else if let Some(id) = part.cancelled_request() {
                        let asked = self.asked.entry((connection.clone(), Name::from(id)));
                        asked.and_modify(|taken_back| *taken_back = Some((event.seq, event.at_us)));
                    }
                }
            }
            EventKind::WireReceived { connection, message } if !self.asked.is_empty() => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    let id = part.id_text();
                    let asked = self.asked.swap_remove(&(connection.clone(), id.clone()));
                    let Some((taken_back, since_us)) = asked.flatten() else { continue };
                    let Some(read) = view.reading().has_read(connection, taken_back) else { continue };
                    let waited = Duration::from_micros(event.at_us.saturating_sub(since_us));
                    if waited >= TOLD_BY_THEN {
                        let because = format!(
                            "request {id} of the server on connection {connection} was answered at {}, {} ms after the server took it back at {taken_back}, which the client had read at {read}",
                            event.seq,
                            waited.as_millis()
                        );
                        let witness = [taken_back, read, event.seq];
                        tally.broken(Violation::new("answered", because, &witness).of_bound(TOLD_BY_THEN));
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.asked.retain(|(of, _), taken_back| {
                    if of == connection && taken_back.is_some() {
                        tally.held();
                    }
                    of != connection
                });
            }
            _ => {}
        }
    }
}
