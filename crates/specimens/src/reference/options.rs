//! The options of a caller: the revision to offer, the destination of stderr, and every bound with its default.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use mcp_lifecheck::loader::memory::Connector;
use mcp_lifecheck::loader::scopes::Scopes;

use super::hooks::Hooks;

/// Options of a [`ToolsLoader`](super::ToolsLoader). They apply as long as the loader exists.
#[derive(Clone)]
pub struct Options {
    /// How a conversation is opened.
    pub opening: Opening,
    /// The protocol revision to offer in `initialize`.
    pub revision: Revision,
    /// The destination of a server's stderr.
    pub stderr: ServerStderr,
    /// The bounds on every wait.
    pub bounds: Bounds,
    /// How a server process is brought to its end.
    pub ladder: Ladder,
    /// Where the life of each session is reported.
    pub scopes: Scopes,
    /// How servers in memory are reached; without it, none is.
    pub connector: Option<Arc<dyn Connector>>,
    /// Where this crate's own tests change what is said. Empty for everybody else.
    pub hooks: Hooks,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            opening: Opening::Initialize,
            revision: Revision::V2025_11_25,
            stderr: ServerStderr::Inherit,
            bounds: Bounds::default(),
            ladder: Ladder::default(),
            scopes: Scopes::silent(),
            connector: None,
            hooks: Hooks::default(),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("opening", &self.opening)
            .field("revision", &self.revision)
            .field("stderr", &self.stderr)
            .field("bounds", &self.bounds)
            .field("ladder", &self.ladder)
            .finish_non_exhaustive()
    }
}

impl Options {
    /// Longest time from the decision to close one session to the end of its process, or of its session at the
    /// server, when nothing else delays it.
    #[must_use]
    pub fn closing_max(&self) -> Duration {
        let Ladder { eof_grace, term_grace, kill_grace, .. } = self.ladder;
        let far_end = (eof_grace + term_grace + kill_grace).max(self.bounds.delete);
        self.bounds.farewell + self.bounds.transport_close + far_end
    }
}

/// How a conversation is opened, and thereby which era it may be of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Opening {
    /// With `initialize`: the legacy era.
    Initialize,
    /// With `server/discover`: the modern era, revision 2026-07-28. A server of the legacy era alone is not talked to.
    Discover,
    /// With `server/discover`, and with `initialize` where the answer, or its absence, says that the server does not know it.
    Auto,
}

/// A protocol revision that opens with `initialize`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Revision {
    /// 2024-11-05.
    V2024_11_05,
    /// 2025-03-26.
    V2025_03_26,
    /// 2025-06-18.
    V2025_06_18,
    /// 2025-11-25.
    V2025_11_25,
}

impl Revision {
    /// Every revision that this loader speaks, oldest first.
    pub const ALL: [Self; 4] = [Self::V2024_11_05, Self::V2025_03_26, Self::V2025_06_18, Self::V2025_11_25];

    /// The revision as it is written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V2024_11_05 => "2024-11-05",
            Self::V2025_03_26 => "2025-03-26",
            Self::V2025_06_18 => "2025-06-18",
            Self::V2025_11_25 => "2025-11-25",
        }
    }

    /// The revision written as `text`, if this loader speaks it.
    #[must_use]
    pub fn from_wire(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|revision| revision.as_str() == text)
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The destination of a server's stderr. It is never a pipe that no code reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerStderr {
    /// It goes where this process's stderr goes.
    Inherit,
    /// It is thrown away.
    Discard,
}

