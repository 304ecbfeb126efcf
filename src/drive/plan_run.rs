//! One plan from its start to its verdict.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};
use tokio::task::JoinHandle;

use crate::check::{Judgement, judge};
use crate::drive::launch::{LoaderLaunch, RunEnvironment};
use crate::drive::operation::Running;
use crate::drive::servers::Servers;
use crate::drive::steps::StepsEnd;
use crate::history::{EventKind, Header, History, SCHEMA, ServerFacts, Source};
use crate::plan::{Limits, Place, PlaceKind, Plan, Scenario, StepDo, Transport};
use crate::record::{AdapterLink, EndpointOptions, MockSetup, Recorder, RecorderEndpoint};
use crate::script::{Carriage, Script};
use crate::supervise::{SuperviseError, Supervised};

/// Most bytes of a loader's stdout or stderr.
pub(crate) const OUTPUT_BYTES_MAX: u64 = 8 << 20;
/// How long what a process said before its end may be under way.
const LAST_WORDS: Duration = Duration::from_millis(500);
/// How often this process looks how late it is woken.
const DELAY_TICK: Duration = Duration::from_millis(25);
/// A delay is worth telling when it is longer than any before by this much, in microseconds.
const DELAY_STEP_US: u64 = 20_000;
/// Most processes below one supervisor.
pub(crate) const PROCESSES_MAX: usize = 256;
/// Most bytes of a message that are journalled whole.
const BODY_BYTES_MAX: usize = 64 << 10;

/// Everything one plan needs.
#[derive(Clone)]
pub struct PlanInput {
    /// The plan.
    pub plan: Plan,
    /// Its scenario.
    pub scenario: Scenario,
    /// The script of each server.
    pub scripts: BTreeMap<String, Script>,
    /// How its loader is started.
    pub launch: LoaderLaunch,
    /// Its folder; exists.
    pub directory: PathBuf,
}

impl PlanInput {
    /// What carries the messages of its servers.
    pub(super) fn carriage(&self) -> Carriage {
        Carriage::of_plan(self.plan.transport, &self.scenario, self.scripts.values())
    }
}

/// What came of one plan.
pub struct PlanOutput {
    /// The plan.
    pub plan: Plan,
    /// What happened.
    pub history: History,
    /// What is to be said of it.
    pub judgement: Judgement,
    /// CPU time of the loader's tree and of its supervisor, as far as it was waited for.
    pub cpu: Option<Duration>,
    /// From the start to the verdict.
    pub wall: Duration,
}

/// Runs one plan and judges it.
///
/// # Errors
/// When the plan's own folder can not be written: then there is nothing to judge.
pub async fn run_plan(input: &PlanInput, environment: &RunEnvironment) -> io::Result<PlanOutput> {
    let began = Instant::now();
    let file = File::create(input.directory.join("history.jsonl"))?;
    let recorder = Recorder::start(header_of(input), Some(file))?;
    let cpu_ms = match perform(input, environment, &recorder).await {
        Ok(cpu) => cpu,
        Err(error) => {
            recorder.note(Source::Driver, EventKind::ExperimentFailed { because: error.to_string() });
            None
        }
    };
    recorder.note(Source::Driver, EventKind::PlanEnded {});
    let history = recorder.take_history();
    let judgement = judge(&history);
    Ok(PlanOutput {
        plan: input.plan.clone(),
        history,
        judgement,
        cpu: cpu_ms.map(Duration::from_millis),
        wall: began.elapsed(),
    })
}

fn header_of(input: &PlanInput) -> Header {
    let PlanInput { plan, scenario, .. } = input;
    let servers = scenario.servers.iter();
    Header {
        schema: SCHEMA,
        plan: plan.id.clone(),
        scenario: plan.scenario.clone(),
        loader: plan.loader.clone(),
        revision: plan.revision.to_string(),
        transport: transport_of(input),
        seed: plan.seed,
        promises: plan.promises.clone(),
        limits: plan.limits.clone(),
        servers: servers
            .map(|server| ServerFacts { name: server.name.clone(), script: server.script.clone() })
            .collect(),
        host: None,
    }
}

