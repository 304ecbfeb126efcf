//! The rows of a report: one for each plan.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::PlanVerdict;
use crate::report::check_row::CheckRow;
use crate::report::verdict_json::FindingRow;

/// One plan of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanRow {
    /// Id of the plan. Unique in its run.
    pub id: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the loader, with its stack.
    pub loader: String,
    /// Transport to the servers.
    pub transport: String,
    /// Revision of the protocol.
    pub revision: String,
    /// Shutdown behaviour of the servers: `polite` or `stubborn`.
    pub server: String,
    /// The worst verdict of all rules, or why there is none.
    pub verdict: RunVerdict,
    /// CPU time of the loader's tree, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// Time from the start to the verdict, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Why the plan did not run, or why its verdict was not written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// The findings with verdict fail, warn or inconclusive.
    #[serde(default)]
    pub findings: Vec<FindingRow>,
    /// Number of secrets that each file of the plan lost, by name of the file.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub redacted: BTreeMap<String, usize>,
    /// Files that were not written whole, by name, each with the system's reason. They change no verdict.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub unwritten: BTreeMap<String, String>,
    /// Whether it has no verdict because the run was interrupted. Not written to `run.json`, which says so of the run.
    #[serde(skip)]
    pub is_interrupted: bool,
    /// The findings as a person reads them. Empty where all is well. Not written to `run.json`.
    #[serde(skip)]
    pub text: String,
    /// One line about a plan that has more to say than its findings, or none. Not written to `run.json`.
    #[serde(skip)]
    pub note: String,
    /// The stacks that were taken when the plan hung. Not written to `run.json`.
    #[serde(skip)]
    pub stacks: String,
    /// Number of events in its history. Not written to `run.json`.
    #[serde(skip)]
    pub n_events: usize,
    /// Every check of the plan, in commands that keep [`Detail::Checks`](crate::report::Detail::Checks). Not written to `run.json`.
    #[serde(skip)]
    pub checks: Vec<CheckRow>,
}

impl PlanRow {
    /// A row with this verdict and nothing else.
    #[must_use]
    pub fn of(verdict: RunVerdict) -> Self {
        Self {
            id: String::new(),
            scenario: String::new(),
            loader: String::new(),
            transport: String::new(),
            revision: String::new(),
            server: String::new(),
            verdict,
            cpu_ms: None,
            wall_ms: None,
            because: None,
            findings: Vec::new(),
            redacted: BTreeMap::new(),
            unwritten: BTreeMap::new(),
            is_interrupted: false,
            text: String::new(),
            note: String::new(),
            stacks: String::new(),
            n_events: 0,
            checks: Vec::new(),
        }
    }
}

/// The verdict on a plan, or the reason why it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunVerdict {
    /// Every rule that was judged holds.
    Pass,
    /// A rule that must hold is broken.
    Fail,
    /// A rule that should hold is broken.
    Warn,
    /// No rule was triggered.
    Vacuous,
    /// No rule applies to the plan.
    NotApplicable,
    /// The experiment failed.
    Inconclusive,
    /// The loader cannot be run on this machine.
    Unavailable,
}

impl RunVerdict {
    /// The word for it in tables.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Fail => "FAIL",
            Self::Warn => "warn",
            Self::Vacuous => "vacuous",
            Self::NotApplicable => "not applicable",
            Self::Inconclusive => "INCONCLUSIVE",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

impl From<PlanVerdict> for RunVerdict {
    fn from(verdict: PlanVerdict) -> Self {
        match verdict {
            PlanVerdict::Pass => Self::Pass,
            PlanVerdict::Fail => Self::Fail,
            PlanVerdict::Warn => Self::Warn,
            PlanVerdict::Vacuous => Self::Vacuous,
            PlanVerdict::NotApplicable => Self::NotApplicable,
            PlanVerdict::Inconclusive => Self::Inconclusive,
        }
    }
}

/// Number of plans with each verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Number of all plans.
    pub plans: usize,
    /// [`RunVerdict::Pass`].
    pub pass: usize,
    /// [`RunVerdict::Fail`].
    pub fail: usize,
    /// [`RunVerdict::Warn`].
    pub warn: usize,
    /// [`RunVerdict::Vacuous`].
    pub vacuous: usize,
    /// [`RunVerdict::NotApplicable`].
    pub not_applicable: usize,
    /// [`RunVerdict::Inconclusive`].
    pub inconclusive: usize,
    /// [`RunVerdict::Unavailable`].
    pub unavailable: usize,
}

impl Counts {
    /// Counts the plans of a run.
    #[must_use]
    pub fn of(plans: &[PlanRow]) -> Self {
        let mut counts = Self::default();
        plans.iter().for_each(|plan| counts.add(plan.verdict));
        counts
    }

    /// Counts one more plan.
    pub fn add(&mut self, verdict: RunVerdict) {
        self.plans += 1;
        let count = match verdict {
            RunVerdict::Pass => &mut self.pass,
            RunVerdict::Fail => &mut self.fail,
            RunVerdict::Warn => &mut self.warn,
            RunVerdict::Vacuous => &mut self.vacuous,
            RunVerdict::NotApplicable => &mut self.not_applicable,
            RunVerdict::Inconclusive => &mut self.inconclusive,
            RunVerdict::Unavailable => &mut self.unavailable,
        };
        *count += 1;
    }
}

impl fmt::Display for Counts {
    /// The counts in one line, without those that are zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [
            (self.pass, "passed"),
            (self.fail, "failed"),
            (self.warn, "warned"),
            (self.inconclusive, "inconclusive"),
            (self.vacuous, "vacuous"),
            (self.not_applicable, "not applicable"),
            (self.unavailable, "unavailable"),
        ];
        let parts = all.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}"));
        match self.plans {
            0 => f.write_str("0 plans"),
            1 => write!(f, "1 plan: {}", parts.collect::<String>()),
            n => write!(f, "{n} plans: {}", parts.collect::<Vec<_>>().join(", ")),
        }
    }
}

/// Rows for tests.
#[cfg(test)]
impl PlanRow {
    /// A plan over stdio with polite servers, and what was found in it.
    pub fn of_test(loader: &str, scenario: &str, verdict: RunVerdict, found: &[(&str, crate::check::Verdict)]) -> Self {
        let finding = |(invariant, verdict): &(&str, crate::check::Verdict)| FindingRow {
            invariant: (*invariant).to_owned(),
            verdict: *verdict,
            claim: None,
            because: String::new(),
            witness: Vec::new(),
            events: Vec::new(),
            requirement: Vec::new(),
            signature: String::new(),
            repeat: String::new(),
            text: String::new(),
        };
        Self {
            id: format!("{scenario}.{loader}"),
            scenario: scenario.to_owned(),
            loader: loader.to_owned(),
            transport: "stdio".to_owned(),
            revision: "2025-11-25".to_owned(),
            server: "polite".to_owned(),
            findings: found.iter().map(finding).collect(),
            ..Self::of(verdict)
        }
    }
}
