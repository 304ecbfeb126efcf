//! Compares two loaders, or one loader before and after a change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::Verdict;
use crate::report::plan_row::{PlanRow, RunVerdict};

/// The differences between two loaders, plan by plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The loader of `--loader`. Its findings count.
    pub of: String,
    /// The loader of `--against`.
    pub against: String,
    /// Findings of the first loader only.
    pub new: Vec<Difference>,
    /// Findings of the second loader only.
    pub gone: Vec<Difference>,
    /// Findings of both loaders.
    pub same: Vec<Difference>,
    /// Plans without a verdict for one of the two loaders.
    pub not_compared: Vec<String>,
}

/// One finding in the plans of one scenario, transport and shutdown behaviour.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Difference {
    /// Name of the scenario.
    pub scenario: String,
    /// Transport to the servers.
    pub transport: String,
    /// Shutdown behaviour of the servers.
    pub server: String,
    /// Id of the invariant.
    pub invariant: String,
    /// Fail or warn.
    pub verdict: Verdict,
}

/// The key by which plans of two loaders are compared.
#[derive(PartialEq, Eq, PartialOrd, Ord, Clone)]
struct PlanKey {
    scenario: String,
    transport: String,
    revision: String,
    server: String,
}

/// The findings of all plans with one key.
#[derive(Default)]
struct Found {
    /// The worst verdict by invariant.
    findings: BTreeMap<String, Verdict>,
    is_judged: bool,
    is_doubtful: bool,
}

impl Comparison {
    /// Compares the plans of two loaders.
    #[must_use]
    pub fn of(of: &str, against: &str, plans: &[PlanRow]) -> Self {
        let (ours, theirs) = (plans_by_key(plans, of), plans_by_key(plans, against));
        let mut comparison = Self { of: of.to_owned(), against: against.to_owned(), ..Self::default() };
        for key in ours.keys().chain(theirs.keys().filter(|key| !ours.contains_key(key))) {
            match (ours.get(key), theirs.get(key)) {
                (Some(our), Some(their)) if our.is_settled() && their.is_settled() => {
                    comparison.compare(key, our, their);
                }
                _ => comparison.not_compared.push(format!("{} {} {}", key.scenario, key.transport, key.server)),
            }
        }
        comparison
    }

    fn compare(&mut self, key: &PlanKey, our: &Found, their: &Found) {
        for (invariant, verdict) in &our.findings {
            let is_known =
                their.findings.get(invariant).is_some_and(|known| known == verdict || *known == Verdict::Fail);
            let side = if is_known { &mut self.same } else { &mut self.new };
            side.push(key.difference(invariant, *verdict));
        }
        for (invariant, verdict) in
            their.findings.iter().filter(|(invariant, _)| !our.findings.contains_key(*invariant))
        {
            self.gone.push(key.difference(invariant, *verdict));
        }
    }
}

impl PlanKey {
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

fn plans_by_key(plans: &[PlanRow], loader: &str) -> BTreeMap<PlanKey, Found> {
    use RunVerdict::{Fail, Inconclusive, NotApplicable, Pass, Unavailable, Vacuous, Warn};
    let mut plans_by_key: BTreeMap<PlanKey, Found> = BTreeMap::new();
    for plan in plans.iter().filter(|plan| plan.loader == loader) {
        let key = PlanKey {
            scenario: plan.scenario.clone(),
            transport: plan.transport.clone(),
            revision: plan.revision.clone(),
            server: plan.server.clone(),
        };
        let found = plans_by_key.entry(key).or_default();
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
    plans_by_key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_of_one_loader_only_is_new_or_gone() {
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
    fn a_plan_without_two_verdicts_is_not_compared() {
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
