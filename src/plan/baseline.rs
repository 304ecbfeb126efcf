//! Baselines: findings that are known and accepted.

use serde::Deserialize;

use crate::plan::InputError;

/// One accepted finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaselineEntry {
    /// Name of the scenario.
    pub scenario: String,
    /// Id of the invariant; `None` accepts whatever the scenario finds.
    pub invariant: Option<String>,
}

/// The accepted findings of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Baseline {
    /// In file order, without duplicates.
    pub entries: Vec<BaselineEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineFile {
    client: Vec<EntryFile>,
    /// What is expected of servers, which are nobody's subject here.
    #[serde(default, rename = "server")]
    _server: Option<serde::de::IgnoredAny>,
}

/// `scenario:invariant`, or a table with it and a reason.
#[derive(Debug)]
struct EntryFile {
    id: String,
}

impl<'de> Deserialize<'de> for EntryFile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;
        impl<'de> serde::de::Visitor<'de> for Entry {
            type Value = EntryFile;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`scenario:invariant`, or a table with `id` and `reason`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EntryFile, E> {
                Ok(EntryFile { id: text.to_owned() })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<EntryFile, A::Error> {
                let mut id = None;
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    match key.as_str() {
                        "id" => id = Some(value),
                        "reason" => {}
                        // `- scenario:invariant: reason` is a map with the entry as its key.
                        _ if id.is_none() => id = Some(key),
                        other => {
                            return Err(serde::de::Error::custom(format!(
                                "found `{other}`, expected `id` or `reason`"
                            )));
                        }
                    }
                }
                id.map(|id| EntryFile { id }).ok_or_else(|| serde::de::Error::missing_field("id"))
            }
        }
        deserializer.deserialize_any(Entry)
    }
}

impl Baseline {
    /// Reads a baseline, YAML or TOML by the name of the file.
    ///
    /// # Errors
    /// With what was found and what was expected; also for an entry that stands there twice or contradicts another.
    pub fn from_text(file: &str, text: &str) -> Result<Self, InputError> {
        let parsed: BaselineFile = if file.ends_with(".toml") {
            toml::from_str(text).map_err(|error| InputError::toml(file, text, &error))?
        } else {
            serde_saphyr::from_str(text).map_err(|error| InputError::whole(file, error.to_string()))?
        };
        let mut entries: Vec<BaselineEntry> = Vec::new();
        for EntryFile { id } in parsed.client {
            let entry = match id.split_once(':') {
                Some((scenario, invariant)) => {
                    BaselineEntry { scenario: scenario.to_owned(), invariant: Some(invariant.trim().to_owned()) }
                }
                None => BaselineEntry { scenario: id.clone(), invariant: None },
            };
            let contradicts = entries.iter().any(|other| {
                other == &entry
                    || other.scenario == entry.scenario && (other.invariant.is_none() || entry.invariant.is_none())
            });
            if contradicts {
                return Err(InputError::whole(
                    file,
                    format!("found {id:?} beside another entry for the same, expected one"),
                ));
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }
}
