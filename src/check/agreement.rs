//! What client and server agreed on when a connection was opened with `initialize`.

use serde_json::Value;

use crate::history::{ConnectionId, Event, EventKind, Message, Seq, Table};
use crate::plan::Revision;

/// One `initialize` and its answer.
#[derive(Debug, Clone)]
pub struct Agreement {
    /// The revision that the client offered, as it wrote it.
    pub offered: Option<String>,
    /// The capabilities of the client.
    pub client: Value,
    /// The answer, once it was sent.
    pub answer: Option<InitializeAnswer>,
    id: Value,
    revision: Option<Revision>,
}

/// The answer to `initialize`.
#[derive(Debug, Clone)]
pub enum InitializeAnswer {
    /// A result.
    Accepted {
        /// The event that sent it.
        sent: Seq,
        /// The revision as the server wrote it, if it wrote one.
        version: Option<Value>,
        /// The capabilities of the server.
        server: Value,
    },
    /// An error.
    Refused(Seq),
}

/// The revision and generation in use on a connection.
pub enum Spoken<'a> {
    /// A revision with a handshake, agreed on this connection.
    Handshake(Revision, &'a Agreement),
    /// A revision without a handshake.
    Stateless,
    /// Nothing was agreed, or the agreement is not known.
    Unknown,
}

impl Agreement {
    /// The revision that both agreed on, if it is known and has a handshake.
    #[must_use]
    pub fn revision(&self) -> Option<Revision> {
        self.revision
    }

    /// A capability of the server, by its path.
    #[must_use]
    pub fn of_server(&self, path: &[&str]) -> Option<&Value> {
        match &self.answer {
            Some(InitializeAnswer::Accepted { server, .. }) => at(server, path),
            Some(InitializeAnswer::Refused(_)) | None => None,
        }
    }

    /// A capability of the client, by its path.
    #[must_use]
    pub fn of_client(&self, path: &[&str]) -> Option<&Value> {
        at(&self.client, path)
    }

    /// Whether one side declared something that the specification does not define.
    #[must_use]
    pub fn has_experiments(&self) -> bool {
        ["experimental", "extensions"]
            .iter()
            .any(|name| is_filled(self.of_client(&[name])) || is_filled(self.of_server(&[name])))
    }
}

fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| value.as_object()?.get(*name))
}

/// Whether a value is an object with a field.
pub(super) fn is_filled(value: Option<&Value>) -> bool {
    value.and_then(Value::as_object).is_some_and(|fields| !fields.is_empty())
}

/// The agreements of all open connections.
#[derive(Debug, Default)]
pub(super) struct Agreements {
    all: Table<ConnectionId, Agreement>,
    n_unanswered: usize,
}

impl Agreements {
    pub(super) fn of(&self, connection: &ConnectionId) -> Option<&Agreement> {
        self.all.get(connection)
    }

    pub(super) fn see(&mut self, event: &Event) {
        match &event.kind {
            EventKind::WireReceived { connection, message } if message.is_request("initialize") => {
                self.asked(connection, message);
            }
            EventKind::WireSent { connection, message } if self.n_unanswered > 0 && message.is_response() => {
                self.answered(event.seq, connection, message);
            }
            _ => {}
        }
    }

    /// Forgets a connection that ended with this event.
    pub(super) fn forget(&mut self, event: &Event) {
        if let EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } = &event.kind
            && self.all.swap_remove(connection).is_some_and(|agreement| agreement.answer.is_none())
        {
            self.n_unanswered -= 1;
        }
    }

    fn asked(&mut self, connection: &ConnectionId, message: &Message) {
        let before = self.all.get(connection).map(|agreement| &agreement.answer);
        // An agreement does not change later.
        if matches!(before, Some(Some(InitializeAnswer::Accepted { .. }))) {
            return;
        }
        self.n_unanswered += usize::from(!matches!(before, Some(None)));
        let param = |name: &str| message.at(&["params", name]);
        let agreement = Agreement {
            offered: param("protocolVersion").and_then(Value::as_str).map(str::to_owned),
            client: param("capabilities").cloned().unwrap_or_default(),
            answer: None,
            id: message.id().cloned().unwrap_or_default(),
            revision: None,
        };
        self.all.insert(connection.clone(), agreement);
    }

    fn answered(&mut self, seq: Seq, connection: &ConnectionId, message: &Message) {
        let unanswered = self.all.get_mut(connection).filter(|agreement| agreement.answer.is_none());
        let Some(agreement) = unanswered.filter(|agreement| message.id() == Some(&agreement.id)) else { return };
        let result = |name: &str| message.at(&["result", name]);
        let version = result("protocolVersion").filter(|_| !message.is_error());
        let revision = version.and_then(|version| version.as_str()?.parse::<Revision>().ok());
        agreement.revision = revision.filter(|revision| *revision <= Revision::NEWEST_HANDSHAKE);
        agreement.answer = Some(if message.is_error() {
            InitializeAnswer::Refused(seq)
        } else {
            InitializeAnswer::Accepted {
                sent: seq,
                version: result("protocolVersion").cloned(),
                server: result("capabilities").cloned().unwrap_or_default(),
            }
        });
        self.n_unanswered -= 1;
    }
}
