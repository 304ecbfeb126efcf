//! Authorization, as far as it is visible in the requests to a server.

use std::collections::BTreeSet;

use crate::check::host::{ServerExchange, exchange_of};
use crate::check::lessons::{Lesson, ServerSocket, Sockets, socket_of};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{
    ConnectionId, Event, EventKind, ExchangeId, Header, KeySet, Kind, Message, Name, Seq, SessionId, Table,
};
use crate::plan::Promise;

/// Counter-examples: A client has no token before a server asks for one, and drops a token that a 401 refused. Two clients
/// on one server have tokens of their own, so a session shows whose request it is; without sessions only a socket does, to
/// a server that asks for tokens. A request on another socket may have been written before the token was known: only that
/// the socket was opened after further exchanges, or after a pause, shows that it was not. A DELETE is the last request of
/// its session, so its client knows the token. Metadata documents are fetched without a token. The name of the scheme alone is
/// no token.
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
        Kind::SocketOpened,
        Kind::SocketClosed,
        Kind::ConnectionOpened,
        Kind::SessionOpened,
        Kind::WireReceived,
    ],
    hears: Hears::ALL,
    vacuous: "no request carried a token",
    explain: "A request came without `Authorization`, although an earlier request of its session had a token and was \
        accepted. A session id is not proof of identity, so a server must refuse the request. Often other code sends \
        such a request: a stream, a cancellation, the DELETE. If a token is in an address, proxies and servers log \
        it.\n\n\
        Look at the verb in the reason. To fix it, add the token where all requests are built, and replace it there \
        when the token is renewed.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Tokens::default()) },
};

/// The requests that come from the same client.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Client {
    Session(Name, SessionId),
    Socket(ServerSocket),
}

impl Client {
    /// The client of a request.
    pub(super) fn of(server: &str, session: Option<&SessionId>, socket: &ServerSocket) -> Self {
        match session {
            Some(session) => Self::Session(server.into(), session.clone()),
            None => Self::Socket(socket.clone()),
        }
    }
}

#[derive(Default)]
struct Tokens {
    sockets: Sockets,
    /// The exchange that opened each connection.
    openers: Table<(Name, ConnectionId), ExchangeId>,
    asked: Table<ServerExchange, (Client, Option<String>)>,
    clients: Table<Client, KnownTokens>,
    /// Servers that have asked for a token.
    asking: BTreeSet<String>,
    /// Sockets whose last answer was 404, for a session that had a token.
    losing: KeySet<ServerSocket>,
    /// Requests on such a socket without session and token.
    bare: KeySet<ServerExchange>,
}

#[derive(Default)]
struct KnownTokens {
    /// The token that was accepted last.
    accepted: Option<(String, Answered)>,
    /// Tokens that a 401 refused.
    refused: Table<String, Answered>,
}

/// An answer about a token, and what shows that its client has read it.
struct Answered {
    lesson: Lesson,
    at_us: u64,
    /// Number of exchanges since it was read, and the answer of the last that is needed.
    n_since: usize,
    settled: Option<Seq>,
}

/// So many exchanges later no request is left that was written before, and waits for a socket.
const SETTLED_AFTER: usize = 2;

impl Answered {
    fn new(event: &Event, lesson: Lesson) -> Self {
        Self { lesson, at_us: event.at_us, n_since: 0, settled: None }
    }

    /// Takes another answer to the same client.
    fn goes_on(&mut self, event: &Event) {
        self.n_since += usize::from(self.lesson.read().is_some());
        if self.n_since == SETTLED_AFTER {
            self.settled.get_or_insert(event.seq);
        }
    }

    /// Whether the client had read it when it sent the request that just arrived.
    fn was_read(&mut self, event: &Event, verb: &str, socket: &ServerSocket, sockets: &Sockets) -> bool {
        let had_read = self.lesson.read().is_some();
        self.lesson.was_read(event, socket, sockets)
            || verb == "DELETE" && had_read
            || self.settled.is_some_and(|settled| sockets.is_opened_after(socket, settled))
            || sockets.opened_later(socket, self.at_us).is_some()
    }
}

