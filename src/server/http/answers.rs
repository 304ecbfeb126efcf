//! Answers over HTTP: in the response of their own exchange, or with server-sent events on the stream of the connection.

use crate::server::batch::array;
use crate::server::cause::Place;
use crate::server::http::server::{Http, JSON, SESSION};
use crate::server::http::sse;
use crate::server::http_io::ExchangeNo;
use crate::server::state::ServerState;
use crate::server::task::{Step, Task};

impl Http {
    /// Confirms a message that needs no answer.
    pub(in crate::server) fn accept(&mut self, place: Place, state: &mut ServerState) {
        let body: &[u8] = if self.is_sse() { b"Accepted" } else { b"" };
        if let Some(no) = place.exchange {
            self.respond(no, 202, &[], body.to_vec(), state);
        }
    }

    /// With server-sent events, confirms a POST before anything else happens, unless a rule decides about the response.
    pub(in crate::server) fn accept_at_once(&mut self, task: &mut Task, state: &mut ServerState) {
        if !self.is_sse() {
            return;
        }
        task.steps.iter_mut().for_each(|step| sse::raise_impact(&task.cause, step));
        let decides = |step: &Step| step.action.is_of_exchange();
        if !task.steps.iter().any(decides) {
            self.accept_posted(task, state);
        }
    }

    /// With server-sent events, confirms a POST that is still unanswered.
    pub(in crate::server) fn accept_posted(&mut self, task: &Task, state: &mut ServerState) {
        if task.cause.is_posted() && self.is_sse() {
            self.accept(task.place, state);
        }
    }

    /// Sends an answer on its exchange. The answer to a request in a batch waits for the others.
    pub(in crate::server) fn answer(&mut self, place: Place, line: Vec<u8>, state: &mut ServerState) {
        if self.is_sse() {
            return self.answer_on_stream(place, &line, state);
        }
        let Some(no) = place.exchange.filter(|no| self.exchanges.is_open(*no)) else { return };
        if self.exchanges.streams(no) {
            self.stream_kept(no, place, state);
            self.stream_message(no, place, &line, state);
        } else if let Some(seat) = place.seat {
            state.batches.keep(seat, line);
        } else {
            return self.answer_typed(no, place, &[line], JSON.1, state);
        }
        match place.seat {
            None => self.end_stream(no, state),
            Some(_) => self.leave_batch(place, state),
        }
    }

    /// Sends the same answer twice, as two events of one stream.
    pub(in crate::server) fn answer_twice(&mut self, place: Place, line: &[u8], state: &mut ServerState) {
        if self.is_sse() {
            return (0..2).for_each(|_| self.answer_on_stream(place, line, state));
        }
        let Some(no) = place.exchange else { return };
        self.stream_alongside(no, place, line, state);
        self.answer(place, line.to_vec(), state);
    }

    /// Gives up the seat of a request in its batch, and answers the batch if it is complete.
    pub(in crate::server) fn leave_batch(&mut self, place: Place, state: &mut ServerState) {
        let Some(answers) = place.seat.and_then(|seat| state.batches.leave(seat)) else { return };
        let Some(no) = place.exchange.filter(|no| self.exchanges.is_open(*no)) else { return };
        if self.exchanges.streams(no) {
            answers.iter().for_each(|line| self.stream_message(no, place, line, state));
            self.end_stream(no, state);
        } else if !answers.is_empty() {
            self.answer_typed(no, place, &answers, JSON.1, state);
        }
    }

    /// Sends an answer, or the answers to a batch, as a complete body of this type.
    pub(in crate::server) fn answer_typed(
        &mut self,
        no: ExchangeNo,
        place: Place,
        answers: &[Vec<u8>],
        kind: &str,
        state: &mut ServerState,
    ) {
        let session = self.session_of_answer(no, place, state);
        let Some(status) = self.exchanges.get(no).map(|exchange| exchange.status) else { return };
        let connection = self.connection_of(place, state);
        answers.iter().for_each(|line| state.outbox.sent(connection.clone(), line));
        let body = if place.seat.is_some() { array(answers) } else { answers.concat() };
        let mut headers = vec![(JSON.0, kind)];
        headers.extend(session.as_ref().map(|session| (SESSION, session.0.as_str())));
        self.respond(no, status, &headers, body, state);
    }

    /// Sends a message about a request as an event of its response, which thereby becomes a stream.
    pub(in crate::server) fn stream_alongside(
        &mut self,
        no: ExchangeNo,
        place: Place,
        line: &[u8],
        state: &mut ServerState,
    ) {
        self.begin_stream(no, state);
        self.stream_message(no, place, line, state);
    }

    /// Sends the kept answers of a batch on its stream, because no complete body can carry them any more.
    fn stream_kept(&mut self, no: ExchangeNo, place: Place, state: &mut ServerState) {
        let kept = place.seat.map(|seat| state.batches.take_kept(seat)).unwrap_or_default();
        kept.iter().for_each(|line| self.stream_message(no, place, line, state));
    }

    /// With server-sent events: confirms the POST, and sends the answer on the stream of the connection.
    fn answer_on_stream(&mut self, place: Place, line: &[u8], state: &mut ServerState) {
        self.accept(place, state);
        let stream = state.connections.at(place).and_then(|connection| connection.streams.last().copied());
        if let Some(stream) = stream {
            self.stream_message(stream, place, line, state);
        }
    }
}
