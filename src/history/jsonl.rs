//! `history.jsonl`: the header on the first line, then one event on each line.

use std::fmt;

use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::{Map, Value};

use crate::history::source::SourceError;
use crate::history::{Event, EventKind, Header, SCHEMA, Seq, Source};
use crate::plan::InputError;

/// Writes one event as one line, without the line end.
#[must_use]
pub fn event_to_line(event: &Event) -> String {
    let mut fields = kind_fields(&event.kind);
    let kind = fields.remove("kind").unwrap_or_default();
    let mut line = format!(
        r#"{{"seq":{},"at_us":{},"source":{},"kind":{}"#,
        event.seq.0,
        event.at_us,
        Value::from(event.source.to_string()),
        kind
    );
    for (name, value) in fields {
        line.push_str(&format!(",{}:{}", Value::from(name), value));
    }
    line.push('}');
    line
}

/// The fields of a kind, with its name as `kind`.
pub(super) fn kind_fields(kind: &EventKind) -> Map<String, Value> {
    match serde_json::to_value(kind) {
        Ok(Value::Object(fields)) => fields,
        Ok(_) | Err(_) => unreachable!("an event kind is written as an object with string keys"),
    }
}

/// Why an event cannot be one of a journal, if it cannot.
pub(super) fn foreign_to_journals(event: &Event) -> Option<String> {
    match event.source {
        Source::Driver | Source::Loader | Source::System => Some(format!(
            "found an event of source {}, expected events of one mock: this is not a journal",
            event.source
        )),
        Source::Recorder | Source::Mock { .. } => None,
    }
}

/// The error about a last line that was cut.
pub(super) fn without_end(file: &str, number: usize) -> InputError {
    InputError::line(file, number, "found a line without its end, expected a whole line: the file was cut")
}

/// Reads the event that has this number.
pub(super) fn read_numbered(file: &str, number: usize, line: &str, expected: Seq) -> Result<Event, InputError> {
    let event = read_event(file, number, line)?;
    if event.seq == expected {
        return Ok(event);
    }
    let found = format!("found event {}, expected {expected}: lines are missing or reordered", event.seq);
    Err(InputError::line(file, number, found))
}

pub(super) fn read_header(file: &str, line: &str) -> Result<Header, InputError> {
    let value: Value = serde_json::from_str(line).map_err(|error| {
        let error = InputError::json(file, 1, &error);
        InputError {
            message: format!("{}, expected a history, a journal or a trace, as JSON lines", error.message),
            ..error
        }
    })?;
    match value.get("schema").and_then(Value::as_u64) {
        Some(schema) if schema == u64::from(SCHEMA) => {}
        Some(schema) => {
            return Err(InputError::line(file, 1, format!("found schema {schema}, expected {SCHEMA}")));
        }
        None => return Err(InputError::line(file, 1, "found no `schema`, expected the header of a history")),
    }
    serde_json::from_value(value).map_err(|error| InputError::line(file, 1, error.to_string()))
}

fn read_event(file: &str, number: usize, line: &str) -> Result<Event, InputError> {
    // The fast path fails on an invalid event and on unusual field order. The slow path reads both, and explains what
    // is invalid.
    if let Ok(InOrder(event)) = serde_json::from_str(line) {
        return Ok(event);
    }
    let value: Value = serde_json::from_str(line).map_err(|error| InputError::json(file, number, &error))?;
    let Value::Object(fields) = value else {
        return Err(InputError::line(file, number, "found a value that is not an event, expected a JSON object"));
    };
    event_from_fields(fields).map_err(|error| InputError::line(file, number, error.to_string()))
}

/// An event whose fields begin as [`event_to_line`] writes them: `seq`, `at_us`, `source`, `kind`.
struct InOrder(Event);

impl<'de> Deserialize<'de> for InOrder {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(InOrderVisitor)
    }
}

struct InOrderVisitor;

impl<'de> Visitor<'de> for InOrderVisitor {
    type Value = InOrder;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("seq, at_us, source and kind, in this order")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<InOrder, A::Error> {
        let seq = Seq(next_value(&mut map, "seq")?);
        let at_us = next_value(&mut map, "at_us")?;
        // A borrowed string cannot contain escapes. The slow path reads lines with escapes.
        let source: &'de str = next_value(&mut map, "source")?;
        let source = source.parse().map_err(A::Error::custom)?;
        let kind: &'de str = next_value(&mut map, "kind")?;
        Ok(InOrder(Event { seq, at_us, source, kind: EventKind::from_fields_of(kind, map)? }))
    }
}

/// The value of the next field, whose name must be `name`.
fn next_value<'de, A: MapAccess<'de>, T: Deserialize<'de>>(map: &mut A, name: &'static str) -> Result<T, A::Error> {
    match map.next_key::<&'de str>()? {
        Some(found) if found == name => map.next_value(),
        Some(_) | None => Err(A::Error::missing_field(name)),
    }
}

/// Why the fields of an event are invalid.
#[derive(Debug, thiserror::Error)]
pub(super) enum FieldError {
    #[error("found no `{name}`, expected a whole number from 0")]
    NumberMissing { name: &'static str },
    #[error("found {name} {found}, expected a whole number from 0")]
    NotANumber { name: &'static str, found: Value },
    #[error("found no `source`, expected the reporter of the event")]
    SourceMissing,
    #[error("found source {found}, expected a string")]
    SourceNotAString { found: Value },
    #[error(transparent)]
    Source(#[from] SourceError),
    #[error(transparent)]
    Kind(#[from] serde_json::Error),
}

pub(super) fn event_from_fields(mut fields: Map<String, Value>) -> Result<Event, FieldError> {
    let seq = take_number(&mut fields, "seq")?;
    let at_us = take_number(&mut fields, "at_us")?;
    let source = match fields.remove("source") {
        Some(Value::String(text)) => text.parse::<Source>()?,
        Some(found) => return Err(FieldError::SourceNotAString { found }),
        None => return Err(FieldError::SourceMissing),
    };
    let kind: EventKind = serde_json::from_value(Value::Object(fields))?;
    Ok(Event { seq: Seq(seq), at_us, source, kind })
}

fn take_number(fields: &mut Map<String, Value>, name: &'static str) -> Result<u64, FieldError> {
    let value = fields.remove(name).ok_or(FieldError::NumberMissing { name })?;
    value.as_u64().ok_or(FieldError::NotANumber { name, found: value })
}
