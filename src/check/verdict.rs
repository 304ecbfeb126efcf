//! Verdicts: of one invariant on one history, and of a whole plan.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::history::Seq;

/// The verdict of one invariant on one history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Its trigger happened, and it held each time.
    Pass,
    /// The history breaks it, and the level is MUST or a requirement of this project.
    Fail,
    /// The history breaks a SHOULD, or a requirement about latency or resources.
    Warn,
    /// Its trigger never happened.
    Vacuous,
    /// The evidence that it needs is missing from the history.
    NotObservable,
    /// It does not apply to the revision, transport, subject or promises.
    NotApplicable,
    /// The experiment failed or was too disturbed to decide.
    Inconclusive,
}

impl Verdict {
    /// The name in reports, kebab-case.
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
    /// At least one invariant passed, and none did worse.
    Pass,
    /// An invariant failed.
    Fail,
    /// The worst finding is a warning.
    Warn,
    /// A finding is inconclusive, and none failed.
    Inconclusive,
    /// No invariant passed, because no trigger happened or could be observed.
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

    /// The name in reports, kebab-case.
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

/// The result of one invariant on one history.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Id of the invariant, or `experiment`.
    pub invariant: &'static str,
    /// The verdict.
    pub verdict: Verdict,
    /// The reason, which a reader can check by hand against the history.
    pub because: Cow<'static, str>,
    /// The events that prove it, in order; never empty for Fail and Warn.
    pub witness: Vec<Seq>,
    /// Ids of the requirements that the invariant covers, then those that the script of the server put to the test.
    pub requirement: Cow<'static, [&'static str]>,
    /// `INVARIANT/VARIANT` for a violation, else `INVARIANT/VERDICT`; stable, and never a message text.
    pub signature: Cow<'static, str>,
}

/// The findings of a history, and its verdict.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judgement {
    /// The worst of the findings.
    pub verdict: PlanVerdict,
    /// One finding for each invariant, in the order of the table, then the findings about the experiment.
    pub findings: Vec<Finding>,
}

impl Judgement {
    /// Why the plan does not apply as a whole; `None` if it does, or if each invariant has a reason of its own.
    #[must_use]
    pub fn not_applicable_because(&self) -> Option<&str> {
        let first = self.findings.first().filter(|_| self.verdict == PlanVerdict::NotApplicable)?;
        self.findings.iter().all(|finding| finding.because == first.because).then_some(&*first.because)
    }

    /// The finding of one invariant.
    #[must_use]
    pub fn finding(&self, invariant: &str) -> Option<&Finding> {
        self.findings.iter().find(|finding| finding.invariant == invariant)
    }
}
