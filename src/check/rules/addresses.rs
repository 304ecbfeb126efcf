//! Addresses: where messages are posted over streamable HTTP.

use std::collections::BTreeSet;

use crate::check::lessons::{ServerSocket, socket_of};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{Event, EventKind, Header, KeySet, Kind, Seq, SessionId, Table};
use crate::plan::Promise;

/// Counter-examples: Another program may find the port. Only a session id of this server, or a socket that also carries
/// requests to the endpoint, shows that the message comes from the client. Documents of authorization, preflights and
/// other requests are not messages. A library that follows a redirect posts where the server told it to.
pub(super) const ENDPOINT_USED: Invariant = Invariant {
    id: "endpoint-used",
    property: Property::Safety,
    level: Level::Must,
    claim: "every message is posted to the MCP endpoint",
    source: "2025-11-25, basic/transports, Sending Messages to the Server; the same from 2025-03-26",
    requirement: &["LC-HTTP-01", "LC-SESS-09"],
    applies: AppliesTo::HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpStray, Kind::HttpAnswered, Kind::SessionOpened, Kind::SocketClosed],
    hears: Hears::ALL,
    vacuous: "nothing was posted",
    explain: "The client sent a message to another path of the host than the endpoint, or with another verb than POST. \
        A program that answers there is not the MCP server, and it receives the message, the session id and the \
        token.\n\n\
        Look at the path of the witness. To fix it, use the URL of the configuration as it is, with its path and query.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Addresses::default()) },
};

#[derive(Default)]
struct Addresses {
    given: KeySet<SessionId>,
    /// Open sockets that have carried a request to the endpoint.
    own: KeySet<ServerSocket>,
    /// Messages to other addresses, on sockets that are not proved to be the client's.
    pending: Table<ServerSocket, Vec<(Seq, String)>>,
    /// Servers that have redirected a request.
    redirecting: BTreeSet<String>,
}

impl Monitor for Addresses {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::SessionOpened { session, .. } => {
                self.given.insert(session.clone());
            }
            EventKind::HttpReceived { verb, socket, message, .. } => {
                let socket = socket_of(event, socket);
                if verb == "POST" {
                    tally.held();
                } else if let Some(message) = message {
                    let what = message.method().unwrap_or("a message");
                    let because = format!("{what} was sent to {server} at {} as the body of a {verb}", event.seq);
                    tally.broken(Violation::new("other-verb", because, &[event.seq]));
                }
                let pending = self.pending.swap_remove(&socket).unwrap_or_default();
                pending.into_iter().for_each(|(seq, because)| tally.broken(elsewhere(seq, because)));
                self.own.insert(socket);
            }
            EventKind::SocketClosed { socket, .. } => {
                let socket = socket_of(event, socket);
                self.own.swap_remove(&socket);
                self.pending.swap_remove(&socket);
            }
            EventKind::HttpAnswered { status: 300..=399, .. } => {
                self.redirecting.insert(server.to_owned());
            }
            EventKind::HttpStray { socket, session, verb, path, message: Some(message), .. } => {
                if self.redirecting.contains(server) {
                    return;
                }
                let what = message.method().unwrap_or("a message");
                let because =
                    format!("{what} was sent to {server} at {} with {verb} to {path}, not to its endpoint", event.seq);
                let socket = socket_of(event, socket);
                let is_named = session.as_ref().is_some_and(|session| self.given.contains(session));
                if is_named || self.own.contains(&socket) {
                    tally.broken(elsewhere(event.seq, because));
                } else {
                    self.pending.entry(socket).or_default().push((event.seq, because));
                }
            }
            _ => {}
        }
    }
}

fn elsewhere(seq: Seq, because: String) -> Violation {
    Violation::new("elsewhere", because, &[seq])
}
