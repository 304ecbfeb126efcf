//! How connections speak: over pipes or streams, and in which revision and generation.

use crate::check::{Spoken, View};
use crate::history::ConnectionId;
use crate::plan::Framing;

impl View {
    /// Whether a connection is a pair of pipes.
    #[must_use]
    pub fn is_line(&self) -> bool {
        self.has_framing(Framing::Lines)
    }

    /// Whether the history shows the end of every connection, as for pipes and streams.
    #[must_use]
    pub fn shows_ends(&self) -> bool {
        self.is_line() || self.is_sse()
    }

    fn has_framing(&self, framing: Framing) -> bool {
        self.transport.is_some_and(|transport| transport.usual_framing() == framing)
    }

    /// Whether a connection is a stream of events.
    #[must_use]
    pub fn is_sse(&self) -> bool {
        self.has_framing(Framing::Sse)
    }

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

    /// The revision and generation of a connection: the agreement of its client and server, or the generation of the plan.
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
