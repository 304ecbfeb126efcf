//! Authorization: what is visible of it in the requests to a server.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::host::{ServerExchange, exchange_of};
use crate::check::lessons::{Lesson, ServerSocket, Sockets, socket_of};
use crate::check::{AppliesTo, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, ExchangeId, Header, Kind, SessionId};
use crate::plan::Promise;

/// Counter-examples: A client has no token before a server asks for one, and drops a token that a 401 refused. Two clients
/// on one server have tokens of their own, so a session shows whose request it is; without sessions only a socket does, to
/// a server that asks for tokens. A request on another socket may have been written before the token was known. Metadata
/// documents are fetched without a token.
pub(super) const TOKEN_SENT: Invariant = Invariant {
    id: "token-sent",
    property: Property::Safety,
    level: Level::Must,
    claim: "once a request of a session carries a token that its server accepts, every later request carries one, in its header",
    source: "2025-11-25, basic/authorization, Token Requirements; the same from 2025-03-26",
    requirement: &["LC-AUTH-01", "LC-AUTH-04", "LC-SESS-11"],
    applies: AppliesTo::HTTP,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::HttpEnded,
        Kind::SocketClosed,
        Kind::ConnectionOpened,
        Kind::SessionOpened,
    ],
    vacuous: "no request carried a token",
    explain: "A request came without `Authorization`, although an earlier request of its session had a token and was \
        accepted. A session id is no proof of identity, so a server must refuse the request. Often it is one that other \
        code sends: a stream, a cancellation, the DELETE. A token in the address ends up in logs.\n\n\
        Look at the verb in the reason. To fix it, add the token where all requests are built, and replace it there when \
        it was renewed.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Tokens::default()) },
};

/// Whose requests belong together.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Client {
    Session(String, SessionId),
    Socket(ServerSocket),
}

#[derive(Default)]
struct Tokens {
    sockets: Sockets,
    /// The exchange that opened each connection.
    openers: BTreeMap<(String, ConnectionId), ExchangeId>,
    asked: BTreeMap<ServerExchange, (Client, Option<String>)>,
    clients: BTreeMap<Client, KnownTokens>,
    /// Servers that have asked for a token.
    asking: BTreeSet<String>,
}

#[derive(Default)]
struct KnownTokens {
    /// The token that was accepted last.
    accepted: Option<(String, Lesson)>,
    /// Tokens that a 401 refused.
    refused: BTreeMap<String, Lesson>,
}

impl Monitor for Tokens {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::HttpReceived { .. } => self.received(event, server, tally),
            EventKind::ConnectionOpened { connection } => {
                let opener = view.carrier(event).map(|carrier| carrier.exchange.clone());
                self.openers.extend(opener.map(|exchange| ((server.to_owned(), connection.clone()), exchange)));
            }
            EventKind::SessionOpened { connection, session } => {
                let opener = self.openers.get(&(server.to_owned(), connection.clone()));
                let asked = opener.and_then(|exchange| self.asked.get_mut(&(server.to_owned(), exchange.clone())));
                if let Some((client, _)) = asked {
                    *client = Client::Session(server.to_owned(), session.clone());
                }
            }
            EventKind::HttpAnswered { exchange, status, .. } => self.answered(event, server, exchange, *status),
            _ => {}
        }
        self.sockets.see(event);
    }
}

impl Tokens {
    fn received(&mut self, event: &Event, server: &str, tally: &mut Tally) {
        let EventKind::HttpReceived { exchange, socket, verb, session, query, headers, .. } = &event.kind else {
            return;
        };
        let socket = socket_of(event, socket);
        let client = match session {
            Some(session) => Client::Session(server.to_owned(), session.clone()),
            None => Client::Socket(socket.clone()),
        };
        let is_asking = session.is_some() || self.asking.contains(server);
        let known = self.clients.entry(client.clone()).or_default();
        let has_learned =
            known.accepted.as_mut().is_some_and(|(_, lesson)| lesson.was_read(event, &socket, &self.sockets));
        let token = headers.get("authorization");
        let was_refused = token
            .and_then(|token| known.refused.get_mut(token))
            .map(|lesson| lesson.was_read(event, &socket, &self.sockets));
        let what = format!("{verb} was sent to {server} at {}", event.seq);
        if query.as_deref().is_some_and(has_token) {
            tally.broken(Violation::new("in-address", format!("{what} with a token in its query"), &[event.seq]));
        } else if token.is_none() && has_learned && is_asking {
            let because = format!("{what} without the token that its client had used before");
            tally.broken(Violation::new("missing", because, &[event.seq]));
        } else if has_learned && was_refused == Some(true) {
            let because = format!("{what} with a token that had been refused and replaced");
            tally.broken(Violation::new("replaced", because, &[event.seq]).as_warning());
        } else if token.is_some() {
            tally.held();
        }
        self.asked.insert(exchange_of(event, exchange), (client, token.cloned()));
    }

    fn answered(&mut self, event: &Event, server: &str, exchange: &ExchangeId, status: u16) {
        if status == 401 {
            self.asking.insert(server.to_owned());
        }
        let Some((client, Some(token))) = self.asked.remove(&exchange_of(event, exchange)) else { return };
        let known = self.clients.entry(client).or_default();
        let lesson = self.sockets.lesson(event, exchange);
        if status == 401 {
            known.accepted.take_if(|(accepted, _)| *accepted == token);
            known.refused.insert(token, lesson);
        } else if known.accepted.as_ref().is_none_or(|(accepted, _)| *accepted != token)
            && !known.refused.contains_key(&token)
        {
            known.accepted = Some((token, lesson));
        }
    }
}

/// Whether a query has a parameter for a token.
fn has_token(query: &str) -> bool {
    query.split('&').any(|part| part.split('=').next() == Some("access_token"))
}
