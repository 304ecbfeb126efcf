//! Input that a server asks for: the answer of the client fits the request.

use serde_json::Value;

use crate::check::metadata::says_revision;
use crate::check::operations::sent_back;
use crate::check::parts::parts;
use crate::check::rules::sent_back::CallKey;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Name, Seq, Table};
use crate::plan::Promise;

/// Counter-examples: Only what the requested schema says is compared; formats and patterns are not. Fields that it does
/// not name are allowed. A field that is not required may be left out, and a whole number may be written as 1.0. A
/// stateless server may use one key in several rounds, and a client may bring the input of an earlier round once more: one
/// request for input under that key that the input fits is enough.
pub(super) const INPUT_MATCHES_REQUEST: Invariant = Invariant {
    id: "input-matches-request",
    property: Property::Safety,
    level: Level::Must,
    claim: "accepted input has the fields that the server asked for, and other answers have none",
    source: "2025-11-25, client/elicitation, Response Actions: the content matches the requested schema; the same in 2025-06-18 \
        and 2026-07-28",
    requirement: &["LC-MSG-01", "LC-S2C-02"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::WireReceived, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::ALL,
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
    /// Calls of a stateless server that may still be sent back, by connection and id.
    calls: Table<(ConnectionId, Name), CallKey>,
    /// The input that a stateless server required for a call: its key, the schema of a form, and the event.
    required: Table<CallKey, Vec<(String, Option<Value>, Seq)>>,
}

impl Monitor for AskedInput {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    self.ask(event.seq, connection, part);
                }
            }
            EventKind::WireReceived { connection, message } => {
                for answer in parts(message).iter().filter(|part| part.is_response() && !part.is_cut()) {
                    let id = answer.id_text();
                    let Some((schema, at)) = self.asked.swap_remove(&(connection.clone(), id)) else { continue };
                    let Some(result) = answer.at(&["result"]) else { continue };
                    match judge(event.seq, connection, (schema.as_ref(), at), result) {
                        Some(Err(violation)) => tally.broken(violation),
                        Some(Ok(())) => tally.held(),
                        None => {}
                    }
                }
                // A key costs more than this look, and no session needs one.
                if !says_revision(message) {
                    return;
                }
                let (Some(call), Some(id)) = (CallKey::of(event, view, message), message.id()) else { return };
                self.judge_inputs(event.seq, connection, &call, message, tally);
                self.calls.insert((connection.clone(), Name::from(id)), call);
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.asked.retain(|(of, _), _| of != connection);
                self.calls.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }
}

impl AskedInput {
    /// Remembers what a message of the server asks for.
    fn ask(&mut self, now: Seq, connection: &ConnectionId, part: &Message) {
        if part.is_request("elicitation/create") {
            let schema = schema_of(part.at(&["params"]));
            self.asked.insert((connection.clone(), part.id_text()), (schema, now));
        }
        if !part.is_response() {
            return;
        }
        let Some(call) = self.calls.swap_remove(&(connection.clone(), part.id_text())) else { return };
        if sent_back(part).is_none() {
            return;
        }
        let requests = part.at(&["result", "inputRequests"]).and_then(Value::as_object).into_iter().flatten();
        let is_for_person = |request: &Value| request["method"] == "elicitation/create";
        let required = requests
            .filter(|(_, request)| is_for_person(request))
            .map(|(key, request)| (key.clone(), schema_of(request.get("params")), now));
        self.required.entry(call).or_default().extend(required);
    }

    /// Judges the inputs with which a call is repeated.
    fn judge_inputs(&self, now: Seq, connection: &ConnectionId, call: &CallKey, request: &Message, tally: &mut Tally) {
        let Some(required) = self.required.get(call) else { return };
        let given = request.at(&["params", "inputResponses"]).and_then(Value::as_object);
        for (key, input) in given.into_iter().flatten() {
            let asked = required.iter().rev().filter(|(of, ..)| of == key);
            let judged: Vec<_> =
                asked.filter_map(|(_, schema, at)| judge(now, connection, (schema.as_ref(), *at), input)).collect();
            if judged.iter().any(Result::is_ok) {
                tally.held();
            } else if let Some(Err(violation)) = judged.into_iter().next() {
                tally.broken(violation);
            }
        }
    }
}

/// The schema of the form that a request for input has. None for a request at an address. A form without a schema takes
/// any input.
fn schema_of(params: Option<&Value>) -> Option<Value> {
    let of_params = |name: &str| params.and_then(|params| params.get(name));
    let is_url = of_params("mode").and_then(Value::as_str) == Some("url");
    let schema = || of_params("requestedSchema").cloned().unwrap_or_else(|| Value::Object(serde_json::Map::new()));
    (!is_url).then(schema)
}

/// Whether input fits what was requested. None if it does not say what the person did.
fn judge(
    seq: Seq,
    connection: &ConnectionId,
    (schema, at): (Option<&Value>, Seq),
    result: &Value,
) -> Option<Result<(), Violation>> {
    let action = result.get("action").and_then(Value::as_str)?;
    let content = result.get("content").filter(|content| !content.is_null());
    let broken = |variant, what: String| {
        let because = format!("the input requested at {at} was answered on connection {connection} at {seq}, {what}");
        Violation::new(variant, because, &[at, seq])
    };
    let violation = match (action, content, schema) {
        ("accept", content, Some(schema)) => {
            let none = Value::Object(serde_json::Map::new());
            let what = fault_of_fields(schema, content.unwrap_or(&none));
            what.map(|what| broken("other-input", format!("and {what}")))
        }
        ("accept", Some(_), None) => {
            Some(broken("input-unasked", "with content, and no form was asked for".to_owned()).as_warning())
        }
        ("decline" | "cancel", Some(_), _) => {
            Some(broken("input-unasked", format!("with content, although it says {action}")).as_warning())
        }
        _ => None,
    };
    Some(violation.map_or(Ok(()), Err))
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
