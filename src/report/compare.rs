//! Two loaders, or one before and after a change: what is new, what is gone, what is the same.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::Verdict;
use crate::report::plan_row::{PlanRow, RunVerdict};

/// A loader held against another, plan by plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The loader that is judged.
    pub of: String,
    /// The loader it is held against.
    pub against: String,
    /// Found of the first alone.
    pub new: Vec<Difference>,
    /// Found of the second alone.
    pub gone: Vec<Difference>,
    /// Found of both.
    pub same: Vec<Difference>,
    /// Plans of which one of the two has no verdict, so that nothing is said of them.
    pub not_compared: Vec<String>,
}

/// What was found in the plans of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Difference {
    /// Name of the scenario.
    pub scenario: String,
    /// How servers were reached.
    pub transport: String,
    /// How servers took their end.
    pub server: String,
    /// Id of the invariant.
    pub invariant: String,
    /// Fail or warn.
    pub verdict: Verdict,
}

/// What makes two plans of different loaders comparable.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone)]
struct Turn {
    scenario: String,
    transport: String,
    revision: String,
    server: String,
}

/// What all plans of one turn found.
#[derive(Default)]
struct Found {
    /// By invariant, the worst.
    findings: BTreeMap<String, Verdict>,
    is_judged: bool,
    is_doubtful: bool,
}

impl Comparison {
    /// Compares the plans of two loaders.
    #[must_use]
    pub fn of(of: &str, against: &str, plans: &[PlanRow]) -> Self {
        let (ours, theirs) = (turns(plans, of), turns(plans, against));
        let mut comparison = Self { of: of.to_owned(), against: against.to_owned(), ..Self::default() };
        for turn in ours.keys().chain(theirs.keys().filter(|turn| !ours.contains_key(turn))) {
            match (ours.get(turn), theirs.get(turn)) {
                (Some(our), Some(their)) if our.is_settled() && their.is_settled() => {
                    comparison.compare(turn, our, their);
                }
                _ => comparison.not_compared.push(format!("{} {} {}", turn.scenario, turn.transport, turn.server)),
            }
        }
        comparison
    }

    fn compare(&mut self, turn: &Turn, our: &Found, their: &Found) {
        for (invariant, verdict) in &our.findings {
            let is_known =
                their.findings.get(invariant).is_some_and(|known| known == verdict || *known == Verdict::Fail);
            let side = if is_known { &mut self.same } else { &mut self.new };
            side.push(turn.difference(invariant, *verdict));
        }
        for (invariant, verdict) in
            their.findings.iter().filter(|(invariant, _)| !our.findings.contains_key(*invariant))
        {
            self.gone.push(turn.difference(invariant, *verdict));
        }
    }
}

impl Turn {
    fn difference(&self, invariant: &str, verdict: Verdict) -> Difference {
        Difference {
            scenario: self.scenario.clone(),
            transport: self.transport.clone(),
            server: self.server.clone(),
            invariant: invariant.to_owned(),
            verdict,
        }
    }
}

impl Found {
    fn is_settled(&self) -> bool {
        self.is_judged && !self.is_doubtful
    }
}

fn turns(plans: &[PlanRow], loader: &str) -> BTreeMap<Turn, Found> {
    use RunVerdict::{Fail, Inconclusive, NotApplicable, Pass, Unavailable, Vacuous, Warn};
    let mut turns: BTreeMap<Turn, Found> = BTreeMap::new();
    for plan in plans.iter().filter(|plan| plan.loader == loader) {
        let turn = Turn {
            scenario: plan.scenario.clone(),
            transport: plan.transport.clone(),
            revision: plan.revision.clone(),
            server: plan.server.clone(),
        };
        let found = turns.entry(turn).or_default();
        match plan.verdict {
            Pass | Fail | Warn | Vacuous => found.is_judged = true,
            Inconclusive | Unavailable => found.is_doubtful = true,
            NotApplicable => {}
        }
        for finding in plan.findings.iter().filter(|finding| finding.verdict != Verdict::Inconclusive) {
            let cell = found.findings.entry(finding.invariant.clone()).or_insert(finding.verdict);
            if finding.verdict == Verdict::Fail {
                *cell = Verdict::Fail;
            }
        }
    }
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_finds_and_the_other_does_not_is_new_or_gone() {
        let plans = [
            PlanRow::of_test(
                "after",
                "x",
                RunVerdict::Fail,
                &[("a", Verdict::Fail), ("b", Verdict::Warn), ("c", Verdict::Fail)],
            ),
            PlanRow::of_test(
                "before",
                "x",
                RunVerdict::Fail,
                &[("b", Verdict::Fail), ("c", Verdict::Warn), ("d", Verdict::Fail)],
            ),
            PlanRow::of_test("other", "x", RunVerdict::Fail, &[("e", Verdict::Fail)]),
        ];
        let comparison = Comparison::of("after", "before", &plans);
        let ids = |found: &[Difference]| found.iter().map(|one| one.invariant.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&comparison.new), ["a", "c"], "a warning that has become a failure is new");
        assert_eq!(ids(&comparison.same), ["b"]);
        assert_eq!(ids(&comparison.gone), ["d"]);
        assert!(comparison.not_compared.is_empty());
    }

    #[test]
    fn what_was_not_judged_on_both_sides_is_neither_new_nor_gone() {
        let fail = [("a", Verdict::Fail)];
        let plans = [
            PlanRow::of_test("after", "doubtful", RunVerdict::Inconclusive, &[]),
            PlanRow::of_test("before", "doubtful", RunVerdict::Fail, &fail),
            PlanRow::of_test("after", "alone", RunVerdict::Fail, &fail),
            PlanRow::of_test("before", "missing", RunVerdict::Fail, &fail),
            PlanRow::of_test("after", "inapplicable", RunVerdict::NotApplicable, &[]),
            PlanRow::of_test("before", "inapplicable", RunVerdict::Fail, &fail),
        ];
        let comparison = Comparison::of("after", "before", &plans);
        assert!(
            comparison.new.is_empty() && comparison.gone.is_empty() && comparison.same.is_empty(),
            "{comparison:?}"
        );
        assert_eq!(comparison.not_compared.len(), 4);
    }
}