/// The transport as a history names it: in memory, with what carries there where it is not lines.
fn transport_of(input: &PlanInput) -> String {
    let transport = input.plan.transport;
    match (transport, input.carriage()) {
        (Transport::Memory, Carriage::Http) => "memory/http".to_owned(),
        (Transport::Memory | Transport::Stdio | Transport::Http | Transport::Sse, _) => transport.to_string(),
    }
}

/// Why a plan could not be carried out.
#[derive(Debug, thiserror::Error)]
enum PlanError {
    #[error("the plan can not be set up: {0}")]
    RecorderEndpoint(#[from] io::Error),
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    #[error("the loader's process said no hello within {} ms{refused}; its stderr ends with: {stderr}", limit.as_millis())]
    NoHello { limit: Duration, refused: String, stderr: String },
    #[error("the loader's process ended before its hello ({how}); its stderr ends with: {stderr}")]
    EndedEarly { how: String, stderr: String },
    #[error("the loader's process said a hello that was refused: {because}")]
    Refused { because: String },
    #[error("a limit on the loader's process was hit before its hello")]
    BrokenEarly,
    #[error("the run was interrupted")]
    Interrupted,
}

async fn perform(
    input: &PlanInput,
    environment: &RunEnvironment,
    recorder: &Recorder,
) -> Result<Option<u64>, PlanError> {
    let options = EndpointOptions {
        adapter_token: RunEnvironment::token()?,
        mock_token: RunEnvironment::token()?,
        hello_limit: input.plan.limits.hello,
        mocks: mock_setups(input),
    };
    let (adapter_token, token) = (options.adapter_token.clone(), options.mock_token.clone());
    let stderr = create_outputs(&input.directory)?;
    let endpoint = RecorderEndpoint::open(recorder.clone(), options).await?;
    let _sampler = DelaySampler::start(recorder.clone());
    let spec =
        input.launch.supervised(environment, endpoint.addr(), &adapter_token, &input.directory, &input.plan.limits);
    let supervised = Supervised::start(&environment.executable, spec, recorder.clone(), &environment.reaper).await?;
    let mut servers = Servers::default();
    match await_hello(input, environment, &endpoint, &supervised, &stderr).await {
        Ok(adapter) => {
            let mut drive = Drive {
                input,
                environment,
                recorder: recorder.clone(),
                endpoint: &endpoint,
                adapter,
                supervised: &supervised,
                token,
                stderr: &stderr,
                servers: Servers::default(),
                configured: initially_configured(&input.scenario),
                changes: BTreeMap::new(),
                changed: Vec::new(),
                running: Vec::new(),
                named: BTreeMap::new(),
                n_operations: 0,
                n_commands: 0,
            };
            let end = match drive.missing() {
                Some(because) => {
                    drive.note(EventKind::PlanNotApplicable { because });
                    StepsEnd::Done { exiting: false }
                }
                None if drive.start_servers().await => drive.steps().await,
                None => StepsEnd::Lost,
            };
            drive.finish(end).await;
            servers = std::mem::take(&mut drive.servers);
        }
        Err(error) => {
            // Before the tree is ended: nothing that follows is the loader's doing.
            recorder.note(Source::Driver, EventKind::ExperimentFailed { because: error.to_string() });
            let kill = EventKind::SignalSent { signal: "KILL".to_owned(), target: "loader".to_owned() };
            recorder.note(Source::Driver, kill);
        }
    }
    let cpu_ms = supervised.end().await;
    // In this order: the end of servers that we end is nobody's doing, and not to be told.
    endpoint.close().await;
    servers.end().await;
    Ok(cpu_ms)
}

/// Makes an entry another one that leads to the same mock: by its environment, or by a header where it has a URL.
fn change_entry(entry: &mut Value, n_changes: u32) {
    let (field, name) =
        if entry.get("url").is_some() { ("headers", "x-mcp-lifecheck-entry") } else { ("env", "MCP_LIFECHECK_ENTRY") };
    if let Value::Object(entry) = entry
        && let Value::Object(values) = entry.entry(field).or_insert_with(|| json!({}))
    {
        values.insert(name.to_owned(), Value::from(n_changes.to_string()));
    }
}

fn initially_configured(scenario: &Scenario) -> Vec<String> {
    scenario.servers.iter().filter(|server| server.initially).map(|server| server.name.clone()).collect()
}

fn mock_setups(input: &PlanInput) -> BTreeMap<String, MockSetup> {
    let plan = &input.plan;
    let setups = input.scripts.iter().map(|(name, script)| {
        let server = input.scenario.server(name);
        let temperament = server.map_or(plan.server, |server| server.temperament(plan.transport, plan.server));
        (name.clone(), mock_setup(script, temperament.to_string(), plan.revision.to_string(), &plan.limits))
    });
    setups.collect()
}

/// What a mock is told when it dials home.
pub(crate) fn mock_setup(script: &Script, temperament: String, revision: String, limits: &Limits) -> MockSetup {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let welcome = json!({
        "script": script,
        "temperament": temperament,
        "revision": revision,
        "acknowledge_ms": ms(limits.acknowledge),
        "max_life_ms": ms(limits.plan),
        "body_bytes_max": BODY_BYTES_MAX,
    });
    let Value::Object(welcome) = welcome else { unreachable!("written as an object above") };
    MockSetup { welcome }
}

async fn await_hello(
    input: &PlanInput,
    environment: &RunEnvironment,
    endpoint: &RecorderEndpoint,
    supervised: &Supervised,
    stderr: &File,
) -> Result<AdapterLink, PlanError> {
    let limit = input.plan.limits.start;
    let began = Instant::now();
    tokio::select! {
        biased;
        adapter = endpoint.adapter(limit) => {
            adapter.ok_or_else(|| no_hello(endpoint, began.elapsed() < limit, limit, stderr))
        }
        () = environment.interruption() => Err(PlanError::Interrupted),
        () = supervised.broken_or_ended() => match supervised.loader_end_now() {
            Some(end) if !supervised.is_broken() => {
                // What it said before it ended may still be under way.
                if let Some(adapter) = endpoint.adapter(LAST_WORDS).await {
                    return Ok(adapter);
                }
                if let Some(because) = endpoint.refusal() {
                    return Err(PlanError::Refused { because });
                }
                let how = match (end.code, end.signal) {
                    (Some(code), _) => format!("exit code {code}"),
                    (None, Some(signal)) => format!("signal {signal}"),
                    (None, None) => "unknown".to_owned(),
                };
                Err(PlanError::EndedEarly { how, stderr: stderr_tail(stderr) })
            }
            Some(_) | None => Err(PlanError::BrokenEarly),
        },
    }
}

/// Why there is no adapter: refused before its limit, or not there within it.
fn no_hello(endpoint: &RecorderEndpoint, is_early: bool, limit: Duration, stderr: &File) -> PlanError {
    match endpoint.refusal() {
        Some(because) if is_early => PlanError::Refused { because },
        refused => {
            let refused = refused.map(|because| format!("; who dialled was refused: {because}")).unwrap_or_default();
            PlanError::NoHello { limit, refused, stderr: stderr_tail(stderr) }
        }
    }
}

/// Makes the files for the loader's stdout and stderr before it starts, and keeps the one for stderr: a loader that puts
/// something else in its place can not make us read that.
pub(crate) fn create_outputs(directory: &Path) -> io::Result<File> {
    File::create(directory.join("stdout.txt"))?;
    File::options().read(true).append(true).create(true).open(directory.join("stderr.txt"))
}

/// The first bytes of a file that may still grow, whoever else reads or writes it.
pub(crate) fn read_head(file: &File, bytes_max: u64) -> Vec<u8> {
    let length = file.metadata().map_or(0, |file| file.len()).min(bytes_max);
    let mut bytes = vec![0; usize::try_from(length).unwrap_or(0)];
    let n_read = file.read_at(&mut bytes, 0).unwrap_or(0);
    bytes.truncate(n_read);
    bytes
}

/// The last lines of the loader's stderr.
fn stderr_tail(stderr: &File) -> String {
    let bytes = read_head(stderr, OUTPUT_BYTES_MAX);
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().rev().take(5).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join(" | ")
}

/// Measures how late this process itself is woken, for as long as it lives: bounds are kept by this process's timers.
pub(crate) struct DelaySampler {
    task: JoinHandle<()>,
}

impl DelaySampler {
    /// Measures from here on, into this history.
    pub(crate) fn start(recorder: Recorder) -> Self {
        let task = tokio::spawn(async move {
            let mut worst_us = 0;
            loop {
                let due = Instant::now() + DELAY_TICK;
                tokio::time::sleep(DELAY_TICK).await;
                let delay_us = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
                if delay_us > worst_us + DELAY_STEP_US {
                    worst_us = delay_us;
                    recorder.note(Source::Driver, EventKind::SchedulingDelayed { delay_us });
                }
            }
        });
        Self { task }
    }
}

impl Drop for DelaySampler {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One plan while it runs.
pub(super) struct Drive<'a> {
    pub input: &'a PlanInput,
    pub environment: &'a RunEnvironment,
    pub recorder: Recorder,
    pub endpoint: &'a RecorderEndpoint,
    pub adapter: AdapterLink,
    pub supervised: &'a Supervised,
    pub token: String,
    /// The loader's stderr.
    pub stderr: &'a File,
    /// The servers that are reached over HTTP.
    pub servers: Servers,
    /// Servers in the configuration now, in the order of the scenario.
    pub configured: Vec<String>,
    /// How often the entry of a server was changed.
    pub changes: BTreeMap<String, u32>,
    /// Servers whose entry the reload that is asked for next changes.
    pub changed: Vec<String>,
    /// Operations whose completion has not been seen.
    pub running: Vec<Running>,
    /// Operations by the name their step gave them.
    pub named: BTreeMap<String, crate::history::OpId>,
    pub n_operations: u32,
    pub n_commands: u32,
}

impl Drive<'_> {
    pub(super) fn limits(&self) -> &Limits {
        &self.input.plan.limits
    }

