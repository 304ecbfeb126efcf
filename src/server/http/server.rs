//! The HTTP side of a server: exchanges, responses and streams, each journalled before it is sent.

use std::mem;

use crate::history::{ConnectionId, EventKind, SessionId, WireEnd};
use crate::plan::Revision;
use crate::script::Generation;
use crate::server::cause::Place;
use crate::server::connections::Connections;
use crate::server::effect::Effect;
use crate::server::http::admit::Refusal;
use crate::server::http::exchanges::{Exchange, Exchanges};
use crate::server::http::sessions::Sessions;
use crate::server::http::sockets::Sockets;
use crate::server::http::sse;
use crate::server::http_io::{ExchangeNo, HttpSetup, HttpStyle, Response};
use crate::server::state::ServerState;

/// Most connections at once.
const CONNECTIONS_MAX: usize = 16_384;
/// The header field that says that a body is JSON.
pub(in crate::server) const JSON: (&str, &str) = ("content-type", "application/json");
/// The header field that names a session.
pub(in crate::server) const SESSION: &str = "mcp-session-id";

/// The state of HTTP: sockets, exchanges and sessions.
#[derive(Debug)]
pub(in crate::server) struct Http {
    pub(super) setup: HttpSetup,
    /// The prefix of the names of connections.
    name: ConnectionId,
    pub(super) generation: Generation,
    /// The newest revision that it speaks.
    pub(super) newest: Revision,
    pub(super) sockets: Sockets,
    pub(super) exchanges: Exchanges,
    pub(super) sessions: Sessions,
    n_connections: u64,
    /// The connection of all stateless requests, once the first has arrived.
    stateless: Option<u64>,
    /// Whether the connection of requests without a session is open.
    is_sessionless_open: bool,
}

impl Http {
    /// A server under this setup. `name` is the prefix of its connections, `newest` the newest revision that it speaks.
    pub(in crate::server) fn new(
        setup: HttpSetup,
        name: ConnectionId,
        generation: Generation,
        newest: Revision,
    ) -> Self {
        Self {
            sessions: Sessions::new(setup.session_prefix.clone()),
            setup,
            name,
            generation,
            newest,
            sockets: Sockets::default(),
            exchanges: Exchanges::default(),
            n_connections: 0,
            stateless: None,
            is_sessionless_open: false,
        }
    }

    /// Whether it speaks HTTP with server-sent events.
    pub(in crate::server) fn is_sse(&self) -> bool {
        matches!(self.setup.style, HttpStyle::Sse { .. })
    }

    /// The path at which it is reached.
    pub(in crate::server) fn path(&self) -> &str {
        &self.setup.path
    }

    /// Whether the response of an exchange is an open stream of messages.
    pub(in crate::server) fn is_streaming(&self, no: ExchangeNo) -> bool {
        !self.is_sse() && self.exchanges.streams(no)
    }

    /// The name of a connection; 0 means requests without a session.
    pub(super) fn connection_id(&self, number: Option<u64>) -> ConnectionId {
        ConnectionId(format!("{}.{}", self.name, number.unwrap_or(0)).into())
    }

    /// The connection of a place. The first message without a session opens the connection of such messages.
    pub(in crate::server) fn connection_of(&mut self, place: Place, state: &mut ServerState) -> ConnectionId {
        let connection = self.connection_id(place.connection);
        if place.connection.is_none() && !mem::replace(&mut self.is_sessionless_open, true) {
            state.outbox.journal(EventKind::ConnectionOpened { connection: connection.clone() });
        }
        connection
    }

    /// Opens the connection that an exchange begins; none where there are too many.
    pub(super) fn open_connection(&mut self, no: ExchangeNo, state: &mut ServerState) -> Option<u64> {
        if state.connections.len() >= CONNECTIONS_MAX {
            return None;
        }
        self.n_connections += 1;
        let number = self.n_connections;
        if let Some(exchange) = self.exchanges.get_mut(no) {
            exchange.connection = Some(number);
            exchange.opens = true;
        }
        self.add_connection(number, Generation::Handshake, state);
        Some(number)
    }

    /// The place of a stateless request. The first one opens the connection of all.
    pub(super) fn stateless_place(&mut self, no: ExchangeNo, state: &mut ServerState) -> Place {
        let number = self.stateless.unwrap_or_else(|| {
            self.n_connections += 1;
            self.stateless = Some(self.n_connections);
            self.add_connection(self.n_connections, Generation::Stateless, state);
            self.n_connections
        });
        if let Some(exchange) = self.exchanges.get_mut(no) {
            exchange.connection = Some(number);
        }
        Place::exchange(number, no)
    }

    fn add_connection(&self, number: u64, generation: Generation, state: &mut ServerState) {
        let connection = self.connection_id(Some(number));
        state.connections.open(number, connection.clone(), generation);
        state.outbox.journal(EventKind::ConnectionOpened { connection });
    }

