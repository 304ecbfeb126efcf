//! `explore.json`, the report on a campaign, and its text.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::Verdict;

/// The report on a campaign.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ExploreReport {
    /// Version of this shape: 1.
    pub schema: u32,
    /// Name and version of the program that wrote it.
    pub tool: String,
    /// The loaders, with their stacks.
    pub loaders: Vec<String>,
    /// Seed of the lives that were drawn.
    pub seed: u64,
    /// Which part of all lives this campaign has, as `I/N`.
    pub shard: String,
    /// Number of positions of each sweep, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub positions: BTreeMap<String, usize>,
    /// Plans by verdict. Those of shrinking do not count.
    pub counts: LifeCounts,
    /// CPU time of the loaders' trees, in milliseconds, with that of shrinking.
    pub cpu_ms: u64,
    /// Time from the first plan to the report, in milliseconds.
    pub wall_ms: u64,
    /// Whether a signal ended the campaign early.
    pub interrupted: bool,
    /// The findings, in the order in which they were found.
    pub findings: Vec<FoundRow>,
    /// Known findings that were found again, with the number of lives.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub known: BTreeMap<String, usize>,
    /// The invariants that some life opened, each with the number of lives.
    pub opened: BTreeMap<String, usize>,
    /// The scripts that servers had, each with the number of lives.
    pub scripts: BTreeMap<String, usize>,
}

/// Lives by verdict.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LifeCounts {
    /// Every life that ran.
    pub lives: usize,
    /// Lives without a finding.
    pub pass: usize,
    /// Lives with a failure.
    pub fail: usize,
    /// Lives with a warning, and no failure.
    pub warn: usize,
    /// Lives in which nothing was judged.
    pub vacuous: usize,
    /// Lives that do not apply to the loader.
    pub not_applicable: usize,
    /// Lives whose experiment failed, most of them because a fault was never due.
    pub inconclusive: usize,
    /// Lives whose loader is not available here.
    pub unavailable: usize,
}

impl fmt::Display for LifeCounts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} lives: {} pass, {} fail, {} warn", self.lives, self.pass, self.fail, self.warn)?;
        for (n, what) in [
            (self.inconclusive, "inconclusive"),
            (self.vacuous, "vacuous"),
            (self.not_applicable, "not applicable"),
            (self.unavailable, "unavailable"),
        ] {
            if n > 0 {
                write!(f, ", {n} {what}")?;
            }
        }
        Ok(())
    }
}

/// One finding.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FoundRow {
    /// Invariant and variant. Equal findings have equal signatures.
    pub signature: String,
    /// Id of the invariant.
    pub invariant: String,
    /// Fail or warn.
    pub verdict: Verdict,
    /// The loader, with its stack.
    pub loader: String,
    /// The reason, in the smallest life.
    pub because: String,
    /// Ids of the requirements that the invariant covers.
    pub requirement: Vec<String>,
    /// Name of the life in which it was found first.
    pub first: String,
    /// Number of lives that showed it.
    pub lives: usize,
    /// Steps of the life in which it was found first.
    pub steps_before: usize,
    /// Steps of the smallest life.
    pub steps: usize,
    /// Plans that were run to make it smaller.
    pub tries: usize,
    /// In how many of the repeats the smallest life showed it again.
    pub again: u32,
    /// Number of these repeats, each in a new process.
    pub repeats: u32,
    /// The scenario file of the smallest life. Relative to the results folder.
    pub file: String,
    /// The command line that repeats the smallest life.
    pub repeat: String,
}
