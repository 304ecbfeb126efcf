//! Turns: whether the client of a pair of pipes waits for each answer before it sends its next request.
//!
//! Over pipes, the mock cannot see what a client has read. If a client never had two requests open at once, and made
//! several requests, it reads its answers: a client that does not read could wait for each answer only by chance. A
//! ping proves nothing, because a timer may send it while no code reads.

use crate::check::View;
use crate::check::parts::parts;
use crate::history::{ConnectionId, Event, EventKind, Table};

/// The turns of each connection.
#[derive(Debug, Default)]
pub(super) struct Turns {
    connections: Table<ConnectionId, Turn>,
}

#[derive(Debug, Default)]
struct Turn {
    n_requests: usize,
    has_overlap: bool,
}

impl Turns {
    /// Takes an event; must get every message of a client and every end of a connection.
    pub(super) fn see(&mut self, event: &Event, view: &View) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let parts = parts(message);
                let requests = || parts.iter().filter(|part| part.is_any_request());
                if requests().next().is_none() {
                    return;
                }
                let n_requests = requests().filter(|part| !part.is_request("ping")).count();
                let n_open = view.connection(connection).map_or(0, |connection| connection.unanswered.len());
                if !self.connections.contains_key(connection) {
                    self.connections.insert(connection.clone(), Turn::default());
                }
                if let Some(turn) = self.connections.get_mut(connection) {
                    turn.n_requests += n_requests;
                    turn.has_overlap |= n_open > 1;
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.connections.swap_remove(connection);
            }
            _ => {}
        }
    }

    /// The number of requests so far, without pings, of a client that takes turns; none for any other.
    pub(super) fn n_requests(&self, connection: &ConnectionId) -> Option<usize> {
        self.connections.get(connection).filter(|turn| !turn.has_overlap).map(|turn| turn.n_requests)
    }
}
