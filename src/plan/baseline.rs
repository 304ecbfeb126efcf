//! Baselines: findings that are known and accepted.

use std::fmt;

use serde::Deserialize;
use serde::de::value::StringDeserializer;

use crate::plan::{InputError, ShutdownBehaviour, Transport};

/// One accepted finding.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BaselineEntry {
    /// Name of the scenario in which the finding is accepted.
    pub scenario: String,
    /// Id of the invariant; `None` accepts every finding of the scenario.
    pub invariant: Option<String>,
    /// The transport over which it is accepted; `None`: over every one.
    pub transport: Option<Transport>,
    /// The shutdown behaviour of the servers with which it is accepted; `None`: both.
    pub server: Option<ShutdownBehaviour>,
}

impl BaselineEntry {
    /// Whether it is about plans of this scenario, over this transport, with servers of this shutdown behaviour.
    #[must_use]
    pub fn is_about(&self, scenario: &str, transport: &str, server: &str) -> bool {
        self.scenario == scenario
            && self.transport.is_none_or(|one| one.as_str() == transport)
            && self.server.is_none_or(|one| one.to_string() == server)
    }

    /// Whether it accepts a finding of this invariant.
    #[must_use]
    pub fn accepts(&self, invariant: &str) -> bool {
        self.invariant.as_ref().is_none_or(|id| id == invariant)
    }

    /// Whether some finding is covered by both.
    fn contradicts(&self, other: &Self) -> bool {
        fn alike<T: PartialEq>(one: &Option<T>, other: &Option<T>) -> bool {
            one.is_none() || other.is_none() || one == other
        }
        self.scenario == other.scenario
            && alike(&self.invariant, &other.invariant)
            && alike(&self.transport, &other.transport)
            && alike(&self.server, &other.server)
    }
}

impl fmt::Display for BaselineEntry {
    /// As reports show it, such as `reload-remove:removal-spares-siblings over http`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.scenario)?;
        self.invariant.iter().try_for_each(|id| write!(f, ":{id}"))?;
        self.transport.iter().try_for_each(|transport| write!(f, " over {transport}"))?;
        self.server.iter().try_for_each(|server| write!(f, " with {server} servers"))
    }
}

/// The accepted findings of one file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Baseline {
    /// The entries in file order. No finding is covered by two of them.
    pub entries: Vec<BaselineEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BaselineFile {
    client: Vec<EntryFile>,
    /// Expected failures of servers. The official suite writes them into the same file, and they are ignored here.
    #[serde(default, rename = "server")]
    _server: Option<serde::de::IgnoredAny>,
}

/// The keys of an entry that is a table.
const KEYS: [&str; 4] = ["id", "reason", "transport", "server"];

/// `scenario:invariant`, or a table with it, a reason, a transport and a shutdown behaviour.
#[derive(Debug)]
struct EntryFile {
    id: String,
    transport: Option<Transport>,
    server: Option<ShutdownBehaviour>,
}

impl<'de> Deserialize<'de> for EntryFile {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entry;
        impl<'de> serde::de::Visitor<'de> for Entry {
            type Value = EntryFile;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("`scenario:invariant`, or a table with `id`, `reason`, `transport` and `server`")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<EntryFile, E> {
                Ok(EntryFile { id: text.to_owned(), transport: None, server: None })
            }

            fn visit_map<A: serde::de::MapAccess<'de>>(self, mut map: A) -> Result<EntryFile, A::Error> {
                let (mut id, mut transport, mut server) = (None, None, None);
                while let Some((key, value)) = map.next_entry::<String, String>()? {
                    match key.as_str() {
                        "id" => id = Some(value),
                        "reason" => {}
                        "transport" => {
                            transport = Some(Transport::deserialize(StringDeserializer::new(value))?);
                        }
                        "server" => server = Some(ShutdownBehaviour::deserialize(StringDeserializer::new(value))?),
                        // `- scenario:invariant: reason` is a map with the entry as its key.
                        _ if id.is_none() => id = Some(key),
                        other => {
                            return Err(serde::de::Error::unknown_field(other, &KEYS));
                        }
                    }
                }
                id.map(|id| EntryFile { id, transport, server }).ok_or_else(|| serde::de::Error::missing_field("id"))
            }
        }
        deserializer.deserialize_any(Entry)
    }
}

impl Baseline {
    /// Reads a baseline, YAML or TOML by the name of the file.
    ///
    /// # Errors
    /// When the text is not a baseline, or an entry covers the same finding as an earlier one.
    pub fn from_text(file: &str, text: &str) -> Result<Self, InputError> {
        let parsed: BaselineFile = if file.ends_with(".toml") {
            toml::from_str(text).map_err(|error| InputError::toml(file, text, &error))?
        } else {
            yaml_serde::from_str(text).map_err(|error| InputError::yaml(file, &error))?
        };
        let mut entries: Vec<BaselineEntry> = Vec::new();
        for EntryFile { id, transport, server } in parsed.client {
            let (scenario, invariant) = match id.split_once(':') {
                Some((scenario, invariant)) => (scenario.to_owned(), Some(invariant.trim().to_owned())),
                None => (id.clone(), None),
            };
            let entry = BaselineEntry { scenario, invariant, transport, server };
            if entries.iter().any(|other| other.contradicts(&entry)) {
                return Err(InputError::whole(
                    file,
                    format!("found {id:?} next to another entry for the same finding, expected one"),
                ));
            }
            entries.push(entry);
        }
        Ok(Self { entries })
    }
}
