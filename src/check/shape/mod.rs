//! Shapes: the demands of a revision's schema on the messages of a client.
//!
//! A shape is lenient where schemas are: unknown members are allowed, a whole number may be written as 1.0, and formats
//! of texts are not checked. A shape does not say what the members of `_meta` hold.

mod schema;

use serde_json::Value;

pub(super) use schema::Schema;
#[cfg(test)]
pub(super) use schema::extract;

/// The shape of a value.
#[derive(Debug, Clone, PartialEq)]
enum Shape {
    Any,
    /// One of these types.
    Types(Vec<Type>),
    /// One of these texts.
    Texts(Vec<String>),
    Object {
        required: Vec<String>,
        members: Vec<(String, Shape)>,
        /// The shape of the members without a name in the schema.
        others: Box<Shape>,
    },
    Array(Box<Shape>),
    /// At least one of these shapes.
    OneOf(Vec<Shape>),
    /// All of these shapes.
    AllOf(Vec<Shape>),
    /// The definition with this index.
    Defined(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Type {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

impl Type {
    fn of(value: &Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(_) => Self::Boolean,
            Value::Number(_) => Self::Number,
            Value::String(_) => Self::Text,
            Value::Array(_) => Self::Array,
            Value::Object(_) => Self::Object,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// The first place at which a value does not have its shape.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mismatch {
    /// The names of the members on the way, outermost first.
    path: Vec<String>,
    what: String,
    /// Whether an optional member is null instead of absent, and nothing else is wrong.
    pub(super) is_null_for_absent: bool,
}

impl Mismatch {
    fn new(what: String) -> Self {
        Self { path: Vec::new(), what, is_null_for_absent: false }
    }

    fn within(mut self, name: &str) -> Self {
        self.path.insert(0, name.to_owned());
        self
    }

    /// The place and what is wrong there, as the end of a sentence about the outermost value.
    pub(super) fn describe(&self, outermost: &str) -> String {
        let place = [&[outermost.to_owned()], self.path.as_slice()].concat().join(".");
        format!("{place} {}", self.what)
    }
}

/// Shapes, and the definitions that they name.
#[derive(Debug, Default)]
struct Shapes {
    defined: Vec<Shape>,
}

impl Shapes {
    fn mismatch(&self, shape: &Shape, value: &Value) -> Option<Mismatch> {
        let mut null = None;
        self.check(shape, value, &mut null).err().or(null)
    }

    /// Finds the first mismatch, and notes the first member that is null for absent.
    fn check(&self, shape: &Shape, value: &Value, null: &mut Option<Mismatch>) -> Result<(), Mismatch> {
        match shape {
            Shape::Any => Ok(()),
            Shape::Types(types) if types.contains(&Type::of(value)) => Ok(()),
            Shape::Types(types) => {
                let expected: Vec<&str> = types.iter().map(|one| one.name()).collect();
                Err(Mismatch::new(format!("is {}, expected {}", Type::of(value).name(), expected.join(" or "))))
            }
            Shape::Texts(texts) => match value.as_str() {
                Some(text) if texts.iter().any(|one| one == text) => Ok(()),
                Some(text) => Err(Mismatch::new(format!("is {text:?}, expected one of {}", texts.join(", ")))),
                None => Err(Mismatch::new(format!("is {}, expected a text", Type::of(value).name()))),
            },
            Shape::Object { required, members, others } => self.check_object(required, (members, others), value, null),
            Shape::Array(items) => match value {
                Value::Array(values) => values
                    .iter()
                    .enumerate()
                    .try_for_each(|(index, value)| self.check_within(items, value, null, || index.to_string())),
                _ => Err(Mismatch::new(format!("is {}, expected an array", Type::of(value).name()))),
            },
            Shape::OneOf(shapes) => self.check_one_of(shapes, value, null),
            Shape::AllOf(shapes) => shapes.iter().try_for_each(|shape| self.check(shape, value, null)),
            Shape::Defined(index) => self.check(&self.defined[*index], value, null),
        }
    }

    fn check_object(
        &self,
        required: &[String],
        (members, others): (&[(String, Shape)], &Shape),
        value: &Value,
        null: &mut Option<Mismatch>,
    ) -> Result<(), Mismatch> {
        let Value::Object(fields) = value else {
            return Err(Mismatch::new(format!("is {}, expected an object", Type::of(value).name())));
        };
        if let Some(name) = required.iter().find(|name| !fields.contains_key(*name)) {
            return Err(Mismatch::new("is missing".to_owned()).within(name));
        }
        for (name, value) in fields {
            let shape = members.iter().find(|(member, _)| member == name).map_or(others, |(_, shape)| shape);
            let checked = self.check_within(shape, value, null, || name.clone());
            match checked {
                Err(mismatch) if value.is_null() && !required.contains(name) => {
                    null.get_or_insert(Mismatch { is_null_for_absent: true, ..mismatch });
                }
                checked => checked?,
            }
        }
        Ok(())
    }

    /// Checks the value at a place, and names the place in its findings.
    fn check_within(
        &self,
        shape: &Shape,
        value: &Value,
        null: &mut Option<Mismatch>,
        place: impl Fn() -> String,
    ) -> Result<(), Mismatch> {
        let mut null_here = None;
        let checked = self.check(shape, value, &mut null_here);
        if let Some(found) = null_here {
            null.get_or_insert_with(|| found.within(&place()));
        }
        checked.map_err(|mismatch| mismatch.within(&place()))
    }

    /// Reports the mismatch of the shape that fits best: the one that goes deepest.
    fn check_one_of(&self, shapes: &[Shape], value: &Value, null: &mut Option<Mismatch>) -> Result<(), Mismatch> {
        let mut deepest: Option<Mismatch> = None;
        for shape in shapes {
            let mut null_here = None;
            match self.check(shape, value, &mut null_here) {
                Ok(()) => {
                    *null = null.take().or(null_here);
                    return Ok(());
                }
                Err(mismatch) => {
                    if deepest.as_ref().is_none_or(|known| known.path.len() < mismatch.path.len()) {
                        deepest = Some(mismatch);
                    }
                }
            }
        }
        deepest.map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::plan::Revision;

    fn found(method: &str, params: Value) -> Option<String> {
        let schema = Schema::of(Revision::R20251125);
        schema.mismatch_of_params(method, &params).map(|mismatch| mismatch.describe("params"))
    }

    #[test]
    fn what_a_schema_allows_has_its_shape() {
        let call =
            json!({ "name": "read", "arguments": { "a": [null] }, "future": 1, "_meta": { "progressToken": 1.5 } });
        assert_eq!(found("tools/call", call), None);
        assert_eq!(found("tools/call", json!({ "name": "read", "task": { "ttl": 1.0 } })), None);
        assert_eq!(found("no/such/method", json!({})), None);
    }

    #[test]
    fn a_mismatch_names_its_place() {
        let text = |found: Option<String>| found.unwrap_or_default();
        assert_eq!(text(found("tools/call", json!({}))), "params.name is missing");
        let list = json!({ "name": "read", "arguments": [1] });
        assert_eq!(text(found("tools/call", list)), "params.arguments is an array, expected an object");
        let level = json!({ "level": "loud" });
        let expected =
            "params.level is \"loud\", expected one of alert, critical, debug, emergency, error, info, notice, warning";
        assert_eq!(text(found("logging/setLevel", level)), expected);
        let null = Schema::of(Revision::R20251125).mismatch_of_params("tools/list", &json!({ "cursor": null }));
        assert!(null.unwrap().is_null_for_absent);
    }
}
