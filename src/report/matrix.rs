//! The verdicts of several loaders, by scenario and by invariant.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::{Judgement, Verdict};
use crate::report::plan_row::{PlanRow, RunVerdict};

/// The verdict of each loader for each scenario and each invariant. Each cell has the worst verdict of its plans.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Matrix {
    /// By loader, then by scenario.
    pub scenarios: BTreeMap<String, BTreeMap<String, RunVerdict>>,
    /// By loader, then by invariant. A loader without a run has no row.
    pub invariants: BTreeMap<String, BTreeMap<String, Verdict>>,
}

impl Matrix {
    /// Adds a plan.
    pub fn add(&mut self, row: &PlanRow, verdicts: &BTreeMap<&'static str, Verdict>) {
        let scenarios = self.scenarios.entry(row.loader.clone()).or_default();
        let cell = scenarios.entry(row.scenario.clone()).or_insert(row.verdict);
        *cell = worse(*cell, row.verdict);
        if verdicts.is_empty() {
            return;
        }
        let invariants = self.invariants.entry(row.loader.clone()).or_default();
        for (id, verdict) in verdicts {
            let cell = invariants.entry((*id).to_owned()).or_insert(*verdict);
            *cell = std::cmp::max_by_key(*cell, *verdict, |verdict| weight(*verdict));
        }
    }
}

/// The verdict of every invariant on one history.
#[must_use]
pub fn verdicts_of(judgement: &Judgement) -> BTreeMap<&'static str, Verdict> {
    let mut verdicts = BTreeMap::new();
    for finding in &judgement.findings {
        let cell = verdicts.entry(finding.invariant).or_insert(finding.verdict);
        *cell = std::cmp::max_by_key(*cell, finding.verdict, |verdict| weight(*verdict));
    }
    verdicts
}

/// The worse of two verdicts on plans.
#[must_use]
pub fn worse(one: RunVerdict, other: RunVerdict) -> RunVerdict {
    let weight = |verdict: &RunVerdict| match verdict {
        RunVerdict::Fail => 6,
        RunVerdict::Inconclusive => 5,
        RunVerdict::Unavailable => 4,
        RunVerdict::Warn => 3,
        RunVerdict::Pass => 2,
        RunVerdict::Vacuous => 1,
        RunVerdict::NotApplicable => 0,
    };
    std::cmp::max_by_key(one, other, weight)
}

fn weight(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Fail => 6,
        Verdict::Inconclusive => 5,
        Verdict::Warn => 4,
        Verdict::Pass => 3,
        Verdict::Vacuous => 2,
        Verdict::NotObservable => 1,
        Verdict::NotApplicable => 0,
    }
}
