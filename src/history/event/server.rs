//! Servers: how they and their connections end, and what their faults impair.

use serde::{Deserialize, Serialize};

/// The party that ended a connection, and the manner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WireEnd {
    /// The client closed it gracefully.
    ByClient,
    /// The server closed it, as its script says.
    ByServer,
    /// It broke: a reset, or a failed write.
    Broken,
}

/// Why a mock ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum ServerEnd {
    /// Its stdin ended.
    Eof,
    /// It received this signal, named without `SIG`.
    Signal(String),
    /// Its script ends it.
    Script,
    /// It cannot write its output any more.
    BrokenPipe,
    /// It reached its maximum lifetime.
    MaxLife,
}

/// The part of the service that a fault impairs. It limits what rules may expect of the loader afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Impact {
    /// Nothing: a server may behave this way.
    Nothing,
    /// Timing only, as with a hold or a delay.
    Timing,
    /// Responses: missing, wrong or duplicated.
    Answers,
    /// The connection or the process: from here on this server is lost.
    Connection,
    /// Only how the server ends: it ignores EOF or signals.
    Ending,
}

/// The process at the other end of a link.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum LinkPeer {
    /// The loader's process.
    Adapter,
    /// A mock server.
    Mock {
        /// Name of the server in the scenario.
        server: String,
        /// Which process or listener of this server, counted from 1.
        incarnation: u32,
    },
}
