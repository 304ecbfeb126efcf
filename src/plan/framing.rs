//! Framings: how messages travel.

use std::fmt;

use crate::plan::Revision;

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
    #[must_use]
    pub fn meets(self, needed: Self) -> bool {
        self == needed || self == Self::Sse && needed == Self::Http
    }

    /// The newest revision with `initialize` that has it.
    #[must_use]
    pub fn newest_handshake(self) -> Revision {
        match self {
            Self::Lines | Self::Http => Revision::NEWEST_HANDSHAKE,
            Self::Sse => Revision::R20241105,
        }
    }

    /// Whether the stateless generation has it.
    #[must_use]
    pub fn is_stateless(self) -> bool {
        match self {
            Self::Lines | Self::Http => true,
            Self::Sse => false,
        }
    }

    /// Whether a server can send a message at any time, in the handshake generation. Over streamable HTTP, it can do so only on a
    /// stream that the client may open.
    #[must_use]
    pub fn has_push(self) -> bool {
        match self {
            Self::Lines | Self::Sse => true,
            Self::Http => false,
        }
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
