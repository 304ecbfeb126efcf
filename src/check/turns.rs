//! Turns: whether a client waits for each answer before it sends its next request.
//!
//! Over pipes, the mock cannot see what a client has read. A client that never had two requests open at once probably
//! reads its answers. That is a hint and not evidence, because a timer may send requests while no code reads. A ping is
//! not even a hint.

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
    has_asked: bool,
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
                let has_asked = requests().any(|part| !part.is_request("ping"));
                let n_open = view.connection(connection).map_or(0, |connection| connection.unanswered.len());
                if !self.connections.contains_key(connection) {
                    self.connections.insert(connection.clone(), Turn::default());
                }
                if let Some(turn) = self.connections.get_mut(connection) {
                    turn.has_asked |= has_asked;
                    turn.has_overlap |= n_open > 1;
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.connections.swap_remove(connection);
            }
            _ => {}
        }
    }

    /// Whether a client has made requests, without pings, and each after the answer to the one before.
    pub(super) fn takes_turns(&self, connection: &ConnectionId) -> bool {
        self.connections.get(connection).is_some_and(|turn| turn.has_asked && !turn.has_overlap)
    }
}
