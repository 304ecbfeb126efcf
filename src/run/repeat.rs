//! The line that runs a plan again.

use std::path::Path;

use crate::plan::Plan;

/// How a plan of a run is run again.
#[derive(Debug, Clone)]
pub(crate) enum Repeat {
    /// From its folder, on the command line.
    Replay,
    /// By the test that ran it.
    ByTest { command: String },
}

impl Repeat {
    /// The line for one plan. `folder` is the run's.
    pub(crate) fn line(&self, folder: &Path, plan: &Plan) -> String {
        match self {
            Self::Replay => {
                let loader = plan.loader_file.as_ref().map(|file| format!(" --loader {file}")).unwrap_or_default();
                format!("mcp-vigil replay {}{loader}", folder.join(&plan.id).display())
            }
            Self::ByTest { command } => format!("MCP_VIGIL_PLAN={} {command}", plan.id),
        }
    }
}
