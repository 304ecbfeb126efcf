//! Responses: each is journalled before it is sent, with what it carries.

use serde_json::Value;

use crate::history::{ConnectionId, EventKind, SessionId, WireEnd};
use crate::script::batch::array;
use crate::script::http::admit::Refusal;
use crate::script::http::{ExchangeNo, Response};
use crate::script::interpreter::Interpreter;
use crate::script::task::At;
use crate::script::{Effect, wire};

impl Interpreter {
    /// The connection of what came about here; the one for stateless talk is opened with its first message.
    pub(super) fn connection_of(&mut self, at: At) -> ConnectionId {
        let connection = self.connection_id(at.connection);
        let is_first = at.connection.is_none()
            && self.http().is_some_and(|http| !std::mem::replace(&mut http.is_stateless_open, true));
        if is_first {
            self.journal(EventKind::ConnectionOpened { connection: connection.clone() });
        }
        connection
    }

    /// Refuses a request as a whole.
    pub(super) fn refuse(&mut self, no: ExchangeNo, refusal: &Refusal) {
        let line = wire::error_line(&Value::Null, refusal.code, refusal.message, None);
        let mut headers = vec![JSON];
        if refusal.status == 405 {
            headers.push(("allow", self.verbs(refusal)));
        }
        self.respond(no, refusal.status, &headers, line);
    }

    /// Refuses a message with an error that names it.
    pub(super) fn refuse_message(&mut self, no: ExchangeNo, id: &Value, code: i64, message: &str) {
        if self.is_sse() {
            return self.respond(no, 400, &[JSON], wire::error_line(id, code, message, None));
        }
        let Some(exchange) = self.http().and_then(|http| http.exchanges.get_mut(&no)) else { return };
        exchange.status = 400;
        let at = At { connection: exchange.connection, exchange: Some(no), seat: None };
        self.answer_exchange(at, wire::error_line(id, code, message, None));
    }

    /// Says that a message was taken that is not answered here.
    pub(in crate::script) fn accept(&mut self, at: At) {
        let body: &[u8] = if self.is_sse() { b"Accepted" } else { b"" };
        if let Some(no) = at.exchange {
            self.respond(no, 202, &[], body.to_vec());
        }
    }

