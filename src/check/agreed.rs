//! The revision that each connection agreed on.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::parts::parts;
use crate::history::{ConnectionId, Event, EventKind};
use crate::plan::Revision;

/// The version in the newest answer to `initialize` on each connection.
#[derive(Debug, Default)]
pub(super) struct AgreedVersions(BTreeMap<ConnectionId, String>);

impl AgreedVersions {
    /// Takes an event. Only answers matter.
    pub(super) fn see(&mut self, event: &Event) {
        let EventKind::WireSent { connection, message } = &event.kind else { return };
        for part in parts(message).iter() {
            if let Some(version) = part.at(&["result", "protocolVersion"]).and_then(Value::as_str) {
                self.0.insert(connection.clone(), version.to_owned());
            }
        }
    }

    /// The version that a server answered with, whether or not it exists.
    pub(super) fn version(&self, connection: &ConnectionId) -> Option<&str> {
        self.0.get(connection).map(String::as_str)
    }

    /// The same, if it is a revision of the protocol.
    pub(super) fn revision(&self, connection: &ConnectionId) -> Option<Revision> {
        self.version(connection)?.parse().ok()
    }
}
