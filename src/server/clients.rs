//! The clients of a server: its connections, over either framing.

use serde_json::Value;

use crate::history::{ConnectionId, EventKind, WireEnd};
use crate::plan::Revision;
use crate::script::{Action, Generation, Phase};
use crate::server::arrival::Arrival;
use crate::server::batch::refused;
use crate::server::cause::{Cause, Place};
use crate::server::http::{Http, is_possible};
use crate::server::lines::Lines;
use crate::server::state::ServerState;
use crate::server::task::Task;
use crate::server::wire::{self, Incoming, Line};

/// The connections of a server, and the framing of their messages.
#[derive(Debug)]
pub(super) struct Clients {
    pub framing: FramingState,
    pub state: ServerState,
    /// The number of requests of the server's own; the first one has the id 0.
    n_requests: u64,
}

/// The state of the framing in use.
#[derive(Debug)]
pub(super) enum FramingState {
    Lines(Lines),
    Http(Box<Http>),
}

impl Clients {
    pub(super) fn new(framing: FramingState, state: ServerState) -> Self {
        Self { framing, state, n_requests: 0 }
    }

    /// The place of what concerns the whole server: over lines, its one connection.
    pub(super) fn whole(&self) -> Place {
        match &self.framing {
            FramingState::Lines(lines) => lines.place(),
            FramingState::Http(_) => Place::default(),
        }
    }

    /// The state of HTTP and the shared state; none over lines.
    pub(super) fn http(&mut self) -> Option<(&mut Http, &mut ServerState)> {
        match &mut self.framing {
            FramingState::Lines(_) => None,
            FramingState::Http(http) => Some((http, &mut self.state)),
        }
    }

    /// The state of the pipes and the shared state; none over HTTP.
    pub(super) fn lines(&mut self) -> Option<(&mut Lines, &mut ServerState)> {
        match &mut self.framing {
            FramingState::Lines(lines) => Some((lines, &mut self.state)),
            FramingState::Http(_) => None,
        }
    }

    pub(super) fn is_sse(&self) -> bool {
        match &self.framing {
            FramingState::Lines(_) => false,
            FramingState::Http(http) => http.is_sse(),
        }
    }

    /// Whether an action is still possible at a place.
    pub(super) fn can(&self, action: &Action, place: Place) -> bool {
        match &self.framing {
            FramingState::Lines(lines) => lines.can(action),
            FramingState::Http(http) => is_possible(http, action, place, &self.state.connections),
        }
    }

    /// Records what a cause changes before any rule acts: a reused id, and the beginning of a handshake.
    pub(super) fn note(&mut self, cause: &Cause, place: Place) {
        let Cause::Request { id, method, .. } = cause else { return };
        if let Some(connection) = self.state.connections.at_mut(place) {
            connection.subscriptions.reuse_id(id);
            if method == "initialize" {
                connection.advance(Phase::DuringInitialize);
            }
        }
    }

    /// A connection has reached a phase; it never goes back.
    pub(super) fn advance(&mut self, place: Place, phase: Phase) {
        if let Some(connection) = self.state.connections.at_mut(place) {
            connection.advance(phase);
        }
    }

    /// Takes a line from the pipes, and returns what to act on.
    pub(super) fn take_line(&mut self, line: &[u8]) -> Option<(Place, Arrival)> {
        let (lines, state) = self.lines()?;
        let (place, read) = (lines.place(), lines.read(line, &mut state.outbox));
        let arrival = match read {
            Line::Batch(bodies) if !bodies.is_empty() && self.has_batches(place) => Some(Arrival::Batch(bodies)),
            Line::Batch(bodies) => self.take_message(place, refused(bodies), line),
            Line::One(incoming) => self.take_message(place, incoming, line),
        };
        Some((place, arrival?))
    }

    /// Whether a connection takes batches: its negotiated revision has them.
    fn has_batches(&self, place: Place) -> bool {
        let connection = self.state.connections.at(place);
        connection.is_some_and(|connection| connection.server.revision() == Some(Revision::R20250326))
    }

    /// Takes a message of a connection, and returns what to act on. The server answers at once what is not a message.
    pub(super) fn take_message(&mut self, place: Place, incoming: Incoming, line: &[u8]) -> Option<Arrival> {
        let Some(connection) = self.state.connections.at(place).map(|connection| connection.id.clone()) else {
            self.leave_batch(place);
            return None;
        };
        let outbox = &mut self.state.outbox;
        match incoming {
            Incoming::Blank => outbox.noise(connection, line.len() as u64 + 1, line),
            Incoming::NoJson => {
                outbox.noise(connection, line.len() as u64, line);
                self.refuse(place, &Value::Null, wire::PARSE_ERROR, "Parse error");
            }
            Incoming::NoObject => {
                outbox.noise(connection, line.len() as u64, line);
                self.refuse(place, &Value::Null, wire::INVALID_REQUEST, "Invalid request: not an object");
            }
            Incoming::NoMessage { body, id, because } => {
                outbox.received(connection, &body, line);
                self.refuse(place, &id, wire::INVALID_REQUEST, &format!("Invalid request: {because}"));
            }
            Incoming::Response { body } => {
                outbox.received(connection, &body, line);
                return Some(Arrival::Response);
            }
            Incoming::Notification { body, method } => {
                outbox.received(connection, &body, line);
                return Some(Arrival::Notification { body, method });
            }
            Incoming::Request { body, id, method } => {
                outbox.received(connection, &body, line);
                return Some(Arrival::request(body, id, method));
            }
        }
        None
    }

    fn refuse(&mut self, place: Place, id: &Value, code: i64, message: &str) {
        self.answer(place, wire::error_line(id, code, message, None));
    }

