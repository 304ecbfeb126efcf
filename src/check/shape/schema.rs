//! The schemas of the revisions, for the messages that clients send and for the results of their requests.
//!
//! `fixtures/schemas` has an extract of each published schema: the parameters of the requests and notifications of
//! clients, the results of requests of servers and of the usual requests of clients, and the definitions that they name. A
//! test makes the extracts.

use crate::history::Table;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use super::{Mismatch, Shape, Shapes, Type};
use crate::plan::Revision;

/// The shapes of what a client sends in one revision, by method.
#[derive(Debug, Default)]
pub(in crate::check) struct Schema {
    shapes: Shapes,
    params: Table<String, Shape>,
    results: Table<String, Shape>,
}

static SCHEMAS: LazyLock<Vec<Schema>> =
    LazyLock::new(|| Revision::ALL.iter().map(|revision| Schema::read(extract(*revision))).collect());

/// The extract of the schema of a revision.
pub(in crate::check) fn extract(revision: Revision) -> &'static str {
    match revision {
        Revision::R20241105 => include_str!("../../../fixtures/schemas/2024-11-05.json"),
        Revision::R20250326 => include_str!("../../../fixtures/schemas/2025-03-26.json"),
        Revision::R20250618 => include_str!("../../../fixtures/schemas/2025-06-18.json"),
        Revision::R20251125 => include_str!("../../../fixtures/schemas/2025-11-25.json"),
        Revision::R20260728 => include_str!("../../../fixtures/schemas/2026-07-28.json"),
    }
}

impl Schema {
    /// The schema of a revision.
    pub(in crate::check) fn of(revision: Revision) -> &'static Self {
        &SCHEMAS[revision as usize]
    }

    /// The first mismatch of the parameters of a request or notification of a client.
    pub(in crate::check) fn mismatch_of_params(&self, method: &str, params: &Value) -> Option<Mismatch> {
        self.shapes.mismatch(self.params.get(method)?, params)
    }

    /// The first mismatch of the result of a request of a server, or of a usual request of a client.
    pub(in crate::check) fn mismatch_of_result(&self, method: &str, result: &Value) -> Option<Mismatch> {
        self.shapes.mismatch(self.results.get(method)?, result)
    }

    /// Whether the parameters of a method have a shape in this revision.
    pub(in crate::check) fn has_params(&self, method: &str) -> bool {
        self.params.contains_key(method)
    }

    /// Whether the result of a method has a shape in this revision.
    pub(in crate::check) fn has_result(&self, method: &str) -> bool {
        self.results.contains_key(method)
    }

    /// Whether the parameters of a method have a member with this name in this revision.
    pub(in crate::check) fn has_param(&self, method: &str, name: &str) -> bool {
        self.param(method, name).is_some()
    }

    /// The first mismatch of one member of the parameters of a method.
    pub(in crate::check) fn mismatch_of_param(&self, method: &str, name: &str, value: &Value) -> Option<Mismatch> {
        self.shapes.mismatch(self.param(method, name)?, value)
    }

    fn param(&self, method: &str, name: &str) -> Option<&Shape> {
        self.member(self.params.get(method)?, name)
    }

    fn member<'a>(&'a self, shape: &'a Shape, name: &str) -> Option<&'a Shape> {
        match shape {
            Shape::Object { members, .. } => members.iter().find(|(member, _)| member == name).map(|(_, shape)| shape),
            Shape::OneOf(shapes) | Shape::AllOf(shapes) => shapes.iter().find_map(|shape| self.member(shape, name)),
            Shape::Defined(index) => self.member(&self.shapes.defined[*index], name),
            Shape::Any | Shape::Types(_) | Shape::Texts(_) | Shape::Array(_) => None,
        }
    }

    /// Reads an extract. What it does not understand constrains nothing, and a test compares the extracts with their
    /// sources.
    fn read(extract: &str) -> Self {
        let extract: Value = serde_json::from_str(extract).unwrap_or_default();
        let part = |name: &str| extract.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
        let definitions = part("definitions");
        let names: Vec<&str> = definitions.keys().map(String::as_str).collect();
        let shapes_of = |part: Map<String, Value>| -> Table<String, Shape> {
            part.into_iter().map(|(name, schema)| (name, shape(&schema, &names))).collect()
        };
        let (params, results) = (shapes_of(part("params")), shapes_of(part("results")));
        let defined = definitions.values().map(|schema| shape(schema, &names)).collect();
        Self { shapes: Shapes { defined }, params, results }
    }
}

/// The shape that a schema demands; `names` are those of the definitions, in their order.
fn shape(schema: &Value, names: &[&str]) -> Shape {
    let field = |name: &str| schema.get(name);
    let shapes = |list: &[Value]| list.iter().map(|schema| shape(schema, names)).collect();
    if let Some(name) = field("$ref").and_then(Value::as_str) {
        let index = names.iter().position(|known| *known == name);
        return index.map_or(Shape::Any, Shape::Defined);
    }
    if let Some(list) = field("anyOf").and_then(Value::as_array) {
        return Shape::OneOf(shapes(list));
    }
    if let Some(list) = field("allOf").and_then(Value::as_array) {
        return Shape::AllOf(shapes(list));
    }
    if let Some(text) = field("const").and_then(Value::as_str) {
        return Shape::Texts(vec![text.to_owned()]);
    }
    if let Some(texts) = field("enum") {
        return Shape::Texts(texts_of(texts));
    }
    let types = match field("type") {
        Some(Value::String(name)) => vec![name.clone()],
        Some(list) => texts_of(list),
        None => return Shape::Any,
    };
    match types.as_slice() {
        [only] if only == "object" => {
            let members = field("properties").and_then(Value::as_object).into_iter().flatten();
            Shape::Object {
                required: field("required").map(texts_of).unwrap_or_default(),
                members: members.map(|(name, schema)| (name.clone(), shape(schema, names))).collect(),
                others: Box::new(field("additionalProperties").map_or(Shape::Any, |schema| shape(schema, names))),
            }
        }
        [only] if only == "array" => {
            Shape::Array(Box::new(field("items").map_or(Shape::Any, |schema| shape(schema, names))))
        }
        several => Shape::Types(several.iter().filter_map(|name| type_named(name)).collect()),
    }
}

fn texts_of(list: &Value) -> Vec<String> {
    list.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}

fn type_named(name: &str) -> Option<Type> {
    match name {
        "null" => Some(Type::Null),
        "boolean" => Some(Type::Boolean),
        // The schemas are made from types of TypeScript, which know no integers, so `integer` may stand for any number.
        "number" | "integer" => Some(Type::Number),
        "string" => Some(Type::Text),
        "array" => Some(Type::Array),
        "object" => Some(Type::Object),
        _ => None,
    }
}
