//! The revision and generation of a connection: the agreement of its client and server, or the generation of the plan.

use crate::check::{Spoken, View};
use crate::history::ConnectionId;

impl View {
    /// Whether the requests on a connection are stateless, without a handshake and without a session.
    #[must_use]
    pub fn is_stateless(&self, connection: &ConnectionId) -> bool {
        self.generations.is_stateless(connection)
    }

    /// Whether the plan is of the stateless generation; a client may use the other generation.
    #[must_use]
    pub fn is_stateless_plan(&self) -> bool {
        self.generations.is_stateless_plan()
    }

    /// The revision and generation of a connection.
    #[must_use]
    pub fn spoken(&self, connection: &ConnectionId) -> Spoken<'_> {
        match self.agreement(connection) {
            None if self.is_stateless(connection) => Spoken::Stateless,
            None => Spoken::Unknown,
            Some(agreement) => match agreement.revision() {
                Some(revision) => Spoken::Handshake(revision, agreement),
                None => Spoken::Unknown,
            },
        }
    }
}
