//! Revisions of the protocol.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::plan::did_you_mean;

/// A revision of the MCP specification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Revision {
    /// 2024-11-05.
    R20241105,
    /// 2025-03-26.
    R20250326,
    /// 2025-06-18.
    R20250618,
    /// 2025-11-25.
    R20251125,
    /// 2026-07-28, also called `draft`.
    R20260728,
}

impl Revision {
    /// Every revision, oldest first.
    pub const ALL: [Self; 5] = [Self::R20241105, Self::R20250326, Self::R20250618, Self::R20251125, Self::R20260728];

    /// The newest revision of the handshake generation: those that open with `initialize`.
    pub const NEWEST_HANDSHAKE: Self = Self::R20251125;

    /// The date, in the form of the protocol.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::R20241105 => "2024-11-05",
            Self::R20250326 => "2025-03-26",
            Self::R20250618 => "2025-06-18",
            Self::R20251125 => "2025-11-25",
            Self::R20260728 => "2026-07-28",
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Another name of the newest revision.
const DRAFT: &str = "draft";

/// A text that names no revision.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found revision {found:?}, expected 2024-11-05, 2025-03-26, 2025-06-18, 2025-11-25, 2026-07-28 or draft{near}")]
pub struct RevisionError {
    found: String,
    near: String,
}

impl FromStr for Revision {
    type Err = RevisionError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == DRAFT {
            return Ok(Self::R20260728);
        }
        Self::ALL.into_iter().find(|revision| revision.as_str() == text).ok_or_else(|| RevisionError {
            found: text.to_owned(),
            near: did_you_mean(text, Self::ALL.map(Self::as_str).into_iter().chain([DRAFT])),
        })
    }
}

impl TryFrom<String> for Revision {
    type Error = RevisionError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Revision> for String {
    fn from(revision: Revision) -> Self {
        revision.as_str().to_owned()
    }
}
