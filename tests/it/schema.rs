//! JSON Schema, as far as the schemas of this repository use it.
//!
//! A library for all of JSON Schema needs 37 more crates. This one refuses a schema with a keyword that it does not know, so no
//! demand of a schema goes unnoticed. Formats are annotations here, as in draft 2020-12. In draft-07 they are demands, so a value
//! with a format that this file cannot check is an error there.
//!
//! Source: JSON Schema draft 2020-12 and draft-07, Core and Validation.

use serde_json::{Map, Value};

/// Keywords whose value is an object of schemas, an array of schemas, one schema, and no schema.
const OBJECTS: [&str; 3] = ["properties", "$defs", "definitions"];
const ARRAYS: [&str; 3] = ["anyOf", "allOf", "oneOf"];
const SINGLE: [&str; 2] = ["items", "additionalProperties"];
const PLAIN: [&str; 8] = ["$ref", "type", "required", "const", "enum", "minimum", "maximum", "maxItems"];
/// Keywords that demand nothing. `format` is among them by its draft.
const NOTES: [&str; 5] = ["$schema", "title", "description", "default", "format"];
/// Formats that no draft defines, so that every draft ignores them.
const FOREIGN_FORMATS: [&str; 6] = ["byte", "uint8", "uint16", "uint32", "uint64", "int64"];

/// A schema document.
pub struct Schema {
    document: Value,
    /// In draft-07, `$ref` silences every keyword beside it, and formats are demands.
    is_draft_7: bool,
}

impl Schema {
    /// Panics at a keyword that this file does not know, and at a reference to nothing.
    pub fn new(document: Value) -> Self {
        let draft = document.get("$schema").and_then(Value::as_str).unwrap_or_default();
        let is_draft_7 = draft.contains("draft-07");
        assert!(is_draft_7 || draft.is_empty() || draft.contains("2020-12"), "{draft} is not known here");
        let schema = Self { document, is_draft_7 };
        schema.assert_known(&schema.document);
        schema
    }

    fn assert_known(&self, schema: &Value) {
        let Value::Object(keywords) = schema else {
            assert!(schema.is_boolean(), "a schema is an object or a boolean, found {schema}");
            return;
        };
        for (keyword, value) in keywords {
            match keyword.as_str() {
                "$ref" => drop(self.at(value.as_str().unwrap())),
                known if OBJECTS.contains(&known) => {
                    value.as_object().unwrap().values().for_each(|schema| self.assert_known(schema));
                }
                known if ARRAYS.contains(&known) => {
                    value.as_array().unwrap().iter().for_each(|schema| self.assert_known(schema));
                }
                known if SINGLE.contains(&known) => self.assert_known(value),
                known => assert!(PLAIN.contains(&known) || NOTES.contains(&known), "{known} is not known here"),
            }
        }
    }

    /// The schema that a reference such as `#/$defs/Tool` names.
    fn at(&self, reference: &str) -> &Value {
        let pointer = reference.strip_prefix('#').unwrap_or_else(|| panic!("{reference} leaves the document"));
        self.document.pointer(pointer).unwrap_or_else(|| panic!("{reference} names nothing"))
    }

    /// The errors of a value of the whole schema, each with its place in the value.
    pub fn errors(&self, value: &Value) -> Vec<String> {
        self.errors_of("#", value)
    }

    /// The errors of a value of the schema that a reference names.
    pub fn errors_of(&self, reference: &str, value: &Value) -> Vec<String> {
        let mut errors = Vec::new();
        self.judge(self.at(reference), value, "", &mut errors);
        errors
    }

