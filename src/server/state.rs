//! The state that both framings share.

use crate::server::batch::Batches;
use crate::server::cause::Place;
use crate::server::connections::Connections;
use crate::server::outbox::Outbox;

/// Connections, batches and effects, independent of the framing.
#[derive(Debug)]
pub(super) struct ServerState {
    pub connections: Connections,
    pub batches: Batches,
    pub outbox: Outbox,
    pub wakeups: Wakeups,
}

/// Events that may resume held tasks, until the machine resumes those tasks.
#[derive(Debug, Default)]
pub(super) struct Wakeups {
    /// Connections on which the server sent an answer.
    answered: Vec<u64>,
    /// Connections on which an MCP task may have ended.
    worked: Vec<u64>,
}

impl Wakeups {
    /// The server is about to send an answer.
    pub(super) fn note_answer(&mut self, place: Place) {
        self.answered.extend(place.connection);
    }

    /// An MCP task of a connection may have ended.
    pub(super) fn note_work(&mut self, number: u64) {
        self.worked.push(number);
    }

    /// The connection of the newest answer.
    pub(super) fn pop_answered(&mut self) -> Option<u64> {
        self.answered.pop()
    }

    /// The connection of the newest end of an MCP task.
    pub(super) fn pop_worked(&mut self) -> Option<u64> {
        self.worked.pop()
    }
}
