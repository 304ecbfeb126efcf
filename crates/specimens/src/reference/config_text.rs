//! From text to [`Endpoint`]s, with the place of every mistake.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use indexmap::map::Entry as Place;
use mcp_lifecheck::loader::memory::MemoryAddress;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::config::{CommandLine, Endpoint, HttpAddress, HttpKind};

/// The formats of a configuration file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigFormat {
    /// JSON.
    Json,
    /// YAML.
    Yaml,
    /// TOML.
    Toml,
}

impl ConfigFormat {
    /// The format of a file with this name, by its extension.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "json" => Some(Self::Json),
            "yaml" | "yml" => Some(Self::Yaml),
            "toml" => Some(Self::Toml),
            _ => None,
        }
    }
}

/// A place in a text; both count from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: u64,
    /// The column, in characters (in bytes for JSON).
    pub column: u64,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
    }
}

/// Why a configuration was refused. Nothing was changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The variable that names the file is not set, or empty.
    #[error("environment variable {variable} is not set, expected the path of an mcpServers file")]
    VariableUnset {
        /// The variable.
        variable: &'static str,
    },
    /// The file could not be read.
    #[error("failed to read {}", .file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The file's name does not tell its format.
    #[error("{} has no known extension, expected json, yaml, yml or toml", .file.display())]
    UnknownExtension {
        /// The file.
        file: PathBuf,
    },
    /// A mistake in a text.
    #[error("{}{}", at(.file.as_deref(), *.position), .source)]
    InText {
        /// The file, if the text came from one.
        file: Option<PathBuf>,
        /// Where in it, as far as its parser knows.
        position: Option<Position>,
        /// What was found and what was expected.
        source: ParseError,
    },
    /// A mistake in a JSON value.
    #[error("{path}: {source}")]
    InValue {
        /// The path of the offending value, such as `mcpServers.files`.
        path: String,
        /// What was found and what was expected.
        source: ParseError,
    },
}

/// What a parser found and what it expected.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ParseError {
    /// From the JSON parser.
    #[error("{}", without_place(.0))]
    Json(#[from] serde_json::Error),
    /// From the YAML parser.
    #[error("{}", without_place(.0))]
    Yaml(#[from] Box<yaml_serde::Error>),
    /// From the TOML parser.
    #[error("{}", .0.message())]
    Toml(#[from] Box<toml::de::Error>),
}

impl ParseError {
    fn position(&self, text: &str) -> Option<Position> {
        match self {
            Self::Json(error) => Some(Position { line: error.line() as u64, column: error.column() as u64 }),
            Self::Yaml(error) => {
                let location = error.location()?;
                Some(Position { line: location.line() as u64, column: location.column() as u64 })
            }
            Self::Toml(error) => Some(position_of_byte(text, error.span()?.start)),
        }
    }
}

/// The message of an error without the place at its end. The message of [`ConfigError`] begins with the place.
fn without_place(error: &impl fmt::Display) -> String {
    let message = error.to_string();
    message.rsplit_once(" at line ").map_or(message.as_str(), |(before, _)| before).to_owned()
}

fn at(file: Option<&Path>, position: Option<Position>) -> String {
    let file = file.map(|file| format!("{}:", file.display())).unwrap_or_default();
    let position = position.map(|position| format!("{position}:")).unwrap_or_default();
    if file.is_empty() && position.is_empty() { String::new() } else { format!("{file}{position} ") }
}

fn position_of_byte(text: &str, byte: usize) -> Position {
    let before = text.get(..byte).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.matches('\n').count() as u64 + 1;
    Position { line, column: before[line_start..].chars().count() as u64 + 1 }
}

pub(super) fn servers_of_file(path: &Path) -> Result<IndexMap<String, Entry>, ConfigError> {
    let format = ConfigFormat::of_path(path).ok_or_else(|| ConfigError::UnknownExtension { file: path.to_owned() })?;
    let text =
        std::fs::read_to_string(path).map_err(|source| ConfigError::Unreadable { file: path.to_owned(), source })?;
    servers_of_text(&text, format, Some(path))
}

pub(super) fn servers_of_text(
    text: &str,
    format: ConfigFormat,
    file: Option<&Path>,
) -> Result<IndexMap<String, Entry>, ConfigError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let parsed = match format {
        ConfigFormat::Json => serde_json::from_str::<RawFile>(text).map_err(ParseError::from),
        ConfigFormat::Yaml => yaml_serde::from_str(text).map_err(|error| ParseError::from(Box::new(error))),
        ConfigFormat::Toml => toml::from_str(text).map_err(|error| ParseError::from(Box::new(error))),
    };
    let refuse = |source: ParseError| {
        let position = source.position(text);
        ConfigError::InText { file: file.map(Path::to_owned), position, source }
    };
    parsed.map(|file: RawFile| file.servers.0).map_err(refuse)
}

pub(super) fn servers_of_value(value: &Value) -> Result<IndexMap<String, Entry>, ConfigError> {
    let refuse = |path: String, source: serde_json::Error| ConfigError::InValue { path, source: source.into() };
    let Some(servers) = value.get("mcpServers") else {
        return Err(refuse("(top level)".to_owned(), serde_json::Error::missing_field("mcpServers")));
    };
    let servers = serde_json::Map::<String, Value>::deserialize(servers)
        .map_err(|source| refuse("mcpServers".to_owned(), source))?;
    let mut entries = IndexMap::new();
    for (name, server) in servers {
        let entry = Entry::deserialize(server).map_err(|source| refuse(format!("mcpServers.{name}"), source))?;
        entries.insert(name, entry);
    }
    Ok(entries)
}

/// One server of the file.
#[derive(Deserialize)]
#[serde(try_from = "RawServer")]
pub(super) enum Entry {
    Enabled(Endpoint),
    Disabled,
}

#[derive(Deserialize)]
struct RawFile {
    #[serde(rename = "mcpServers")]
    servers: RawServers,
}

/// The servers in the order of the text, each name once.
struct RawServers(IndexMap<String, Entry>);

impl<'de> Deserialize<'de> for RawServers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ServersVisitor)
    }
}

