//! The request ids that each connection has used.

use serde_json::Value;

use crate::check::digests::Digests;
use crate::check::metadata::CLIENT;
use crate::check::parts::parts;
use crate::check::{Monitor, Tally, View, Violation};
use crate::history::{ConnectionId, Event, EventKind, Message, Name, Seq, SocketId, Table};

/// Judges that no id is used twice.
#[derive(Default)]
pub(super) struct UsedIds {
    connections: Table<ConnectionId, Used>,
}

/// The ids of one connection, each with the event that used it last.
#[derive(Default)]
struct Used {
    /// Those of a session, and those that only one client can have.
    of_all: Digests,
    of_clients: Table<(Name, Client), Seq>,
}

/// The socket that carried a request over HTTP, and what its client calls itself. Both are empty in a session, and for an id
/// that only one client can have.
type Client = (Option<SocketId>, Option<Name>);

impl Monitor for UsedIds {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let counts =
                    |part: &&Message| view.is_stateless(connection) || part.method() != Some("server/discover");
                for part in parts(message).iter().filter(|part| part.is_any_request()).filter(counts) {
                    self.receive(event, view, connection, part, tally);
                }
            }
            EventKind::WireSent { connection, message } if view.is_stateless(connection) => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    if let Some(id) = part.id().and_then(text_of_id) {
                        self.free(connection, &id);
                    }
                }
            }
            EventKind::HttpAnswered { .. } => {
                for (connection, id) in view.refusals().now() {
                    self.free_written(connection, id);
                }
            }
            EventKind::HttpEnded { .. } => {
                // A dropped stream cancels a request only where there is no session.
                for (connection, id) in view.refusals().dropped().iter().filter(|(on, _)| view.is_stateless(on)) {
                    self.free_written(connection, id);
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.connections.swap_remove(connection);
            }
            _ => {}
        }
    }
}

impl UsedIds {
    fn receive(&mut self, event: &Event, view: &View, connection: &ConnectionId, request: &Message, tally: &mut Tally) {
        let Some(id) = request.id().and_then(text_of_id) else { return };
        let client = client_of(request, connection, event, view);
        if !self.connections.contains_key(connection) {
            self.connections.insert(connection.clone(), Used::default());
        }
        let Some(used) = self.connections.get_mut(connection) else { return };
        let before = match client {
            (None, None) => used.of_all.insert(&id, event.seq),
            client => used.of_clients.insert((id.clone(), client), event.seq),
        };
        match before {
            None => tally.held(),
            Some(first) => {
                let because = format!(
                    "request id {id} was used on connection {connection} at {first} and again at {}",
                    event.seq
                );
                tally.broken(Violation::new("used-twice", because, &[first, event.seq]));
            }
        }
    }

    /// An id is free again that was written so, or as the same number without a fraction.
    fn free_written(&mut self, connection: &ConnectionId, id: &str) {
        self.free(connection, id);
        if let Some(whole) = id.strip_suffix(".0") {
            self.free(connection, whole);
        }
    }

    fn free(&mut self, connection: &ConnectionId, id: &str) {
        if let Some(used) = self.connections.get_mut(connection) {
            used.of_all.remove(id);
            used.of_clients.retain(|(of, _), _| of != id);
        }
    }
}

/// The client of a request, as far as the history proves it. Without sessions, all messages that a server receives over
/// HTTP are one connection, whichever client sent them. Two sockets with one name may be one client with a pool of
/// them, or two processes of one program. One socket with two names is a proxy.
fn client_of(request: &Message, connection: &ConnectionId, event: &Event, view: &View) -> Client {
    if !view.is_stateless(connection) || request.id().and_then(Value::as_str).is_some_and(is_random) {
        return (None, None);
    }
    let socket = view.carrier(event).map(|carrier| carrier.socket.clone());
    (socket, request.at(&["params", "_meta", CLIENT]).map(Name::of))
}

/// Whether a text is a UUID of random bits (version 4) or of a time and random bits (version 7).
fn is_random(id: &str) -> bool {
    let groups: Vec<&str> = id.split('-').collect();
    let is_hex = |group: &str| group.bytes().all(|byte| byte.is_ascii_hexdigit());
    groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12])
        && groups.iter().all(|group| is_hex(group))
        && groups[2].starts_with(['4', '7'])
        && groups[3].to_ascii_lowercase().starts_with(['8', '9', 'a', 'b'])
}

/// The text of an id, in which 7.0 is 7; none for a number that a reader may know only roughly.
fn text_of_id(id: &Value) -> Option<Name> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    match id.as_f64().filter(|_| id.is_f64()) {
        Some(number) => (number.fract() == 0.0 && number.abs() < EXACT).then(|| Name::of(format_args!("{number:.0}"))),
        None => Some(Name::from(id)),
    }
}
