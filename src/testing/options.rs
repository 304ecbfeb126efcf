//! What a verification is made of.

use std::path::PathBuf;

use crate::plan::{Baseline, Limits, Promises, Revision, Transport};
use crate::run::Temperaments;

/// Options of a verification. The default is what [`verify`](crate::testing::verify) does.
#[derive(Debug, Clone)]
pub struct Options {
    /// Suites, scenarios or scenario files (ending in `.toml`). Default: suite `core`.
    pub scenarios: Vec<String>,
    /// What the loader claims about its own life. Default: the reference contract.
    pub promises: Promises,
    /// How the loader reaches its servers; each scenario is run over all of them that it fits. Default: stdio.
    /// Over memory the servers live in the process of the loader, which reaches them by the `memory` of its
    /// [`Setup`](crate::testing::Setup).
    pub transports: Vec<Transport>,
    /// The revision to speak. Default: the newest that each scenario allows.
    pub revision: Option<Revision>,
    /// How the servers take their end. Default: polite and stubborn.
    pub temperaments: Temperaments,
    /// Bounds on every wait. A slow machine needs no longer ones: see the load guard.
    pub limits: Limits,
    /// Findings that are known and accepted; an entry that is not found any more is a failure. Default: none.
    pub baseline: Baseline,
    /// What fails a verification. Default: [`Severity::Fail`].
    pub severity: Severity,
    /// How often each plan is run. Default: once.
    pub repeat: u32,
    /// Plans at once. Default: as many as there are cores; one where the test runner itself runs many processes.
    pub jobs: Option<usize>,
    /// Folder for what is written. Default: `mcp-lifecheck/NAME` in the target folder of the test binary.
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

/// What fails a verification.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Severity {
    /// A Fail that the baseline does not accept.
    #[default]
    Fail,
    /// A Warn as well.
    Warn,
}
