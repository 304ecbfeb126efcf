//! `explore.json`, the report on a campaign, and its text.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::Verdict;
use crate::report::Counts;

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
    /// The options that decide which lives there are and how they are judged, each with its value. Those of a default are left out.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub selection: BTreeMap<String, String>,
    /// Which part of all lives this campaign has, as `I/N`. After a merge without all parts, each part that it has, with commas.
    pub shard: String,
    /// The variables of the environment that name the shard, with their values. Absent where the command line names it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shard_from: Option<String>,
    /// Number of positions of each sweep, by its name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub positions: BTreeMap<String, usize>,
    /// The plans of the lives, one for each. Those of shrinking do not count.
    pub counts: Counts,
    /// CPU time of the loaders' trees, in milliseconds, with that of shrinking.
    pub cpu_ms: u64,
    /// Time from the first plan to the report, in milliseconds.
    pub wall_ms: u64,
    /// Whether a signal ended the campaign early.
    pub interrupted: bool,
    /// Lives of an earlier run of the same campaign, which ended early. Absent where the campaign began anew.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<usize>,
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
