//! Servers in memory: in this very process, behind pipes of bytes.
//!
//! A loader knows nothing of what is behind them: a [`Connector`] gives it the ends that are a client's. Whoever hosts the
//! loader brings one; this module holds no server.

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::Deserialize;
use tokio::io::DuplexStream;

/// Connects to servers in memory.
pub trait Connector: Send + Sync {
    /// Starts a server that lives as long as its pipes, as a child process does.
    ///
    /// Does not wait for it. A server that does not come about is seen as the end of its output.
    ///
    /// # Errors
    /// When nothing can be started at all.
    fn pipes(&self, address: &MemoryAddress) -> io::Result<Pipes>;

    /// Connects to the server of that name, as a socket does. One server stands behind all of them.
    ///
    /// # Errors
    /// `ConnectionRefused` when that server has ended.
    fn socket(&self, address: &MemoryAddress) -> io::Result<DuplexStream>;
}

/// The ends of a server's pipes that are the client's. Each is used in one direction; dropping one ends that direction.
pub struct Pipes {
    /// What the server reads.
    pub stdin: DuplexStream,
    /// What the server writes.
    pub stdout: DuplexStream,
}

/// A server in memory, as `{"memory": {...}}` names it in an `mcpServers` entry.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemoryAddress {
    /// Its name, for whoever hosts it.
    pub server: String,
    /// What carries its messages.
    pub carrier: MemoryCarrier,
    /// Where it reports, for whoever hosts it.
    pub link: String,
    /// A secret of whoever hosts it.
    pub token: String,
    /// The `env` of the entry. Nothing takes it over, but entries that differ in it are different servers, as elsewhere.
    #[serde(skip)]
    pub env: BTreeMap<String, String>,
}

impl fmt::Debug for MemoryAddress {
    /// Leaves out the secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryAddress")
            .field("server", &self.server)
            .field("carrier", &self.carrier)
            .field("env", &self.env.keys())
            .finish_non_exhaustive()
    }
}

/// What carries the messages of a server in memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MemoryCarrier {
    /// Lines, as over stdio: one server for each pair of pipes.
    Lines,
    /// HTTP/1.1: one server for all its sockets.
    Http,
}

impl MemoryAddress {
    /// The path at which such a server serves HTTP. No stranger reaches it, so nothing in it is a secret.
    pub const PATH: &'static str = "/mcp";
    /// What a client calls its host.
    pub const HOST: &'static str = "memory";
}