struct ServersVisitor;

impl<'de> Visitor<'de> for ServersVisitor {
    type Value = RawServers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a map from server names to servers")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawServers, A::Error> {
        let mut servers = IndexMap::new();
        while let Some(name) = map.next_key::<String>()? {
            match servers.entry(name) {
                Place::Occupied(taken) => {
                    return Err(A::Error::custom(format_args!("server {:?} occurs twice", taken.key())));
                }
                Place::Vacant(free) => {
                    free.insert(map.next_value()?);
                }
            }
        }
        Ok(RawServers(servers))
    }
}

#[derive(Deserialize)]
#[serde(expecting = "a server: an object with `command` or `url`")]
struct RawServer {
    command: Option<String>,
    args: Option<Vec<String>>,
    env: Option<BTreeMap<String, String>>,
    cwd: Option<PathBuf>,
    url: Option<String>,
    #[serde(rename = "type")]
    kind: Option<RawKind>,
    headers: Option<BTreeMap<String, String>>,
    memory: Option<MemoryAddress>,
    disabled: Option<bool>,
}

#[derive(Deserialize, Clone, Copy)]
enum RawKind {
    #[serde(rename = "stdio")]
    Stdio,
    #[serde(rename = "http", alias = "streamable-http", alias = "streamable_http", alias = "streamableHttp")]
    Streamable,
    #[serde(rename = "sse")]
    LegacySse,
}

/// A server whose fields have the right types but do not fit together.
#[derive(Debug, thiserror::Error)]
enum EntryError {
    #[error("found both `command` and `url`, expected one of them")]
    Both,
    #[error("found neither `command` nor `url`, expected one of them")]
    Neither,
    #[error("found `memory` beside `{field}`, expected one of them")]
    MemoryBeside { field: &'static str },
    #[error("found an empty `{field}`, expected {expected}")]
    Empty { field: &'static str, expected: &'static str },
    #[error("found type \"stdio\" with `url`, expected \"http\" or \"sse\"")]
    StdioWithUrl,
    #[error("found an HTTP type with `command`, expected \"stdio\"")]
    HttpWithCommand,
}

impl TryFrom<RawServer> for Entry {
    type Error = EntryError;

    fn try_from(raw: RawServer) -> Result<Self, EntryError> {
        if raw.disabled == Some(true) {
            return Ok(Self::Disabled);
        }
        if let Some(address) = raw.memory {
            let other = raw.command.map(|_| "command").or(raw.url.map(|_| "url"));
            return match other {
                Some(field) => Err(EntryError::MemoryBeside { field }),
                None => {
                    Ok(Self::Enabled(Endpoint::Memory(MemoryAddress { env: raw.env.unwrap_or_default(), ..address })))
                }
            };
        }
        match (raw.command, raw.url) {
            (Some(_), Some(_)) => Err(EntryError::Both),
            (None, None) => Err(EntryError::Neither),
            (Some(program), None) => {
                let (args, env) = (raw.args.unwrap_or_default(), raw.env.unwrap_or_default());
                command(raw.kind, CommandLine { program, args, env, directory: raw.cwd })
            }
            (None, Some(url)) => address(raw.kind, url, raw.headers.unwrap_or_default()),
        }
        .map(Self::Enabled)
    }
}

fn command(kind: Option<RawKind>, command: CommandLine) -> Result<Endpoint, EntryError> {
    match kind {
        None | Some(RawKind::Stdio) => {}
        Some(RawKind::Streamable | RawKind::LegacySse) => return Err(EntryError::HttpWithCommand),
    }
    if command.program.is_empty() {
        return Err(EntryError::Empty { field: "command", expected: "a program" });
    }
    Ok(Endpoint::Command(command))
}

fn address(kind: Option<RawKind>, url: String, headers: BTreeMap<String, String>) -> Result<Endpoint, EntryError> {
    let kind = match kind {
        Some(RawKind::Stdio) => return Err(EntryError::StdioWithUrl),
        None | Some(RawKind::Streamable) => HttpKind::Streamable,
        Some(RawKind::LegacySse) => HttpKind::LegacySse,
    };
    if url.is_empty() {
        return Err(EntryError::Empty { field: "url", expected: "an address" });
    }
    Ok(Endpoint::Http(HttpAddress { url, kind, headers }))
}