    /// Answers with a whole body that is no message, unless something was sent on this exchange already.
    pub(super) fn respond(&mut self, no: ExchangeNo, status: u16, headers: &[(&'static str, &str)], body: Vec<u8>) {
        let is_waiting = self.http().and_then(|http| http.exchanges.get(&no)).is_some_and(|exchange| !exchange.streams);
        if !is_waiting {
            return;
        }
        let mut headers: Vec<_> = headers.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        headers.extend(self.named_session(no));
        self.journal(EventKind::HttpAnswered { exchange: no.id(), status, streams: false });
        let done = self.take_exchange(no, WireEnd::ByServer);
        self.close_with(done, WireEnd::ByServer);
        self.push(Effect::Respond { exchange: no, response: Response { status, headers, body } });
    }

    /// Sends an answer on its exchange, or keeps it until the others of its batch are there.
    pub(in crate::script) fn answer_exchange(&mut self, at: At, line: Vec<u8>) {
        if self.is_sse() {
            return self.answer_on_stream(at, &line);
        }
        let Some(no) = at.exchange else { return };
        let Some(exchange) = self.http().and_then(|http| http.exchanges.get(&no)) else { return };
        if exchange.streams {
            self.stream_kept(no, at);
            self.stream_message(no, at, &line);
        } else if let Some(seat) = at.seat {
            self.batches.keep(seat, line);
        } else {
            return self.answer_typed(no, at, &[line], JSON.1);
        }
        match at.seat {
            None => self.end_stream(no),
            Some(_) => self.leave_batch(at),
        }
    }

    /// Sends the answers to a batch, of which there will be no more.
    pub(in crate::script) fn answer_batch(&mut self, at: At, answers: &[Vec<u8>]) {
        let Some(no) = at.exchange else { return };
        let Some(exchange) = self.http().and_then(|http| http.exchanges.get(&no)) else { return };
        if exchange.streams {
            answers.iter().for_each(|line| self.stream_message(no, at, line));
            self.end_stream(no);
        } else if !answers.is_empty() {
            self.answer_typed(no, at, answers, JSON.1);
        }
    }

    /// Sends the answers that are kept for a batch on its stream, where no body can bring them any more.
    fn stream_kept(&mut self, no: ExchangeNo, at: At) {
        let kept = at.seat.map(|seat| self.batches.take_kept(seat)).unwrap_or_default();
        kept.iter().for_each(|line| self.stream_message(no, at, line));
    }

    /// Sends an answer, or those to a batch, as a whole body of this type.
    pub(super) fn answer_typed(&mut self, no: ExchangeNo, at: At, answers: &[Vec<u8>], kind: &str) {
        let session = self.session_of_answer(no, at);
        let Some(exchange) = self.http().and_then(|http| http.exchanges.get_mut(&no)) else { return };
        let status = exchange.status;
        let connection = self.connection_of(at);
        answers.iter().for_each(|line| self.sent(connection.clone(), line));
        let body = if at.seat.is_some() { array(answers) } else { answers.concat() };
        let mut headers = vec![(JSON.0, kind)];
        headers.extend(session.as_ref().map(|session| (SESSION, session.0.as_str())));
        self.respond(no, status, &headers, body);
    }

    /// The session that an answer brings: none for an opening that failed.
    pub(super) fn session_of_answer(&mut self, no: ExchangeNo, at: At) -> Option<SessionId> {
        let talk = at.connection.and_then(|number| self.talks.get(&number));
        let has_succeeded = talk.is_some_and(|talk| talk.server.revision().is_some());
        if has_succeeded { self.hand_out_session(no) } else { None }
    }

    /// The header field of a session that was never opened, where a script names one.
    fn named_session(&mut self, no: ExchangeNo) -> Option<(&'static str, String)> {
        let named = self.http()?.exchanges.get_mut(&no)?.names_session.take()?;
        Some((SESSION, named))
    }

    /// Sends the same answer twice, for which it takes a stream.
    pub(in crate::script) fn answer_exchange_twice(&mut self, at: At, line: &[u8]) {
        if self.is_sse() {
            return (0..2).for_each(|_| self.answer_on_stream(at, line));
        }
        let Some(no) = at.exchange else { return };
        self.begin_stream(no);
        self.stream_message(no, at, line);
        self.answer_exchange(at, line.to_vec());
    }

    /// Begins a body that goes on, unless something was sent on this exchange already.
    pub(in crate::script) fn begin_stream(&mut self, no: ExchangeNo) {
        let is_waiting = self.http().and_then(|http| http.exchanges.get(&no)).is_some_and(|exchange| !exchange.streams);
        if !is_waiting {
            return;
        }
        let session = self.hand_out_session(no);
        if let Some(exchange) = self.http().and_then(|http| http.exchanges.get_mut(&no)) {
            exchange.streams = true;
        }
        let mut headers = vec![
            ("content-type", "text/event-stream".to_owned()),
            ("cache-control", "no-cache, no-transform".to_owned()),
        ];
        if !self.is_sse() {
            headers.extend(session.as_ref().map(|session| (SESSION, session.0.clone())));
        }
        headers.extend(self.named_session(no));
        self.journal(EventKind::HttpAnswered { exchange: no.id(), status: 200, streams: true });
        let response = Response { status: 200, headers, body: Vec::new() };
        self.push(Effect::BeginStream { exchange: no, response });
        session.into_iter().for_each(|session| self.tell_endpoint(no, &session));
    }

    /// Sends a message about a request as an event of its response, which becomes a stream with it.
    pub(in crate::script) fn stream_beside(&mut self, no: ExchangeNo, at: At, line: &[u8]) {
        self.begin_stream(no);
        self.stream_message(no, at, line);
    }

    /// Sends a message as an event of a stream.
    pub(in crate::script) fn stream_message(&mut self, no: ExchangeNo, at: At, line: &[u8]) {
        self.stream_event(no, at, line, [b"event: message\ndata: ", line, b"\n\n"].concat());
    }

    /// Sends a message as an event that is written like this.
    pub(super) fn stream_event(&mut self, no: ExchangeNo, at: At, line: &[u8], bytes: Vec<u8>) {
        let connection = self.connection_of(at);
        self.sent(connection, line);
        self.push(Effect::StreamPart { exchange: no, bytes });
    }

    /// Sends an answer as a body of chunks of one byte each.
    pub(super) fn trickle(&mut self, no: ExchangeNo, at: At, line: &[u8]) {
        let session = self.session_of_answer(no, at);
        let connection = self.connection_of(at);
        let mut headers = vec![(JSON.0, JSON.1.to_owned())];
        headers.extend(session.map(|session| (SESSION, session.0)));
        headers.extend(self.named_session(no));
        self.note_answer(at);
        self.journal(EventKind::HttpAnswered { exchange: no.id(), status: 200, streams: false });
        self.sent(connection, line);
        self.push(Effect::BeginStream { exchange: no, response: Response { status: 200, headers, body: Vec::new() } });
        for byte in line {
            self.push(Effect::StreamPart { exchange: no, bytes: vec![*byte] });
        }
        self.end_stream(no);
    }

    /// Ends a stream in order.
    pub(super) fn end_stream(&mut self, no: ExchangeNo) {
        let Some(done) = self.take_exchange(no, WireEnd::ByServer) else { return };
        self.close_with(Some(done), WireEnd::ByServer);
        self.push(Effect::EndStream(no));
    }

    /// Ends an exchange that is over without anything more to send.
    pub(super) fn end_exchange(&mut self, no: ExchangeNo, how: WireEnd) {
        let done = self.take_exchange(no, how);
        self.close_with(done, how);
    }
}

/// The header field that says that a body is JSON.
pub(super) const JSON: (&str, &str) = ("content-type", "application/json");
/// The header field that names a session.
pub(super) const SESSION: &str = "mcp-session-id";
