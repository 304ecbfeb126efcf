//! How exactly this build repeats a simulated life.

use std::fmt;

use crate::simulate::entropy;

/// What follows from the plan and its seed, in this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplayStrength {
    /// Whether the runtime's choices follow, between two things of one task that are ready at once.
    pub races: bool,
    /// Whether the order of hash maps follows.
    pub hashing: bool,
}

impl ReplayStrength {
    /// The strength of this build.
    #[must_use]
    pub fn of_this_build() -> Self {
        Self { races: cfg!(tokio_unstable), hashing: entropy::is_followed() }
    }

    /// Whether the same plan and seed give the same history, byte for byte.
    #[must_use]
    pub fn is_exact(self) -> bool {
        self.races && self.hashing
    }
}

impl fmt::Display for ReplayStrength {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.races, self.hashing) {
            (true, true) => "exact: the same plan and seed give the same history, byte for byte",
            (false, true) => {
                "exact apart from races: where two things are ready at once, the runtime may choose another one the next time. A build \
                 with RUSTFLAGS=\"--cfg tokio_unstable\" repeats exactly"
            }
            (true, false) => "exact apart from the order of hash maps, which this executable does not control",
            (false, false) => "exact apart from races and from the order of hash maps, which this executable does not control",
        })
    }
}
