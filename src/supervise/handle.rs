//! The handle of one supervisor: how the reporting process controls it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;

use crate::history::{EventKind, ProcessId, Source};
use crate::record::Recorder;
use crate::supervise::process::{Reports, SupervisorProcess, end_child};
use crate::supervise::protocol::{
    LaunchSpec, ProcessFacts, Report, Request, RequestKind, Sample, Signalled, StartKind, Written,
};
use crate::supervise::reaper::OrphanReaper;

/// Timeout of an answer, for requests that do not wait themselves.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// Time for a supervisor to end itself, in addition to its limit for ending the tree.
const END_MARGIN: Duration = Duration::from_secs(2);

/// Why supervision failed. The experiment cannot be run or finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// The supervisor could not be started.
    #[error("cannot start the supervisor: {0}")]
    Start(#[source] std::io::Error),
    /// The supervisor ended or stopped answering.
    #[error("the supervisor was lost")]
    Lost,
    /// The loader's process could not be started.
    #[error("cannot start the loader's process: {0}")]
    Loader(String),
    /// The run was interrupted before the loader's process was started.
    #[error("the run was interrupted")]
    Interrupted,
}

/// How the loader's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderEnd {
    /// Exit code; `None` if a signal killed it.
    pub code: Option<i32>,
    /// Name of the signal that killed it, without `SIG`.
    pub signal: Option<String>,
}

/// A process that waits to exit, until [`Supervised::let_exit`] releases it, for a second at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exiting {
    exit: u32,
    /// Pid of the process.
    pub pid: u32,
    /// Number of its open connections to the ports of the launch.
    pub n_sockets: u32,
}

/// One supervised loader. Dropping it closes the lifeline, so the supervisor kills the tree and ends.
pub struct Supervised {
    child: Child,
    pid: u32,
    variables: Vec<String>,
    /// The inputs of the supervisor's template, if it has one.
    template: Option<String>,
    requests: mpsc::UnboundedSender<String>,
    shared: Arc<Shared>,
    state: watch::Receiver<State>,
    writer: JoinHandle<ChildStdin>,
    reader: JoinHandle<Reports>,
    settle: Duration,
    reaper: OrphanReaper,
    exits: tokio::sync::Mutex<mpsc::UnboundedReceiver<Exiting>>,
}

struct Shared {
    pending: Mutex<Option<BTreeMap<u32, oneshot::Sender<Report>>>>,
    next_id: Mutex<u32>,
    recorder: Recorder,
    exits: mpsc::UnboundedSender<Exiting>,
    /// The loader's command line, for its `process.started` event.
    command: String,
}

#[derive(Debug, Clone, Default)]
struct State {
    started: Option<Result<(u32, StartKind), String>>,
    end: Option<LoaderEnd>,
    ended_cpu_ms: Option<u64>,
    stays: bool,
    worst_delay_us: u64,
    limit_hit: bool,
    lost: bool,
}

impl Supervised {
    /// Starts a supervisor from `executable`, which starts the loader. Their reports go to `recorder`.
    ///
    /// # Errors
    /// When either cannot be started.
    pub async fn start(
        executable: &Path,
        spec: LaunchSpec,
        recorder: Recorder,
        reaper: &OrphanReaper,
    ) -> Result<Self, SuperviseError> {
        Self::start_unless(std::future::pending(), executable, spec, recorder, reaper).await
    }

