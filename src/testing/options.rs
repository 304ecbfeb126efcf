//! The options of a verification.

use std::path::PathBuf;

use crate::plan::{Baseline, Limits, Promises, Revision, Transport};
use crate::run::Temperaments;

/// Options of a verification. [`verify`](crate::testing::verify) uses the defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// Names of suites or scenarios, or scenario files (ending in `.toml`). Default: suite `core`.
    pub scenarios: Vec<String>,
    /// The promises of the loader. Default: the reference contract.
    pub promises: Promises,
    /// Transports to the servers. Each scenario runs over all of these that it supports. Default: stdio. Over memory,
    /// the servers run in the process of the loader, which reaches them through the `memory` of its
    /// [`Setup`](crate::testing::Setup).
    pub transports: Vec<Transport>,
    /// The protocol revision. Default: the newest with a handshake that each scenario supports.
    pub revision: Option<Revision>,
    /// Shutdown behaviour of the servers. Default: polite and stubborn.
    pub temperaments: Temperaments,
    /// The limit of every wait. You need not raise the limits on a slow machine: if the machine delayed a wait, the
    /// load guard makes the plan Inconclusive.
    pub limits: Limits,
    /// Known findings to accept. An entry without a finding is a failure. Default: none.
    pub baseline: Baseline,
    /// The verdict that fails a verification. Default: [`Severity::Fail`].
    pub severity: Severity,
    /// How often each plan runs. Default: once.
    pub repeat: u32,
    /// How many plans run at once. Default: as many as the machine has idle time for; one under nextest, which runs many processes.
    pub jobs: Option<usize>,
    /// Folder for the results. Default: `mcp-lifecheck/NAME` in the target folder of the test binary.
    pub out: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            scenarios: vec!["core".to_owned()],
            promises: Promises::default(),
            transports: vec![Transport::Stdio],
            revision: None,
            temperaments: Temperaments::default(),
            limits: Limits::default(),
            baseline: Baseline::default(),
            severity: Severity::default(),
            repeat: 1,
            jobs: None,
            out: None,
        }
    }
}

/// The verdict that fails a verification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Severity {
    /// A Fail that the baseline does not accept.
    #[default]
    Fail,
    /// A Warn as well.
    Warn,
}
