//! The connections of a trace.
//!
//! A line names its connection, or at least its session. A trace that names neither has one connection for each server.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::line::{Direction, LineError, TraceLine, says_revision};
use crate::history::{ConnectionId, Message};

/// Every connection so far.
#[derive(Default)]
pub(super) struct Connections {
    /// By server and the name that its lines give; without a name, the newest that no line has named.
    by_name: BTreeMap<(String, Option<Name>), usize>,
    all: Vec<Known>,
    ids: BTreeSet<String>,
}

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Name {
    Connection(String),
    Session(String),
}

struct Known {
    id: ConnectionId,
    /// Whether its beginning is on record.
    begins: bool,
    initialize: Option<Initialize>,
    /// The name of the client in the metadata of its requests.
    client: Option<Value>,
}

/// The newest `initialize` of a connection.
struct Initialize {
    line: usize,
    id: Option<Value>,
    is_refused: bool,
}

impl Connections {
    /// The connection of a line, and whether it is the first line of it.
    pub(super) fn of(
        &mut self,
        line: &TraceLine<'_>,
        server: &str,
        direction: Direction,
        message: &Message,
    ) -> Result<(ConnectionId, bool), LineError> {
        let name = match (line.connection()?, line.session()?) {
            (Some(connection), _) => Some(Name::Connection(connection)),
            (None, Some(session)) => Some(Name::Session(session)),
            (None, None) => None,
        };
        let n_before = self.all.len();
        let index = self.index(server, name.clone(), direction, message);
        let known = &mut self.all[index];
        known.take(direction, message);
        if let (None, Direction::ToServer) = (name, direction) {
            known.check_alone(line, server, message)?;
        }
        if direction == Direction::ToServer && message.is_request("initialize") {
            let id = message.id().cloned();
            known.initialize = Some(Initialize { line: line.number, id, is_refused: false });
        }
        Ok((known.id.clone(), self.all.len() > n_before))
    }

    /// Whether the trace shows the beginning of every connection.
    pub(super) fn have_beginnings(&self) -> bool {
        self.all.iter().all(|known| known.begins)
    }

    fn index(&mut self, server: &str, name: Option<Name>, direction: Direction, message: &Message) -> usize {
        let key = (server.to_owned(), name);
        if let Some(index) = self.by_name.get(&key) {
            return *index;
        }
        // Over HTTP the server gives the session an id in its answer, so `initialize` had none.
        let unnamed = (server.to_owned(), None);
        if matches!(key.1, Some(Name::Session(_)))
            && let Some(index) = self.by_name.get(&unnamed).copied()
            && self.all[index].is_opened_by(direction, message)
        {
            self.by_name.remove(&unnamed);
            self.by_name.insert(key, index);
            return index;
        }
        let id = self.new_id(server, key.1.as_ref());
        self.by_name.insert(key, self.all.len());
        self.all.push(Known { id, begins: false, initialize: None, client: None });
        self.all.len() - 1
    }

    /// The name that the lines give, as far as no other server has it.
    fn new_id(&mut self, server: &str, name: Option<&Name>) -> ConnectionId {
        let number = self.all.len() + 1;
        let plain = match name {
            Some(Name::Connection(name) | Name::Session(name)) => name.clone(),
            None => format!("c{number}"),
        };
        let ids = [plain.clone(), format!("{server}/{plain}"), format!("{server}/{plain}/{number}")];
        let free = ids.into_iter().find(|id| !self.ids.contains(id)).unwrap_or_else(|| format!("connection {number}"));
        self.ids.insert(free.clone());
        ConnectionId(free.into())
    }
}

impl Known {
    fn take(&mut self, direction: Direction, message: &Message) {
        let begins = |part: &Message| part.is_request("initialize") || says_revision(part);
        match direction {
            Direction::ToServer => self.begins |= begins(message) || message.is_request("server/discover"),
            Direction::ToClient => {
                if let Some(initialize) = &mut self.initialize
                    && message.is_error()
                    && message.id() == initialize.id.as_ref()
                {
                    initialize.is_refused = true;
                }
            }
        }
    }

    /// Whether a line with a session belongs to this connection, whose lines have had none so far.
    fn is_opened_by(&self, direction: Direction, message: &Message) -> bool {
        let Some(initialize) = &self.initialize else { return false };
        match direction {
            Direction::ToClient => message.id() == initialize.id.as_ref() || message.method().is_some(),
            Direction::ToServer => !message.is_request("initialize"),
        }
    }

    /// Refuses what shows that lines without a name are of several connections: their order would prove nothing.
    fn check_alone(&mut self, line: &TraceLine<'_>, server: &str, message: &Message) -> Result<(), LineError> {
        let expected =
            "expected `connection` or `session` on each line, because the lines are of more than one connection";
        if let Some(before) =
            self.initialize.as_ref().filter(|before| !before.is_refused && message.is_request("initialize"))
        {
            let found = format!("found a second initialize of server {server} after the one on line {}", before.line);
            return Err(line.error("initialize", format!("{found}, {expected}")));
        }
        let client = message.at(&["params", "_meta", "io.modelcontextprotocol/clientInfo"]);
        match (&self.client, client) {
            (Some(before), Some(found)) if before != found => {
                let found = format!("found client {found} of server {server} after client {before}");
                Err(line.error("message", format!("{found}, {expected}")))
            }
            (None, Some(found)) => {
                self.client = Some(found.clone());
                Ok(())
            }
            (Some(_) | None, Some(_) | None) => Ok(()),
        }
    }
}
