//! Input that a server asks for: the answer of the client fits the request.

use serde_json::Value;

use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, KnownMethod, Message, Name, Seq, Table};
use crate::plan::Promise;

/// Counter-examples: Only what the requested schema says is compared; formats and patterns are not. Fields that it does
/// not name are allowed. A field that is not required may be left out, and a whole number may be written as 1.0.
pub(super) const INPUT_MATCHES_REQUEST: Invariant = Invariant {
    id: "input-matches-request",
    property: Property::Safety,
    level: Level::Must,
    claim: "accepted input has the fields that the server asked for, and other answers have none",
    source: "2025-11-25, client/elicitation, Response Actions: the content matches the requested schema; the same in 2025-06-18",
    requirement: &["LC-MSG-01", "LC-S2C-02"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[
        (Kind::WireSent, &[Of::Request(KnownMethod::ElicitationCreate)]),
        (Kind::WireReceived, &[Of::AnyAnswer]),
    ])
    .from(&[(Kind::WireSent, &[Of::Request(KnownMethod::ElicitationCreate)])]),
    vacuous: "no client answered a request for input",
    explain: "The server asked for input and said with a schema which fields it needs. Either the client accepted, and \
        a required field is missing or the schema does not allow a value; or it declined and still sent input. The \
        server then works with an unexpected value, or fails the call.\n\n\
        Look at the schema in the request and at the content in the answer. To fix it, check the input against the schema \
        before `accept` is sent, and leave `content` out of every other answer.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(AskedInput::default()) },
};

#[derive(Default)]
struct AskedInput {
    /// Requests for input, by connection and id: the schema of a form, and the event.
    asked: Table<(ConnectionId, Name), (Option<Value>, Seq)>,
}

impl Monitor for AskedInput {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                for request in parts(message).iter().filter(|part| part.is_request("elicitation/create")) {
                    let is_url = request.at(&["params", "mode"]).and_then(Value::as_str) == Some("url");
                    let schema = request.at(&["params", "requestedSchema"]).filter(|_| !is_url).cloned();
                    let id = request.id_text();
                    self.asked.insert((connection.clone(), id), (schema, event.seq));
                }
            }
            EventKind::WireReceived { connection, message } if !self.asked.is_empty() => {
                for answer in parts(message).iter().filter(|part| part.is_response() && !part.is_cut()) {
                    let id = answer.id_text();
                    let Some((schema, at)) = self.asked.swap_remove(&(connection.clone(), id)) else { continue };
                    judge(event.seq, connection, (schema.as_ref(), at), answer, tally);
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.asked.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }
}

fn judge(
    seq: Seq,
    connection: &ConnectionId,
    (schema, at): (Option<&Value>, Seq),
    answer: &Message,
    tally: &mut Tally,
) {
    let Some(action) = answer.at(&["result", "action"]).and_then(Value::as_str) else { return };
    let content = answer.at(&["result", "content"]).filter(|content| !content.is_null());
    let broken = |variant, what: String| {
        let because = format!("the input requested at {at} was answered on connection {connection} at {seq}, {what}");
        Violation::new(variant, because, &[at, seq])
    };
    match (action, content, schema) {
        ("accept", content, Some(schema)) => {
            let none = Value::Object(serde_json::Map::new());
            match fault_of_fields(schema, content.unwrap_or(&none)) {
                Some(what) => tally.broken(broken("other-input", format!("and {what}"))),
                None => tally.held(),
            }
        }
        ("accept", Some(_), None) => {
            tally.broken(broken("input-unasked", "with content, and no form was asked for".to_owned()).as_warning());
        }
        ("decline" | "cancel", Some(_), _) => {
            tally.broken(broken("input-unasked", format!("with content, although it says {action}")).as_warning());
        }
        _ => tally.held(),
    }
}

/// The first field of an object that does not fit its schema.
fn fault_of_fields(schema: &Value, content: &Value) -> Option<String> {
    let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
    let mut required = required.filter_map(Value::as_str);
    if let Some(name) = required.find(|name| content.get(name).is_none()) {
        return Some(format!("{name}, which is required, is missing"));
    }
    let properties = schema.get("properties").and_then(Value::as_object).into_iter().flatten();
    properties.filter_map(|(name, schema)| Some((name, schema, content.get(name)?))).find_map(
        |(name, schema, value)| {
            let expected = fault_of_value(schema, value)?;
            Some(format!("{name} is {value}, expected {expected}"))
        },
    )
}

