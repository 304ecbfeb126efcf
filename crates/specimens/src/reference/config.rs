//! Which servers to load: the ecosystem's `mcpServers` object, from a JSON value or from JSON, YAML or TOML text.
//!
//! Servers keep the order of the file. A JSON *value* has the order of its map, which is by name unless the build
//! turns on `serde_json`'s `preserve_order`. Fields that this loader does not know are tolerated, as everywhere in
//! the ecosystem; a known field of a wrong type is an error, and so is a name that occurs twice.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use indexmap::IndexMap;
use mcp_lifecheck::loader::memory::MemoryAddress;
use serde_json::Value;

use super::config_text::{self, Entry};

pub use super::config_text::{ConfigError, ConfigFormat, ParseError, Position};

/// The environment variable that names the configuration file.
pub const CONFIG_VARIABLE: &str = "MCP_FILE";

/// The servers to load, by name and in order. Disabled ones are left out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    servers: IndexMap<String, Endpoint>,
}

impl Config {
    /// Reads an `{"mcpServers": {...}}` value.
    ///
    /// # Errors
    /// [`ConfigError::InValue`] with the path of the offending value.
    pub fn from_value(value: &Value) -> Result<Self, ConfigError> {
        config_text::servers_of_value(value).map(Self::from_entries)
    }

    /// Reads text of the given format.
    ///
    /// # Errors
    /// [`ConfigError::InText`] with line and column.
    pub fn from_text(text: &str, format: ConfigFormat) -> Result<Self, ConfigError> {
        config_text::servers_of_text(text, format, None).map(Self::from_entries)
    }

    /// Reads a file. Its extension gives the format: `json`, `yaml`, `yml` or `toml`.
    ///
    /// # Errors
    /// [`ConfigError::UnknownExtension`], [`ConfigError::Unreadable`], or [`ConfigError::InText`] with the file, line
    /// and column.
    pub fn from_path(path: impl AsRef<Path>) -> Result<Self, ConfigError> {
        config_text::servers_of_file(path.as_ref()).map(Self::from_entries)
    }

    /// Reads the file that the `MCP_FILE` variable names.
    ///
    /// # Errors
    /// [`ConfigError::VariableUnset`], or as [`Config::from_path`].
    pub fn from_env() -> Result<Self, ConfigError> {
        let path = std::env::var_os(CONFIG_VARIABLE).filter(|path| !path.is_empty());
        let path = path.ok_or(ConfigError::VariableUnset { variable: CONFIG_VARIABLE })?;
        Self::from_path(PathBuf::from(path))
    }

    /// The servers, in order.
    #[must_use]
    pub fn servers(&self) -> &IndexMap<String, Endpoint> {
        &self.servers
    }

    fn from_entries(entries: IndexMap<String, Entry>) -> Self {
        let enabled = entries.into_iter().filter_map(|(name, entry)| match entry {
            Entry::Enabled(endpoint) => Some((name, endpoint)),
            Entry::Disabled => None,
        });
        Self { servers: enabled.collect() }
    }
}

impl FromIterator<(String, Endpoint)> for Config {
    fn from_iter<I: IntoIterator<Item = (String, Endpoint)>>(servers: I) -> Self {
        Self { servers: servers.into_iter().collect() }
    }
}

/// How a server is reached. Two endpoints that are equal are the same server: a load keeps its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A process of ours, over its stdin and stdout.
    Command(CommandLine),
    /// A server somewhere, over HTTP.
    Http(HttpAddress),
    /// A server in this very process.
    Memory(MemoryAddress),
}

/// A server that is a process of ours.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct CommandLine {
    /// The program: a path, or a name to be found on `PATH`.
    pub program: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Environment entries, which win over inherited ones.
    pub env: BTreeMap<String, String>,
    /// The directory to start in; inherited if none.
    pub directory: Option<PathBuf>,
}

impl CommandLine {
    /// The command that starts it, with inherited pipes.
    #[must_use]
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command.args(&self.args).envs(&self.env);
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }
}

impl fmt::Debug for CommandLine {
    /// Leaves out the values of the environment, which often are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CommandLine")
            .field("program", &self.program)
            .field("args", &self.args)
            .field("env", &self.env.keys())
            .field("directory", &self.directory)
            .finish()
    }
}

/// A server somewhere.
#[derive(Clone, PartialEq, Eq)]
pub struct HttpAddress {
    /// Where it is.
    pub url: String,
    /// What it speaks.
    pub kind: HttpKind,
    /// Headers to send with every request.
    pub headers: BTreeMap<String, String>,
}

impl fmt::Debug for HttpAddress {
    /// Leaves out the values of the headers, which often are secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAddress")
            .field("url", &self.url)
            .field("kind", &self.kind)
            .field("headers", &self.headers.keys())
            .finish()
    }
}

/// The HTTP transports of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HttpKind {
    /// Streamable HTTP, the default for a `url`.
    Streamable,
    /// The HTTP and SSE pair of revision 2024-11-05.
    LegacySse,
}

impl fmt::Display for HttpKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Streamable => "streamable HTTP",
            Self::LegacySse => "legacy HTTP+SSE",
        })
    }
}
