//! Turns: whether the client of a pair of pipes waits for each answer before it sends its next request.
//!
//! What a client has read is not visible over pipes. A client that never had two requests open at once, and goes on for
//! some requests, reads its answers: one that does not read would have to wait by chance each time.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::parts::parts;
use crate::history::{ConnectionId, Event, EventKind};

/// The turns of each connection.
#[derive(Debug, Default)]
pub(super) struct Turns {
    connections: BTreeMap<ConnectionId, Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    open: BTreeSet<String>,
    n_requests: usize,
    has_overlap: bool,
}

impl Turns {
    /// Takes an event; must get every message and every end of a connection.
    pub(super) fn see(&mut self, event: &Event) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let turn = self.connections.entry(connection.clone()).or_default();
                for part in parts(message).iter() {
                    if let Some(cancelled) = part.cancelled_request() {
                        turn.open.remove(&cancelled.to_string());
                    } else if let Some(id) = part.id().filter(|_| part.is_any_request()) {
                        turn.has_overlap |= !turn.open.is_empty();
                        turn.n_requests += 1;
                        turn.open.insert(id.to_string());
                    }
                }
            }
            EventKind::WireSent { connection, message } => {
                let Some(turn) = self.connections.get_mut(connection) else { return };
                for id in parts(message).iter().filter(|part| part.is_response()).filter_map(|part| part.id()) {
                    turn.open.remove(&id.to_string());
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.connections.remove(connection);
            }
            _ => {}
        }
    }

    /// The number of requests so far of a client that takes turns; none for any other.
    pub(super) fn n_requests(&self, connection: &ConnectionId) -> Option<usize> {
        self.connections.get(connection).filter(|turn| !turn.has_overlap).map(|turn| turn.n_requests)
    }
}
