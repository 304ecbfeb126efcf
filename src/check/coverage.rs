//! Which rules judge a requirement.

use crate::check::{HOST_RULES, INVARIANTS, Requirement};

/// The ids of the rules that judge a requirement, each once, in the order of the tables.
#[must_use]
pub fn covered_by(requirement: &Requirement) -> Vec<&'static str> {
    let mut found = Vec::new();
    for rule in INVARIANTS.iter().chain(HOST_RULES) {
        let names_it = rule.requirement.contains(&requirement.id.as_str());
        let judges_it = requirement.judged.iter().any(|judged| judged.by.iter().any(|id| id == rule.id));
        if (names_it || judges_it) && !found.contains(&rule.id) {
            found.push(rule.id);
        }
    }
    found
}
