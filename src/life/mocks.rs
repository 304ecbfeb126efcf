//! How a subject starts and reaches its mocks, and how a mock is set up.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::life::environment::RunEnvironment;
use crate::plan::{Framing, Limits};
use crate::record::MockSetup;
use crate::script::Script;

/// Longest message that the history holds in full, in bytes. It holds the head, the length and a hash of a longer one.
const BODY_BYTES_MAX: usize = 64 << 10;

/// The entry of an `mcpServers` object that starts a linked mock over stdio.
///
/// Address and token stand in the arguments, because SDKs scrub the environment of their servers and close inherited descriptors.
#[must_use]
pub(crate) fn mock_command(environment: &RunEnvironment, endpoint: SocketAddr, token: &str, server: &str) -> Value {
    json!({
        "command": environment.executable,
        "args": ["__mock", "stdio", "--link", endpoint.to_string(), "--token", token, "--server", server],
        "env": { "MCP_LIFECHECK_RUN": environment.run_id },
    })
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

/// The entry of an `mcpServers` object that names a linked mock in the loader's own process.
///
/// Only a Rust loader that received a connector to such mocks understands this entry.
#[must_use]
pub(crate) fn memory_entry(carriage: Framing, endpoint: SocketAddr, token: &str, server: &str) -> Value {
    let carrier = match carriage {
        Framing::Lines => "lines",
        // No mock in memory speaks HTTP with server-sent events.
        Framing::Http | Framing::Sse => "http",
    };
    json!({ "memory": { "server": server, "carrier": carrier, "link": endpoint.to_string(), "token": token } })
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
