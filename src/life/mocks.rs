//! How a mock is started and set up.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::life::environment::RunEnvironment;
use crate::plan::{Limits, Transport};
use crate::record::MockSetup;
use crate::script::Script;

/// Longest message that the history holds in full, in bytes. It holds the head, the length and a hash of a longer one.
const BODY_BYTES_MAX: usize = 64 << 10;
/// The variable that marks every process of a run.
const RUN_VARIABLE: &str = "MCP_LIFECHECK_RUN";

/// The address and the token with which a mock reaches the recorder.
#[derive(Clone, Copy)]
pub(crate) struct MockLink<'a> {
    pub environment: &'a RunEnvironment,
    /// The recorder endpoint that the mock connects to.
    pub endpoint: SocketAddr,
    /// The token of its hello.
    pub token: &'a str,
}

/// How the subject starts a mock as its child. As JSON, it is the entry of an `mcpServers` object.
#[derive(Serialize)]
pub(crate) struct MockCommand {
    pub command: String,
    pub args: Vec<String>,
    pub env: BTreeMap<String, String>,
}

impl MockLink<'_> {
    /// How the subject starts a mock over stdio.
    pub(crate) fn child(&self, server: &str) -> MockCommand {
        let RunEnvironment { executable, run_id, .. } = self.environment;
        MockCommand {
            command: executable.display().to_string(),
            args: self.arguments(Transport::Stdio, server),
            env: BTreeMap::from([(RUN_VARIABLE.to_owned(), run_id.clone())]),
        }
    }

    /// The command with which this process starts a mock.
    pub(super) fn command(&self, transport: Transport, server: &str) -> Command {
        let mut command = Command::new(&self.environment.executable);
        command.args(self.arguments(transport, server)).env(RUN_VARIABLE, &self.environment.run_id);
        command
    }

    /// Address and token stand in the arguments, because SDKs scrub the environment of their servers and close inherited
    /// descriptors.
    fn arguments(&self, transport: Transport, server: &str) -> Vec<String> {
        let endpoint = self.endpoint.to_string();
        let arguments = ["__mock", transport.as_str(), "--link", &endpoint, "--token", self.token, "--server", server];
        arguments.map(str::to_owned).into()
    }
}

/// The same entry behind a shell, which waits for its child and receives the signals itself.
#[must_use]
pub(crate) fn wrapped(mut entry: Value) -> Value {
    const WRAPPER: [&str; 3] = ["-c", "\"$@\"; exit $?", "sh"];
    let own = [entry["command"].take()].into_iter().chain(entry["args"].as_array().cloned().unwrap_or_default());
    let args: Vec<Value> = WRAPPER.map(Value::from).into_iter().chain(own).collect();
    entry["command"] = "sh".into();
    entry["args"] = args.into();
    entry
}

/// The welcome that a mock receives when it connects to the recorder. The limit `plan` bounds the life of the mock.
#[must_use]
pub(crate) fn mock_setup(script: &Script, shutdown: String, revision: String, limits: &Limits) -> MockSetup {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let welcome = json!({
        "script": script,
        "temperament": shutdown,
        "revision": revision,
        "acknowledge_ms": ms(limits.acknowledge),
        "max_life_ms": ms(limits.plan),
        "body_bytes_max": BODY_BYTES_MAX,
    });
    let Value::Object(welcome) = welcome else { unreachable!("written as an object above") };
    MockSetup { welcome }
}
