//! The two protocols of one name.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Revision;

/// Which of them a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Era {
    /// The one that opens with `initialize`: up to revision 2025-11-25.
    Legacy,
    /// The one in which every request stands for itself: revision 2026-07-28.
    Modern,
    /// Whichever the client opens with.
    Dual,
}

/// Eras as a script writes them: one, or one for each start of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(from = "ErasFile", into = "Vec<Era>")]
pub(super) struct Eras(Vec<Era>);

#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
enum ErasFile {
    One(Era),
    Each(Vec<Era>),
}

impl From<ErasFile> for Eras {
    fn from(file: ErasFile) -> Self {
        match file {
            ErasFile::One(era) => Self(vec![era]),
            ErasFile::Each(eras) => Self(eras),
        }
    }
}

impl From<Eras> for Vec<Era> {
    fn from(eras: Eras) -> Self {
        eras.0
    }
}

impl Eras {
    /// That of a start, counted from 1: beyond the last one that is named, the last one. None where none is named.
    pub(super) fn at(&self, start: u64) -> Option<Era> {
        let index = usize::try_from(start.saturating_sub(1)).unwrap_or(usize::MAX);
        self.0.get(index).or(self.0.last()).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Era {
    /// The era of a revision.
    #[must_use]
    pub fn of(revision: Revision) -> Self {
        if revision <= Revision::NEWEST_HANDSHAKE { Self::Legacy } else { Self::Modern }
    }
}