    /// Opens the session of the connection that an exchange begins, unless it is open.
    pub(super) fn open_session(&mut self, no: ExchangeNo, state: &mut ServerState) -> Option<SessionId> {
        let exchange = self.exchanges.get(no).filter(|exchange| exchange.opens)?;
        let number = exchange.connection?;
        let connection = state.connections.get_mut(number)?;
        let session = self.sessions.open(number, connection)?;
        let connection = connection.id.clone();
        state.outbox.journal(EventKind::SessionOpened { connection, session: session.clone() });
        Some(session)
    }

    /// The session that the answer on an exchange opens: none if the handshake failed.
    pub(in crate::server) fn session_of_answer(
        &mut self,
        no: ExchangeNo,
        place: Place,
        state: &mut ServerState,
    ) -> Option<SessionId> {
        let connection = state.connections.at(place);
        let has_succeeded = connection.is_some_and(|connection| connection.server.revision().is_some());
        if has_succeeded { self.open_session(no, state) } else { None }
    }

    /// Answers with a complete body that is not a message, unless the response has begun.
    pub(in crate::server) fn respond(
        &mut self,
        no: ExchangeNo,
        status: u16,
        headers: &[(&'static str, &str)],
        body: Vec<u8>,
        state: &mut ServerState,
    ) {
        if !self.exchanges.is_waiting(no) {
            return;
        }
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        headers.extend(self.take_named_session(no));
        state.outbox.journal(EventKind::HttpAnswered { exchange: no.id(), status, streams: false });
        self.end_exchange(no, WireEnd::ByServer, state);
        state.outbox.push(Effect::Respond { exchange: no, response: Response { status, headers, body } });
    }

    /// Refuses a request as a whole.
    pub(in crate::server) fn refuse(&mut self, no: ExchangeNo, refusal: &Refusal, state: &mut ServerState) {
        let mut headers = vec![JSON];
        if refusal.status == 405 {
            headers.push(("allow", refusal.allowed(self.generation)));
        }
        self.respond(no, refusal.status, &headers, refusal.line(), state);
    }

    /// Begins a response whose body continues, unless a response has begun.
    pub(in crate::server) fn begin_stream(&mut self, no: ExchangeNo, state: &mut ServerState) {
        if !self.exchanges.is_waiting(no) {
            return;
        }
        let session = self.open_session(no, state);
        let names = !self.is_sse();
        let mut headers = vec![
            ("content-type", "text/event-stream".to_owned()),
            ("cache-control", "no-cache, no-transform".to_owned()),
        ];
        headers.extend(session.as_ref().filter(|_| names).map(|session| (SESSION, session.to_string())));
        headers.extend(self.take_named_session(no));
        if let Some(exchange) = self.exchanges.get_mut(no) {
            exchange.streams = true;
        }
        state.outbox.journal(EventKind::HttpAnswered { exchange: no.id(), status: 200, streams: true });
        let response = Response { status: 200, headers, body: Vec::new() };
        state.outbox.push(Effect::BeginStream { exchange: no, response });
        if let (HttpStyle::Sse { messages }, Some(session)) = (&self.setup.style, session) {
            let bytes = sse::endpoint_event(messages, &session);
            state.outbox.push(Effect::StreamPart { exchange: no, bytes });
        }
    }

    /// The header field of a session that a script names although the server never opened it.
    pub(in crate::server) fn take_named_session(&mut self, no: ExchangeNo) -> Option<(&'static str, String)> {
        let named = self.exchanges.get_mut(no)?.names_session.take()?;
        Some((SESSION, named))
    }

    /// Sends a message as an event of a stream.
    pub(in crate::server) fn stream_message(
        &mut self,
        no: ExchangeNo,
        place: Place,
        line: &[u8],
        state: &mut ServerState,
    ) {
        self.stream_event(no, place, line, [b"event: message\ndata: ", line, b"\n\n"].concat(), state);
    }

    /// Sends a message as an event that is written like this.
    pub(in crate::server) fn stream_event(
        &mut self,
        no: ExchangeNo,
        place: Place,
        line: &[u8],
        bytes: Vec<u8>,
        state: &mut ServerState,
    ) {
        let connection = self.connection_of(place, state);
        state.outbox.sent(connection, line);
        state.outbox.push(Effect::StreamPart { exchange: no, bytes });
    }

    /// Ends a stream gracefully.
    pub(in crate::server) fn end_stream(&mut self, no: ExchangeNo, state: &mut ServerState) {
        if self.end_exchange(no, WireEnd::ByServer, state) {
            state.outbox.push(Effect::EndStream(no));
        }
    }

    /// Ends the socket of an exchange in this way.
    pub(in crate::server) fn end_socket(
        &mut self,
        no: ExchangeNo,
        how: WireEnd,
        effect: Effect,
        state: &mut ServerState,
    ) {
        let Some(exchange) = self.remove_exchange(no, WireEnd::Broken, state) else { return };
        self.sockets.will_end(exchange.socket, how);
        self.close_opened(&exchange, WireEnd::ByServer, state);
        state.outbox.push(effect);
    }

    /// Sends nothing more on an exchange, which ends when its client leaves.
    pub(in crate::server) fn abandon(&mut self, no: ExchangeNo, effect: Effect, state: &mut ServerState) {
        if let Some(exchange) = self.exchanges.get_mut(no) {
            exchange.streams = true;
        }
        state.outbox.push(effect);
    }

    /// Ends an exchange, and returns whether it was open.
    pub(in crate::server) fn end_exchange(&mut self, no: ExchangeNo, how: WireEnd, state: &mut ServerState) -> bool {
        let Some(exchange) = self.remove_exchange(no, how, state) else { return false };
        self.close_opened(&exchange, how, state);
        true
    }

    fn remove_exchange(&mut self, no: ExchangeNo, how: WireEnd, state: &mut ServerState) -> Option<Exchange> {
        let exchange = self.exchanges.remove(no)?;
        if let Some(connection) = exchange.connection.and_then(|number| state.connections.get_mut(number)) {
            connection.streams.retain(|stream| *stream != no);
            connection.subscriptions.end_with(no);
        }
        state.outbox.journal(EventKind::HttpEnded { exchange: no.id(), how });
        Some(exchange)
    }

    /// Closes the connection that an exchange opened, if it has no session. With server-sent events it always closes: the
    /// exchange is its stream.
    fn close_opened(&mut self, exchange: &Exchange, how: WireEnd, state: &mut ServerState) {
        let Some(number) = exchange.connection.filter(|_| exchange.opens) else { return };
        let has_no_session = state.connections.get(number).is_some_and(|connection| connection.session.is_none());
        if self.is_sse() || has_no_session {
            self.close_connection(number, how, None, state);
        }
    }

    /// Closes a connection: its session becomes unknown, its streams end, and every waiting exchange but `except` is refused.
    pub(in crate::server) fn close_connection(
        &mut self,
        number: u64,
        how: WireEnd,
        except: Option<ExchangeNo>,
        state: &mut ServerState,
    ) {
        if !self.remove_connection(number, how, state) {
            return;
        }
        for (no, streams) in self.exchanges.of_connection(number) {
            if Some(no) == except {
                continue;
            }
            if streams { self.end_stream(no, state) } else { self.refuse(no, &Refusal::UNKNOWN_SESSION, state) }
        }
    }

    /// Removes a connection and its session, and returns whether it was open.
    pub(super) fn remove_connection(&mut self, number: u64, how: WireEnd, state: &mut ServerState) -> bool {
        let Some(connection) = state.connections.remove(number) else { return false };
        if let Some(session) = connection.session {
            self.sessions.close(&session);
            state.outbox.journal(EventKind::SessionClosed { connection: connection.id.clone(), session, how });
        }
        state.outbox.journal(EventKind::ConnectionClosed { connection: connection.id, how });
        true
    }

    /// The stream of an exchange, or else those of its connection.
    pub(in crate::server) fn streams_at(&self, place: Place, connections: &Connections) -> Vec<ExchangeNo> {
        if let Some(no) = place.exchange.filter(|no| self.exchanges.streams(*no)) {
            return vec![no];
        }
        let numbers = connections.numbers_at(place);
        let open = numbers.into_iter().filter_map(|number| connections.get(number));
        open.flat_map(|connection| &connection.streams).copied().collect()
    }

    /// Whether the stream of a connection can carry an answer.
    pub(super) fn has_stream(&self, place: Place, connections: &Connections) -> bool {
        connections.at(place).is_some_and(|connection| !connection.streams.is_empty())
    }

    /// Whether a client can still get an answer at a place.
    pub(in crate::server) fn is_awaited(&self, place: Place, connections: &Connections) -> bool {
        if self.is_sse() {
            return self.has_stream(place, connections);
        }
        place.exchange.is_some_and(|no| self.exchanges.is_open(no))
    }

    /// Sets the status code of the coming answer.
    pub(in crate::server) fn set_status(&mut self, place: Place, status: u16) {
        if let Some(exchange) = place.exchange.and_then(|no| self.exchanges.get_mut(no)) {
            exchange.status = status;
        }
    }

    /// Names a session in the response of an exchange, although the server never opened it.
    pub(in crate::server) fn name_session(&mut self, no: ExchangeNo, id: &str) {
        if let Some(exchange) = self.exchanges.get_mut(no) {
            exchange.names_session = Some(id.to_owned());
        }
    }
}
