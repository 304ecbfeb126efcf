//! JSON-RPC lines, read and written by ourselves: no bug can be shared with the loader under test.

use serde_json::{Value, json};

use crate::history::Message;

/// Default limit above which a body is journalled as head, length and hash.
pub const BODY_BYTES_MAX: usize = 65_536;
/// Highest such limit: an event of a body below it surely fits into a line of a link (1 MiB), however it is written.
const BODY_BYTES_CAP: usize = 128 * 1_024;
/// Longest head of a body that is cut, in bytes.
const HEAD_BYTES: usize = 512;
/// Longest method or id that is kept of a body that is cut.
const NAME_BYTES: usize = 256;
/// Longest head of noise, in bytes.
pub(super) const NOISE_HEAD_BYTES: usize = 256;
/// How messages open in UTF-8 files of some systems; passed over before the first one.
const BYTE_ORDER_MARK: &[u8] = b"\xEF\xBB\xBF";

pub(super) const PARSE_ERROR: i64 = -32_700;
pub(super) const INVALID_REQUEST: i64 = -32_600;
pub(super) const METHOD_NOT_FOUND: i64 = -32_601;
pub(super) const INVALID_PARAMS: i64 = -32_602;

/// What one line holds.
#[derive(Debug, PartialEq)]
pub(super) enum Incoming {
    /// Nothing but white space.
    Blank,
    /// No JSON.
    NoJson,
    /// JSON, but no object.
    NoObject,
    /// An object that is no message; its id, where it has a usable one.
    NoMessage { body: Value, id: Value, because: &'static str },
    /// A request.
    Request { body: Value, id: Value, method: String },
    /// A notification.
    Notification { body: Value, method: String },
    /// An answer.
    Response { body: Value },
}

/// What one line is.
#[derive(Debug, PartialEq)]
pub(super) enum Line {
    /// A message, or none.
    One(Incoming),
    /// A list: in one revision, several messages at once.
    Batch(Vec<Value>),
}

/// Drops what may stand before the first message of a stream.
pub(super) fn without_mark(line: &[u8]) -> &[u8] {
    line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
}

/// Reads one line, without its line end.
pub(super) fn read_line(line: &[u8]) -> Line {
    if line.iter().all(u8::is_ascii_whitespace) {
        return Line::One(Incoming::Blank);
    }
    match serde_json::from_slice(line) {
        Ok(Value::Array(bodies)) => Line::Batch(bodies),
        Ok(body) => Line::One(read_body(body)),
        Err(_) => Line::One(Incoming::NoJson),
    }
}

/// Whether a list is one of messages, be it taken or not.
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

/// A message as it is journalled: whole, or cut when its `line` is above the limit.
pub(super) fn journalled(body: &Value, line: &[u8], body_bytes_max: usize) -> Message {
    if line.len() <= body_bytes_max.min(BODY_BYTES_CAP) {
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

/// A line of our own as it is journalled. One that no reader would take apart, because it is too deep, is cut whatever its length.
pub(super) fn journalled_line(line: &[u8], body_bytes_max: usize) -> Message {
    match serde_json::from_slice(line) {
        Ok(body) => journalled(&body, line, body_bytes_max),
        Err(_) => journalled(&json!({ "id": id_of(line) }), line, 0),
    }
}

/// The id of an answer of our own, which has it before its result.
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

/// FNV-1a, 64 bits: tells bodies apart, protects from nobody.
fn hash(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    format!("fnv1a:{:016x}", bytes.iter().fold(0xcbf2_9ce4_8422_2325, step))
}
