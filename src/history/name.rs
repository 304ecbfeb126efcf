//! Short names that are copied often: ids, and the keys of maps in rules.

use std::fmt;
use std::ops::Deref;

#[cfg(feature = "schemas")]
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use smol_str::{SmolStr, SmolStrBuilder, format_smolstr};

/// A text that is cheap to copy and to compare. Rules take a name from most events that they see, so one that is short is kept
/// in place, and the copies of a long one share it.
#[derive(Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Name(SmolStr);

impl Name {
    /// The text that a value displays.
    pub fn of(value: impl fmt::Display) -> Self {
        Self(format_smolstr!("{value}"))
    }

    /// Several texts in a row.
    #[must_use]
    pub fn concat(texts: &[&str]) -> Self {
        let mut builder = SmolStrBuilder::new();
        texts.iter().for_each(|text| builder.push_str(text));
        Self(builder.finish())
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// Whether it has no character.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        Self(SmolStr::new(text))
    }
}

impl From<String> for Name {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&String> for Name {
    fn from(text: &String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<&Value> for Name {
    /// The JSON text.
    fn from(value: &Value) -> Self {
        // Most are the numbers of requests.
        value.as_u64().map_or_else(|| Self::of(value), Self::of)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> Self {
        name.as_str().to_owned()
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        self.as_str()
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, other: &&str) -> bool {
        *self == **other
    }
}

impl PartialEq<String> for Name {
    fn eq(&self, other: &String) -> bool {
        *self == **other
    }
}

impl PartialEq<Name> for str {
    fn eq(&self, other: &Name) -> bool {
        other == self
    }
}

impl PartialEq<Name> for String {
    fn eq(&self, other: &Name) -> bool {
        other == self
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(feature = "schemas")]
impl JsonSchema for Name {
    fn inline_schema() -> bool {
        String::inline_schema()
    }

    fn schema_name() -> std::borrow::Cow<'static, str> {
        String::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        String::json_schema(generator)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Texts around the length from which a name is long.
    fn texts() -> Vec<String> {
        let long: Vec<String> = (0..30).map(|n| "ä".repeat(n)).chain((18..26).map(|n| "b".repeat(n))).collect();
        long.into_iter().chain(["a", "ab", "b", "mock:a#1", "mock:a#10", "\u{10ffff}"].map(str::to_owned)).collect()
    }

    #[test]
    fn a_name_is_its_text() {
        for text in texts() {
            let name = Name::from(&text);
            assert_eq!(name.as_str(), text);
            assert_eq!((format!("{name}"), format!("{name:?}")), (text.clone(), format!("{text:?}")));
            assert_eq!((Name::of(&text), Name::concat(&[&text, ""])), (name.clone(), name.clone()));
            assert_eq!(name.is_empty(), text.is_empty());
            let json = serde_json::to_string(&name).unwrap();
            assert_eq!(json, serde_json::to_string(&text).unwrap());
            assert_eq!(serde_json::from_str::<Name>(&json).unwrap(), name);
        }
        assert_eq!(Name::concat(&["0123456789", "0123456789", "0123", ""]), "012345678901234567890123");
        assert!(serde_json::from_str::<Name>("1").is_err());
    }

    #[test]
    fn a_value_is_named_by_its_json_text() {
        let numbers = [0, 7, 10, 1_234_567_890, u64::MAX].map(Value::from);
        let others =
            [Value::Null, Value::from(-3), Value::from(1.5), Value::from("a\"b"), serde_json::json!([1, {"a": 2}])];
        for value in numbers.iter().chain(&others) {
            assert_eq!(Name::from(value), value.to_string());
        }
    }

    #[test]
    fn names_are_in_the_order_of_their_texts() {
        for one in texts() {
            for other in texts() {
                let (left, right) = (Name::from(&one), Name::from(&other));
                assert_eq!((left.cmp(&right), left == right), (one.cmp(&other), one == other), "{one:?}, {other:?}");
            }
        }
    }

    #[test]
    fn a_name_takes_the_room_of_a_string() {
        assert_eq!(size_of::<Name>(), size_of::<String>());
    }
}
