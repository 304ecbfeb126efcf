//! Before a run judges: one exchange of our own raw client with each mock script in use.
//!
//! A broken mock can reproduce anything. So every script must first answer a ping to a client that is not under test;
//! one that is told to end before it can answer must do that instead.

use std::collections::BTreeMap;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};

use crate::drive::launch::{RunEnvironment, fresh_token};
use crate::drive::plan_run::mock_setup;
use crate::history::{EventKind, Header};
use crate::plan::{Limits, Revision};
use crate::record::{Home, HomeOptions, Recorder};
use crate::script::Script;

/// How long one exchange may take.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(10);

/// What came of the exchange with each script: by name, nothing or what is wrong.
pub type Preflight = BTreeMap<String, Option<String>>;

/// Makes one exchange with each script.
pub async fn preflight(scripts: &BTreeMap<String, Script>, environment: &RunEnvironment) -> Preflight {
    let mut results = Preflight::new();
    for (name, script) in scripts {
        let exchange = tokio::time::timeout(EXCHANGE_LIMIT, exchange(script, environment));
        let error = match exchange.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no exchange within {} s", EXCHANGE_LIMIT.as_secs())),
        };
        results.insert(name.clone(), error);
    }
    results
}

#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error("the mock can not be run: {0}")]
    Io(#[from] io::Error),
    #[error("found {found:?}, expected an answer to a ping")]
    Answer { found: String },
    #[error("found an answer to a ping, expected the mock to end first, as its script says")]
    StillThere,
}

async fn exchange(script: &Script, environment: &RunEnvironment) -> Result<(), ExchangeError> {
    let recorder = Recorder::start(Header::new("preflight"), None)?;
    let token = fresh_token();
    let limits = Limits::default();
    let setup = mock_setup(script, "polite".to_owned(), Revision::NEWEST_LEGACY.to_string(), &limits);
    let mocks = BTreeMap::from([("probe".to_owned(), setup)]);
    let options =
        HomeOptions { adapter_token: fresh_token(), mock_token: token.clone(), hello_limit: limits.hello, mocks };
    let home = Home::open(recorder.clone(), options).await?;
    let mut command = Command::new(&environment.executable);
    let address = home.addr().to_string();
    command.args(["__mock", "stdio", "--link", &address, "--token", &token, "--server", "probe"]);
    command.env("MCP_VIGIL_RUN", &environment.run_id);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).kill_on_drop(true);
    let mut child = environment.warden.spawn(&mut command)?;
    let pid = child.id();
    let result = ping(&mut child, &recorder).await;
    // It may have ended by itself.
    let _ = child.kill().await;
    pid.into_iter().for_each(|pid| environment.warden.ended(pid));
    home.close().await;
    result
}

async fn ping(child: &mut Child, recorder: &Recorder) -> Result<(), ExchangeError> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(ExchangeError::Io(io::ErrorKind::BrokenPipe.into()));
    };
    // A mock that ends at its start may be gone already.
    let _ = stdin.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").await;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await?;
    let ends_by_script = recorder.any(|event| matches!(event.kind, EventKind::FaultDelivered { .. }));
    let answer: Value = serde_json::from_str(&line).unwrap_or_default();
    let is_answer = answer.get("id") == Some(&json!(1)) && answer.get("result").is_some();
    match (is_answer, ends_by_script) {
        (true, false) => Ok(()),
        (false, true) if line.is_empty() => Ok(()),
        (true, true) => Err(ExchangeError::StillThere),
        (false, _) => Err(ExchangeError::Answer { found: line }),
    }
}
