//! How a loader and its mocks are started.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::watch;

use crate::drive::plan_run::{OUTPUT_BYTES_MAX, PROCESSES_MAX};
use crate::plan::Limits;
use crate::record::secret;
use crate::script::Carriage;
use crate::supervise::{LaunchSpec, OrphanReaper, StdinKind};

/// How a loader's process is started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderLaunch {
    /// Program and arguments.
    pub command: Vec<String>,
    /// Its working directory; the current one where there is none.
    pub directory: Option<PathBuf>,
    /// Laid over the inherited environment.
    pub env: BTreeMap<String, String>,
}

impl LoaderLaunch {
    /// How a supervisor starts it: it dials home at `link` with `token`, and its output goes to files of `directory`.
    pub(crate) fn supervised(
        &self,
        environment: &RunEnvironment,
        link: SocketAddr,
        token: &str,
        directory: &Path,
        limits: &Limits,
    ) -> LaunchSpec {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let mut env = self.env.clone();
        env.insert("MCP_LIFECHECK_RUN".to_owned(), environment.run_id.clone());
        env.insert("MCP_LIFECHECK_LINK".to_owned(), link.to_string());
        env.insert("MCP_LIFECHECK_TOKEN".to_owned(), token.to_owned());
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
        }
    }
}

/// What every plan of a run shares.
#[derive(Clone)]
pub struct RunEnvironment {
    /// This executable: re-entered for supervisors, plan processes and mocks.
    pub executable: PathBuf,
    /// Marks every process of the run, as `MCP_LIFECHECK_RUN` in its environment.
    pub run_id: String,
    /// Starts children and ends what dead supervisors leave.
    pub reaper: OrphanReaper,
    /// Becomes true when the run is interrupted.
    pub interrupted: watch::Receiver<bool>,
}

impl RunEnvironment {
    /// A secret of 128 bits in hexadecimal.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn token() -> io::Result<String> {
        secret()
    }

    /// Whether the run is interrupted.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }

    /// Waits until the run is interrupted.
    pub async fn interruption(&self) {
        let mut interrupted = self.interrupted.clone();
        let waited = interrupted.wait_for(|interrupted| *interrupted).await.map(drop);
        if waited.is_err() {
            // Nobody is left who could interrupt.
            std::future::pending::<()>().await;
        }
    }
}

/// The entry of an `mcpServers` object that starts a linked mock over stdio.
///
/// Address and token stand in the arguments: SDKs scrub the environment of their servers and close inherited descriptors.
#[must_use]
pub fn mock_command(environment: &RunEnvironment, endpoint: SocketAddr, token: &str, server: &str) -> Value {
    json!({
        "command": environment.executable,
        "args": ["__mock", "stdio", "--link", endpoint.to_string(), "--token", token, "--server", server],
        "env": { "MCP_LIFECHECK_RUN": environment.run_id },
    })
}

/// The same behind a shell, which waits for its child and takes signals itself.
#[must_use]
pub(super) fn wrapped(mut entry: Value) -> Value {
    const WRAPPER: [&str; 3] = ["-c", "\"$@\"; exit $?", "sh"];
    let own = [entry["command"].take()].into_iter().chain(entry["args"].as_array().cloned().unwrap_or_default());
    let args: Vec<Value> = WRAPPER.map(Value::from).into_iter().chain(own).collect();
    entry["command"] = "sh".into();
    entry["args"] = args.into();
    entry
}

/// The entry of an `mcpServers` object that names a linked mock in the loader's own process.
///
/// Our own kind of entry: only a loader that is hosted with a way to such servers understands it.
#[must_use]
pub(super) fn memory_entry(carriage: Carriage, endpoint: SocketAddr, token: &str, server: &str) -> Value {
    let carrier = match carriage {
        Carriage::Lines => "lines",
        // Nothing in memory speaks HTTP with server-sent events.
        Carriage::Http | Carriage::Sse => "http",
    };
    json!({ "memory": { "server": server, "carrier": carrier, "link": endpoint.to_string(), "token": token } })
}
