//! One line of a trace: its fields under the names that recorders give them.

use serde_json::{Map, Value};

use super::time::{RawTime, RawTimeError};
use crate::history::Message;
use crate::plan::{InputError, Transport};

/// The way that a message went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    ToServer,
    ToClient,
}

impl Direction {
    fn reversed(self) -> Self {
        match self {
            Self::ToServer => Self::ToClient,
            Self::ToClient => Self::ToServer,
        }
    }
}

pub(super) struct TraceLine<'a> {
    /// From 1.
    pub number: usize,
    pub text: &'a str,
    pub fields: &'a Map<String, Value>,
}

/// A line that is not as a trace has it.
pub(super) struct LineError {
    line: usize,
    column: usize,
    message: String,
}

impl LineError {
    pub(super) fn into_input_error(self, file: &str) -> InputError {
        let Self { line, column, message } = self;
        InputError { file: file.to_owned(), line, column, message }
    }
}

const DIRECTION: &[&str] = &["direction", "dir", "from"];
const MESSAGE: &[&str] = &["message", "msg", "payload", "body"];
const TIME: &[&str] = &["time", "timestamp", "ts"];
const TIME_MS: &[&str] = &["time_ms", "timestamp_ms", "ts_ms"];
const SIDE: &[&str] = &["side", "recorder"];
const CONNECTION: &[&str] = &["connection", "connection_id", "connectionId"];
const SESSION: &[&str] = &["session", "session_id", "sessionId", "mcp-session-id"];

const TO_SERVER: &[&str] = &["client-to-server", "client->server", "c2s", "c->s", "from-client", "to-server"];
const TO_CLIENT: &[&str] = &["server-to-client", "server->client", "s2c", "s->c", "from-server", "to-client"];
const OUT: &[&str] = &["out", "outgoing", "outbound", "send", "sent", "tx", ">", ">>", "->"];
const IN: &[&str] = &["in", "incoming", "inbound", "receive", "received", "recv", "rx", "<", "<<", "<-"];
const EXPECTED_DIRECTION: &str = "expected client-to-server or server-to-client";

/// Whether a line has a direction, as each line of a trace does.
pub(super) fn has_direction(fields: &Map<String, Value>) -> bool {
    !fields.contains_key("schema") && DIRECTION.iter().any(|name| fields.contains_key(*name))
}

/// Whether a message gives its revision in its metadata, as those without a handshake do.
pub(super) fn says_revision(message: &Message) -> bool {
    message.at(&["params", "_meta", "io.modelcontextprotocol/protocolVersion"]).is_some()
}

