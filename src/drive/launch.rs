//! Starts the process of a loader.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::foreign::Secrets;
use crate::life::{OUTPUT_BYTES_MAX, PROCESSES_MAX, RunEnvironment, ms};
use crate::plan::Limits;
use crate::supervise::{LaunchSpec, StdinKind, WarmStart};

/// Address of the recorder endpoint, for the adapter.
const LINK: &str = "MCP_LIFECHECK_LINK";
/// Token of the adapter.
const TOKEN: &str = "MCP_LIFECHECK_TOKEN";

/// The command of a loader, with its folder and its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderLaunch {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its working directory. `None` means the current one.
    pub directory: Option<PathBuf>,
    /// Variables that are added to the inherited environment, or replace those in it.
    pub env: BTreeMap<String, String>,
}

impl LoaderLaunch {
    /// The same command under a supervisor. The adapter connects to `link` with `token`; its output goes to files in `directory`.
    pub(crate) fn supervised(
        &self,
        environment: &RunEnvironment,
        link: SocketAddr,
        token: &str,
        directory: &Path,
        limits: &Limits,
    ) -> LaunchSpec {
        let mut env = self.env.clone();
        env.insert("MCP_LIFECHECK_RUN".to_owned(), environment.run_id.clone());
        env.insert(LINK.to_owned(), link.to_string());
        env.insert(TOKEN.to_owned(), token.to_owned());
        LaunchSpec {
            command: self.command.clone(),
            directory: self.directory.clone(),
            env,
            stdin: StdinKind::Null,
            stdout: directory.join("stdout.txt"),
            stderr: directory.join("stderr.txt"),
            output_bytes_max: OUTPUT_BYTES_MAX,
            processes_max: PROCESSES_MAX,
            descriptors_soft: None,
            ports: Vec::new(),
            life_ms: ms(limits.plan),
            settle_ms: ms(limits.settle),
            warm: None,
        }
    }

    /// The secrets in its command and its own environment.
    pub(super) fn secrets(&self) -> Secrets {
        let variables = self.env.iter().map(|(name, value)| (name.into(), value.into()));
        Secrets::default().and_of_environment(variables).and_of_command(&self.command)
    }

    /// How the process may be a fork of a template. The template has as long for its imports as a new process has.
    pub(super) fn warm(limits: &Limits) -> WarmStart {
        WarmStart { variables: [LINK, TOKEN].map(str::to_owned).into(), ready_ms: ms(limits.start) }
    }
}
