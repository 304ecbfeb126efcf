//! Servers in memory: servers in this process, behind pipes of bytes.
//!
//! A loader does not know what is behind the pipes. A [`Connector`] gives it the client's ends. The process that hosts
//! the loader provides the connector; this module contains no server.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::Deserialize;
use tokio::io::DuplexStream;

/// Connects a loader to servers in memory.
pub trait Connector: Send + Sync {
    /// Starts a server that lives as long as its pipes, like a child process.
    ///
    /// Returns without waiting for the server. If the server fails to start, its output ends.
    ///
    /// # Errors
    /// When no server can be started at all.
    fn pipes(&self, address: &MemoryAddress) -> io::Result<Pipes>;

    /// Connects to the server of that name, like a socket. All connections reach the same server.
    ///
    /// # Errors
    /// `ConnectionRefused` when that server has ended.
    fn socket(&self, address: &MemoryAddress) -> io::Result<DuplexStream>;

    /// Whether loader and servers are tasks of one thread, in virtual time. A loader must then start no thread and no runtime: its
    /// tasks belong on the runtime in which it is created.
    fn is_simulated(&self) -> bool {
        false
    }
}

/// The client's ends of a server's pipes. Each carries one direction; dropping an end closes that direction.
pub struct Pipes {
    /// The client writes here; the server reads.
    pub stdin: DuplexStream,
    /// The server writes; the client reads here.
    pub stdout: DuplexStream,
}

/// A server in memory, as an `mcpServers` entry `{"memory": {...}}` names it.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryAddress {
    /// Name of the server.
    pub server: String,
    /// How messages are framed.
    pub carrier: MemoryCarrier,
    /// The address to which the server reports. For the connector only.
    pub link: String,
    /// The server's token. For the connector only.
    pub token: String,
    /// The entry's `env`. No server uses it, but entries with different `env` are different servers, as for other
    /// transports.
    #[serde(skip)]
    pub env: BTreeMap<String, String>,
}

impl fmt::Debug for MemoryAddress {
    /// Omits the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAddress")
            .field("server", &self.server)
            .field("carrier", &self.carrier)
            .field("env", &self.env.keys())
            .finish_non_exhaustive()
    }
}

/// How the messages of a server in memory are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryCarrier {
    /// Lines, as over stdio: one server for each pair of pipes.
    Lines,
    /// HTTP/1.1: one server for all sockets.
    Http,
}

impl MemoryAddress {
    /// The path of the HTTP endpoint. It contains no secret, because no other process can reach it.
    pub const PATH: &'static str = "/mcp";
    /// The host name in a client's URL.
    pub const HOST: &'static str = "memory";
}