    fn judge(&self, schema: &Value, value: &Value, place: &str, errors: &mut Vec<String>) {
        let keywords = match schema {
            Value::Bool(true) => return,
            Value::Object(keywords) => keywords,
            _ => return errors.push(format!("{value} is not allowed at {place:?}")),
        };
        if let Some(reference) = keywords.get("$ref") {
            self.judge(self.at(reference.as_str().unwrap()), value, place, errors);
            if self.is_draft_7 {
                return;
            }
        }
        for (keyword, demand) in keywords {
            if !self.holds(keyword, demand, value) {
                errors.push(format!("{value} breaks {keyword}: {demand} at {place:?}"));
            }
        }
        match value {
            Value::Object(fields) => self.judge_fields(keywords, fields, place, errors),
            Value::Array(items) => {
                for (schema, (index, item)) in keywords.get("items").into_iter().cycle().zip(items.iter().enumerate()) {
                    self.judge(schema, item, &format!("{place}/{index}"), errors);
                }
            }
            _ => {}
        }
        for schema in keywords.get("allOf").into_iter().flat_map(|all| all.as_array().unwrap()) {
            self.judge(schema, value, place, errors);
        }
    }

    /// Whether a value meets a keyword that is not about its parts.
    fn holds(&self, keyword: &str, demand: &Value, value: &Value) -> bool {
        let n_met = || demand.as_array().unwrap().iter().filter(|schema| self.is_met(schema, value)).count();
        let limit = || demand.as_f64().unwrap();
        match keyword {
            "type" => types(demand).any(|name| is_of_type(value, name)),
            "const" => is_same(demand, value),
            "enum" => demand.as_array().unwrap().iter().any(|one| is_same(one, value)),
            "minimum" => value.as_f64().is_none_or(|number| number >= limit()),
            "maximum" => value.as_f64().is_none_or(|number| number <= limit()),
            "maxItems" => value.as_array().is_none_or(|items| items.len() as u64 <= demand.as_u64().unwrap()),
            "anyOf" => n_met() >= 1,
            "oneOf" => n_met() == 1,
            "required" => {
                let mut names = demand.as_array().unwrap().iter().map(|name| name.as_str().unwrap());
                value.as_object().is_none_or(|fields| names.all(|name| fields.contains_key(name)))
            }
            "format" => !self.is_draft_7 || !value.is_string() || FOREIGN_FORMATS.contains(&demand.as_str().unwrap()),
            _ => true,
        }
    }

    fn is_met(&self, schema: &Value, value: &Value) -> bool {
        let mut errors = Vec::new();
        self.judge(schema, value, "", &mut errors);
        errors.is_empty()
    }

    fn judge_fields(
        &self,
        keywords: &Map<String, Value>,
        fields: &Map<String, Value>,
        place: &str,
        errors: &mut Vec<String>,
    ) {
        for (name, field) in fields {
            let named = keywords.get("properties").and_then(|properties| properties.get(name));
            if let Some(schema) = named.or_else(|| keywords.get("additionalProperties")) {
                self.judge(schema, field, &format!("{place}/{name}"), errors);
            }
        }
    }
}

fn types(demand: &Value) -> impl Iterator<Item = &str> {
    let several = demand.as_array().map(Vec::as_slice).unwrap_or(std::slice::from_ref(demand));
    several.iter().map(|name| name.as_str().unwrap())
}

fn is_of_type(value: &Value, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "number" => value.is_number(),
        // A number without a fraction is an integer, also if it is written as 1.0.
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        other => panic!("{other} is not a type"),
    }
}

/// Equality of JSON: 1 and 1.0 are the same number.
fn is_same(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(a), Value::Number(b)) => a == b || (a.is_f64() || b.is_f64()) && a.as_f64() == b.as_f64(),
        (Value::Array(a), Value::Array(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(a, b)),
        (Value::Object(a), Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(name, a)| b.get(name).is_some_and(|b| is_same(a, b)))
        }
        _ => one == other,
    }
}

mod tests {
    use serde_json::{Value, json};

    use super::Schema;

    fn is_valid(schema: &Value, value: &Value) -> bool {
        Schema::new(schema.clone()).errors(value).is_empty()
    }

