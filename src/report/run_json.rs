//! `run.json`: what a run came to.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::{Mode, ModeTally, PlanVerdict};
use crate::report::verdict_json::FindingRow;
use crate::report::{Comparison, Matrix};

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunReport {
    /// Number of the format.
    pub schema: u32,
    /// Name and version of the tool.
    pub tool: String,
    /// Names of the loaders, with their stacks.
    pub loaders: Vec<String>,
    /// How many plans came to what.
    pub counts: Counts,
    /// The plans, in order.
    pub plans: Vec<PlanRow>,
    /// How long the sessions of each loader were seen to live; nothing is judged by it.
    #[serde(default)]
    pub modes: BTreeMap<String, ModeRow>,
    /// The loaders side by side.
    #[serde(default)]
    pub matrix: Matrix,
    /// What differs from the loader that another is held against, where one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Whether the run was interrupted.
    pub interrupted: bool,
}

/// How long the sessions of a loader were seen to live.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModeRow {
    /// What most calls show.
    pub mode: Mode,
    /// Whether the loader's description says how long its sessions live; else the reference contract was assumed.
    pub declared: bool,
    /// Connections that carried calls.
    pub connections: usize,
    /// Calls that reached a server.
    pub calls: usize,
}

impl ModeRow {
    /// The row of a loader.
    #[must_use]
    pub fn new(tally: &ModeTally, declared: bool) -> Self {
        Self { mode: tally.mode(), declared, connections: tally.n_connections, calls: tally.n_calls }
    }

    /// What the mode is inferred from, as in `12 connections for 12 calls`.
    #[must_use]
    pub fn evidence(&self) -> String {
        let noun = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
        match self.calls {
            0 => "no call reached a server".to_owned(),
            calls => format!("{} for {}", noun(self.connections, "connection"), noun(calls, "call")),
        }
    }
}

/// One plan of a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PlanRow {
    /// Its id.
    pub id: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the loader, with its stack.
    pub loader: String,
    /// How it reached its servers.
    pub transport: String,
    /// Revision of the protocol.
    pub revision: String,
    /// How the servers took their end.
    pub server: String,
    /// What it came to.
    pub verdict: RunVerdict,
    /// CPU time of the loader's tree, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<u64>,
    /// From start to verdict, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wall_ms: Option<u64>,
    /// Why it could not be run here, begun, or written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub because: Option<String>,
    /// What failed, warned or could not be judged.
    #[serde(default)]
    pub findings: Vec<FindingRow>,
}

/// The verdict on a plan, or that it could not be run here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunVerdict {
    /// Everything that was judged holds.
    Pass,
    /// Something that must hold does not.
    Fail,
    /// Something that should hold does not.
    Warn,
    /// Nothing came about that could be judged.
    Vacuous,
    /// Nothing applies.
    NotApplicable,
    /// The experiment failed.
    Inconclusive,
    /// The loader can not be run on this machine.
    Unavailable,
}

impl RunVerdict {
    /// As a person reads it.
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

/// How many plans came to what.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// All of them.
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
        let mut counts = Self { plans: plans.len(), ..Self::default() };
        for plan in plans {
            let count = match plan.verdict {
                RunVerdict::Pass => &mut counts.pass,
                RunVerdict::Fail => &mut counts.fail,
                RunVerdict::Warn => &mut counts.warn,
                RunVerdict::Vacuous => &mut counts.vacuous,
                RunVerdict::NotApplicable => &mut counts.not_applicable,
                RunVerdict::Inconclusive => &mut counts.inconclusive,
                RunVerdict::Unavailable => &mut counts.unavailable,
            };
            *count += 1;
        }
        counts
    }
}

impl fmt::Display for Counts {
    /// How many plans came to what, in one line.
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
        let noun = if self.plans == 1 { "plan" } else { "plans" };
        write!(f, "{} {noun}: {}", self.plans, parts.collect::<Vec<_>>().join(", "))
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
            because: String::new(),
            witness: Vec::new(),
            requirement: Vec::new(),
            signature: String::new(),
            repeat: String::new(),
        };
        Self {
            id: format!("{scenario}.{loader}"),
            scenario: scenario.to_owned(),
            loader: loader.to_owned(),
            transport: "stdio".to_owned(),
            revision: "2025-11-25".to_owned(),
            server: "polite".to_owned(),
            verdict,
            cpu_ms: None,
            wall_ms: None,
            because: None,
            findings: found.iter().map(finding).collect(),
        }
    }
}
