//! Lives as plans.

use crate::plan::{Limits, Scenario, Tier, Transport};
use crate::run::select::{Chosen, Selected, Target, plans};
use crate::run::{RunError, Temperaments, Variants};

/// The plans of a life: `n_times` of them. `comment` is at the head of its file.
///
/// # Errors
/// When the life is not valid, such as one with a gate that no step opens.
pub(super) fn plans_of(
    life: &Scenario,
    target: &Target,
    settings: &LifeSettings,
    n_times: u32,
) -> Result<Vec<Selected>, RunError> {
    let transports = match settings.tier {
        Some(Tier::Simulated) => vec![Transport::SIMULATED],
        Some(Tier::Real | Tier::Foreign) | None => life.transports.clone(),
    };
    let variants = Variants {
        transports,
        revision: life.revisions.first().copied(),
        // A life says of each server how it ends.
        temperaments: Temperaments::AsWritten,
        repeat: n_times,
        seed: settings.seed,
        limits: settings.limits.clone(),
        tier: settings.tier,
        ..Variants::default()
    };
    plans(&[Chosen::made(life.clone(), "")], std::slice::from_ref(target), &variants)
}

/// What all plans of a campaign have in common.
#[derive(Debug, Clone)]
pub struct LifeSettings {
    /// Seed of all random choices.
    pub seed: u64,
    /// Every limit.
    pub limits: Limits,
    /// The tier; `None`: that of each loader as a process.
    pub tier: Option<Tier>,
}
