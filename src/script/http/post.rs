//! Messages that arrive by POST.

use serde_json::Value;

use crate::history::EventKind;
use crate::script::Era;
use crate::script::http::ExchangeNo;
use crate::script::http::admit::Refusal;
use crate::script::interpreter::Interpreter;
use crate::script::modern::DISCOVER;
use crate::script::task::{At, Cause};
use crate::script::wire::{self, Incoming};

/// Most connections at once.
const CONNECTIONS_MAX: usize = 16_384;

impl Interpreter {
    /// Takes the body of a POST: a message, or under revision 2025-03-26 a batch of them.
    pub(super) fn post(&mut self, at: At, bytes: &[u8]) {
        let Some(no) = at.exchange else { return };
        let parsed = serde_json::from_slice(bytes);
        if self.is_modern_post(at, parsed.as_ref().unwrap_or(&Value::Null)) {
            return self.modern_post(no, parsed.ok(), bytes);
        }
        match parsed {
            Ok(Value::Array(bodies)) if !bodies.is_empty() && self.has_batches(at) => self.take_batch(at, bodies),
            Ok(body @ Value::Array(_)) => self.refuse_batch(no, at, &body, bytes),
            Ok(body @ Value::Object(_)) => self.message(no, at, wire::read_body(body), bytes),
            Ok(_) => self.no_message(no, at, bytes, &Refusal::NO_OBJECT),
            Err(_) => self.no_message(no, at, bytes, &Refusal::NO_JSON),
        }
    }

    /// A list, where no batch is taken. One of messages is on record as it came.
    pub(super) fn refuse_batch(&mut self, no: ExchangeNo, at: At, body: &Value, bytes: &[u8]) {
        if !body.as_array().is_some_and(|bodies| wire::is_batch(bodies)) {
            return self.no_message(no, at, bytes, &Refusal::BATCH);
        }
        self.take_message(at, body, bytes);
        self.refuse_message(no, &Value::Null, Refusal::BATCH.code, Refusal::BATCH.message);
    }

    pub(super) fn no_message(&mut self, no: ExchangeNo, at: At, bytes: &[u8], refusal: &Refusal) {
        let connection = self.connection_of(at);
        self.noise(connection, bytes.len() as u64, bytes);
        self.refuse_message(no, &Value::Null, refusal.code, refusal.message);
    }

    fn message(&mut self, no: ExchangeNo, at: At, incoming: Incoming, line: &[u8]) {
        if at.connection.is_none() {
            return self.message_without_session(no, incoming, line);
        }
        match incoming {
            Incoming::NoMessage { body, id, because } => {
                self.take_message(at, &body, line);
                self.refuse_message(no, &id, wire::INVALID_REQUEST, &format!("Invalid request: {because}"));
            }
            Incoming::Response { body } => {
                self.take_message(at, &body, line);
                self.begin(Cause::Response, at);
            }
            Incoming::Notification { body, method } => {
                self.take_message(at, &body, line);
                self.notification(at, method, &body);
            }
            Incoming::Request { body, id, method } => self.take_request(at, body, id, method, line),
            Incoming::Blank | Incoming::NoJson | Incoming::NoObject => {
                self.no_message(no, at, line, &Refusal::NO_OBJECT);
            }
        }
    }

    pub(super) fn take_message(&mut self, at: At, body: &Value, line: &[u8]) {
        let connection = self.connection_of(at);
        self.received(connection, body, line);
    }

    fn take_request(&mut self, at: At, mut body: Value, id: Value, method: String, line: &[u8]) {
        self.take_message(at, &body, line);
        let params = body.get_mut("params").map(Value::take).unwrap_or_default();
        self.begin(Cause::Request { id, method, params }, at);
    }

    fn message_without_session(&mut self, no: ExchangeNo, incoming: Incoming, line: &[u8]) {
        let at = At { exchange: Some(no), ..At::default() };
        match incoming {
            Incoming::Request { body, id, method } if method == "initialize" => {
                self.initialize(no, body, id, method, line);
            }
            Incoming::Request { body, id, method } => {
                // A client of both eras asks this first; the answer tells it that this server is of the older one.
                if method == DISCOVER {
                    return self.take_request(at, body, id, method, line);
                }
                self.take_message(at, &body, line);
                match method.as_str() {
                    "ping" => self.answer_exchange(at, wire::result_line(&id, &Value::Object(serde_json::Map::new()))),
                    _ => self.refuse_message(no, &id, Refusal::NO_SESSION.code, Refusal::NO_SESSION.message),
                }
            }
            Incoming::NoMessage { body, .. } | Incoming::Response { body } | Incoming::Notification { body, .. } => {
                self.take_message(at, &body, line);
                self.refuse_message(no, &Value::Null, Refusal::NO_SESSION.code, Refusal::NO_SESSION.message);
            }
            Incoming::Blank | Incoming::NoJson | Incoming::NoObject => {
                self.no_message(no, at, line, &Refusal::NO_OBJECT);
            }
        }
    }

    /// A connection begins.
    fn initialize(&mut self, no: ExchangeNo, body: Value, id: Value, method: String, line: &[u8]) {
        let Some(number) = self.open_connection(no) else { return self.refuse(no, &Refusal::TOO_MANY) };
        self.take_request(At { connection: Some(number), exchange: Some(no), seat: None }, body, id, method, line);
    }

    /// Opens the connection that an exchange begins; none where there are too many.
    pub(super) fn open_connection(&mut self, no: ExchangeNo) -> Option<u64> {
        if self.talks.len() >= CONNECTIONS_MAX {
            return None;
        }
        let http = self.http()?;
        http.n_connections += 1;
        let number = http.n_connections;
        if let Some(exchange) = http.exchanges.get_mut(&no) {
            exchange.connection = Some(number);
            exchange.opens = true;
        }
        let connection = self.connection_id(Some(number));
        self.add_talk(number, connection.clone(), Era::Legacy);
        self.journal(EventKind::ConnectionOpened { connection });
        Some(number)
    }
}
