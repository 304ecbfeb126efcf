//! Signals by name.

use std::fmt;
use std::str::FromStr;

#[cfg(feature = "schemas")]
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

macro_rules! signals {
    ($($variant:ident = $name:literal,)*) => {
        /// A signal that a script may name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[cfg_attr(feature = "schemas", derive(JsonSchema))]
        #[serde(try_from = "String", into = "String")]
        pub enum Signal {
            $(#[doc = concat!("SIG", $name, ".")] $variant,)*
        }

        impl Signal {
            /// Every signal, in order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The name without `SIG`.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }
    };
}

signals! {
    Hup = "HUP",
    Int = "INT",
    Quit = "QUIT",
    Term = "TERM",
    Usr1 = "USR1",
    Usr2 = "USR2",
    Kill = "KILL",
    Abrt = "ABRT",
    Segv = "SEGV",
}

impl Signal {
    /// The signals that a mock catches, and that can trigger rules.
    pub const CAUGHT: &'static [Self] = &[Self::Hup, Self::Int, Self::Quit, Self::Term, Self::Usr1, Self::Usr2];
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A text that names no signal.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("found signal {0:?}, expected one of HUP, INT, QUIT, TERM, USR1, USR2, KILL, ABRT, SEGV, without SIG")]
pub struct SignalError(String);

impl FromStr for Signal {
    type Err = SignalError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.iter().copied().find(|signal| signal.name() == text).ok_or_else(|| SignalError(text.to_owned()))
    }
}

impl TryFrom<String> for Signal {
    type Error = SignalError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Signal> for String {
    fn from(signal: Signal) -> Self {
        signal.name().to_owned()
    }
}
