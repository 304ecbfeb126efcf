//! Names that stand twice in one JSON object. The JSON library keeps the last value and says nothing.

use std::collections::BTreeSet;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// Longest name that is kept, in characters.
const NAME_CHARS: usize = 80;

/// The first name that stands twice in an object of this JSON. None if the JSON cannot be read.
pub(super) fn repeated_name(json: &[u8]) -> Option<String> {
    let mut found = None;
    let mut reader = serde_json::Deserializer::from_slice(json);
    Names(&mut found).deserialize(&mut reader).ok()?;
    found
}

/// Reads any value, and notes a name that stands twice.
struct Names<'a>(&'a mut Option<String>);

impl<'de> DeserializeSeed<'de> for Names<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Names<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while values.next_element_seed(Names(self.0))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut names = BTreeSet::new();
        while let Some(name) = members.next_key::<String>()? {
            if names.contains(&name) {
                self.0.get_or_insert_with(|| name.chars().take(NAME_CHARS).collect());
            }
            names.insert(name);
            members.next_value_seed(Names(self.0))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::repeated_name;

    #[test]
    fn a_name_counts_within_its_own_object() {
        for (json, name) in [
            (r#"{"id":1,"id":2}"#, Some("id")),
            (r#"{"id":1,"\u0069d":2}"#, Some("id")),
            (r#"{"params":{"a":[{"b":1,"b":null}]}}"#, Some("b")),
            (r#"[{"a":1},{"a":2,"b":{"a":1.5}}]"#, None),
            (r#"{"id":"id","ID":-1}"#, None),
            (r#"{"id":1,"id":"#, None),
        ] {
            assert_eq!(repeated_name(json.as_bytes()).as_deref(), name, "{json}");
        }
    }
}