/// Bounds on every wait but those of the [`Ladder`]. All are measured by the owner runtime's clock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bounds {
    /// From the start of a server to the last page of its tools. Default 10 s.
    pub connect: Duration,
    /// From `server/discover` to taking silence for the answer of a server that does not know it. Default 2 s.
    pub probe: Duration,
    /// From the moment a call reaches its session to its answer. Default 10 s.
    pub call: Duration,
    /// On listing the tools again after `tools/list_changed`. Default 10 s.
    pub relist: Duration,
    /// Least time between the beginnings of two such listings. Default 100 ms.
    pub relist_gap: Duration,
    /// On writing one `notifications/cancelled`; over HTTP, on every POST that has no answer. Default 1 s.
    pub announce: Duration,
    /// On announcing the cancellation of all calls in flight when a session is closed. Default 200 ms.
    pub farewell: Duration,
    /// On rmcp's own close, before the pipes are shut in spite of it. Default 500 ms.
    pub transport_close: Duration,
    /// From a server's exit to the end of its stdout, which may still hold answers; over HTTP, from an answer to the end
    /// of its stream. Default 250 ms.
    pub last_words: Duration,
    /// From the end of a server's stdout to its exit, to tell the one from the other. Calls in flight wait this long
    /// before they fail. Default 50 ms.
    pub exit_follows: Duration,
    /// On ending a session with DELETE. Default 1 s.
    pub delete: Duration,
    /// From the renewal of a session that the server had forgotten to giving up the requests that the old one neither
    /// refused nor answered. Default 500 ms.
    pub expired_grace: Duration,
    /// Before a stream that ended is opened again for the first time; twice as long each time after. Default 500 ms.
    pub stream_retry_min: Duration,
    /// Longest such delay, unless the server asks for more. After a stream that stayed open for this long, the delays
    /// start again from the shortest. Default 30 s.
    pub stream_retry_max: Duration,
    /// Attempts in a row to open such a stream again. Default 8.
    pub n_stream_retries_max: u32,
    /// Bytes of one message over HTTP. Default 16 MiB.
    pub message_bytes_max: usize,
    /// What a blocking caller grants the owner runtime beyond the bound of the operation itself. Default 5 s.
    pub owner_slack: Duration,
    /// Bound on a blocking load, including the wait for earlier loads. Default 60 s.
    pub load_wait: Duration,
    /// Pages of tools accepted from one server. Default 1,000.
    pub n_pages_max: usize,
    /// How often one call is made because its server sends it back for more. Default 10.
    pub n_rounds_max: usize,
    /// Calls in flight on one session. Default 512, half of rmcp's own queue.
    pub n_calls_max: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(10),
            probe: Duration::from_secs(2),
            call: Duration::from_secs(10),
            relist: Duration::from_secs(10),
            relist_gap: Duration::from_millis(100),
            announce: Duration::from_secs(1),
            farewell: Duration::from_millis(200),
            transport_close: Duration::from_millis(500),
            last_words: Duration::from_millis(250),
            exit_follows: Duration::from_millis(50),
            delete: Duration::from_secs(1),
            expired_grace: Duration::from_millis(500),
            stream_retry_min: Duration::from_millis(500),
            stream_retry_max: Duration::from_secs(30),
            n_stream_retries_max: 8,
            message_bytes_max: 16 << 20,
            owner_slack: Duration::from_secs(5),
            load_wait: Duration::from_secs(60),
            n_pages_max: 1_000,
            n_rounds_max: 10,
            n_calls_max: 512,
        }
    }
}

/// How a server process is brought to its end: EOF on its stdin, then SIGTERM, then SIGKILL to its process group.
///
/// Source: revision 2025-11-25, basic/lifecycle, Shutdown, stdio: gives the order of the steps, names no times.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    /// From EOF on stdin to SIGTERM. Default 2 s.
    pub eof_grace: Duration,
    /// From SIGTERM to SIGKILL. Default 2 s.
    pub term_grace: Duration,
    /// From SIGKILL to giving the process up for one that the kernel cannot end. Default 1 s.
    pub kill_grace: Duration,
    /// From EOF to SIGKILL when the owner task is torn down and the thread that does it must wait. Default 250 ms.
    pub drop_grace: Duration,
}

impl Default for Ladder {
    fn default() -> Self {
        Self {
            eof_grace: Duration::from_secs(2),
            term_grace: Duration::from_secs(2),
            kill_grace: Duration::from_secs(1),
            drop_grace: Duration::from_millis(250),
        }
    }
}
