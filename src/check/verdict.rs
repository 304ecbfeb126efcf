//! Verdicts: of one invariant on one history, and of a plan.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::Seq;

/// The verdict of one invariant on one history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its trigger happened, and it held each time.
    Pass,
    /// It was broken.
    Fail,
    /// A SHOULD, or something about latency or resources, was broken.
    Warn,
    /// Its trigger never happened.
    Vacuous,
    /// The witness it needs is missing here.
    NotObservable,
    /// The revision, the transport or a promise it needs is missing.
    NotApplicable,
    /// The experiment does not allow to say.
    Inconclusive,
}

impl Verdict {
    /// The name as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Vacuous => "vacuous",
            Self::NotObservable => "not-observable",
            Self::NotApplicable => "not-applicable",
            Self::Inconclusive => "inconclusive",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The verdict of a plan: the worst of its findings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PlanVerdict {
    /// At least one invariant passed, and nothing worse came out.
    Pass,
    /// An invariant failed.
    Fail,
    /// The worst is a warning.
    Warn,
    /// Something can not be said.
    Inconclusive,
    /// Nothing passed, because nothing was triggered or could be observed.
    Vacuous,
    /// No invariant applied.
    NotApplicable,
}

impl PlanVerdict {
    /// The worst of the findings: Fail, Inconclusive, Warn, Pass, in this order.
    #[must_use]
    pub fn of(findings: &[Finding]) -> Self {
        let found = |verdict: Verdict| findings.iter().any(|finding| finding.verdict == verdict);
        if found(Verdict::Fail) {
            Self::Fail
        } else if found(Verdict::Inconclusive) {
            Self::Inconclusive
        } else if found(Verdict::Warn) {
            Self::Warn
        } else if found(Verdict::Pass) {
            Self::Pass
        } else if found(Verdict::Vacuous) || found(Verdict::NotObservable) {
            Self::Vacuous
        } else {
            Self::NotApplicable
        }
    }

    /// The name as it is written.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "fail",
            Self::Warn => "warn",
            Self::Inconclusive => "inconclusive",
            Self::Vacuous => "vacuous",
            Self::NotApplicable => "not-applicable",
        }
    }
}

impl fmt::Display for PlanVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What one invariant has to say about a history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Id of the invariant, or `experiment`.
    pub invariant: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, in a way that a reader can check by hand.
    pub because: String,
    /// The events that prove it, in order. Never empty for Fail and Warn.
    pub witness: Vec<Seq>,
    /// Ids of the requirements it stands for.
    pub requirement: &'static [&'static str],
    /// `INVARIANT/VARIANT` of what was broken, else `INVARIANT/VERDICT`: structural, never a message text.
    pub signature: String,
}

/// What a history comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The worst of the findings.
    pub verdict: PlanVerdict,
    /// One finding for each invariant, in the order of the table, then those about the experiment itself.
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// The finding of one invariant.
    #[must_use]
    pub fn finding(&self, invariant: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.invariant == invariant)
    }
}