    /// The configuration the loader is handed now.
    pub(super) fn config(&self) -> Value {
        let servers = self.configured.iter().map(|name| (name.clone(), self.server_entry(name)));
        let mut servers = Map::from_iter(servers);
        for (name, n_changes) in &self.changes {
            if let Some(entry) = servers.get_mut(name) {
                change_entry(entry, *n_changes);
            }
        }
        json!({ "mcpServers": servers })
    }

    /// What the scenario needs and the adapter does not offer: an operation, or a kind of context.
    pub(super) fn missing(&self) -> Option<String> {
        self.missing_operation().or_else(|| self.missing_context())
    }

    /// Where there are no tasks, those of the main thread are the main thread: nothing is missing.
    fn missing_context(&self) -> Option<String> {
        let offered = &self.adapter.hello().contexts;
        let needed = self.input.scenario.steps.iter().filter_map(|step| match step.place.kind {
            PlaceKind::Task => None,
            PlaceKind::Thread => Some("thread"),
            PlaceKind::Runtime | PlaceKind::CurrentThreadRuntime => Some("loop"),
        });
        let missing = needed.into_iter().find(|needed| offered.iter().all(|kind| kind != needed))?;
        Some(format!("the scenario needs contexts of kind `{missing}`, which the adapter does not offer"))
    }

