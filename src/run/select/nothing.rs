//! Why nothing was selected.

use crate::plan::{Revision, Scenario, Tier, Transport};
use crate::run::Variants;
use crate::run::select::chosen::Chosen;
use crate::run::select::plans::{is_of_tier, misfit};
use crate::run::select::scripts::scripts_of;
use crate::run::select::target::Target;

/// Why there is no plan.
pub fn why_nothing(scenarios: &[Chosen], targets: &[Target], variants: &Variants) -> String {
    if targets.is_empty() {
        return "no shipped loader is available here (see `mcp-lifecheck doctor`)".to_owned();
    }
    if !targets.iter().any(|target| is_of_tier(target, variants.tier)) {
        return "no chosen loader is of the selected tier".to_owned();
    }
    let wanted: &[Transport] = match (variants.tier, variants.transports.as_slice()) {
        (Some(Tier::Simulated), _) => &[Transport::SIMULATED],
        (_, []) => &variants.usual,
        (_, named) => named,
    };
    let speaks = |scenario: &Scenario| wanted.iter().any(|one| scenario.revision(*one, variants.revision).is_some());
    if !scenarios.iter().any(|chosen| speaks(&chosen.scenario)) {
        return match variants.revision {
            Some(revision) => format!("no chosen scenario is for revision {revision}"),
            None => format!(
                "no chosen scenario is for revision {} or an older one; `--revision 2026-07-28` runs those for the stateless generation",
                Revision::NEWEST_HANDSHAKE
            ),
        };
    }
    let is_for = |scenario: &Scenario| wanted.iter().any(|one| scenario.runs_over(*one));
    if !scenarios.iter().any(|chosen| is_for(&chosen.scenario)) {
        let wanted: Vec<_> = wanted.iter().map(ToString::to_string).collect();
        let wanted = wanted.join(" or ");
        return format!(
            "no chosen scenario is for transport {wanted}; `mcp-lifecheck list scenarios` lists the transports of each"
        );
    }
    let is_chosen =
        |chosen: &Chosen| chosen.once_over.is_empty() || wanted.iter().any(|one| chosen.once_over.contains(one));
    if !scenarios.iter().any(is_chosen) {
        return "the suite runs none of its scenarios over the selected transport".to_owned();
    }
    if scenarios.iter().any(|chosen| !fits_anything(chosen, targets, &variants.usual)) {
        return "a chosen scenario fits none of the chosen loaders over any of their transports; name one with --transport to see why"
            .to_owned();
    }
    "every chosen scenario needs stubborn servers, and only polite ones are selected".to_owned()
}

fn fits_anything(chosen: &Chosen, targets: &[Target], usual: &[Transport]) -> bool {
    let Ok(scripts) = scripts_of(&chosen.scenario, chosen.shown().as_ref()) else { return true };
    let fits = |target: &Target| {
        target
            .descriptor
            .transports
            .iter()
            .filter(|transport| usual.contains(transport))
            .any(|transport| misfit(target, &chosen.scenario, &scripts, *transport).is_none())
    };
    targets.iter().any(fits)
}