impl Monitor for Tokens {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::HttpReceived { .. } => self.received(event, server, tally),
            EventKind::ConnectionOpened { connection } => {
                let opener = view.carrier(event).map(|carrier| carrier.exchange.clone());
                self.openers.extend(opener.map(|exchange| ((server.into(), connection.clone()), exchange)));
            }
            EventKind::SessionOpened { connection, session } => {
                let opener = self.openers.swap_remove(&(server.into(), connection.clone()));
                let asked = opener.and_then(|exchange| self.asked.get_mut(&(server.into(), exchange)));
                if let Some((client, _)) = asked {
                    *client = Client::Session(server.into(), session.clone());
                }
            }
            EventKind::WireReceived { message, .. } if !self.bare.is_empty() => {
                self.opens_again(event, server, message, view, tally);
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
        let client = Client::of(server, session.as_ref(), &socket);
        let is_asking = session.is_some() || self.asking.contains(server);
        let mut known = self.clients.get_mut(&client);
        let sockets = &self.sockets;
        let accepted = known.as_mut().and_then(|known| known.accepted.as_mut());
        let has_learned = accepted.is_some_and(|(_, accepted)| accepted.was_read(event, verb, &socket, sockets));
        let token = headers.get("authorization").filter(|credentials| !is_bare_scheme(credentials));
        let was_refused = token
            .and_then(|token| known?.refused.get_mut(token))
            .map(|refused| refused.was_read(event, verb, &socket, sockets));
        let what = || format!("{verb} was sent to {server} at {}", event.seq);
        if query.as_deref().is_some_and(has_token) {
            tally.broken(Violation::new("in-address", format!("{} with a token in its query", what()), &[event.seq]));
        } else if token.is_none() && has_learned && is_asking {
            let because = format!("{} without the token that its client had used before", what());
            tally.broken(Violation::new("missing", because, &[event.seq]));
        } else if has_learned && was_refused == Some(true) {
            let because = format!("{} with a token that had been refused and replaced", what());
            tally.broken(Violation::new("replaced", because, &[event.seq]).as_warning());
        } else if token.is_some() {
            tally.held();
        }
        if self.losing.swap_remove(&socket) && session.is_none() && token.is_none() && verb == "POST" {
            self.bare.insert(exchange_of(event, exchange));
        }
        self.asked.insert(exchange_of(event, exchange), (client, token.cloned()));
    }

    /// Judges the `initialize` that replaces a lost session.
    fn opens_again(&mut self, event: &Event, server: &str, message: &Message, view: &View, tally: &mut Tally) {
        let carrier = view.carrier(event).map(|carrier| exchange_of(event, &carrier.exchange));
        let is_bare = carrier.is_some_and(|exchange| self.bare.swap_remove(&exchange));
        if is_bare && message.is_request("initialize") {
            let because = format!(
                "initialize was sent to {server} at {} without the token that the lost session had used before",
                event.seq
            );
            tally.broken(Violation::new("missing", because, &[event.seq]));
        }
    }

    fn answered(&mut self, event: &Event, server: &str, exchange: &ExchangeId, status: u16) {
        if status == 401 {
            self.asking.insert(server.to_owned());
        }
        let Some((client, Some(token))) = self.asked.swap_remove(&exchange_of(event, exchange)) else { return };
        let is_asking = self.asking.contains(server);
        let known = self.clients.entry(client).or_default();
        if status == 404 && is_asking && known.accepted.is_some() {
            self.losing.extend(self.sockets.of(event, exchange).cloned());
        }
        let answered = Answered::new(event, self.sockets.lesson(event, exchange));
        known.refused.values_mut().for_each(|refused| refused.goes_on(event));
        match &mut known.accepted {
            Some((accepted, _)) if status == 401 && *accepted == token => known.accepted = None,
            Some((accepted, before)) if *accepted == token => before.goes_on(event),
            _ if status != 401 && !known.refused.contains_key(&token) => {
                known.accepted = Some((token.clone(), answered))
            }
            _ => {}
        }
        if status == 401 {
            let answered = Answered::new(event, self.sockets.lesson(event, exchange));
            known.refused.entry(token).or_insert(answered);
        }
    }
}

/// Whether credentials are the name of the scheme, and no token.
fn is_bare_scheme(credentials: &str) -> bool {
    credentials.trim().eq_ignore_ascii_case("bearer")
}

/// Whether a query has a parameter for a token.
fn has_token(query: &str) -> bool {
    query.split('&').any(|part| part.split('=').next() == Some("access_token"))
}
