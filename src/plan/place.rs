//! Contexts by name: where a step runs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::plan::ContextKind;
use crate::plan::suggest::did_you_mean;

/// A context by name: `task:a`, `thread:t1`, `runtime:r1` (an event loop in Python).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Place {
    /// The sort of the context: the part before the colon.
    pub kind: PlaceKind,
    /// The name that the scenario gives it: the part after the colon.
    pub name: String,
}

/// The kind of a context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PlaceKind {
    /// A task of the main runtime or loop.
    Task,
    /// An operating-system thread of its own.
    Thread,
    /// A multi-thread runtime of its own, driven all the time; in Python another loop.
    Runtime,
    /// A current-thread runtime of its own, driven only while a command runs on it; in Python another loop.
    CurrentThreadRuntime,
}

impl PlaceKind {
    const ALL: [Self; 4] = [Self::Task, Self::Thread, Self::Runtime, Self::CurrentThreadRuntime];

    fn as_str(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Thread => "thread",
            Self::Runtime => "runtime",
            Self::CurrentThreadRuntime => "current-thread-runtime",
        }
    }
}

impl Place {
    /// The context of steps that name none.
    #[must_use]
    pub fn main() -> Self {
        Self { kind: PlaceKind::Task, name: "main".to_owned() }
    }

    /// The kind of context that a loader must promise in order to work there.
    #[must_use]
    pub fn promise(&self) -> ContextKind {
        match self.kind {
            PlaceKind::Task => ContextKind::Task,
            PlaceKind::Thread => ContextKind::Thread,
            PlaceKind::Runtime | PlaceKind::CurrentThreadRuntime => ContextKind::Loop,
        }
    }

    /// Whether both are contexts of one thread.
    #[must_use]
    pub fn shares_thread(&self, other: &Self) -> bool {
        self == other || self.is_on_main_thread() && other.is_on_main_thread()
    }

    /// Whether an adapter without tasks runs it on the main thread.
    #[must_use]
    pub fn is_on_main_thread(&self) -> bool {
        self.kind != PlaceKind::Thread
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.kind.as_str(), self.name)
    }
}

/// Why a text names no context.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "found context {found:?}, expected task:NAME, thread:NAME, runtime:NAME or current-thread-runtime:NAME{suggestion}"
)]
pub struct PlaceError {
    found: String,
    suggestion: String,
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (kind, name) = text.split_once(':').unwrap_or((text, ""));
        match PlaceKind::ALL.into_iter().find(|known| known.as_str() == kind) {
            Some(kind) if !name.is_empty() => Ok(Self { kind, name: name.to_owned() }),
            _ => {
                let suggestion = did_you_mean(kind, PlaceKind::ALL.map(PlaceKind::as_str));
                Err(PlaceError { found: text.to_owned(), suggestion })
            }
        }
    }
}

impl TryFrom<String> for Place {
    type Error = PlaceError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}
