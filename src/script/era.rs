//! The two protocols of one name.

use serde::{Deserialize, Serialize};

use crate::plan::Revision;

/// Which of them a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Era {
    /// The one that opens with `initialize`: up to revision 2025-11-25.
    Legacy,
    /// The one in which every request stands for itself: revision 2026-07-28.
    Modern,
    /// Whichever the client opens with.
    Dual,
}

impl Era {
    /// The era of a revision.
    #[must_use]
    pub fn of(revision: Revision) -> Self {
        if revision <= Revision::NEWEST_LEGACY { Self::Legacy } else { Self::Modern }
    }
}
