//! Framings: how messages travel.

use std::fmt;

/// How messages travel between a client and a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Framing {
    /// Lines, over pipes.
    Lines,
    /// HTTP. As the need of a script: either transport over HTTP. As the framing of a plan: streamable HTTP.
    Http,
    /// HTTP with server-sent events.
    Sse,
}

impl Framing {
    /// Whether it meets the need of a script.
    pub(super) fn meets(self, needed: Self) -> bool {
        self == needed || self == Self::Sse && needed == Self::Http
    }
}

impl fmt::Display for Framing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Lines => "lines over pipes",
            Self::Http => "HTTP",
            Self::Sse => "HTTP with server-sent events",
        })
    }
}
