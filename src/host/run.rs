//! One host from its start to its history.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::drive::{
    DelaySampler, Dialling, HttpServer, PROCESSES_MAX, RunEnvironment, ServerError, create_outputs, mock_command,
    mock_setup,
};
use crate::history::{EventKind, Header, History, HostFacts, SCHEMA, ServerFacts, Source};
use crate::host::app::Life;
use crate::host::config::{ConfigShape, ServerEntry};
use crate::host::ending::Ending;
use crate::host::template::{Strictness, Template, Values};
use crate::plan::{HostPlan, Limits, Promises, Revision, Temperament, Transport};
use crate::record::{EndpointOptions, Recorder, RecorderEndpoint};
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
    /// How its servers are reached: over stdio, or streamable HTTP.
    pub transport: Transport,
    /// How servers that it starts take their end.
    pub temperament: Temperament,
    /// The script of each server, by name.
    pub servers: BTreeMap<String, Script>,
    /// Program and arguments.
    pub command: Vec<String>,
    /// Laid over the inherited environment.
    pub env: BTreeMap<String, String>,
    /// What is expected of it.
    pub facts: HostFacts,
    /// Limits in force.
    pub limits: Limits,
    /// How long it may live, with everything it starts.
    pub life: Duration,
    /// Where its history and its output go; exists.
    pub directory: PathBuf,
    /// What kind of host it is.
    pub kind: HostKind,
}

/// What kind of host is run.
#[derive(Debug, Clone)]
pub enum HostKind {
    /// A conformance client: the URL of each server is appended to its command, and it ends by itself.
    Client,
    /// A finished application.
    Application(Application),
}

/// A finished application: how it is told of its servers, and what is done with it.
#[derive(Debug, Clone)]
pub struct Application {
    /// What is done with it.
    pub plan: HostPlan,
    /// Its configuration.
    pub config: ConfigSource,
    /// The program that does things on pages, where the plan needs one.
    pub page: Option<Vec<String>>,
}

/// Where a configuration comes from.
#[derive(Debug, Clone)]
pub enum ConfigSource {
    /// A shape that is known.
    Shape(ConfigShape),
    /// A text of the user's own with placeholders, and the name of its file.
    Template {
        /// The text.
        text: String,
        /// What the file is called that is written.
        file: String,
    },
}

impl HostInput {
    /// The id of its plan.
    fn plan(&self) -> String {
        let Self { name, scenario, revision, transport, temperament, kind, .. } = self;
        match kind {
            HostKind::Client => format!("{scenario}.{name}.{transport}.{revision}"),
            HostKind::Application(_) => format!("{scenario}.{name}.{transport}.{revision}.{temperament}"),
        }
    }

