//! The settings of a machine.

use crate::history::ConnectionId;
use crate::plan::{Revision, ShutdownBehaviour};
use crate::script::{Generation, Script};
use crate::server::http_io::{HttpSetup, HttpStyle};
use crate::server::wire::BODY_BYTES_MAX;

/// The settings of a server, fixed before it starts.
#[derive(Debug, Clone)]
pub struct Setup {
    /// The script to carry out.
    pub script: Script,
    /// The shutdown behaviour, which the script may override.
    pub shutdown_behaviour: ShutdownBehaviour,
    /// The newest revision it speaks. A script that names a protocol generation overrides that of the revision.
    pub revision: Revision,
    /// The name of its connection; over HTTP, the prefix of the names of its connections.
    pub connection: ConnectionId,
    /// The number of this process among those that serve the name, from 1.
    pub incarnation: u64,
    /// How many of those before it were only asked for their generation.
    pub n_probes: u64,
    /// Where clients reach it.
    pub endpoint: Endpoint,
    /// The process id, for the journal alone.
    pub pid: Option<u32>,
    /// Above this size in bytes, a body is journalled as head, length and hash.
    pub body_bytes_max: usize,
}

impl Setup {
    /// The protocol generation it speaks: always handshake over HTTP with server-sent events.
    #[must_use]
    pub fn generation(&self) -> Generation {
        if matches!(&self.endpoint, Endpoint::Http(HttpSetup { style: HttpStyle::Sse { .. }, .. })) {
            return Generation::Handshake;
        }
        self.script.generation(self.incarnation).unwrap_or_else(|| Generation::of(self.revision))
    }

    /// Over lines, the number of its connection. A client may probe a process of its own first: that is no connection.
    pub(super) fn connection_number(&self) -> u64 {
        self.incarnation.saturating_sub(self.n_probes)
    }

    /// The settings of a polite server that stands alone: the first of its name, without a pid.
    #[must_use]
    pub fn alone(script: Script, revision: Revision, endpoint: Endpoint) -> Self {
        Self {
            script,
            shutdown_behaviour: ShutdownBehaviour::Polite,
            revision,
            connection: ConnectionId::from("c1"),
            incarnation: 1,
            n_probes: 0,
            endpoint,
            pid: None,
            body_bytes_max: BODY_BYTES_MAX,
        }
    }
}

/// Where clients reach a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// Through pipes that carry lines: one connection for the whole life of the server.
    Lines,
    /// At a URL. Over streamable HTTP each `initialize` opens a connection, and all stateless requests share one; with
    /// server-sent events each GET opens one.
    Http(HttpSetup),
}