    #[test]
    fn each_keyword_takes_what_it_allows_and_refuses_the_rest() {
        let closed = json!({ "properties": { "a": { "type": "string" } }, "additionalProperties": false });
        let numbers = json!({ "properties": { "a": true }, "additionalProperties": { "type": "number" } });
        let one_of = json!({ "oneOf": [{ "type": "integer" }, { "minimum": 3 }] });
        let any_of = json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }] });
        let all_of = json!({ "allOf": [{ "type": "integer" }, { "minimum": 3 }] });
        let referred = json!({ "$ref": "#/$defs/a", "minimum": 3, "$defs": { "a": { "type": "integer" } } });
        for (schema, right, wrong) in [
            (json!({ "type": "integer" }), json!([1, -1, 1.0]), json!([1.5, "1", null])),
            (json!({ "type": ["string", "null"] }), json!(["", null]), json!([1, [], {}, false])),
            (json!({ "type": "number" }), json!([1, 1.5]), json!(["1", true])),
            (json!({ "type": "boolean" }), json!([true]), json!([0, "true"])),
            (json!({ "type": "object" }), json!([{}]), json!([[], null])),
            (json!({ "type": "array", "maxItems": 1 }), json!([[], [1]]), json!([[1, 2], {}])),
            (json!({ "const": { "a": [1] } }), json!([{ "a": [1.0] }]), json!([{ "a": [] }, { "a": [1], "b": 1 }, {}])),
            (json!({ "enum": ["a", 1] }), json!(["a", 1, 1.0]), json!(["b", 2, "1"])),
            (json!({ "minimum": 1, "maximum": 2 }), json!([1, 1.5, 2, "x"]), json!([0, 0.99, 2.01])),
            (json!({ "required": ["a"] }), json!([{ "a": null }, 3]), json!([{}, { "b": 1 }])),
            (json!({ "items": { "type": "null" } }), json!([[], [null], "x"]), json!([[1], [null, 1]])),
            (closed, json!([{}, { "a": "" }, 1]), json!([{ "a": 1 }, { "b": "" }])),
            (numbers, json!([{ "a": "" }, { "b": 1 }]), json!([{ "b": "" }])),
            (one_of, json!([1, 3.5]), json!([3, 1.5])),
            (any_of, json!([1, null]), json!(["", 1.5])),
            (all_of, json!([3]), json!([2, 3.5])),
            (referred, json!([3]), json!([2, 3.5])),
        ] {
            for value in right.as_array().unwrap() {
                assert!(is_valid(&schema, value), "{schema} refuses {value}");
            }
            for value in wrong.as_array().unwrap() {
                assert!(!is_valid(&schema, value), "{schema} takes {value}");
            }
        }
    }

    #[test]
    fn in_draft_7_a_reference_stands_alone_and_a_format_is_a_demand() {
        let old = "http://json-schema.org/draft-07/schema#";
        let text = json!({ "type": "string" });
        let referred = json!({ "$schema": old, "$ref": "#/definitions/a", "enum": [], "definitions": { "a": text } });
        assert!(is_valid(&referred, &json!("x")) && !is_valid(&referred, &json!(1)));
        assert!(!is_valid(&json!({ "$schema": old, "format": "uri" }), &json!("x")));
        assert!(is_valid(&json!({ "$schema": old, "format": "byte" }), &json!("x")));
        assert!(is_valid(&json!({ "format": "uri" }), &json!("x")));
    }

    #[test]
    fn an_error_has_its_place() {
        let schema = Schema::new(json!({ "properties": { "a": { "items": { "type": "null" } } } }));
        assert_eq!(schema.errors(&json!({ "a": [null, 1] })), [r#"1 breaks type: "null" at "/a/1""#]);
    }

    #[test]
    fn a_schema_with_another_keyword_is_refused() {
        for unknown in [json!({ "pattern": "x" }), json!({ "items": { "not": {} } }), json!({ "$ref": "#/$defs/no" })] {
            let made = std::panic::catch_unwind(|| Schema::new(unknown.clone()));
            assert!(made.is_err(), "{unknown}");
        }
    }
}
