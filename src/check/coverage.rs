//! Which rules judge a requirement.

use crate::check::{HOST_RULES, INVARIANTS, Requirement};

impl Requirement {
    /// The ids of the rules that judge it, each once, in the order of the tables.
    #[must_use]
    pub fn covered_by(&self) -> Vec<&'static str> {
        let mut found = Vec::new();
        for rule in INVARIANTS.iter().chain(HOST_RULES) {
            let names_it = rule.requirement.contains(&self.id.as_str());
            let judges_it = self.judged.iter().any(|judged| judged.by.iter().any(|id| id == rule.id));
            if (names_it || judges_it) && !found.contains(&rule.id) {
                found.push(rule.id);
            }
        }
        found
    }
}