    fn missing_operation(&self) -> Option<String> {
        let needed = self.input.scenario.steps.iter().filter_map(|step| match &step.action {
            StepDo::Cancel { .. } => Some("cancel"),
            StepDo::DropContext => Some("drop-context"),
            StepDo::Reload { .. } => Some("reload"),
            StepDo::List(_) => Some("list"),
            _ => None,
        });
        let missing = needed.into_iter().find(|needed| !self.can(needed))?;
        Some(format!("the scenario needs `{missing}`, which the adapter does not offer"))
    }

    /// Whether an operation runs where a new one would have to wait for it.
    pub(super) fn is_busy(&self, place: &Place) -> bool {
        let alone = self.adapter.hello().contexts.iter().all(|kind| kind != "task");
        self.running.iter().any(|running| {
            // Without tasks of its own, every task of the main thread is the main thread.
            running.place == *place || alone && running.place.is_on_main_thread() && place.is_on_main_thread()
        })
    }

    async fn finish(&mut self, end: StepsEnd) {
        match end {
            StepsEnd::Done { exiting } => self.end_in_order(exiting).await,
            StepsEnd::Overdue => self.end_by_force("a bound was hit").await,
            StepsEnd::Lost => self.end_lost().await,
        }
        if self.supervised.is_lost() {
            self.note(EventKind::ExperimentFailed { because: "the supervisor was lost".to_owned() });
        }
    }
}
