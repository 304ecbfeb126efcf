//! The reporting process's side of one supervisor.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tokio_util::codec::{FramedRead, LinesCodec};

use crate::history::{EventKind, ProcessId, Source};
use crate::record::Recorder;
use crate::supervise::protocol::{Ask, LaunchSpec, ProcessFacts, Report, Request, Sample, Signalled, Written};
use crate::supervise::reaper::OrphanReaper;

/// Longest report line, in bytes: the table of a whole tree.
const LINE_BYTES_MAX: usize = 4 << 20;
/// How long a supervisor may take to answer a request that does not itself wait.
const ANSWER_LIMIT: Duration = Duration::from_secs(5);
/// How much longer than its own limit for ending a tree a supervisor may take to end itself.
const END_MARGIN: Duration = Duration::from_secs(2);

/// Why supervision failed: the experiment can not be run or finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SuperviseError {
    /// The supervisor could not be started.
    #[error("the supervisor can not be started: {0}")]
    Start(#[source] std::io::Error),
    /// The supervisor ended or fell silent.
    #[error("the supervisor was lost")]
    Lost,
    /// The loader's process could not be started.
    #[error("the loader's process can not be started: {0}")]
    Loader(String),
}

/// How the loader's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoaderEnd {
    /// Exit code.
    pub code: Option<i32>,
    /// Signal, named without `SIG`.
    pub signal: Option<String>,
}

/// A process that is about to exit, and is held until it is [let go](Supervised::let_exit), for a second at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exiting {
    exit: u32,
    /// Its pid.
    pub pid: u32,
    /// How many connections to the ports of the launch it has open.
    pub n_sockets: u32,
}

/// One supervised loader. When it is dropped, the lifeline ends and with it everything below.
pub struct Supervised {
    child: Child,
    pid: u32,
    requests: mpsc::UnboundedSender<String>,
    shared: Arc<Shared>,
    state: watch::Receiver<State>,
    tasks: Vec<JoinHandle<()>>,
    settle: Duration,
    reaper: OrphanReaper,
    exits: tokio::sync::Mutex<mpsc::UnboundedReceiver<Exiting>>,
}

struct Shared {
    pending: Mutex<Option<BTreeMap<u32, oneshot::Sender<Report>>>>,
    next_id: Mutex<u32>,
    recorder: Recorder,
    exits: mpsc::UnboundedSender<Exiting>,
    /// The loader's command line, as it is told.
    command: String,
}

#[derive(Debug, Clone, Default)]
struct State {
    started: Option<Result<u32, String>>,
    end: Option<LoaderEnd>,
    ended_cpu_ms: Option<u64>,
    worst_delay_us: u64,
    limit_hit: bool,
    lost: bool,
}