impl<'a> TraceLine<'a> {
    /// The first of these fields that is there and not null.
    fn field(&self, names: &[&'static str]) -> Option<(&'static str, &'a Value)> {
        names.iter().find_map(|name| Some((*name, self.fields.get(*name).filter(|value| !value.is_null())?)))
    }

    /// An error about a field, at its column.
    pub(super) fn error(&self, name: &str, message: String) -> LineError {
        let offset = self.text.find(&format!("\"{name}\"")).unwrap_or_default();
        let column = self.text[..offset].chars().count() + 1;
        LineError { line: self.number, column, message }
    }

    /// An error about a field that is missing.
    fn lacks(&self, message: String) -> LineError {
        LineError { line: self.number, column: 1, message }
    }

    pub(super) fn direction(&self) -> Result<Direction, LineError> {
        let Some((name, found)) = self.field(DIRECTION) else {
            return Err(self.lacks(format!("found no `direction`, {EXPECTED_DIRECTION}")));
        };
        let word = found.as_str().map(normal).unwrap_or_default();
        let word = word.as_str();
        let relative = if TO_SERVER.contains(&word) || (name, word) == ("from", "client") {
            return Ok(Direction::ToServer);
        } else if TO_CLIENT.contains(&word) || (name, word) == ("from", "server") {
            return Ok(Direction::ToClient);
        } else if OUT.contains(&word) {
            Direction::ToServer
        } else if IN.contains(&word) {
            Direction::ToClient
        } else {
            return Err(self.error(name, format!("found {name} {found}, {EXPECTED_DIRECTION}")));
        };
        match self.field(SIDE).map(|(_, side)| side.as_str().map(normal).unwrap_or_default()).as_deref() {
            Some("client") => Ok(relative),
            Some("server") => Ok(relative.reversed()),
            Some(_) | None => {
                let because = format!(
                    "found {name} {found}, {EXPECTED_DIRECTION}, or next to it a `side` that is client or server and says who recorded the line"
                );
                Err(self.error(name, because))
            }
        }
    }

    /// The message: an object, an array of objects, or the text of one of them.
    pub(super) fn message(&self) -> Result<Value, LineError> {
        let expected = "expected a JSON-RPC message: an object, or an array of objects";
        let Some((name, found)) = self.field(MESSAGE) else {
            return Err(self.lacks(format!("found no `message`, {expected}")));
        };
        let value = match found.as_str().map(serde_json::from_str) {
            None => found.clone(),
            Some(Ok(value)) => value,
            Some(Err(error)) => {
                return Err(self.error(name, format!("found {name} with invalid JSON ({error}), {expected}")));
            }
        };
        let is_message = match &value {
            Value::Object(_) => true,
            Value::Array(batch) => !batch.is_empty() && batch.iter().all(Value::is_object),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
        };
        if is_message { Ok(value) } else { Err(self.error(name, format!("found {name} {}, {expected}", head(&value)))) }
    }

    pub(super) fn time(&self) -> Result<Option<RawTime>, LineError> {
        let (found, time) = match (self.field(TIME_MS), self.field(TIME)) {
            (Some(found), _) => (found, RawTime::of_ms(found.1)),
            (None, Some(found)) => (found, RawTime::of(found.1)),
            (None, None) => return Ok(None),
        };
        let (name, value) = found;
        time.map(Some).map_err(|RawTimeError { expected }| {
            self.error(name, format!("found {name} {}, expected {expected}", head(value)))
        })
    }

    pub(super) fn transport(&self) -> Result<Option<Transport>, LineError> {
        let Some((name, found)) = self.field(&["transport"]) else { return Ok(None) };
        match found.as_str().map(normal).as_deref() {
            Some("stdio") => Ok(Some(Transport::Stdio)),
            Some("http" | "streamable-http" | "streamablehttp") => Ok(Some(Transport::Http)),
            Some("sse") => Ok(Some(Transport::Sse)),
            Some(_) | None => {
                Err(self.error(name, format!("found transport {}, expected stdio, http or sse", head(found))))
            }
        }
    }

    pub(super) fn server(&self) -> Result<String, LineError> {
        Ok(self.name_in(&["server"])?.unwrap_or_else(|| "server".to_owned()))
    }

    pub(super) fn connection(&self) -> Result<Option<String>, LineError> {
        self.name_in(CONNECTION)
    }

    pub(super) fn session(&self) -> Result<Option<String>, LineError> {
        self.name_in(SESSION)
    }

    /// A name that is a text or a number.
    fn name_in(&self, names: &[&'static str]) -> Result<Option<String>, LineError> {
        let Some((name, found)) = self.field(names) else { return Ok(None) };
        match found {
            Value::String(text) if !text.is_empty() => Ok(Some(text.clone())),
            Value::Number(number) => Ok(Some(number.to_string())),
            Value::String(_) | Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
                Err(self.error(name, format!("found {name} {}, expected a text or a number", head(found))))
            }
        }
    }
}

/// A word without its case and with `-` between its parts.
fn normal(word: &str) -> String {
    word.trim().to_lowercase().replace('→', "->").replace(" -> ", "->").replace([' ', '_'], "-")
}

/// The beginning of a value, for an error.
fn head(value: &Value) -> String {
    const CHARS_MAX: usize = 60;
    let text = value.to_string();
    match text.char_indices().nth(CHARS_MAX) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