    fn header(&self) -> Header {
        Header {
            schema: SCHEMA,
            plan: self.plan(),
            scenario: self.scenario.clone(),
            loader: self.name.clone(),
            revision: self.revision.to_string(),
            transport: self.transport.to_string(),
            seed: 0,
            promises: Promises::none(),
            limits: self.limits.clone(),
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
    RecorderEndpoint(#[from] io::Error),
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
    // A mock has to outlive its client.
    let of_mocks = Limits { plan: input.life + LIFE_MARGIN, ..input.limits.clone() };
    let setup = |script| mock_setup(script, input.temperament.to_string(), input.revision.to_string(), &of_mocks);
    let token = RunEnvironment::token()?;
    let options = EndpointOptions {
        adapter_token: RunEnvironment::token()?,
        mock_token: token.clone(),
        hello_limit: input.limits.hello,
        mocks: input.servers.iter().map(|(name, script)| (name.clone(), setup(script))).collect(),
    };
    let stderr = create_outputs(&input.directory)?;
    let endpoint = RecorderEndpoint::open(recorder.clone(), options).await?;
    let _sampler = DelaySampler::start(recorder.clone());
    let mut stage =
        Stage { input, environment, recorder, endpoint: &endpoint, token: &token, servers: BTreeMap::new() };
    let result = match stage.start_servers().await {
        Ok(()) => stage.watch(&stderr).await,
        Err(error) => Err(error.into()),
    };
    let servers = stage.servers;
    // In this order: the end of servers that we end is nobody's doing, and not to be told.
    endpoint.close().await;
    for server in servers.into_values() {
        server.end().await;
    }
    result
}

/// Everything around a host.
struct Stage<'a> {
    input: &'a HostInput,
    environment: &'a RunEnvironment,
    recorder: &'a Recorder,
    endpoint: &'a RecorderEndpoint,
    token: &'a str,
    /// The servers that are reached over HTTP.
    servers: BTreeMap<String, HttpServer>,
}

impl Stage<'_> {
    async fn start_servers(&mut self) -> Result<(), ServerError> {
        if !self.input.transport.is_http() {
            return Ok(());
        }
        let limit = self.input.limits.listen;
        let (endpoint, token, transport) = (self.endpoint.addr(), self.token, self.input.transport);
        let dialling = Dialling { endpoint, token, transport, recorder: self.recorder, limit };
        for name in self.input.servers.keys() {
            let server = HttpServer::start(self.environment, &dialling, name).await?;
            self.servers.insert(name.clone(), server);
        }
        Ok(())
    }

    async fn watch(&mut self, stderr: &File) -> Result<(), HostError> {
        let addresses: Vec<SocketAddr> = self.servers.values().filter_map(|server| address(&server.url)).collect();
        let (values, spec) = match &self.input.kind {
            HostKind::Client => (None, self.launch_spec(self.client_command(), StdinKind::Null, &addresses)),
            HostKind::Application(application) => {
                let values = self.values(application)?;
                let mut spec = self.launch_spec(filled(&self.input.command, &values), StdinKind::Pipe, &addresses);
                spec.env.insert("MCP_LIFECHECK_CONFIG".to_owned(), values.config.clone());
                (Some((application, values)), spec)
            }
        };
        let (environment, recorder) = (self.environment, self.recorder);
        let supervised =
            Supervised::start(&environment.executable, spec, recorder.clone(), &environment.reaper).await?;
        let (supervised_ref, endpoint) = (&supervised, self.endpoint);
        let ending =
            Ending { environment, recorder, supervised: supervised_ref, stderr, servers: &addresses, endpoint };
        match &values {
            None => ending.await_end(self.input.life).await,
            Some((application, values)) => {
                Life::new(self.input, application, ending, &mut self.servers, values).lead().await;
            }
        }
        supervised.end().await;
        Ok(())
    }

    /// The command of a client: the URL of each server is appended.
    fn client_command(&self) -> Vec<String> {
        let urls = self.servers.values().map(|server| server.url.clone());
        self.input.command.iter().cloned().chain(urls).collect()
    }

    /// Writes the configuration; gives what placeholders stand for.
    fn values(&self, application: &Application) -> io::Result<Values> {
        let servers = self.input.servers.keys().map(|name| (name.clone(), self.entry(name))).collect();
        let (name, template) = match &application.config {
            ConfigSource::Shape(_) => ("mcp.json", None),
            ConfigSource::Template { text, file } => (file.as_str(), Template::parse(text, Strictness::Strict).ok()),
        };
        let path = self.input.directory.join(name);
        // Free now; what takes it before the host does makes the host fail in a way that it tells of.
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let values = Values { config: path.display().to_string(), port, servers };
        let text = match (&application.config, template) {
            (_, Some(template)) => template.fill(&values),
            (ConfigSource::Shape(shape), None) => format!("{:#}\n", shape.config(&values.servers)),
            (ConfigSource::Template { text, .. }, None) => text.clone(),
        };
        std::fs::write(&path, text)?;
        Ok(values)
    }

    /// How a server is reached.
    fn entry(&self, name: &str) -> ServerEntry {
        if let Some(server) = self.servers.get(name) {
            return ServerEntry::Url(server.url.clone());
        }
        let entry = mock_command(self.environment, self.endpoint.addr(), self.token, name);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let env = entry["env"].as_object().into_iter().flatten().map(|(name, value)| (name.clone(), text(value)));
        let args = entry["args"].as_array().into_iter().flatten().map(text);
        ServerEntry::Command { command: text(&entry["command"]), args: args.collect(), env: env.collect() }
    }

    fn launch_spec(&self, command: Vec<String>, stdin: StdinKind, addresses: &[SocketAddr]) -> LaunchSpec {
        let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let input = self.input;
        let mut env = input.env.clone();
        env.insert("MCP_LIFECHECK_RUN".to_owned(), self.environment.run_id.clone());
        LaunchSpec {
            command,
            directory: None,
            env,
            stdin,
            stdout: input.directory.join("stdout.txt"),
            stderr: input.directory.join("stderr.txt"),
            output_bytes_max: OUTPUT_BYTES_MAX,
            processes_max: PROCESSES_MAX,
            descriptors_soft: None,
            ports: addresses.iter().map(SocketAddr::port).collect(),
            life_ms: ms(input.life + LIFE_MARGIN),
            settle_ms: ms(input.limits.settle),
        }
    }
}

/// Where a server listens, from its URL.
fn address(url: &str) -> Option<SocketAddr> {
    url.strip_prefix("http://")?.split('/').next()?.parse().ok()
}

fn filled(command: &[String], values: &Values) -> Vec<String> {
    let fill = |text: &String| {
        Template::parse(text, Strictness::Lenient).map_or_else(|_| text.clone(), |template| template.fill(values))
    };
    command.iter().map(fill).collect()
}
