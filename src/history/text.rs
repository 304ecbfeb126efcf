//! The readable form of a history: one event on each line, `#SEQ TIME SOURCE KIND field=value …`.
//!
//! Reading inverts printing. The reader accepts lines without number and time, so a test can be written by hand:
//!
//! ```text
//! driver operation.invoked operation=1 action=load servers=["files"]
//! mock:files#1 wire.received connection=c1 message={"id":1,"method":"initialize"}
//! ```
//!
//! A value is a bare word or JSON.

use serde_json::{Map, Value};

use crate::history::jsonl::{FieldError, event_from_fields, kind_fields};
use crate::history::{Event, Header, History, Seq};
use crate::plan::InputError;

/// Writes one event for a reader.
#[must_use]
pub fn event_to_text(event: &Event) -> String {
    let mut fields = kind_fields(&event.kind);
    let kind = fields.remove("kind").unwrap_or_default();
    let kind = kind.as_str().unwrap_or_default().to_owned();
    let ms = event.at_us / 1_000;
    let mut text = format!("{} {ms}.{:03}ms {} {kind}", event.seq, event.at_us % 1_000, event.source);
    for (name, value) in fields {
        text.push_str(&format!(" {name}={}", word(&value)));
    }
    text
}

/// Writes all events of a history, one on each line.
#[must_use]
pub fn history_to_text(history: &History) -> String {
    history.events().iter().map(|event| event_to_text(event) + "\n").collect()
}

/// Reads one line. `seq` and `at_us` apply if the line has no number or time.
///
/// # Errors
/// With the line, the text found and the text expected.
pub fn event_from_text(file: &str, number: usize, line: &str, seq: Seq, at_us: u64) -> Result<Event, InputError> {
    read_line(line, seq, at_us).map_err(|error| InputError::line(file, number, error.to_string()))
}

/// Why a line is invalid.
#[derive(Debug, thiserror::Error)]
enum LineError {
    #[error("found #{found}, expected a number after #")]
    NoNumber { found: String },
    #[error("expected SOURCE KIND field=value …")]
    TooShort,
    #[error("found {found:?}, expected field=value")]
    NoField { found: String },
    #[error("found no value, expected a bare word or JSON")]
    NoValue,
    #[error("found {found:?}, expected a bare word or JSON ({source})")]
    BadValue { found: String, source: serde_json::Error },
    #[error(transparent)]
    Fields(#[from] FieldError),
}

fn read_line(line: &str, seq: Seq, at_us: u64) -> Result<Event, LineError> {
    let mut fields = Map::from_iter([("seq".to_owned(), Value::from(seq.0)), ("at_us".to_owned(), Value::from(at_us))]);
    let mut rest = line.trim();
    if let Some((found, after)) = rest.strip_prefix('#').and_then(|tail| tail.split_once(' ')) {
        let found: u64 = found.parse().map_err(|_| LineError::NoNumber { found: found.to_owned() })?;
        fields.insert("seq".to_owned(), Value::from(found));
        rest = after.trim_start();
    }
    if let Some((found, after)) = rest.split_once(' ').and_then(|(time, after)| Some((parse_ms(time)?, after))) {
        fields.insert("at_us".to_owned(), Value::from(found));
        rest = after.trim_start();
    }
    let (source, after) = rest.split_once(' ').ok_or(LineError::TooShort)?;
    fields.insert("source".to_owned(), Value::from(source));
    let after = after.trim_start();
    let (kind, mut rest) = after.split_once(' ').unwrap_or((after, ""));
    fields.insert("kind".to_owned(), Value::from(kind));
    rest = rest.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=').ok_or_else(|| LineError::NoField { found: rest.to_owned() })?;
        let (value, used) = take_value(after)?;
        fields.insert(name.to_owned(), value);
        rest = after[used..].trim_start();
    }
    Ok(event_from_fields(fields)?)
}

/// Reads a whole history in text form. Skips blank lines and lines that start with `//`.
///
/// # Errors
/// With the line, the text found and the text expected.
pub fn history_from_text(file: &str, header: Header, text: &str) -> Result<History, InputError> {
    let mut events = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with("//") {
            continue;
        }
        let n_before = events.len() as u64;
        // A millisecond apart, so that time rises in a handwritten history.
        events.push(event_from_text(file, index + 1, trimmed, Seq(n_before + 1), n_before * 1_000)?);
    }
    History::from_events(header, events).map_err(|error| InputError::whole(file, error.to_string()))
}

fn word(value: &Value) -> String {
    match value {
        Value::String(text) if is_bare(text) => text.clone(),
        other => other.to_string(),
    }
}

/// Whether a string needs no quotes: it looks neither like JSON nor like the end of a value.
fn is_bare(text: &str) -> bool {
    let starts = text.chars().next().is_some_and(|c| c.is_ascii_alphabetic() || c == '/');
    let plain = text.chars().all(|c| c.is_ascii_alphanumeric() || "-_./:#@".contains(c));
    starts && plain && !matches!(text, "true" | "false" | "null")
}

fn take_value(text: &str) -> Result<(Value, usize), LineError> {
    let bare = text.split(' ').next().unwrap_or_default();
    if is_bare(bare) {
        return Ok((Value::from(bare), bare.len()));
    }
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    match values.next() {
        Some(Ok(value)) => Ok((value, values.byte_offset())),
        Some(Err(source)) => Err(LineError::BadValue { found: bare.to_owned(), source }),
        None => Err(LineError::NoValue),
    }
}

fn parse_ms(text: &str) -> Option<u64> {
    let (ms, us) = text.strip_suffix("ms")?.split_once('.')?;
    if us.len() != 3 {
        return None;
    }
    ms.parse::<u64>().ok()?.checked_mul(1_000)?.checked_add(us.parse::<u64>().ok()?)
}
