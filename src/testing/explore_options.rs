//! The options of an exploration.

use std::path::PathBuf;
use std::time::Duration;

use crate::plan::{Limits, Promises, Revision, Transport};
use crate::run::Temperaments;
use crate::testing::Severity;

/// Lives that an exploration draws by default.
const CASES: u64 = 64;

/// Options of an exploration. [`explore`](crate::testing::explore) uses the defaults, with its own number of cases.
#[derive(Debug, Clone)]
pub struct ExploreOptions {
    /// How many lives are drawn. Default: 64. With 0, only the lives in the regression files run.
    pub cases: u64,
    /// The seed of the lives. Default: the one in the environment variable `MCP_LIFECHECK_SEED`, or a new one each time.
    pub seed: Option<u64>,
    /// Time after which no further lives start. Default: none; `cases` is the bound.
    pub time: Option<Duration>,
    /// Transports to the servers. Each life uses one of them. Default: stdio.
    pub transports: Vec<Transport>,
    /// The protocol revision of all lives. Default: the newest with a handshake.
    pub revision: Option<Revision>,
    /// Scripts that the servers may have. Default: every shipped one that fits.
    pub scripts: Vec<String>,
    /// With `PoliteOnly`, every server ends when it is asked to. With every other value, some servers are stubborn.
    pub temperaments: Temperaments,
    /// The promises of the loader. Default: the reference contract.
    pub promises: Promises,
    /// The limit of every wait.
    pub limits: Limits,
    /// Signatures of findings to accept, as the message about a finding shows them. Default: none.
    pub known: Vec<String>,
    /// The verdict that is a finding. Default: [`Severity::Fail`].
    pub severity: Severity,
    /// How many findings end an exploration. Each is made as small as possible, which takes time. Default: 1.
    pub findings_max: usize,
    /// How often each life in a regression file runs. Default: once.
    pub repeat: u32,
    /// How many plans run at once. Default: as many as the machine has idle time for; one under nextest, which runs many processes.
    pub jobs: Option<usize>,
    /// Folder of the regression files. Default: `mcp-lifecheck-regressions/FILE/LOADER` beside the source file of the caller.
    pub regressions: Option<PathBuf>,
    /// Folder for the results. Default: `mcp-lifecheck/explore-NAME` in the target folder of the test binary.
    pub out: Option<PathBuf>,
}

impl Default for ExploreOptions {
    fn default() -> Self {
        Self {
            cases: CASES,
            seed: None,
            time: None,
            transports: vec![Transport::Stdio],
            revision: None,
            scripts: Vec::new(),
            temperaments: Temperaments::default(),
            promises: Promises::default(),
            limits: Limits::default(),
            known: Vec::new(),
            severity: Severity::default(),
            findings_max: 1,
            repeat: 1,
            jobs: None,
            regressions: None,
            out: None,
        }
    }
}
