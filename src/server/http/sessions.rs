//! The sessions that the server has opened.

use std::collections::HashMap;

use crate::history::SessionId;
use crate::server::connection::Connection;

/// The open sessions, each with the number of its connection.
#[derive(Debug)]
pub(super) struct Sessions {
    prefix: String,
    open: HashMap<SessionId, u64>,
    /// The session that the server opened last.
    last: Option<SessionId>,
}

impl Sessions {
    /// No session yet; their ids begin with `prefix`.
    pub(super) fn new(prefix: String) -> Self {
        Self { prefix, open: HashMap::new(), last: None }
    }

    /// The number of the connection of a session.
    pub(super) fn connection(&self, session: &SessionId) -> Option<u64> {
        self.open.get(session).copied()
    }

    /// Opens the session of a connection, unless it has one.
    pub(super) fn open(&mut self, number: u64, connection: &mut Connection) -> Option<SessionId> {
        if connection.session.is_some() {
            return None;
        }
        let last = self.last.clone().filter(|_| connection.repeats_session);
        let session = last.unwrap_or_else(|| SessionId(format!("{}-{number}", self.prefix).into()));
        connection.session = Some(session.clone());
        self.open.insert(session.clone(), number);
        self.last = Some(session.clone());
        Some(session)
    }

    pub(super) fn close(&mut self, session: &SessionId) {
        self.open.remove(session);
    }
}
