//! Protocol generations: the protocol has two, which share its name.

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::plan::Revision;

/// The protocol generation that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[cfg_attr(feature = "schemas", schemars(rename = "Era"))]
pub enum Generation {
    /// The generation that opens with `initialize`: up to revision 2025-11-25.
    #[serde(rename = "legacy")]
    Handshake,
    /// The generation with stateless requests: revision 2026-07-28.
    #[serde(rename = "modern")]
    Stateless,
    /// The generation with which the client opens.
    #[serde(rename = "dual")]
    Both,
}

/// Generations as a script has them: one, or one for each start of the server.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(from = "GenerationsFile", into = "Vec<Generation>")]
#[cfg_attr(feature = "schemas", schemars(rename = "Eras"))]
pub(super) struct Generations(Vec<Generation>);

#[derive(Deserialize)]
#[cfg_attr(feature = "schemas", derive(JsonSchema))]
#[serde(untagged)]
enum GenerationsFile {
    One(Generation),
    Each(Vec<Generation>),
}

impl From<GenerationsFile> for Generations {
    fn from(file: GenerationsFile) -> Self {
        match file {
            GenerationsFile::One(generation) => Self(vec![generation]),
            GenerationsFile::Each(generations) => Self(generations),
        }
    }
}

impl From<Generations> for Vec<Generation> {
    fn from(generations: Generations) -> Self {
        generations.0
    }
}

impl Generations {
    /// The generation of a start, counted from 1. Later starts have the last named one. None if no generation is named.
    pub(super) fn at(&self, start: u64) -> Option<Generation> {
        let index = usize::try_from(start.saturating_sub(1)).unwrap_or(usize::MAX);
        self.0.get(index).or(self.0.last()).copied()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Generation {
    /// The generation of a revision.
    #[must_use]
    pub fn of(revision: Revision) -> Self {
        if revision <= Revision::NEWEST_HANDSHAKE { Self::Handshake } else { Self::Stateless }
    }
}
