//! The variants in which scenarios run.

use crate::plan::{Limits, Revision, Tier, Transport};

/// The variants that a user selects.
#[derive(Debug, Clone)]
pub struct Variants {
    /// Selected transports. Empty means every usual one that applies.
    pub transports: Vec<Transport>,
    /// The usual transports.
    pub usual: Vec<Transport>,
    /// The protocol revision. `None` means the newest of each scenario that has a handshake.
    pub revision: Option<Revision>,
    /// The kind of loaders, or the simulated tier. `None` means both kinds of loaders, as processes.
    pub tier: Option<Tier>,
    pub temperaments: Temperaments,
    /// How often each plan runs; at least 1.
    pub repeat: u32,
    /// Seed of random choices.
    pub seed: u64,
    pub limits: Limits,
}

impl Default for Variants {
    fn default() -> Self {
        Self {
            transports: Vec::new(),
            usual: Transport::USUAL.to_vec(),
            revision: None,
            tier: None,
            temperaments: Temperaments::default(),
            repeat: 1,
            seed: 0,
            limits: Limits::default(),
        }
    }
}

/// The shutdown behaviour of a scenario's servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Temperaments {
    /// As the scenario says. If it says nothing, polite and stubborn for a Rust loader.
    #[default]
    Usual,
    /// As the scenario says, for a Rust loader as well.
    AsWritten,
    /// Only with polite servers. Leaves out a scenario that needs stubborn ones.
    PoliteOnly,
    /// Polite and stubborn if the scenario says nothing.
    StubbornToo,
}
