//! The report on a whole run. Every format renders it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::check::{LifetimeTally, SessionLifetime};
use crate::history::SCHEMA;
use crate::report::compare::Comparison;
use crate::report::matrix::Matrix;
use crate::report::plan_row::{Counts, PlanRow};

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunReport {
    /// Version of the report's shape.
    pub schema: u32,
    /// `mcp-lifecheck` and its version.
    pub tool: String,
    /// Names of the loaders with their stacks, in the order of their first plans.
    pub loaders: Vec<String>,
    /// Number of plans with each verdict.
    pub counts: Counts,
    /// One row for each plan, in the order of selection.
    pub plans: Vec<PlanRow>,
    /// The session lifetime that was inferred for each loader. No rule judges it.
    #[serde(default)]
    pub modes: BTreeMap<String, ModeRow>,
    /// Verdicts of each loader by scenario and by invariant.
    #[serde(default)]
    pub matrix: Matrix,
    /// Differences from the loader of `--against`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<Comparison>,
    /// Whether a signal interrupted the run.
    pub interrupted: bool,
}

impl RunReport {
    /// The report on these plans, without modes, matrix and comparison.
    #[must_use]
    pub fn of(plans: Vec<PlanRow>, interrupted: bool) -> Self {
        let mut loaders: Vec<String> = Vec::new();
        for plan in &plans {
            if !loaders.contains(&plan.loader) {
                loaders.push(plan.loader.clone());
            }
        }
        Self {
            schema: SCHEMA,
            tool: format!("mcp-lifecheck {}", env!("CARGO_PKG_VERSION")),
            loaders,
            counts: Counts::of(&plans),
            plans,
            modes: BTreeMap::new(),
            matrix: Matrix::default(),
            comparison: None,
            interrupted,
        }
    }
}

/// The session lifetime that was inferred for a loader.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ModeRow {
    /// The lifetime that most calls show.
    pub mode: SessionLifetime,
    /// Whether the loader's description promises a session lifetime. Otherwise the reference contract applies.
    pub declared: bool,
    /// Number of connections that carried calls.
    pub connections: usize,
    /// Number of calls that reached a server.
    pub calls: usize,
}

impl ModeRow {
    /// The row for a loader with this tally.
    #[must_use]
    pub fn new(tally: &LifetimeTally, declared: bool) -> Self {
        Self { mode: tally.lifetime(), declared, connections: tally.n_connections, calls: tally.n_calls }
    }

    /// The evidence for the mode, such as `12 connections for 12 calls`.
    #[must_use]
    pub fn evidence(&self) -> String {
        let noun = |n: usize, one: &str| if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") };
        match self.calls {
            0 => "no call reached a server".to_owned(),
            calls => format!("{} for {}", noun(self.connections, "connection"), noun(calls, "call")),
        }
    }
}
