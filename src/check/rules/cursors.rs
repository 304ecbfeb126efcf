//! Cursors: where a list continues.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, KeySet, Kind, KnownMethod, Message, Name, Table};
use crate::plan::Promise;

/// Counter-examples: A client may ask for the same page again, also later. The recorder keeps a long answer without its
/// cursor, so the cursors of a session with such an answer are unknown. Since 2026-07-28 there are no sessions, and a
/// cursor of a server is good on each of its connections.
pub(super) const CURSOR_OF_SESSION: Invariant = Invariant {
    id: "cursor-of-session",
    property: Property::Safety,
    level: Level::Must,
    claim: "a list continues with a cursor that its server gave for this list in this session",
    source: "2025-11-25, server/utilities/pagination, Implementation Guidelines: cursors are opaque; the same in all revisions",
    requirement: &["LC-SESS-10"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent],
    hears: Hears::only(&[
        (
            Kind::WireReceived,
            &[
                Of::Request(KnownMethod::ToolsList),
                Of::Request(KnownMethod::PromptsList),
                Of::Request(KnownMethod::ResourcesList),
                Of::Request(KnownMethod::ResourcesTemplatesList),
                Of::Request(KnownMethod::TasksList),
                Of::Request(KnownMethod::RootsList),
                Of::OtherRequest,
            ],
        ),
        (
            Kind::WireSent,
            &[
                Of::Answer(KnownMethod::ToolsList),
                Of::Answer(KnownMethod::PromptsList),
                Of::Answer(KnownMethod::ResourcesList),
                Of::Answer(KnownMethod::ResourcesTemplatesList),
                Of::Answer(KnownMethod::TasksList),
                Of::Answer(KnownMethod::RootsList),
                Of::OtherAnswer,
            ],
        ),
    ]),
    vacuous: "no client asked for a second page",
    explain: "The client sent a cursor that this session never gave for this list: it belongs to a session that is over, \
        to another list, or was made by the client. A cursor is opaque, and what it means ends with its session: the \
        server answers with an error, or with the wrong page.\n\n\
        Look at the request in the witness. To fix it, begin each list from the start in each session, and send a \
        cursor back unchanged.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Cursors::default()) },
};

/// A server and one of its lists.
type List = (String, String);

#[derive(Default)]
struct Cursors {
    /// The method of each request for a list, until it is answered.
    asked: Table<(ConnectionId, Name), String>,
    given: Table<ConnectionId, KeySet<(String, String)>>,
    /// The cursors that each list gave on any connection.
    of_server: Table<List, BTreeSet<String>>,
    /// Connections with an answer whose end the recorder did not keep.
    unknown: KeySet<ConnectionId>,
    /// Servers with such an answer.
    unknown_servers: BTreeSet<String>,
}

impl Monitor for Cursors {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    self.asked(event, view, connection, part, tally);
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    self.answered(server, connection, part);
                }
            }
            _ => {}
        }
    }
}

impl Cursors {
    fn asked(&mut self, event: &Event, view: &View, connection: &ConnectionId, request: &Message, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        let is_stateless = view.is_stateless(connection) && view.agreement(connection).is_none();
        let (Some(method), Some(id)) = (request.method().filter(|method| method.ends_with("/list")), request.id())
        else {
            return;
        };
        self.asked.insert((connection.clone(), Name::from(id)), method.to_owned());
        let Some(cursor) = request.at(&["params", "cursor"]).filter(|cursor| !cursor.is_null()) else { return };
        let cursor = text(cursor);
        // Some clients request the beginning of a list in this way.
        if cursor.is_empty() {
            return;
        }
        let given = self.given.get(connection);
        if given.is_some_and(|given| given.contains(&(method.to_owned(), cursor.clone()))) {
            return tally.held();
        }
        if self.unknown.contains(connection) || is_stateless && self.unknown_servers.contains(server) {
            return;
        }
        let of_list = self.of_server.get(&(server.into(), method.to_owned()));
        let is_of_server = of_list.is_some_and(|given| given.contains(&cursor));
        let (variant, whose) = if is_of_server && is_stateless {
            return tally.held();
        } else if of_list.is_none() && is_stateless {
            // Another process may have given it, before this one was started.
            return;
        } else if is_of_server {
            ("of-another-session", "which another session gave")
        } else if given.is_some_and(|given| given.iter().any(|(_, known)| *known == cursor)) {
            ("of-another-list", "which another list gave")
        } else {
            ("never-given", "which this server never gave")
        };
        let because =
            format!("{method} on connection {connection} at {} has the cursor {cursor:?}, {whose}", event.seq);
        tally.broken(Violation::new(variant, because, &[event.seq]));
    }

    fn answered(&mut self, server: &str, connection: &ConnectionId, answer: &Message) {
        let Some(id) = answer.id() else { return };
        let Some(method) = self.asked.swap_remove(&(connection.clone(), Name::from(id))) else { return };
        if answer.is_cut() {
            self.unknown.insert(connection.clone());
            self.unknown_servers.insert(server.to_owned());
        }
        let Some(cursor) = answer.at(&["result", "nextCursor"]).filter(|cursor| !cursor.is_null()) else { return };
        let cursor = text(cursor);
        self.given.entry(connection.clone()).or_default().insert((method.clone(), cursor.clone()));
        self.of_server.entry((server.into(), method)).or_default().insert(cursor);
    }
}

/// A cursor as text.
fn text(cursor: &Value) -> String {
    cursor.as_str().map_or_else(|| cursor.to_string(), str::to_owned)
}
