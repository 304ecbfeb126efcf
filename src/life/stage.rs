//! The surroundings of one life: the recorder, its endpoint, and the files that the subject writes.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use crate::foreign::Secrets;
use crate::history::{EventKind, Header, Source};
use crate::life::delay::DelaySampler;
use crate::life::environment::RunEnvironment;
use crate::life::mocks::MockLink;
use crate::life::output::create_outputs;
use crate::plan::{Framing, Transport};
use crate::record::{EndpointOptions, MockSetup, Recorder, RecorderEndpoint};
use crate::script::Script;
use crate::supervise::{Sample, Supervised};

/// The facts about a subject that a stage needs before the subject starts.
pub struct Setup {
    /// First line of the history.
    pub header: Header,
    /// An existing folder for the history and the output. Absolute, because a supervisor may have another working directory.
    pub directory: PathBuf,
    /// How the subject reaches its servers.
    pub transport: Transport,
    /// How messages travel between them.
    pub framing: Framing,
    /// How each mock is welcomed, by name of the server.
    pub mocks: BTreeMap<String, MockSetup>,
    /// The secrets in the subject's command, environment and configuration.
    pub secrets: Secrets,
}

/// One stage. It is open for exactly one life.
pub struct Stage<'a> {
    pub(crate) environment: &'a RunEnvironment,
    pub(crate) recorder: Recorder,
    /// The listener that mocks and adapters connect to.
    pub(crate) endpoint: RecorderEndpoint,
    pub(crate) adapter_token: String,
    mock_token: String,
    /// The subject's stderr, opened before the subject starts; `None` for one without a process.
    pub(crate) stderr: Option<File>,
    _sampler: Option<DelaySampler>,
}

impl<'a> Stage<'a> {
    pub(super) async fn open(setup: Setup, environment: &'a RunEnvironment, recorder: Recorder) -> io::Result<Self> {
        let (adapter_token, mock_token) = (RunEnvironment::token()?, RunEnvironment::token()?);
        let options = EndpointOptions {
            adapter_token: adapter_token.clone(),
            mock_token: mock_token.clone(),
            hello_limit: setup.header.limits.hello,
            mocks: setup.mocks,
        };
        let stderr = Some(create_outputs(&setup.directory)?);
        let endpoint = RecorderEndpoint::open(recorder.clone(), options).await?;
        let _sampler = Some(DelaySampler::start(recorder.clone()));
        Ok(Self { environment, recorder, endpoint, adapter_token, mock_token, stderr, _sampler })
    }

    /// A stage for a subject that is tasks of this thread. Nobody else can reach it, so it needs no secrets.
    pub(super) fn near(setup: Setup, environment: &'a RunEnvironment, recorder: Recorder) -> Self {
        let (adapter_token, mock_token) = (String::new(), String::new());
        let options = EndpointOptions {
            adapter_token: String::new(),
            mock_token: String::new(),
            hello_limit: setup.header.limits.hello,
            mocks: setup.mocks,
        };
        let endpoint = RecorderEndpoint::near(recorder.clone(), options);
        Self { environment, recorder, endpoint, adapter_token, mock_token, stderr: None, _sampler: None }
    }

    /// The address and the token with which a mock reaches the recorder.
    pub(crate) fn mock_link(&self) -> MockLink<'_> {
        MockLink { environment: self.environment, endpoint: self.endpoint.addr(), token: &self.mock_token }
    }

    /// Closes the endpoint. No mock can report its end after this.
    pub(super) async fn close(self) {
        self.endpoint.close().await;
    }

    /// Records an event of the driver.
    pub(crate) fn note(&self, kind: EventKind) {
        self.recorder.note(Source::Driver, kind);
    }

    /// Records an event that the process table shows.
    pub(crate) fn note_system(&self, kind: EventKind) {
        self.recorder.note(Source::System, kind);
    }

    /// Records why the experiment failed. No rule blames the subject afterwards.
    pub(crate) fn note_failed(&self, because: impl Into<String>) {
        self.note(EventKind::ExperimentFailed { because: because.into() });
    }

    /// Records that the driver kills the subject. Nothing that follows is the subject's doing.
    pub(crate) fn note_kill(&self) {
        self.note(EventKind::SignalSent { signal: "KILL".to_owned(), target: "loader".to_owned() });
    }

    /// Records that the limit `exit` passed.
    pub(crate) fn note_exit_limit(&self, because: String) {
        self.note(EventKind::LimitHit { limit: "exit".to_owned(), because });
    }

    /// Records a sample of the subject's process.
    pub(crate) fn note_sample(&self, label: &str, sample: Sample) {
        let Sample { window_us, cpu_us, runnable_us, waited_us, threads, fds, rss_kib } = sample;
        let label = label.to_owned();
        self.note_system(EventKind::SampleTaken {
            label,
            window_us,
            cpu_us,
            runnable_us,
            waited_us,
            threads,
            fds,
            rss_kib,
        });
    }

    /// Records the stacks that the supervisor reads from the process table.
    pub(crate) async fn take_system_stacks(&self, supervised: &Supervised) {
        if let Ok(text) = supervised.stacks().await {
            self.note_system(EventKind::StacksTaken { of: "system".to_owned(), text, operations: Vec::new() });
        }
    }

    /// Records each required fault of the scripts that no server delivered.
    pub(crate) fn note_undelivered(&self, scripts: &BTreeMap<String, Script>) {
        for (server, script) in scripts {
            for fault in script.required_faults() {
                let delivered = self.recorder.any(|event| {
                    event.source.server() == Some(server)
                        && matches!(&event.kind, EventKind::FaultDelivered { fault: found, .. } if *found == fault)
                });
                if !delivered {
                    self.note(EventKind::FaultUndelivered { server: server.clone(), fault });
                }
            }
        }
    }
}

/// A duration in whole milliseconds.
pub(crate) fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
