//! The pipeline of one life: open the stage, let the subject live on it, close the stage, return the history.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::time::Duration;

use crate::history::{EventKind, History, Source};
use crate::life::environment::RunEnvironment;
use crate::life::http_server::ServerError;
use crate::life::output::redact_outputs;
use crate::life::servers::Servers;
use crate::life::stage::{Setup, Stage};
use crate::record::Recorder;
use crate::supervise::{StartKind, SuperviseError};

/// A program under test: a loader, a finished application, or a conformance client.
pub trait Subject: Sync {
    /// The facts that the stage needs before the subject starts.
    fn setup(&self) -> Setup;

    /// Starts the subject, watches it to its end, and kills what it leaves.
    fn live(&self, stage: &Stage<'_>, servers: &mut Servers) -> impl Future<Output = Result<Led, LifeError>> + Send;
}

/// A life that was led to its end.
pub struct Led {
    /// CPU time of the subject's process tree, if it is known.
    pub cpu: Option<Duration>,
    /// How the subject was started.
    pub start: StartKind,
}

/// Why a life did not begin.
#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    /// The system refused a socket, a file or random bytes.
    #[error("the plan cannot be set up: {0}")]
    Stage(#[from] io::Error),
    /// A mock over HTTP did not start.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// No loader of this executable has the name.
    #[error("found no loader {name:?} in this executable")]
    NoLoader {
        /// The name.
        name: String,
    },
    /// The supervisor did not start the subject.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
}

/// One life that is over.
pub struct Lived {
    /// Every event, in the order of the recorder.
    pub history: History,
    /// CPU time of the subject's process tree and of its supervisor, as far as the supervisor waited for them.
    pub cpu: Option<Duration>,
    /// How the subject was started; `None` if it was not.
    pub start: Option<StartKind>,
    /// Number of secrets that each file lost, by name of the file.
    pub redacted: BTreeMap<String, usize>,
    /// Why `history.jsonl` lacks events, if it does. The history here has all of them.
    pub unwritten: Option<io::Error>,
}

/// Name of the file with the history.
const HISTORY: &str = "history.jsonl";

/// Lets a subject live and records it. A life that cannot begin is recorded as a failed experiment.
pub async fn record_life(subject: &impl Subject, environment: &RunEnvironment) -> Lived {
    let setup = subject.setup();
    let directory = setup.directory.clone();
    let (file, uncreated) = match File::create(directory.join(HISTORY)) {
        Ok(file) => (Some(file), None),
        Err(error) => (None, Some(error)),
    };
    let secrets = setup.secrets.clone().and_of_environment(std::env::vars_os());
    let recorder = Recorder::start(setup.header.clone(), file, secrets);
    let (cpu, start) = match on_stage(subject, setup, environment, &recorder).await {
        Ok(Led { cpu, start }) => (cpu, Some(start)),
        Err(error) => {
            recorder.note(Source::Driver, EventKind::ExperimentFailed { because: error.to_string() });
            (None, None)
        }
    };
    recorder.note(Source::Driver, EventKind::PlanEnded {});
    let mut redacted = redact_outputs(&directory, recorder.secrets());
    if recorder.n_redacted() > 0 {
        redacted.insert(HISTORY.to_owned(), recorder.n_redacted());
    }
    let unwritten = recorder.take_unwritten().or(uncreated);
    Lived { history: recorder.take_history(), cpu, start, redacted, unwritten }
}

/// As [`record_life`], for a subject that is tasks of this thread. It writes no files, and the history keeps its secrets.
///
/// Call it inside the runtime of the subject, while a [`VirtualClock`](crate::record::VirtualClock) exists.
pub async fn record_near_life(subject: &impl Subject, environment: &RunEnvironment) -> Lived {
    let setup = subject.setup();
    let recorder = Recorder::unwritten(setup.header.clone());
    let mut servers = Servers::new(setup.transport, setup.framing);
    let stage = Stage::near(setup, environment, recorder.clone());
    let start = match subject.live(&stage, &mut servers).await {
        Ok(Led { start, .. }) => Some(start),
        Err(error) => {
            stage.note_failed(error.to_string());
            None
        }
    };
    recorder.note(Source::Driver, EventKind::PlanEnded {});
    Lived { history: recorder.take_history(), cpu: None, start, redacted: BTreeMap::new(), unwritten: None }
}

async fn on_stage(
    subject: &impl Subject,
    setup: Setup,
    environment: &RunEnvironment,
    recorder: &Recorder,
) -> Result<Led, LifeError> {
    let (transport, framing) = (setup.transport, setup.framing);
    let stage = Stage::open(setup, environment, recorder.clone()).await?;
    let mut servers = Servers::new(transport, framing);
    let result = subject.live(&stage, &mut servers).await;
    // In this order: an open endpoint would record the ends of the servers, which are the driver's doing.
    stage.close().await;
    servers.end().await;
    result
}
