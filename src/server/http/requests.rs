//! HTTP requests as they arrive, and the messages in their bodies.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::history::{ConnectionId, EventKind, Message, SessionId, WireEnd};
use crate::plan::Revision;
use crate::script::{DISCOVER, Generation};
use crate::server::arrival::Arrival;
use crate::server::cause::Place;
use crate::server::conforming::{is_of_stateless_generation, version_of};
use crate::server::http::admit::{Refusal, Verb, admit, admit_post, admit_sse};
use crate::server::http::exchanges::Exchange;
use crate::server::http::server::{Http, JSON};
use crate::server::http::sse;
use crate::server::http_io::{Body, ExchangeNo, HttpStyle, Request};
use crate::server::input::Input;
use crate::server::readable::parse;
use crate::server::state::ServerState;
use crate::server::wire::{self, Incoming};

/// Most characters of a verb in the journal.
const VERB_CHARS: usize = 32;
/// Most characters of a path in the journal.
const PATH_CHARS: usize = 1_024;

/// Takes the inputs of HTTP.
pub(in crate::server) struct Receiver<'a> {
    pub http: &'a mut Http,
    pub state: &'a mut ServerState,
}

impl Receiver<'_> {
    /// Takes an input, and returns what to act on. It ignores the inputs of lines.
    pub(in crate::server) fn take(&mut self, input: Input) -> Option<(Place, Arrival)> {
        match input {
            Input::SocketOpened(socket) => self.http.sockets.opened(socket, &mut self.state.outbox),
            Input::SocketClosed { socket, how } => self.http.sockets.closed(socket, how, &mut self.state.outbox),
            Input::SocketRefused => self.http.sockets.refused(&mut self.state.outbox),
            Input::Request(request) => return self.request(request),
            // Nothing on this exchange can reach the client any more.
            Input::ExchangeGone(no) => drop(self.http.end_exchange(no, WireEnd::ByClient, self.state)),
            Input::Started | Input::Line(_) | Input::Noise { .. } | Input::Eof | Input::InputBroken => {}
            Input::OutputBroken | Input::OutputFull | Input::Signal(_) | Input::GateOpened(_) => {}
            Input::Timer(_) | Input::LifeOver => {}
        }
        None
    }

    fn request(&mut self, request: Request) -> Option<(Place, Arrival)> {
        let no = request.exchange;
        let named = self.session_named(&request);
        let number = named.as_ref().and_then(|session| self.http.sessions.connection(session));
        let admitted = self.admit(&request, named.is_some(), number.is_some());
        self.http.exchanges.insert(no, Exchange::new(&request, number));
        let received = if self.is_addressed(&request) {
            let connection = number.map(|number| self.http.connection_id(Some(number)));
            let message = (admitted != Ok(Verb::Post)).then(|| message_of(&request)).flatten();
            received(&request, connection, named, message)
        } else {
            stray(&request)
        };
        self.state.outbox.journal(received);
        let place = Place { connection: number, exchange: Some(no), seat: None };
        match (admitted, request.body) {
            (_, Body::Cut) => drop(self.http.end_exchange(no, WireEnd::ByClient, self.state)),
            (Err(refusal), _) => self.http.refuse(no, &refusal, self.state),
            (Ok(Verb::Get), _) if self.http.is_sse() => match self.http.open_connection(no, self.state) {
                Some(number) => return Some((Place::exchange(number, no), Arrival::Get)),
                None => self.http.refuse(no, &Refusal::TOO_MANY, self.state),
            },
            (Ok(Verb::Get), _) => return Some((place, Arrival::Get)),
            (Ok(Verb::Delete), _) => return Some((place, Arrival::Delete)),
            (Ok(Verb::Post), Body::Whole(body)) => return self.post(no, place, &body),
            (Ok(Verb::Post), Body::TooLong) => {
                self.state.outbox.unread("a body is longer than this server reads");
                self.http.refuse(no, &Refusal::TOO_LONG, self.state);
            }
        }
        None
    }

    /// Whether a request is one of the protocol: one of its verbs, at an address of this server.
    fn is_addressed(&self, request: &Request) -> bool {
        let is_at = match &self.http.setup.style {
            HttpStyle::Streamable => request.path == self.http.setup.path,
            HttpStyle::Sse { messages } => request.path == self.http.setup.path || request.path == *messages,
        };
        is_at && matches!(request.verb.as_str(), "POST" | "GET" | "DELETE")
    }

    /// The session that a request names.
    fn session_named(&self, request: &Request) -> Option<SessionId> {
        let named = match &self.http.setup.style {
            HttpStyle::Streamable => request.header("mcp-session-id").filter(|_| request.path == self.http.setup.path),
            HttpStyle::Sse { messages } => sse::session_in(&request.query).filter(|_| request.path == *messages),
        };
        named.map(SessionId::from)
    }

    fn admit(&self, request: &Request, names_session: bool, is_known: bool) -> Result<Verb, Refusal> {
        let path = &self.http.setup.path;
        match (self.http.generation, &self.http.setup.style) {
            (Generation::Stateless, _) => admit_post(request, request.path == *path),
            (Generation::Handshake | Generation::Both, HttpStyle::Streamable) => {
                admit(request, request.path == *path, names_session, is_known, self.http.newest)
            }
            (Generation::Handshake | Generation::Both, HttpStyle::Sse { messages }) => {
                admit_sse(request, path, messages, names_session, is_known)
            }
        }
    }

    /// Takes the body of a POST: a message, or under revision 2025-03-26 a batch of them.
    fn post(&mut self, no: ExchangeNo, place: Place, bytes: &[u8]) -> Option<(Place, Arrival)> {
        let parsed = parse(bytes);
        let is_stateless = self.is_stateless_post(place, parsed.as_ref().unwrap_or(&Value::Null));
        let place = if is_stateless { self.http.stateless_place(no, self.state) } else { place };
        match parsed {
            Some(Value::Array(bodies)) if !is_stateless && !bodies.is_empty() && self.has_batches(place) => {
                return Some((place, Arrival::Batch(bodies)));
            }
            Some(body @ Value::Array(_)) => self.refuse_batch(no, place, &body, bytes),
            Some(body @ Value::Object(_)) => {
                let incoming = wire::read_body(body);
                return match place.connection {
                    Some(_) if is_stateless => self.stateless_message(no, place, incoming, bytes),
                    Some(_) => self.message(no, place, incoming, bytes),
                    None => self.sessionless_message(no, incoming, bytes),
                };
            }
            Some(_) => self.refuse_noise(no, place, bytes, &Refusal::NO_OBJECT),
            None => self.refuse_noise(no, place, bytes, &Refusal::NO_JSON),
        }
        None
    }

    /// Whether the body of a POST belongs to the stateless generation.
    fn is_stateless_post(&self, place: Place, body: &Value) -> bool {
        match self.http.generation {
            Generation::Handshake => false,
            Generation::Stateless => true,
            Generation::Both if place.connection.is_some() => false,
            Generation::Both => {
                let method = body.get("method").and_then(Value::as_str).unwrap_or_default();
                is_of_stateless_generation(method, body.get("params").unwrap_or(&Value::Null))
            }
        }
    }

    /// Whether a connection takes batches: its negotiated revision has them.
    fn has_batches(&self, place: Place) -> bool {
        let connection = self.state.connections.at(place);
        let revision = connection.and_then(|connection| connection.server.revision());
        revision == Some(Revision::R20250326) && !self.http.is_sse()
    }

    /// A message of a connection with a handshake.
    fn message(&mut self, no: ExchangeNo, place: Place, incoming: Incoming, line: &[u8]) -> Option<(Place, Arrival)> {
        match incoming {
            Incoming::NoMessage { body, id, because } => {
                self.note_message(place, &body, line);
                self.refuse_message(no, &id, wire::INVALID_REQUEST, &format!("Invalid request: {because}"));
                None
            }
            Incoming::Response { body } => {
                self.note_message(place, &body, line);
                Some((place, Arrival::Response))
            }
            Incoming::Notification { body, method } => {
                self.note_message(place, &body, line);
                Some((place, Arrival::Notification { body, method }))
            }
            Incoming::Request { body, id, method } => {
                self.note_message(place, &body, line);
                Some((place, Arrival::request(body, id, method)))
            }
            Incoming::Blank | Incoming::NoJson | Incoming::NoObject => {
                self.refuse_noise(no, place, line, &Refusal::NO_OBJECT);
                None
            }
        }
    }

    /// A message that names no session.
    fn sessionless_message(&mut self, no: ExchangeNo, incoming: Incoming, line: &[u8]) -> Option<(Place, Arrival)> {
        let place = Place { exchange: Some(no), ..Place::default() };
        match incoming {
            Incoming::Request { body, id, method } if method == "initialize" => {
                let Some(number) = self.http.open_connection(no, self.state) else {
                    self.http.refuse(no, &Refusal::TOO_MANY, self.state);
                    return None;
                };
                let place = Place::exchange(number, no);
                self.note_message(place, &body, line);
                return Some((place, Arrival::request(body, id, method)));
            }
            Incoming::Request { body, id, method } => {
                self.note_message(place, &body, line);
                match method.as_str() {
                    // A client of both generations probes with it; the answer tells that this server has a handshake.
                    DISCOVER => return Some((place, Arrival::request(body, id, method))),
                    "ping" => self.http.answer(place, wire::result_line(&id, &Value::Object(Map::new())), self.state),
                    _ => {
                        let Refusal { code, message, .. } = Refusal::NO_SESSION;
                        self.refuse_message(no, &id, code, message);
                    }
                }
            }
            Incoming::NoMessage { body, .. } | Incoming::Response { body } | Incoming::Notification { body, .. } => {
                self.note_message(place, &body, line);
                let Refusal { code, message, .. } = Refusal::NO_SESSION;
                self.refuse_message(no, &Value::Null, code, message);
            }
            Incoming::Blank | Incoming::NoJson | Incoming::NoObject => {
                self.refuse_noise(no, place, line, &Refusal::NO_OBJECT);
            }
        }
        None
    }

    /// A message of the stateless generation.
    fn stateless_message(
        &mut self,
        no: ExchangeNo,
        place: Place,
        incoming: Incoming,
        line: &[u8],
    ) -> Option<(Place, Arrival)> {
        match incoming {
            Incoming::Request { body, id, method } => {
                self.note_message(place, &body, line);
                let params = body.get("params").unwrap_or(&Value::Null);
                // A request of the handshake generation has no metadata; the server itself answers it.
                let metadata =
                    version_of(params).and_then(|_| self.http.exchanges.get(no)).map(|exchange| &exchange.metadata);
                if let Some(Err(error)) = metadata.map(|metadata| metadata.agrees(&method, params)) {
                    self.refuse_message(no, &id, error.code, &error.message);
                    return None;
                }
                Some((place, Arrival::request(body, id, method)))
            }
            // Only clients send requests, so there is no request to respond to.
            Incoming::Response { body } => {
                self.note_message(place, &body, line);
                let because = "Invalid request: not a request";
                self.refuse_message(no, &Value::Null, wire::INVALID_REQUEST, because);
                None
            }
            other => self.message(no, place, other, line),
        }
    }

    /// Refuses a JSON array where batches are not supported. The journal has an array of messages as it arrived.
    fn refuse_batch(&mut self, no: ExchangeNo, place: Place, body: &Value, bytes: &[u8]) {
        if !body.as_array().is_some_and(|bodies| wire::is_batch(bodies)) {
            return self.refuse_noise(no, place, bytes, &Refusal::BATCH);
        }
        self.note_message(place, body, bytes);
        self.refuse_message(no, &Value::Null, Refusal::BATCH.code, Refusal::BATCH.message);
    }

    /// Refuses a body that is not a message.
    fn refuse_noise(&mut self, no: ExchangeNo, place: Place, bytes: &[u8], refusal: &Refusal) {
        let connection = self.http.connection_of(place, self.state);
        self.state.outbox.noise(connection, bytes.len() as u64, bytes);
        self.refuse_message(no, &Value::Null, refusal.code, refusal.message);
    }

    /// Refuses a message with an error that names its id.
    fn refuse_message(&mut self, no: ExchangeNo, id: &Value, code: i64, message: &str) {
        let line = wire::error_line(id, code, message, None);
        if self.http.is_sse() {
            return self.http.respond(no, 400, &[JSON], line, self.state);
        }
        let Some(exchange) = self.http.exchanges.get_mut(no) else { return };
        exchange.status = 400;
        let place = Place { connection: exchange.connection, exchange: Some(no), seat: None };
        self.http.answer(place, line, self.state);
    }

    fn note_message(&mut self, place: Place, body: &Value, line: &[u8]) {
        let connection = self.http.connection_of(place, self.state);
        self.state.outbox.received(connection, body, line);
    }
}

