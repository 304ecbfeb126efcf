//! One host from its start to its history.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::drive::{
    DelaySampler, Dialling, HttpServer, PROCESSES_MAX, RunEnvironment, ServerError, create_outputs, mock_setup,
};
use crate::history::{EventKind, Header, History, HostFacts, SCHEMA, ServerFacts, Source};
use crate::host::ending::Ending;
use crate::plan::{Limits, Promises, Revision, Transport};
use crate::record::{Home, HomeOptions, Recorder};
use crate::script::Script;
use crate::supervise::{LaunchSpec, StdinKind, SuperviseError, Supervised};

/// Most bytes of a host's stdout or stderr: a log may be long.
const OUTPUT_BYTES_MAX: u64 = 64 << 20;
/// How much longer than the host a supervisor lets the tree live: by then this process has ended it.
const LIFE_MARGIN: Duration = Duration::from_secs(30);

/// A host, and what it is started against.
#[derive(Debug, Clone)]
pub struct HostInput {
    /// What it is called.
    pub name: String,
    /// Name of what is expected of it.
    pub scenario: String,
    /// Revision of the protocol the servers speak.
    pub revision: Revision,
    /// The script of each server, by name. Each is reached over streamable HTTP.
    pub servers: BTreeMap<String, Script>,
    /// Program and arguments; the URL of each server is appended.
    pub command: Vec<String>,
    /// Laid over the inherited environment.
    pub env: BTreeMap<String, String>,
    /// What is expected of it.
    pub facts: HostFacts,
    /// How long it may live, with everything it starts.
    pub life: Duration,
    /// Where its history and its output go; exists.
    pub directory: PathBuf,
}

impl HostInput {
    fn header(&self) -> Header {
        let limits = Limits { exit: self.life, ..Limits::default() };
        Header {
            schema: SCHEMA,
            plan: format!("{}.{}.http.{}", self.scenario, self.name, self.revision),
            scenario: self.scenario.clone(),
            loader: self.name.clone(),
            revision: self.revision.to_string(),
            transport: Transport::Http.to_string(),
            seed: 0,
            promises: Promises::none(),
            limits,
            servers: self
                .servers
                .iter()
                .map(|(name, script)| ServerFacts { name: name.clone(), script: script.name().to_owned() })
                .collect(),
            host: Some(self.facts.clone()),
        }
    }
}

/// Why a host could not be run.
#[derive(Debug, thiserror::Error)]
enum HostError {
    #[error("the host can not be set up: {0}")]
    Home(#[from] io::Error),
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
}

/// Runs a host to its end, at most for its life, and gives what happened. Whatever it started is gone then.
///
/// # Errors
/// When its folder can not be written: then there is nothing to judge.
pub async fn run_host(input: &HostInput, environment: &RunEnvironment) -> io::Result<History> {
    let file = File::create(input.directory.join("history.jsonl"))?;
    let recorder = Recorder::start(input.header(), Some(file))?;
    if let Err(error) = perform(input, environment, &recorder).await {
        recorder.note(Source::Driver, EventKind::ExperimentFailed { because: error.to_string() });
    }
    recorder.note(Source::Driver, EventKind::PlanEnded {});
    Ok(recorder.take_history())
}

async fn perform(input: &HostInput, environment: &RunEnvironment, recorder: &Recorder) -> Result<(), HostError> {
    let limits = recorder.header().limits.clone();
    // A mock has to outlive its client.
    let of_mocks = Limits { plan: input.life + LIFE_MARGIN, ..limits.clone() };
    let setup = |script| mock_setup(script, "polite".to_owned(), input.revision.to_string(), &of_mocks);
    let token = RunEnvironment::token()?;
    let options = HomeOptions {
        adapter_token: RunEnvironment::token()?,
        mock_token: token.clone(),
        hello_limit: limits.hello,
        mocks: input.servers.iter().map(|(name, script)| (name.clone(), setup(script))).collect(),
    };
    let stderr = create_outputs(&input.directory)?;
    let home = Home::open(recorder.clone(), options).await?;
    let _sampler = DelaySampler::start(recorder.clone());
    let mut servers = Vec::new();
    let started = start_servers(input, environment, recorder, &home, &token, &mut servers).await;
    let result = match started {
        Ok(()) => watch(input, environment, recorder, &stderr, &servers).await,
        Err(error) => Err(error.into()),
    };
    // In this order: the end of servers that we end is nobody's doing, and not to be told.
    home.close().await;
    for server in servers {
        server.end().await;
    }
    result
}

async fn start_servers(
    input: &HostInput,
    environment: &RunEnvironment,
    recorder: &Recorder,
    home: &Home,
    token: &str,
    servers: &mut Vec<HttpServer>,
) -> Result<(), ServerError> {
    let limit = recorder.header().limits.listen;
    let dialling = Dialling { home: home.addr(), token, transport: Transport::Http, recorder, limit };
    for name in input.servers.keys() {
        servers.push(HttpServer::start(environment, &dialling, name).await?);
    }
    Ok(())
}

async fn watch(
    input: &HostInput,
    environment: &RunEnvironment,
    recorder: &Recorder,
    stderr: &File,
    servers: &[HttpServer],
) -> Result<(), HostError> {
    let addresses: Vec<SocketAddr> = servers.iter().filter_map(|server| address(&server.url)).collect();
    let urls = servers.iter().map(|server| server.url.clone()).collect();
    let spec = launch_spec(input, environment, recorder, urls, &addresses);
    let supervised = Supervised::start(&environment.executable, spec, recorder.clone(), &environment.warden).await?;
    Ending { environment, recorder, supervised: &supervised, stderr, servers: &addresses }.await_end(input.life).await;
    supervised.end().await;
    Ok(())
}

/// Where a server listens, from its URL.
fn address(url: &str) -> Option<SocketAddr> {
    url.strip_prefix("http://")?.split('/').next()?.parse().ok()
}

fn launch_spec(
    input: &HostInput,
    environment: &RunEnvironment,
    recorder: &Recorder,
    urls: Vec<String>,
    addresses: &[SocketAddr],
) -> LaunchSpec {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let mut env = input.env.clone();
    env.insert("MCP_VIGIL_RUN".to_owned(), environment.run_id.clone());
    LaunchSpec {
        command: [input.command.clone(), urls].concat(),
        directory: None,
        env,
        stdin: StdinKind::Null,
        stdout: input.directory.join("stdout.txt"),
        stderr: input.directory.join("stderr.txt"),
        output_bytes_max: OUTPUT_BYTES_MAX,
        processes_max: PROCESSES_MAX,
        descriptors_soft: None,
        ports: addresses.iter().map(SocketAddr::port).collect(),
        life_ms: ms(input.life + LIFE_MARGIN),
        settle_ms: ms(recorder.header().limits.settle),
    }
}