impl Supervised {
    /// Starts a supervisor from `executable` and the loader below it. What they report goes to `recorder`.
    ///
    /// # Errors
    /// When either can not be started.
    pub async fn start(
        executable: &Path,
        mut spec: LaunchSpec,
        recorder: Recorder,
        reaper: &OrphanReaper,
    ) -> Result<Self, SuperviseError> {
        spec.descriptors_soft = reaper.descriptors_soft();
        let mut command = Command::new(executable);
        command.arg("__supervise").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).envs(&spec.env);
        let mut child = reaper.spawn(&mut command).map_err(SuperviseError::Start)?;
        let (Some(stdin), Some(stdout), Some(pid)) = (child.stdin.take(), child.stdout.take(), child.id()) else {
            return Err(SuperviseError::Lost);
        };
        let settle = Duration::from_millis(spec.settle_ms);
        let (pending, command) = (Mutex::new(Some(BTreeMap::new())), spec.command.join(" "));
        let (told, exits) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared { pending, next_id: Mutex::new(1), recorder, exits: told, command });
        let (requests, queue) = mpsc::unbounded_channel();
        let (states, state) = watch::channel(State::default());
        // A closed queue means that the supervisor is gone; its state tells so.
        let _ = requests.send(serde_json::to_string(&spec).unwrap_or_default());
        let tasks = vec![
            tokio::spawn(write_requests(stdin, queue)),
            tokio::spawn(read_reports(stdout, Arc::clone(&shared), states)),
        ];
        let (exits, reaper) = (tokio::sync::Mutex::new(exits), reaper.clone());
        let supervised = Self { child, pid, requests, shared, state, tasks, settle, reaper, exits };
        let started = supervised.wait(ANSWER_LIMIT, |state| state.started.is_some()).await;
        match started.and_then(|state| state.started) {
            Some(Ok(_)) => Ok(supervised),
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

    /// Pid of the loader's process.
    #[must_use]
    pub fn loader_pid(&self) -> u32 {
        match self.state.borrow().started {
            Some(Ok(pid)) => pid,
            Some(Err(_)) | None => 0,
        }
    }

    /// Waits for the end of the loader's process; `None` when the limit passed.
    pub async fn loader_end(&self, limit: Duration) -> Option<LoaderEnd> {
        let state = self.wait(limit, |state| state.end.is_some() || state.lost).await?;
        state.end
    }

    /// The end of the loader's process, if it has come.
    #[must_use]
    pub fn loader_end_now(&self) -> Option<LoaderEnd> {
        self.state.borrow().end.clone()
    }

    /// Whether a limit on the tree was hit, or the supervisor itself is gone.
    #[must_use]
    pub fn is_broken(&self) -> bool {
        let state = self.state.borrow();
        state.limit_hit || state.lost
    }

    /// Whether the supervisor itself is gone.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.state.borrow().lost
    }

    /// Waits until the loader's process has ended, a limit was hit, or the supervisor is lost.
    pub async fn broken_or_ended(&self) {
        let mut state = self.state.clone();
        // An error means that the supervisor is gone.
        let _ = state.wait_for(|state| state.end.is_some() || state.limit_hit || state.lost).await;
    }

    /// Waits for the next process that is about to exit, where the launch has ports; `None` when the supervisor is gone.
    pub async fn next_exit(&self) -> Option<Exiting> {
        self.exits.lock().await.recv().await
    }

    /// Lets a process exit.
    pub fn let_exit(&self, exiting: Exiting) {
        let line = serde_json::to_string(&Request { id: 0, ask: Ask::LetExit { exit: exiting.exit } });
        // When the supervisor is gone, so is the process.
        let _ = self.requests.send(line.unwrap_or_default());
    }

    /// Sends a signal, named without `SIG`, to a pid of the tree, or to the loader itself.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn signal(&self, pid: Option<u32>, signal: &str) -> Result<Signalled, SuperviseError> {
        match self.ask(Ask::Signal { pid, signal: signal.to_owned() }, ANSWER_LIMIT).await? {
            Report::Signalled { how, .. } => Ok(how),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// Sends a signal, named without `SIG`, to the process group of the loader, as a terminal does at Ctrl-C.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn signal_group(&self, signal: &str) -> Result<Signalled, SuperviseError> {
        match self.ask(Ask::SignalGroup { signal: signal.to_owned() }, ANSWER_LIMIT).await? {
            Report::Signalled { how, .. } => Ok(how),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// Writes a line to the loader's stdin, where it is a pipe. It has to fit into one page.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn write_line(&self, line: &str) -> Result<Written, SuperviseError> {
        match self.ask(Ask::Write { text: format!("{line}\n") }, ANSWER_LIMIT).await? {
            Report::Written { how, .. } => Ok(how),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// Closes the loader's stdin.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn close_stdin(&self) -> Result<Written, SuperviseError> {
        match self.ask(Ask::CloseStdin, ANSWER_LIMIT).await? {
            Report::Written { how, .. } => Ok(how),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// The processes below the supervisor, the loader's own among them.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn descendants(&self) -> Result<Vec<ProcessFacts>, SuperviseError> {
        match self.ask(Ask::Descendants, ANSWER_LIMIT).await? {
            Report::Descendants { processes, .. } => Ok(processes),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// What the loader's process uses over a window; `None` when it is gone.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn sample(&self, window: Duration) -> Result<Option<Sample>, SuperviseError> {
        let window_us = u64::try_from(window.as_micros()).unwrap_or(u64::MAX);
        match self.ask(Ask::Sample { window_us }, ANSWER_LIMIT + window).await? {
            Report::Sampled { sample, .. } => Ok(sample),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// Stacks of every thread of the tree.
    ///
    /// # Errors
    /// When the supervisor is lost.
    pub async fn stacks(&self) -> Result<String, SuperviseError> {
        match self.ask(Ask::Stacks, ANSWER_LIMIT).await? {
            Report::Stacks { text, .. } => Ok(text),
            _ => Err(SuperviseError::Lost),
        }
    }

    /// Ends the whole tree and the supervisor, bounded, by force where it must be. Gives the tree's CPU time in
    /// milliseconds, where the supervisor could still tell.
    pub async fn end(mut self) -> Option<u64> {
        let line = serde_json::to_string(&Request { id: 0, ask: Ask::End }).unwrap_or_default();
        // When the supervisor is gone already, what is below it is the reaper's.
        let _ = self.requests.send(line);
        let limit = self.settle + END_MARGIN;
        let state = self.wait(limit, |state| state.ended_cpu_ms.is_some() || state.lost).await;
        if tokio::time::timeout(limit, self.child.wait()).await.is_err() {
            // A supervisor that does not end was stopped or wedged from outside: its tree falls to this process.
            let _ = self.child.kill().await;
        }
        for task in &self.tasks {
            task.abort();
        }
        self.reaper.ended(self.pid);
        self.reaper.sweep(self.settle).await;
        state.and_then(|state| state.ended_cpu_ms)
    }

    async fn ask(&self, ask: Ask, limit: Duration) -> Result<Report, SuperviseError> {
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
        let line = serde_json::to_string(&Request { id, ask }).map_err(|_| SuperviseError::Lost)?;
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

async fn write_requests(mut stdin: ChildStdin, mut queue: mpsc::UnboundedReceiver<String>) {
    while let Some(mut line) = queue.recv().await {
        line.push('\n');
        if stdin.write_all(line.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read_reports(stdout: ChildStdout, shared: Arc<Shared>, states: watch::Sender<State>) {
    let mut lines = FramedRead::new(stdout, LinesCodec::new_with_max_length(LINE_BYTES_MAX));
    while let Some(Ok(line)) = lines.next().await {
        let Ok(report) = serde_json::from_str::<Report>(&line) else { break };
        take(report, &shared, &states);
    }
    shared.pending.lock().unwrap_or_else(PoisonError::into_inner).take();
    states.send_modify(|state| state.lost = state.ended_cpu_ms.is_none());
}

fn take(report: Report, shared: &Shared, states: &watch::Sender<State>) {
    match report {
        Report::Started { pid, at_us } => {
            // Here, so that no end can be on record before the start.
            let kind = EventKind::ProcessStarted {
                process: ProcessId("p1".to_owned()),
                role: "loader".to_owned(),
                pid: Some(pid),
                command: Some(shared.command.clone()),
            };
            shared.recorder.record(Source::System, at_us, kind);
            states.send_modify(|state| state.started = Some(Ok(pid)));
        }
        Report::NotStarted { because } => states.send_modify(|state| state.started = Some(Err(because))),
        Report::Exited { code, signal, at_us } => {
            let kind = EventKind::ProcessExited {
                process: ProcessId("p1".to_owned()),
                role: "loader".to_owned(),
                code,
                signal: signal.clone(),
            };
            shared.recorder.record(Source::System, at_us, kind);
            states.send_modify(|state| state.end = Some(LoaderEnd { code, signal }));
        }
        Report::Exiting { exit, pid, n_sockets } => {
            // Where nobody waits for it, the supervisor lets it go.
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
        Report::Ended { cpu_ms, n_left, .. } => {
            if n_left > 0 {
                let because = format!("{n_left} processes could not be ended");
                shared.recorder.note(Source::System, EventKind::ExperimentFailed { because });
            }
            states.send_modify(|state| state.ended_cpu_ms = Some(cpu_ms));
        }
        Report::Signalled { id, .. }
        | Report::Written { id, .. }
        | Report::Descendants { id, .. }
        | Report::Sampled { id, .. }
        | Report::Stacks { id, .. } => {
            let mut pending = shared.pending.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(sender) = pending.as_mut().and_then(|pending| pending.remove(&id)) {
                // The asker's limit may have passed.
                let _ = sender.send(report);
            }
        }
    }
}
