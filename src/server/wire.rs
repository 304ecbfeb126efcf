//! JSON-RPC messages, read and written without a library, so that no bug is shared with the loader under test.

use serde_json::{Value, json};

use crate::history::Message;
use crate::server::readable::{is_readable, parse};

/// Default limit above which a body is journalled as head, length and hash.
pub const BODY_BYTES_MAX: usize = 65_536;
/// Highest such limit: below it, an event with the body always fits into a line of a link (1 MiB), however JSON escapes it.
const BODY_BYTES_CAP: usize = 128 * 1_024;
/// Longest head of a cut body, in bytes.
const HEAD_BYTES: usize = 512;
/// Longest kept method or id of a cut body, in bytes.
const NAME_BYTES: usize = 256;
/// Longest head of noise, in bytes.
pub(super) const NOISE_HEAD_BYTES: usize = 256;
/// The mark at the beginning of UTF-8 files on some systems. The server ignores it before the first message.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) const PARSE_ERROR: i64 = -32_700;
pub(super) const INVALID_REQUEST: i64 = -32_600;
pub(super) const METHOD_NOT_FOUND: i64 = -32_601;
pub(super) const INVALID_PARAMS: i64 = -32_602;

/// One received value.
#[derive(Debug, PartialEq)]
pub(super) enum Incoming {
    /// Only white space.
    Blank,
    /// Not JSON.
    NoJson,
    /// JSON, but not an object.
    NoObject,
    /// An object that is not a message, with its id or null.
    NoMessage { body: Value, id: Value, because: &'static str },
    /// A request.
    Request { body: Value, id: Value, method: String },
    /// A notification.
    Notification { body: Value, method: String },
    /// An answer to a request of the server's own.
    Response { body: Value },
}

/// One received line.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A single value.
    One(Incoming),
    /// A JSON array: in one revision, several messages at once.
    Batch(Vec<Value>),
}

/// Removes the mark that may precede the first message.
pub(super) fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
}

/// Reads one line, without its line end.
pub(super) fn read_line(line: &[u8]) -> Line {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Line::One(Incoming::Blank);
    }
    match parse(line) {
        Some(Value::Array(bodies)) => Line::Batch(bodies),
        Some(body) => Line::One(read_body(body)),
        None => Line::One(Incoming::NoJson),
    }
}

/// Whether an array consists of messages, whether or not the server takes batches.
pub(super) fn is_batch(bodies: &[Value]) -> bool {
    !bodies.is_empty() && bodies.iter().all(Value::is_object)
}

/// Reads one JSON value.
pub(super) fn read_body(body: Value) -> Incoming {
    if !body.is_object() {
        return Incoming::NoObject;
    }
    let id = body.get("id").cloned();
    let has_id = matches!(id, Some(Value::String(_) | Value::Number(_)));
    let no_message = |body: Value, because| {
        let id = id.clone().filter(|_| has_id).unwrap_or(Value::Null);
        Incoming::NoMessage { body, id, because }
    };
    if body.get("jsonrpc").and_then(Value::as_str) != Some("2.0") {
        return no_message(body, "jsonrpc must be \"2.0\"");
    }
    let method = match body.get("method") {
        Some(Value::String(method)) => method.clone(),
        Some(_) => return no_message(body, "method must be a string"),
        None if has_id && (body.get("result").is_some() != body.get("error").is_some()) => {
            return Incoming::Response { body };
        }
        None => return no_message(body, "neither a request nor an answer"),
    };
    match id {
        None => Incoming::Notification { body, method },
        Some(id) if has_id => Incoming::Request { body, id, method },
        Some(_) => no_message(body, "id must be a string or a number"),
    }
}

