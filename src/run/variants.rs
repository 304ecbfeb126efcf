//! In which variants scenarios are run.

use crate::plan::{Limits, Revision, Transport};

/// What a run asks of its plans.
#[derive(Debug, Clone)]
pub struct Variants {
    /// How servers are reached; where nothing is named, in all usual ways that apply.
    pub transports: Vec<Transport>,
    /// The usual ways.
    pub usual: Vec<Transport>,
    /// The revision to speak; the newest legacy one of each scenario where none is named.
    pub revision: Option<Revision>,
    /// Kinds of plans; all where none is named.
    pub tier: Option<Tier>,
    pub temperaments: Temperaments,
    /// How often each plan is run, from 1.
    pub repeat: u32,
    /// Seed of whatever is drawn by chance.
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

/// How the servers of a scenario take their end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Temperaments {
    /// As the scenario says; for a Rust loader, polite and stubborn where it says nothing.
    #[default]
    Usual,
    /// As the scenario says, for a Rust loader as well.
    AsWritten,
    /// Only with polite servers; a scenario that needs stubborn ones is left out.
    PoliteOnly,
    /// Polite and stubborn where the scenario says nothing.
    StubbornToo,
}

/// Kinds of plans.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tier {
    /// Loaders in Rust, in a plan process.
    Real,
    /// Loaders in a process of their own that speaks the adapter protocol.
    Foreign,
}