    /// Like [`Self::start`], and ends the launch if `interruption` comes first. A template may take long to import.
    ///
    /// # Errors
    /// When either cannot be started, or at the interruption.
    pub async fn start_unless(
        interruption: impl Future<Output = ()> + Send,
        executable: &Path,
        mut spec: LaunchSpec,
        recorder: Recorder,
        reaper: &OrphanReaper,
    ) -> Result<Self, SuperviseError> {
        spec.descriptors_soft = reaper.descriptors_soft();
        // A supervisor that ends with its plan would import for this plan alone.
        spec.warm = spec.warm.filter(|_| reaper.spares().is_some());
        let key = spec.warm.is_some().then(|| spec.template_key());
        let ready_limit = spec.warm.as_ref().map_or(Duration::ZERO, |warm| Duration::from_millis(warm.ready_ms));
        let process = SupervisorProcess::take_or_start(executable, &spec.env, key.as_deref(), reaper);
        let SupervisorProcess { child, pid, stdin, reports, variables, template } =
            process.map_err(SuperviseError::Start)?;
        let settle = Duration::from_millis(spec.settle_ms);
        let (pending, command) = (Mutex::new(Some(BTreeMap::new())), spec.command.join(" "));
        let (held, exits) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { pending, next_id: Mutex::new(1), recorder, exits: held, command });
        let (requests, queue) = mpsc::unbounded_channel();
        let (states, state) = watch::channel(State::default());
        // A closed queue means that the supervisor has ended. `state` shows this.
        let _ = requests.send(serde_json::to_string(&spec).unwrap_or_default());
        let writer = tokio::spawn(write_requests(stdin, queue));
        let reader = tokio::spawn(read_reports(reports, Arc::clone(&shared), states));
        let (exits, reaper) = (tokio::sync::Mutex::new(exits), reaper.clone());
        let mut supervised =
            Self { child, pid, variables, template, requests, shared, state, writer, reader, settle, reaper, exits };
        let started = tokio::select! {
            started = supervised.wait(ANSWER_LIMIT + ready_limit, |state| state.started.is_some()) => started,
            () = interruption => {
                // On file before the kill, so that no rule blames the loader for an end that it may have lived to see.
                let because = SuperviseError::Interrupted.to_string();
                supervised.shared.recorder.note(Source::Driver, EventKind::ExperimentFailed { because });
                supervised.end().await;
                return Err(SuperviseError::Interrupted);
            }
        };
        match started.and_then(|state| state.started) {
            Some(Ok((_, how))) => {
                supervised.goes_on(how, key);
                Ok(supervised)
            }
            Some(Err(because)) => {
                supervised.end().await;
                Err(SuperviseError::Loader(because))
            }
            None => {
                supervised.end().await;
                Err(SuperviseError::Lost)
            }
        }
    }

    /// Lets a fork continue, after its start was recorded. Notes the state of the template.
    fn goes_on(&mut self, how: StartKind, key: Option<String>) {
        match how {
            StartKind::Fresh => {}
            StartKind::Warm => {
                self.template = key;
                let line = serde_json::to_string(&Request { id: 0, kind: RequestKind::GoOn });
                // If the supervisor has ended, so has the process.
                let _ = self.requests.send(line.unwrap_or_default());
            }
            StartKind::Refused { .. } => self.template = None,
        }
    }

    /// Pid of the loader's process.
    #[must_use]
    pub fn loader_pid(&self) -> u32 {
        match &self.state.borrow().started {
            Some(Ok((pid, _))) => *pid,
            Some(Err(_)) | None => 0,
        }
    }

    /// How the loader's process was started.
    #[must_use]
    pub fn start_kind(&self) -> StartKind {
        match &self.state.borrow().started {
            Some(Ok((_, how))) => how.clone(),
            Some(Err(_)) | None => StartKind::Fresh,
        }
    }

    /// Waits for the end of the loader's process; `None` if the limit passed.
    pub async fn loader_end(&self, limit: Duration) -> Option<LoaderEnd> {
        let state = self.wait(limit, |state| state.end.is_some() || state.lost).await?;
        state.end
    }

    /// The end of the loader's process; `None` while it runs.
    #[must_use]
    pub fn loader_end_now(&self) -> Option<LoaderEnd> {
        self.state.borrow().end.clone()
    }

    /// Whether the tree reached a limit, or the supervisor was lost.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        let state = self.state.borrow();
        state.limit_hit || state.lost
    }

    /// Whether the supervisor was lost.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.state.borrow().lost
    }

    /// Waits until the loader's process ends, the tree reaches a limit, or the supervisor is lost.
    pub async fn broken_or_ended(&self) {
        let mut state = self.state.clone();
        // An error means that the supervisor is gone.
        let _ = state.wait_for(|state| state.end.is_some() || state.limit_hit || state.lost).await;
    }

    /// Waits for the next process that is about to exit, if the launch has ports; `None` when the supervisor has ended.
    pub async fn next_exit(&self) -> Option<Exiting> {
        self.exits.lock().await.recv().await
    }

    /// Releases a process that waits to exit.
    pub fn let_exit(&self, exiting: Exiting) {
        let line = serde_json::to_string(&Request { id: 0, kind: RequestKind::LetExit { exit: exiting.exit } });
        // If the supervisor has ended, so has the process.
        let _ = self.requests.send(line.unwrap_or_default());
    }

    /// Sends a signal to a process of the tree; without a pid, to the loader. The name has no `SIG`.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn signal(&self, pid: Option<u32>, signal: &str) -> Result<Signalled, SuperviseError> {
        match self.request(RequestKind::Signal { pid, signal: signal.to_owned() }, ANSWER_LIMIT).await? {
            Report::Signalled { how, .. } => Ok(how),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// Sends a signal to the loader's process group, as a terminal does at Ctrl-C. The name has no `SIG`.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn signal_group(&self, signal: &str) -> Result<Signalled, SuperviseError> {
        match self.request(RequestKind::SignalGroup { signal: signal.to_owned() }, ANSWER_LIMIT).await? {
            Report::Signalled { how, .. } => Ok(how),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// Writes a line to the loader's stdin, if it is a pipe. The line must fit into one page.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn write_line(&self, line: &str) -> Result<Written, SuperviseError> {
        match self.request(RequestKind::Write { text: format!("{line}\n") }, ANSWER_LIMIT).await? {
            Report::Written { how, .. } => Ok(how),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// Closes the loader's stdin.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn close_stdin(&self) -> Result<Written, SuperviseError> {
        match self.request(RequestKind::CloseStdin, ANSWER_LIMIT).await? {
            Report::Written { how, .. } => Ok(how),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// The processes below the supervisor, including the loader.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn descendants(&self) -> Result<Vec<ProcessFacts>, SuperviseError> {
        match self.request(RequestKind::Descendants, ANSWER_LIMIT).await? {
            Report::Descendants { processes, .. } => Ok(processes),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// Measures what the loader's process uses over a window; `None` if the process has ended.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn sample(&self, window: Duration) -> Result<Option<Sample>, SuperviseError> {
        let window_us = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
        match self.request(RequestKind::Sample { window_us }, ANSWER_LIMIT + window).await? {
            Report::Sampled { sample, .. } => Ok(sample),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// The stacks of every thread of the tree.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn stacks(&self) -> Result<String, SuperviseError> {
        match self.request(RequestKind::Stacks, ANSWER_LIMIT).await? {
            Report::Stacks { text, .. } => Ok(text),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// Ends the tree in bounded time, by force if necessary, and the supervisor if no later launch can have it. Returns
    /// the tree's CPU time in milliseconds, if the supervisor could still report it.
    pub async fn end(self) -> Option<u64> {
        let line = serde_json::to_string(&Request { id: 0, kind: RequestKind::End }).unwrap_or_default();
        // If the supervisor has ended already, the orphan reaper ends the tree.
        let _ = self.requests.send(line);
        let limit = self.settle + END_MARGIN;
        let state = self.wait(limit, |state| state.ended_cpu_ms.is_some() || state.lost).await;
        let Self { child, pid, variables, template, requests, writer, reader, settle, reaper, .. } = self;
        // The writer ends with its queue.
        drop(requests);
        if state.as_ref().is_some_and(|state| state.stays) {
            if let (Ok(stdin), Ok(reports)) = (writer.await, reader.await) {
                let process = SupervisorProcess { child, pid, stdin, reports, variables, template };
                keep_or_end(process, limit, &reaper).await;
            }
        } else {
            end_child(child, pid, limit, &reaper).await;
            writer.abort();
            reader.abort();
        }
        reaper.sweep(settle).await;
        state.and_then(|state| state.ended_cpu_ms)
    }

    async fn request(&self, kind: RequestKind, limit: Duration) -> Result<Report, SuperviseError> {
        let (sender, receiver) = oneshot::channel();
        let id = {
            let mut next_id = self.shared.next_id.lock().unwrap_or_else(PoisonError::into_inner);
            *next_id += 1;
            *next_id
        };
        match self.shared.pending.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            Some(pending) => pending.insert(id, sender),
            None => return Err(SuperviseError::Lost),
        };
        let line = serde_json::to_string(&Request { id, kind }).map_err(|_| SuperviseError::Lost)?;
        self.requests.send(line).map_err(|_| SuperviseError::Lost)?;
        match tokio::time::timeout(limit, receiver).await {
            Ok(Ok(report)) => Ok(report),
            Ok(Err(_)) | Err(_) => Err(SuperviseError::Lost),
        }
    }

    async fn wait(&self, limit: Duration, done: impl Fn(&State) -> bool + Send) -> Option<State> {
        let mut state = self.state.clone();
        let wait = state.wait_for(|state| done(state));
        match tokio::time::timeout(limit, wait).await {
            Ok(Ok(state)) => Some(state.clone()),
            Ok(Err(_)) | Err(_) => None,
        }
    }
}

/// Keeps a supervisor without a tree for the next launch of the run, or ends it.
async fn keep_or_end(process: SupervisorProcess, limit: Duration, reaper: &OrphanReaper) {
    let left = match reaper.spares() {
        Some(spares) => spares.keep(process),
        None => Some(process),
    };
    if let Some(process) = left {
        process.end(limit, reaper).await;
    }
}

async fn write_requests(mut stdin: ChildStdin, mut queue: mpsc::UnboundedReceiver<String>) -> ChildStdin {
    while let Some(mut line) = queue.recv().await {
        line.push('\n');
        if stdin.write_all(line.as_bytes()).await.is_err() {
            break;
        }
    }
    stdin
}

/// Takes reports until the tree has ended, or the supervisor has.
async fn read_reports(mut reports: Reports, shared: Arc<Shared>, states: watch::Sender<State>) -> Reports {
    while let Some(Ok(line)) = reports.next().await {
        let Ok(report) = serde_json::from_str::<Report>(&line) else { break };
        take(report, &shared, &states);
        if states.borrow().ended_cpu_ms.is_some() {
            break;
        }
    }
    shared.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
    states.send_modify(|state| state.lost = state.ended_cpu_ms.is_none());
    reports
}

fn take(report: Report, shared: &Shared, states: &watch::Sender<State>) {
    match report {
        Report::Started { pid, at_us, how } => {
            // Recorded here, so that no end can precede the start in the history.
            let kind = EventKind::ProcessStarted {
                process: ProcessId::from("p1"),
                role: "loader".to_owned(),
                pid: Some(pid),
                command: Some(shared.command.clone()),
            };
            shared.recorder.record(Source::System, at_us, kind);
            states.send_modify(|state| state.started = Some(Ok((pid, how))));
        }
        Report::NotStarted { because } => states.send_modify(|state| state.started = Some(Err(because))),
        Report::Exited { code, signal, waited_us, at_us } => {
            let kind = EventKind::ProcessExited {
                process: ProcessId::from("p1"),
                role: "loader".to_owned(),
                code,
                signal: signal.clone(),
                waited_us,
            };
            shared.recorder.record(Source::System, at_us, kind);
            states.send_modify(|state| state.end = Some(LoaderEnd { code, signal }));
        }
        Report::Exiting { exit, pid, n_sockets } => {
            // If no caller waits for it, the supervisor releases the process.
            let _ = shared.exits.send(Exiting { exit, pid, n_sockets });
        }
        Report::LimitHit { limit, because } => {
            shared.recorder.note(Source::System, EventKind::LimitHit { limit, because });
            states.send_modify(|state| state.limit_hit = true);
        }
        Report::Delayed { delay_us } => {
            shared.recorder.note(Source::System, EventKind::SchedulingDelayed { delay_us });
            states.send_modify(|state| state.worst_delay_us = delay_us);
        }
        Report::Ended { cpu_ms, n_left, stays, .. } => {
            if n_left > 0 {
                let because = format!("{n_left} processes could not be ended");
                shared.recorder.note(Source::System, EventKind::ExperimentFailed { because });
            }
            states.send_modify(|state| {
                state.ended_cpu_ms = Some(cpu_ms);
                state.stays = stays;
            });
        }
        Report::Signalled { id, .. }
        | Report::Written { id, .. }
        | Report::Descendants { id, .. }
        | Report::Sampled { id, .. }
        | Report::Stacks { id, .. } => {
            let mut pending = shared.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sender) = pending.as_mut().and_then(|pending| pending.remove(&id)) {
                // The caller's timeout may have passed.
                let _ = sender.send(report);
            }
        }
    }
}
