//! The macro behind the table of events. One row declares a kind: its name and its fields.

macro_rules! event_kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal { $($(#[$field_meta:meta])* $field:ident : $type:ty),* $(,)? })*) => {
        /// The kind of an event. In JSON, `kind` holds the name, and the fields are at the same level.
        #[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(tag = "kind", deny_unknown_fields)]
        pub enum EventKind {
            $($(#[$doc])* #[serde(rename = $name)] $variant { $($(#[$field_meta])* $field: $type),* },)*
        }

        /// The name of an event kind. A monitor subscribes to kinds.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $variant,)*
        }

        impl EventKind {
            /// Returns the kind without its fields.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self {
                    $(Self::$variant { .. } => Kind::$variant,)*
                }
            }

            /// Reads the fields of the kind called `name` from the rest of a map.
            ///
            /// The derived `Deserialize` must store every field until it finds the name. A caller that knows the name
            /// first saves two thirds of that time.
            pub(in crate::history) fn from_fields_of<'de, A>(name: &str, fields: A) -> Result<Self, A::Error>
            where
                A: serde::de::MapAccess<'de>,
            {
                use serde::de::{Deserialize, Error, value::MapAccessDeserializer};
                match name {
                    $($name => {
                        #[derive(serde::Deserialize)]
                        #[serde(deny_unknown_fields)]
                        struct $variant { $($(#[$field_meta])* $field: $type),* }
                        let $variant { $($field),* } = Deserialize::deserialize(MapAccessDeserializer::new(fields))?;
                        Ok(Self::$variant { $($field),* })
                    })*
                    unknown => Err(A::Error::custom(format_args!("unknown kind `{unknown}`"))),
                }
            }
        }

        impl Kind {
            /// Every kind, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name as a history writes it.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

pub(super) use event_kinds;