fn received(
    request: &Request,
    connection: Option<ConnectionId>,
    session: Option<SessionId>,
    message: Option<Message>,
) -> EventKind {
    EventKind::HttpReceived {
        exchange: request.exchange.id(),
        socket: request.socket.id(),
        verb: request.verb.chars().take(VERB_CHARS).collect(),
        connection,
        session,
        path: Some(shown_path(request)),
        query: shown_query(request),
        headers: shown_headers(request),
        pipelined: request.is_pipelined,
        message: message.map(Box::new),
    }
}

/// A request that is not addressed to the protocol.
fn stray(request: &Request) -> EventKind {
    EventKind::HttpStray {
        exchange: request.exchange.id(),
        socket: request.socket.id(),
        verb: request.verb.chars().take(VERB_CHARS).collect(),
        path: shown_path(request),
        query: shown_query(request),
        session: request.header("mcp-session-id").map(SessionId::from),
        headers: shown_headers(request),
        message: message_of(request),
    }
}

/// The body of a request, if it is a message of the protocol.
fn message_of(request: &Request) -> Option<Message> {
    match &request.body {
        Body::Whole(bytes) => wire::message_in(bytes),
        Body::TooLong | Body::Cut => None,
    }
}

fn shown_path(request: &Request) -> String {
    request.path.chars().take(PATH_CHARS).collect()
}

fn shown_query(request: &Request) -> Option<String> {
    (!request.shown_query.is_empty()).then(|| request.shown_query.clone())
}

fn shown_headers(request: &Request) -> BTreeMap<String, String> {
    let shown = request.headers.iter().filter(|(name, _)| *name != "mcp-session-id");
    shown.map(|(name, value)| (name.clone(), value.clone())).collect()
}
