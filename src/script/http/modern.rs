//! Messages of the modern era: no sessions, and each POST says in its header what its body is.
//!
//! They belong to one connection, which lasts as long as the mock: number 1, or the next there is where a server speaks
//! both eras.
//!
//! Source: revision 2026-07-28, basic/transports/streamable-http.

use serde_json::Value;

use crate::history::EventKind;
use crate::script::Era;
use crate::script::http::admit::Refusal;
use crate::script::http::{ExchangeNo, Request};
use crate::script::interpreter::Interpreter;
use crate::script::modern::{self, HEADER_MISMATCH};
use crate::script::rpc::RpcError;
use crate::script::server::is_of_modern_era;
use crate::script::task::{At, Cause};
use crate::script::wire::{self, Incoming};

/// What the header of a POST says of its body.
#[derive(Debug, Clone, Default)]
pub(super) struct Mirror {
    version: Option<String>,
    method: Option<String>,
    name: Option<String>,
}

impl Mirror {
    pub(super) fn of(request: &Request) -> Self {
        let field = |name| request.header(name).map(str::to_owned);
        Self { version: field("mcp-protocol-version"), method: field("mcp-method"), name: field("mcp-name") }
    }

    /// Whether it says the same as a request.
    fn shows(&self, method: &str, params: &Value) -> Result<(), RpcError> {
        let name = match method {
            "tools/call" | "prompts/get" => params.get("name").and_then(Value::as_str),
            "resources/read" => params.get("uri").and_then(Value::as_str),
            _ => None,
        };
        let fields = [
            ("MCP-Protocol-Version", self.version.as_deref(), modern::version_of(params)),
            ("Mcp-Method", self.method.as_deref(), Some(method)),
            ("Mcp-Name", self.name.as_deref(), name),
        ];
        match fields.into_iter().find(|(_, shown, said)| said.is_some() && shown != said) {
            Some((field, _, _)) => Err(RpcError::new(
                HEADER_MISMATCH,
                format!("Header mismatch: {field} does not show what the body says"),
            )),
            None => Ok(()),
        }
    }
}

impl Interpreter {
    /// Whether the body of a POST belongs to the modern era.
    pub(super) fn is_modern_post(&self, at: At, body: &Value) -> bool {
        match self.setup.era() {
            Era::Legacy => false,
            Era::Modern => true,
            Era::Dual if at.connection.is_some() => false,
            Era::Dual => {
                let method = body.get("method").and_then(Value::as_str).unwrap_or_default();
                is_of_modern_era(method, body.get("params").unwrap_or(&Value::Null))
            }
        }
    }

    /// Takes the body of a POST of the modern era.
    pub(super) fn modern_post(&mut self, no: ExchangeNo, parsed: Option<Value>, bytes: &[u8]) {
        match parsed {
            Some(body @ Value::Object(_)) => self.modern_message(no, wire::read_body(body), bytes),
            Some(body @ Value::Array(_)) => {
                let at = self.modern_at(no);
                self.refuse_batch(no, at, &body, bytes);
            }
            Some(_) => {
                let at = self.modern_at(no);
                self.no_message(no, at, bytes, &Refusal::NO_OBJECT);
            }
            None => {
                let at = self.modern_at(no);
                self.no_message(no, at, bytes, &Refusal::NO_JSON);
            }
        }
    }

    /// What a server takes, for who asked otherwise.
    pub(super) fn verbs(&self, refusal: &Refusal) -> &'static str {
        match self.setup.era() {
            Era::Modern => "POST",
            Era::Legacy | Era::Dual => refusal.allowed(),
        }
    }

    /// Chooses the status code of an answer; over lines there is none.
    pub(in crate::script) fn set_status(&mut self, at: At, status: u16) {
        if let Some(exchange) = at.exchange.and_then(|no| self.http()?.exchanges.get_mut(&no)) {
            exchange.status = status;
        }
    }

    /// Chooses the status code that goes with an error, where the era has such.
    pub(in crate::script) fn mark_status(&mut self, at: At, code: i64) {
        let talk = at.connection.and_then(|number| self.talks.get(&number));
        if talk.is_some_and(|talk| talk.server.is_modern()) {
            self.set_status(at, modern::status_of(code));
        }
    }

    /// What a server of the legacy era answers to a request that names no session.
    pub(in crate::script) fn stateless_answer(&mut self, at: At, id: &Value, method: &str) -> Vec<u8> {
        self.set_status(at, 400);
        wire::error_line(id, wire::METHOD_NOT_FOUND, &format!("Method not found: {method}"), None)
    }

    /// Takes a message of the modern era.
    pub(super) fn modern_message(&mut self, no: ExchangeNo, incoming: Incoming, line: &[u8]) {
        let at = self.modern_at(no);
        match incoming {
            Incoming::Request { body, id, method } => self.modern_request(at, body, id, method, line),
            Incoming::Notification { body, method } => {
                self.take_message(at, &body, line);
                self.notification(at, method, &body);
            }
            Incoming::NoMessage { body, id, because } => {
                self.take_message(at, &body, line);
                self.refuse_message(no, &id, wire::INVALID_REQUEST, &format!("Invalid request: {because}"));
            }
            // Only clients ask, so there is nothing to answer.
            Incoming::Response { body } => {
                self.take_message(at, &body, line);
                self.refuse_message(no, &Value::Null, wire::INVALID_REQUEST, "Invalid request: not a request");
            }
            Incoming::Blank | Incoming::NoJson | Incoming::NoObject => {
                self.no_message(no, at, line, &Refusal::NO_OBJECT)
            }
        }
    }

    fn modern_request(&mut self, at: At, mut body: Value, id: Value, method: String, line: &[u8]) {
        self.take_message(at, &body, line);
        let params = body.get_mut("params").map(Value::take).unwrap_or_default();
        // What a client of the legacy era asks is for the server to answer.
        let mirrored = modern::version_of(&params).map_or(Ok(()), |_| self.mirror(at).shows(&method, &params));
        match (mirrored, at.exchange) {
            (Err(error), Some(no)) => self.refuse_message(no, &id, error.code, &error.message),
            _ => self.begin(Cause::Request { id, method, params }, at),
        }
    }

    fn mirror(&mut self, at: At) -> Mirror {
        let exchange = at.exchange.and_then(|no| self.http()?.exchanges.get(&no));
        exchange.map(|exchange| exchange.mirror.clone()).unwrap_or_default()
    }

    /// Where a message of the modern era comes about; the connection is opened with its first message.
    pub(super) fn modern_at(&mut self, no: ExchangeNo) -> At {
        let number = self.http().and_then(|http| http.modern).unwrap_or_else(|| self.open_modern());
        if let Some(exchange) = self.http().and_then(|http| http.exchanges.get_mut(&no)) {
            exchange.connection = Some(number);
        }
        At { connection: Some(number), exchange: Some(no), seat: None }
    }

    fn open_modern(&mut self) -> u64 {
        let Some(http) = self.http() else { return 0 };
        http.n_connections += 1;
        let number = http.n_connections;
        http.modern = Some(number);
        let connection = self.connection_id(Some(number));
        self.add_talk(number, connection.clone(), Era::Modern);
        self.journal(EventKind::ConnectionOpened { connection });
        number
    }
}
