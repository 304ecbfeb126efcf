//! The subject of a simulated life: a loader whose program is tasks.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::watch;

use crate::drive::{PlanInput, TaskProgram, drive_tasks};
use crate::foreign::Secrets;
use crate::history::{Channel, Event, EventKind, History, ProcessId, Source};
use crate::life::{Led, LifeError, Servers, Setup, Stage, Subject};
use crate::loader::host::TaskHost;
use crate::loader::memory::Connector;
use crate::loader::registered::rust_loader;
use crate::mock::{NearMocks, NearSetup};
use crate::record::{NearAdapter, NearLinks, Recorder, VirtualClock, redacted};
use crate::simulate::connector::NearConnector;
use crate::supervise::StartKind;

/// What the runtime says to a task that needs sockets, processes or signals, in its panic.
const WITHOUT_IO: &str = "IO is disabled";
/// Time for mocks to end after their loader has ended.
const MOCKS_LIMIT: Duration = Duration::from_secs(1);
/// Exit code of a Rust program whose main thread has panicked.
const PANIC_CODE: i32 = 101;

/// Removes the secrets of this process's environment from the history of a simulated life. Returns their number.
#[must_use]
pub fn without_secrets(history: History) -> (History, usize) {
    /// Read once: a campaign has thousands of lives.
    static OF_ENVIRONMENT: LazyLock<Secrets> =
        LazyLock::new(|| Secrets::default().and_of_environment(std::env::vars_os()));
    redacted(history, &OF_ENVIRONMENT)
}

/// A plan of a Rust loader in the simulated tier.
pub struct SimulatedLife {
    /// The plan, with everything it names. Its launch is not used.
    pub input: PlanInput,
    /// The name under which the loader is registered.
    pub loader: String,
}

impl Subject for SimulatedLife {
    fn setup(&self) -> Setup {
        self.input.near_setup()
    }

    async fn live(&self, stage: &Stage<'_>, servers: &mut Servers) -> Result<Led, LifeError> {
        let plan = &self.input.plan;
        let links = stage.endpoint.near_links();
        let mocks = NearMocks::new(links.clone(), Handle::current(), self.mocks());
        let connector: Arc<dyn Connector> = Arc::new(NearConnector(mocks.clone()));
        let factory = rust_loader(&self.loader, plan.revision.as_str(), &connector)
            .ok_or_else(|| LifeError::NoLoader { name: self.loader.clone() })?;
        let adapter = self.connected(&links, &stage.recorder)?;
        let (link, host) = (adapter.link(), TaskHost::new(adapter.clone(), plan.seed));
        let _panics = host.report_panics_here();
        let (ended, program) = watch::channel(false);
        let exit = Exit { adapter, recorder: stage.recorder.clone(), is_in_order: false, ended };
        let hosting = tokio::spawn(async move {
            host.host(&*factory).await;
            // What the drop of the loader has begun comes first.
            VirtualClock::others_wait().await;
            mocks.close(MOCKS_LIMIT).await;
            exit.in_order();
        });
        drive_tasks(&self.input, stage, servers, link, &TaskProgram::new(program)).await;
        hosting.abort();
        // It has ended, or it was aborted here, as a process that is killed.
        let _ = hosting.await;
        if let Some(lacking) = lacking(&links, &stage.recorder) {
            let because = format!("the loader {lacking}, which the simulated tier does not have");
            stage.note(EventKind::PlanNotApplicable { because });
        }
        Ok(Led { cpu: None, start: StartKind::Fresh })
    }
}

impl SimulatedLife {
    fn mocks(&self) -> NearSetup {
        let PlanInput { plan, scripts, .. } = &self.input;
        let (revision, max_life, seed) = (plan.revision, plan.limits.plan, plan.seed);
        NearSetup { scripts: scripts.clone(), revision, max_life, seed }
    }

    /// Records the start of the program, and its link.
    fn connected(&self, links: &NearLinks, recorder: &Recorder) -> Result<NearAdapter, LifeError> {
        let command = Some(format!("{} as tasks in virtual time", self.loader));
        let started = EventKind::ProcessStarted { process: process(), role: "loader".to_owned(), pid: None, command };
        recorder.note(Source::System, started);
        links.adapter(TaskHost::hello(&self.loader)).ok_or_else(|| LifeError::NoLoader { name: self.loader.clone() })
    }
}

/// What the loader used that is not there.
fn lacking(links: &NearLinks, recorder: &Recorder) -> Option<&'static str> {
    if links.were_used_elsewhere() {
        return Some("works on a thread of its own");
    }
    let needs_io = |event: &Event| match &event.kind {
        EventKind::ErrorReported { channel: Channel::Panic, text, .. } => text.contains(WITHOUT_IO),
        _ => false,
    };
    recorder.any(needs_io).then_some("needs a socket, a process or a signal")
}

/// The program counts as one process.
fn process() -> ProcessId {
    ProcessId("p1".into())
}

/// Ends the program when it is dropped, as the end of a process does.
struct Exit {
    adapter: NearAdapter,
    recorder: Recorder,
    is_in_order: bool,
    ended: watch::Sender<bool>,
}

impl Exit {
    /// The program has come to its own end.
    fn in_order(mut self) {
        self.is_in_order = true;
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        self.adapter.close();
        let (code, signal) = match (self.is_in_order, std::thread::panicking()) {
            (true, _) => (Some(0), None),
            (false, true) => (Some(PANIC_CODE), None),
            (false, false) => (None, Some("KILL".to_owned())),
        };
        let (process, role) = (process(), "loader".to_owned());
        self.recorder.note(Source::System, EventKind::ProcessExited { process, role, code, signal, waited_us: None });
        self.ended.send_replace(true);
    }
}
