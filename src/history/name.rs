//! Short names that are copied often: ids, and what maps of rules are keyed by.

use std::cmp::Ordering;
use std::fmt::{self, Write};
use std::hash::{Hash, Hasher};
use std::ops::Deref;
use std::sync::Arc;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::Value;

/// Most bytes of a name that needs no allocation.
const SHORT_BYTES_MAX: usize = 22;

/// A text that is cheap to copy and to compare. Rules take a name from most events that they see, so one that is short is kept
/// in place, and the copies of a long one share it.
#[derive(Clone)]
pub struct Name(Text);

#[derive(Clone)]
enum Text {
    /// The bytes behind the text are zero.
    Short {
        n_bytes: u8,
        bytes: [u8; SHORT_BYTES_MAX],
    },
    Long(Arc<str>),
}

impl Name {
    /// What a value displays.
    pub fn of(value: impl fmt::Display) -> Self {
        let mut builder = Builder::default();
        // A builder takes every text.
        let _ = write!(builder, "{value}");
        builder.end()
    }

    /// Several texts in a row.
    #[must_use]
    pub fn concat(texts: &[&str]) -> Self {
        let mut builder = Builder::default();
        texts.iter().for_each(|text| builder.push(text));
        builder.end()
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match &self.0 {
            Text::Short { .. } => std::str::from_utf8(self.as_bytes()).expect("it was made of whole texts"),
            Text::Long(text) => text,
        }
    }

    /// Whether it has no character.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.as_bytes().is_empty()
    }

    fn as_bytes(&self) -> &[u8] {
        match &self.0 {
            Text::Short { n_bytes, bytes } => &bytes[..usize::from(*n_bytes).min(SHORT_BYTES_MAX)],
            Text::Long(text) => text.as_bytes(),
        }
    }
}

/// Puts a text together: in place as long as it is short.
#[derive(Default)]
struct Builder {
    n_bytes: u8,
    bytes: [u8; SHORT_BYTES_MAX],
    /// All of the text, once it is long.
    long: String,
}

impl Builder {
    fn push(&mut self, text: &str) {
        let (from, to) = (usize::from(self.n_bytes), usize::from(self.n_bytes) + text.len());
        if !self.long.is_empty() {
            self.long.push_str(text);
        } else if let Some(place) = self.bytes.get_mut(from..to) {
            place.copy_from_slice(text.as_bytes());
            // It is at most the length of the array.
            self.n_bytes = to as u8;
        } else {
            self.long.push_str(std::str::from_utf8(&self.bytes[..from]).expect("it was made of whole texts"));
            self.long.push_str(text);
        }
    }

    fn end(self) -> Name {
        if self.long.is_empty() {
            Name(Text::Short { n_bytes: self.n_bytes, bytes: self.bytes })
        } else {
            Name(Text::Long(self.long.into()))
        }
    }
}

impl Write for Builder {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.push(text);
        Ok(())
    }
}

impl Default for Name {
    fn default() -> Self {
        Self(Text::Short { n_bytes: 0, bytes: [0; SHORT_BYTES_MAX] })
    }
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        let mut bytes = [0; SHORT_BYTES_MAX];
        match bytes.get_mut(..text.len()) {
            Some(place) => {
                place.copy_from_slice(text.as_bytes());
                // It is at most the length of the array.
                Self(Text::Short { n_bytes: text.len() as u8, bytes })
            }
            None => Self(Text::Long(text.into())),
        }
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
        let Some(mut rest) = value.as_u64() else { return Self::of(value) };
        let (mut digits, mut first) = ([b'0'; 20], 20);
        while first == 20 || rest > 0 {
            first -= 1;
            digits[first] += (rest % 10) as u8;
            rest /= 10;
        }
        Self::from(std::str::from_utf8(&digits[first..]).expect("they are digits"))
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

impl PartialEq for Name {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Text::Short { n_bytes: one_length, bytes: one }, Text::Short { n_bytes: other_length, bytes: other }) => {
                one_length == other_length && one == other
            }
            _ => self.as_bytes() == other.as_bytes(),
        }
    }
}

impl Eq for Name {}

impl PartialOrd for Name {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Name {
    fn cmp(&self, other: &Self) -> Ordering {
        // The order of texts in UTF-8 is that of their bytes.
        self.as_bytes().cmp(other.as_bytes())
    }
}

impl PartialEq<str> for Name {
    fn eq(&self, other: &str) -> bool {
        self.as_bytes() == other.as_bytes()
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

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.as_bytes().hash(state);
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

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = Name;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Name, E> {
        Ok(Name::from(text))
    }
}

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