    /// The conforming answer to a request; none if no client waits for it.
    pub(super) fn conforming_answer(&mut self, cause: &Cause, place: Place) -> Option<Vec<u8>> {
        let Cause::Request { id, method, params } = cause else { return None };
        if !self.is_awaited(place) {
            return None;
        }
        if place.connection.is_none() {
            self.set_status(place, 400);
            let message = format!("Method not found: {method}");
            return Some(wire::error_line(id, wire::METHOD_NOT_FOUND, &message, None));
        }
        match self.state.connections.at_mut(place)?.server.answer(method, params, id) {
            Ok(result) => Some(wire::result_line(id, &result)),
            Err(error) => {
                self.set_status(place, error.status());
                Some(error.line(id))
            }
        }
    }

    /// Whether a client can still get an answer at a place.
    pub(super) fn is_awaited(&self, place: Place) -> bool {
        match &self.framing {
            FramingState::Lines(_) => true,
            FramingState::Http(http) => http.is_awaited(place, &self.state.connections),
        }
    }

    /// Sends an answer.
    pub(super) fn answer(&mut self, place: Place, line: Vec<u8>) {
        self.state.wakeups.note_answer(place);
        match &mut self.framing {
            FramingState::Lines(lines) => lines.answer(place, line, &mut self.state),
            FramingState::Http(http) => http.answer(place, line, &mut self.state),
        }
    }

    /// Sends the same answer twice.
    pub(super) fn answer_twice(&mut self, place: Place, line: Vec<u8>) {
        match &mut self.framing {
            FramingState::Lines(lines) => lines.answer_twice(place, line, &mut self.state),
            FramingState::Http(http) => http.answer_twice(place, &line, &mut self.state),
        }
    }

    /// Gives up the seat of a request in its batch, if it still has one.
    pub(super) fn leave_batch(&mut self, place: Place) {
        match &mut self.framing {
            FramingState::Lines(lines) => lines.leave_batch(place, &mut self.state),
            FramingState::Http(http) => http.leave_batch(place, &mut self.state),
        }
    }

    /// Sends a message that is not an answer; at the place of the whole server, to every connection.
    pub(super) fn notify(&mut self, place: Place, line: &[u8]) {
        match &mut self.framing {
            FramingState::Lines(lines) => lines.send(line.to_vec(), &mut self.state.outbox),
            FramingState::Http(http) => {
                let numbers = self.state.connections.numbers_at(place);
                numbers.into_iter().for_each(|number| http.notify(number, line, &mut self.state));
            }
        }
    }

    /// Sends a message on the stream of an exchange, which stays open. Over lines there is only the output.
    pub(super) fn stream(&mut self, place: Place, line: Vec<u8>) {
        match &mut self.framing {
            FramingState::Lines(lines) => lines.send(line, &mut self.state.outbox),
            FramingState::Http(http) => {
                if let Some(no) = place.exchange {
                    http.stream_alongside(no, place, &line, &mut self.state);
                }
            }
        }
    }

    /// Sends a request of the server's own: on the stream of the exchange, if it has one. `is_new`: under a new id.
    pub(super) fn request(&mut self, place: Place, method: &str, params: Option<&Value>, is_new: bool) {
        let id = if is_new { self.n_requests } else { self.n_requests.saturating_sub(1) };
        self.n_requests = id + 1;
        let line = wire::request_line(id, method, params);
        if let (Some((http, state)), Some(no)) = (self.http(), place.exchange)
            && http.is_streaming(no)
        {
            // Only the stream of a session could bring it as well.
            if state.connections.at(place).is_some_and(|connection| connection.streams.iter().any(|other| *other != no))
            {
                state.outbox.journal(EventKind::StreamEvent { exchange: no.id(), id: None, retry_ms: None });
            }
            return http.stream_message(no, place, &line, state);
        }
        self.notify(place, &line);
    }

    /// Sends a message about a request: over streamable HTTP on the stream of its exchange.
    pub(super) fn notify_about(&mut self, place: Place, line: &[u8]) {
        let is_sse = self.is_sse();
        match (self.http(), place.exchange) {
            (Some((http, state)), Some(no)) if !is_sse => http.stream_alongside(no, place, line, state),
            _ => self.notify(place, line),
        }
    }

    /// Confirms a message that needs no answer; only HTTP has such a confirmation.
    pub(super) fn accept(&mut self, place: Place) {
        if let Some((http, state)) = self.http() {
            http.accept(place, state);
        }
    }

    /// Sets the status code of the coming answer; over lines there is none.
    pub(super) fn set_status(&mut self, place: Place, status: u16) {
        if let Some((http, _)) = self.http() {
            http.set_status(place, status);
        }
    }

    /// With server-sent events, confirms a POST before anything else happens, unless a rule decides about the response.
    pub(super) fn accept_at_once(&mut self, task: &mut Task) {
        if let Some((http, state)) = self.http() {
            http.accept_at_once(task, state);
        }
    }

    /// With server-sent events, confirms a POST that is still unanswered.
    pub(super) fn accept_posted(&mut self, task: &Task) {
        if let Some((http, state)) = self.http() {
            http.accept_posted(task, state);
        }
    }

    /// Closes every connection.
    pub(super) fn close_all(&mut self, how: WireEnd) {
        match &mut self.framing {
            FramingState::Lines(lines) => lines.close(how, &mut self.state.outbox),
            FramingState::Http(http) => http.close_all(how, &mut self.state),
        }
    }

    /// Opens the connection of the pipes.
    pub(super) fn open_pipes(&mut self, number: u64, id: ConnectionId, generation: Generation) {
        self.state.connections.open(number, id, generation);
    }
}