/// Whether a message, or one of a batch, has a whole number for an id that was read as another number.
pub(super) fn has_inexact_id(body: &Value) -> bool {
    // Numbers of up to 64 bits are read as such, and above 2^53 a float no longer distinguishes neighbours.
    const EXACT_MAX: f64 = 9_007_199_254_740_992.0;
    let is_inexact = |body: &Value| {
        let id = body.get("id").filter(|id| !id.is_i64() && !id.is_u64()).and_then(Value::as_f64);
        id.is_some_and(|id| id.abs() > EXACT_MAX)
    };
    body.as_array().map_or_else(|| is_inexact(body), |bodies| bodies.iter().any(is_inexact))
}

/// The message in a body, or the batch of messages, if there is one, as the journal has it.
pub(super) fn message_in(bytes: &[u8]) -> Option<Message> {
    let is_message = |body: &Value| body.get("jsonrpc").is_some_and(Value::is_string);
    let body: Value = serde_json::from_slice(bytes).ok()?;
    let is_one = is_message(&body) || body.as_array().is_some_and(|all| !all.is_empty() && all.iter().all(is_message));
    is_one.then(|| journalled(&body, bytes, BODY_BYTES_MAX))
}

/// A message as the journal has it: complete, or cut if its `line` is above the limit, or has what JSON libraries refuse.
pub(super) fn journalled(body: &Value, line: &[u8], body_bytes_max: usize) -> Message {
    if line.len() <= body_bytes_max.min(BODY_BYTES_CAP) && is_readable(without_mark(line)) {
        return Message::new(body.clone());
    }
    let mut short = json!({ "cut": { "head": head(line, HEAD_BYTES), "bytes": line.len(), "hash": hash(line) } });
    for name in ["method", "id"] {
        let Some(value) = body.get(name) else { continue };
        let is_short =
            value.as_str().is_none_or(|text| text.len() <= NAME_BYTES) && !value.is_array() && !value.is_object();
        short[name] = if is_short { value.clone() } else { Value::from(head(line, NAME_BYTES)) };
    }
    Message::new(short)
}

/// A line of our own as the journal has it. A line that is too deep for a reader is always cut.
pub(super) fn journalled_line(line: &[u8], body_bytes_max: usize) -> Message {
    match serde_json::from_slice(line) {
        Ok(body) => journalled(&body, line, body_bytes_max),
        Err(_) => journalled(&json!({ "id": id_of(line) }), line, 0),
    }
}

/// The id of an answer of our own, where the id precedes the result.
fn id_of(line: &[u8]) -> Value {
    let head = String::from_utf8_lossy(&line[..line.len().min(2 * NAME_BYTES)]);
    let id = head.split_once(r#""id":"#).and_then(|(_, rest)| rest.split_once(r#","result""#));
    id.and_then(|(id, _)| serde_json::from_str(id).ok()).unwrap_or_default()
}

/// The beginning of some bytes as text.
pub(super) fn head(bytes: &[u8], n_bytes_max: usize) -> String {
    String::from_utf8_lossy(&bytes[..bytes.len().min(n_bytes_max)]).into_owned()
}

/// A result as a line.
pub(super) fn result_line(id: &Value, result: &Value) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into_bytes()
}

/// An error as a line.
pub(super) fn error_line(id: &Value, code: i64, message: &str, data: Option<&Value>) -> Vec<u8> {
    let message = Value::from(message);
    let data = data.map(|data| format!(r#","data":{data}"#)).unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{message}{data}}}}}"#).into_bytes()
}

/// A notification as a line.
pub(super) fn notification_line(method: &str, params: Option<&Value>) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","method":{}{}}}"#, Value::from(method), params_text(params)).into_bytes()
}

/// A request as a line.
pub(super) fn request_line(id: u64, method: &str, params: Option<&Value>) -> Vec<u8> {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{}{}}}"#, Value::from(method), params_text(params)).into_bytes()
}

fn params_text(params: Option<&Value>) -> String {
    params.map(|params| format!(r#","params":{params}"#)).unwrap_or_default()
}

/// FNV-1a, 64 bits: it distinguishes bodies, and is no protection against forgery.
fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("fnv1a:{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}