/// What a schema expects instead of a value, if it does not fit.
fn fault_of_value(schema: &Value, value: &Value) -> Option<String> {
    let keyword = |name: &str| schema.get(name);
    let kind = keyword("type").and_then(Value::as_str).unwrap_or_default();
    let has_kind = match kind {
        "string" => value.is_string(),
        "number" => value.is_number(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        _ => true,
    };
    if !has_kind {
        return Some(format!("a value of type {kind}"));
    }
    let choices = keyword("enum").and_then(Value::as_array).cloned().or_else(|| choices_of(schema));
    if let Some(choices) = choices.filter(|choices| !choices.contains(value)) {
        return Some(format!("one of {}", Value::Array(choices)));
    }
    let bound = |name: &str| keyword(name).and_then(Value::as_f64);
    let length = value.as_str().map(|text| text.chars().count()).or(value.as_array().map(Vec::len));
    let length = length.and_then(|length| u32::try_from(length).ok()).map(f64::from);
    let least = [("minimum", value.as_f64()), ("minLength", length), ("minItems", length)];
    let most = [("maximum", value.as_f64()), ("maxLength", length), ("maxItems", length)];
    let is_below =
        |(name, found): &&(&str, Option<f64>)| found.zip(bound(name)).is_some_and(|(found, least)| found < least);
    let is_above =
        |(name, found): &&(&str, Option<f64>)| found.zip(bound(name)).is_some_and(|(found, most)| found > most);
    let outside = least.iter().find(is_below).or_else(|| most.iter().find(is_above));
    if let Some((name, _)) = outside {
        return Some(format!("{name} {}", bound(name).unwrap_or_default()));
    }
    let items = keyword("items")?;
    value.as_array()?.iter().find_map(|item| fault_of_value(items, item))
}

/// The values of a choice whose members have titles.
fn choices_of(schema: &Value) -> Option<Vec<Value>> {
    let members = schema.get("oneOf").or(schema.get("anyOf"))?.as_array()?;
    members.iter().map(|member| member.get("const").cloned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(property: Value, value: Value) -> Option<String> {
        fault_of_fields(&json!({ "properties": { "x": property }, "required": ["x"] }), &json!({ "x": value }))
    }

    #[test]
    fn what_fits_the_schema_has_no_fault() {
        assert_eq!(found(json!({ "type": "integer", "minimum": 1 }), json!(1.0)), None);
        assert_eq!(found(json!({ "type": "string", "format": "email", "maxLength": 1 }), json!("é")), None);
        assert_eq!(found(json!({ "oneOf": [{ "const": "a", "title": "A" }] }), json!("a")), None);
        assert_eq!(found(json!({ "type": "array", "items": { "enum": ["a"] } }), json!(["a", "a"])), None);
        assert_eq!(found(json!({ "type": "odd" }), json!({})), None);
    }

    #[test]
    fn what_does_not_fit_is_named() {
        let text = |property, value| found(property, value).unwrap_or_default();
        assert_eq!(text(json!({ "type": "integer" }), json!(1.5)), "x is 1.5, expected a value of type integer");
        assert_eq!(text(json!({ "type": "string", "enum": ["a"] }), json!("b")), "x is \"b\", expected one of [\"a\"]");
        assert_eq!(text(json!({ "type": "string", "minLength": 2 }), json!("b")), "x is \"b\", expected minLength 2");
        assert_eq!(text(json!({ "type": "number", "maximum": 2 }), json!(3)), "x is 3, expected maximum 2");
        let items = json!({ "type": "array", "items": { "anyOf": [{ "const": "a" }] } });
        assert_eq!(text(items, json!(["b"])), "x is [\"b\"], expected one of [\"a\"]");
        assert_eq!(
            fault_of_fields(&json!({ "required": ["x"] }), &json!({})),
            Some("x, which is required, is missing".into())
        );
    }
}
