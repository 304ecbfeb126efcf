//! The supervisor: a process between the reporting process and one loader.
//!
//! It leads a session of its own. Its stdin is the lifeline, a pipe from the reporting process that no other process
//! inherits. When the pipe ends, the supervisor kills everything below it. It adopts orphans, so no process of the
//! loader's tree can escape it.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use rustix::process::{Signal, setsid};
use tokio::io::AsyncWriteExt;
use tokio::net::unix::pipe;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_stream::StreamExt;

use crate::record::monotonic_us;
use crate::supervise::launch::{Started, open_outputs, start};
use crate::supervise::os::{self, Held};
use crate::supervise::process_count::ProcessCount;
use crate::supervise::protocol::{
    LaunchSpec, ProcessFacts, Report, Request, RequestKind, Sample, Signalled, StartKind, Written,
};
use crate::supervise::session::{Session, Turn};
use crate::supervise::signals::signal_from_name;
use crate::supervise::template::Forked;
use crate::supervise::tree::{HowEnded, Swept, has_ended, how_it_ended, reap_all_but, reap_ended, sweep};
use crate::supervise::warm::Prepared;

/// Interval between two checks of the limits.
const TICK: Duration = Duration::from_millis(25);
/// Minimum increase over the worst delay that is reported, in microseconds.
const DELAY_STEP_US: u64 = 20_000;
/// Time for which a supervisor keeps trying to end processes after it has reported them.
const GIVE_UP: Duration = Duration::from_secs(30);
/// From the start of a supervisor to its launch line.
const LAUNCH_LIMIT: Duration = Duration::from_secs(10);
/// Longest wait for the end of a process that was killed. It ends at once, as soon as it gets a processor.
const KILLED_WITHIN: Duration = Duration::from_secs(1);

/// Why a supervisor failed.
#[derive(Debug, thiserror::Error)]
enum SupervisorError {
    #[error("{what}: {source}")]
    Io {
        what: &'static str,
        #[source]
        source: io::Error,
    },
    #[error("found no launch line, expected one within {} s", LAUNCH_LIMIT.as_secs())]
    NoLaunch,
    #[error("found a line that cannot be read: {0}")]
    Line(#[from] serde_json::Error),
}

fn failed(what: &'static str) -> impl FnOnce(io::Error) -> SupervisorError {
    move |source| SupervisorError::Io { what, source }
}

/// Runs a supervisor on this process's stdin and stdout until its tree has ended.
#[must_use]
pub fn run_supervisor() -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let result = runtime.map_err(failed("no runtime")).and_then(|runtime| runtime.block_on(supervise()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("mcp-lifecheck: supervisor: {error}");
            ExitCode::from(70)
        }
    }
}

async fn supervise() -> Result<(), SupervisorError> {
    // This fails only for a process that already leads its group, and such a process already has its own session.
    let _ = setsid();
    os::adopt_orphans().map_err(failed("cannot adopt orphans"))?;
    let mut session = Session::open().map_err(failed("cannot open the pipes to the reporting process"))?;
    let launch = tokio::time::timeout(LAUNCH_LIMIT, session.requests.next()).await;
    let Ok(Some(Ok(mut line))) = launch else { return Err(SupervisorError::NoLaunch) };
    loop {
        let spec: LaunchSpec = serde_json::from_str(&line)?;
        spec.descriptors_soft.into_iter().for_each(os::lower_descriptor_limit);
        let Some(next) = Supervisor::launch(spec, session).await.watch().await else { return Ok(()) };
        session = next;
        line = match session.next_launch().await {
            Some(line) => line,
            None => {
                session.end_template().await;
                return Ok(());
            }
        };
    }
}

struct Supervisor {
    spec: LaunchSpec,
    session: Session,
    /// The loader's stdout and stderr. Opened before the loader starts, so it cannot substitute other files.
    files: Vec<File>,
    /// The loader's stdin, if it is an open pipe.
    stdin: Option<pipe::Sender>,
    /// The loader's process; `None` after its end.
    root: Option<ProcessFacts>,
    root_pid: Option<u32>,
    /// The gate of the loader's process, while it is the fork of a template and waits.
    forked: Option<Forked>,
    /// The reason that ended the launch before it had a process.
    stopped: Option<Turn>,
    born: Instant,
    worst_delay_us: u64,
    process_count: ProcessCount,
    limit_hit: bool,
    sampling: Vec<Sampling>,
    /// Processes that wait to exit, by number.
    held: BTreeMap<u32, Held>,
    n_held: u32,
    exits: mpsc::UnboundedReceiver<Held>,
}

/// A sample whose window is still open.
struct Sampling {
    id: u32,
    began: Instant,
    due: Instant,
    /// CPU time of the loader's process when the window began. The kernel's entries for descriptors and memory are read only at the
    /// end: it keeps what it makes up for each of them, and clears that away when the process is reaped.
    cpu_us_before: Option<u64>,
    /// For each of its threads, the time for which that had run or waited for a processor.
    runnable_us_before: BTreeMap<u32, u64>,
}

impl Supervisor {
    async fn launch(spec: LaunchSpec, session: Session) -> Self {
        let (held, exits) = mpsc::unbounded_channel();
        let mut supervisor = Self {
            process_count: ProcessCount::new(spec.processes_max, os::n_tasks()),
            spec,
            session,
            files: Vec::new(),
            stdin: None,
            root: None,
            root_pid: None,
            forked: None,
            stopped: None,
            born: Instant::now(),
            worst_delay_us: 0,
            limit_hit: false,
            sampling: Vec::new(),
            held: BTreeMap::new(),
            n_held: 0,
            exits,
        };
        let report = match supervisor.start(held).await {
            Ok(report) => report,
            Err(error) => {
                let program = supervisor.spec.command.first().map(String::as_str).unwrap_or_default();
                Report::NotStarted { because: format!("{program}: {error}") }
            }
        };
        // A template may have taken its time before.
        supervisor.born = Instant::now();
        supervisor.send(&report).await;
        supervisor
    }

    async fn start(&mut self, held: mpsc::UnboundedSender<Held>) -> io::Result<Report> {
        let files = open_outputs(&self.spec)?;
        let report = match self.session.prepare(&self.spec, &files).await {
            Prepared::Fresh => self.start_fresh(&files, held, StartKind::Fresh)?,
            Prepared::Refused(error) => {
                self.start_fresh(&files, held, StartKind::Refused { because: error.to_string() })?
            }
            Prepared::Warm(forked) => {
                let Forked { pid, at_us, .. } = forked;
                self.forked = Some(forked);
                self.took(pid);
                Report::Started { pid, at_us, how: StartKind::Warm }
            }
            Prepared::Stopped(turn) => {
                self.stopped = Some(turn);
                Report::NotStarted { because: "the launch was ended".to_owned() }
            }
        };
        self.files = files.into();
        Ok(report)
    }

    fn start_fresh(
        &mut self,
        files: &[File; 2],
        held: mpsc::UnboundedSender<Held>,
        how: StartKind,
    ) -> io::Result<Report> {
        let spec = &self.spec;
        let at_us = monotonic_us();
        let Started { pid, stdin } = match spec.ports.is_empty() {
            true => start(spec, files),
            false => os::holding_exits(&spec.ports, held, || start(spec, files)),
        }?;
        // A pipe that cannot be written to is treated like one without a reader.
        self.stdin = stdin.and_then(|stdin| pipe::Sender::from_owned_fd(stdin.into()).ok());
        self.took(pid);
        Ok(Report::Started { pid, at_us, how })
    }

    /// Takes a process as the loader's.
    fn took(&mut self, pid: u32) {
        self.root = os::facts(pid);
        self.root_pid = Some(pid);
    }

    /// Watches the tree until its end. Returns what the next launch needs, if the supervisor can take one.
    async fn watch(mut self) -> Option<Session> {
        let turn = match self.stopped {
            Some(turn) => turn,
            None => self.watch_tree().await,
        };
        let is_requested = turn == Turn::EndTree;
        let Swept { n_killed, n_left, .. } = self.sweep().await;
        // A filter of system calls cannot be removed, and a tree that hit a limit may have left a trace.
        let stays = is_requested && n_left == 0 && !self.limit_hit && self.spec.ports.is_empty();
        let before = std::mem::replace(&mut self.session.cpu_ms, os::children_cpu_ms());
        let cpu_ms = self.session.cpu_ms.saturating_sub(before);
        if !stays {
            self.session.end_template().await;
        }
        self.send(&Report::Ended { n_killed, n_left, cpu_ms, stays }).await;
        if stays {
            return Some(self.session);
        }
        // The kernel cannot end these processes yet. The supervisor stays, so that they stay supervised.
        let given_up = Instant::now() + GIVE_UP;
        while reap_ended(None, &mut Vec::new()) && Instant::now() < given_up {
            self.sweep().await;
        }
        None
    }

    /// Watches the tree until something ends it; never returns `Turn::GoOn`.
    async fn watch_tree(&mut self) -> Turn {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let due = Instant::now() + TICK;
            let sample_due = self.sampling.iter().map(|sampling| sampling.due).min();
            let turn = tokio::select! {
                line = self.session.requests.next() => match line {
                    Some(Ok(line)) => self.take(&line).await,
                    // The lifeline ended, or the reporting process broke the protocol.
                    Some(Err(_)) | None => Turn::End,
                },
                _ = self.session.signals.child.recv() => { self.reap().await; Turn::GoOn }
                _ = self.session.signals.term.recv() => Turn::End,
                Some(held) = self.exits.recv() => { self.hold(held).await; Turn::GoOn }
                () = until(sample_due) => { self.end_samples().await; Turn::GoOn }
                _ = tick.tick() => self.check_limits(due).await,
            };
            if turn != Turn::GoOn {
                return turn;
            }
        }
    }

    async fn sweep(&mut self) -> Swept {
        let mut reaped = Vec::new();
        self.session.reap_template();
        // In most plans nothing is left by now, and reading the process table would cost more than all of this.
        let limit = Duration::from_millis(self.spec.settle_ms);
        let mut swept = match reap_ended(self.session.template_pid(), &mut reaped) {
            true => sweep(limit, |process| !self.session.is_template(process)).await,
            false => Swept::default(),
        };
        swept.reaped.extend(reaped);
        let root = swept.reaped.iter().find(|(pid, _)| Some(*pid) == self.root_pid);
        if let Some((_, how)) = root {
            self.loader_ended(how.clone(), None).await;
        }
        swept
    }

    async fn take(&mut self, line: &str) -> Turn {
        let Ok(Request { id, kind }) = serde_json::from_str(line) else { return Turn::End };
        let report = match kind {
            RequestKind::Signal { pid, signal } => Report::Signalled { id, how: self.signal(pid, &signal) },
            RequestKind::SignalGroup { signal } => Report::Signalled { id, how: self.signal_group(&signal) },
            RequestKind::Write { text } => Report::Written { id, how: self.write(&text) },
            RequestKind::CloseStdin => {
                let how = self.stdin.take().map_or(Written::Gone, |_| Written::Done);
                Report::Written { id, how }
            }
            RequestKind::Descendants => {
                let mut processes = self.session.tree();
                os::name_commands(&mut processes);
                Report::Descendants { id, processes }
            }
            RequestKind::Sample { window_us } => {
                self.begin_sample(id, window_us);
                return Turn::GoOn;
            }
            RequestKind::Stacks => {
                let pids: Vec<u32> = self.session.tree().iter().map(|process| process.pid).collect();
                Report::Stacks { id, text: os::stacks(&pids) }
            }
            RequestKind::GoOn => {
                if let Some(forked) = self.forked.take() {
                    forked.go_on().await;
                }
                return Turn::GoOn;
            }
            RequestKind::LetExit { exit } => {
                // The process may have reached its maximum time already.
                let _ = self.held.remove(&exit).map(|held| held.let_go.send(()));
                return Turn::GoOn;
            }
            RequestKind::End => return Turn::EndTree,
        };
        self.send(&report).await;
        Turn::GoOn
    }

    async fn hold(&mut self, held: Held) {
        self.n_held += 1;
        let report = Report::Exiting { exit: self.n_held, pid: held.pid, n_sockets: held.n_sockets };
        // Processes are held one at a time, so any earlier one has been released.
        self.held = BTreeMap::from([(self.n_held, held)]);
        self.send(&report).await;
    }

    fn signal(&self, pid: Option<u32>, signal: &str) -> Signalled {
        let Some(signal) = signal_from_name(signal) else { return Signalled::Gone };
        let target = match pid {
            None => self.root.clone(),
            Some(pid) => self.session.tree().into_iter().find(|process| process.pid == pid),
        };
        match target {
            Some(process) if !has_ended(&process) => {
                let sent = os::send_signal(&process, signal);
                // What comes after the kill of a server must find its pipes closed.
                if signal == Signal::KILL && pid.is_some() && sent == Signalled::Sent {
                    os::await_end(&process, KILLED_WITHIN);
                }
                sent
            }
            Some(_) | None => Signalled::Gone,
        }
    }

    fn signal_group(&self, signal: &str) -> Signalled {
        match (signal_from_name(signal), &self.root) {
            (Some(signal), Some(leader)) if !has_ended(leader) => os::send_group_signal(leader, signal),
            _ => Signalled::Gone,
        }
    }

    /// Writes to the loader's stdin without waiting. A process that does not read cannot block the supervisor.
    fn write(&mut self, text: &str) -> Written {
        let Some(stdin) = &self.stdin else { return Written::Gone };
        match stdin.try_write(text.as_bytes()) {
            Ok(n) if n == text.len() => Written::Done,
            Ok(_) => Written::Full,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Written::Full,
            Err(_) => Written::Gone,
        }
    }

    fn begin_sample(&mut self, id: u32, window_us: u64) {
        let began = Instant::now();
        let cpu_us_before = self.root.as_ref().and_then(|root| os::cpu_us(root.pid));
        let runnable_us_before = self.root.as_ref().map(|root| os::runnable_us(root.pid)).unwrap_or_default();
        let due = began + Duration::from_micros(window_us);
        self.sampling.push(Sampling { id, began, due, cpu_us_before, runnable_us_before });
    }

    /// Answers every sample whose window is over.
    async fn end_samples(&mut self) {
        let now = Instant::now();
        let (over, open) = std::mem::take(&mut self.sampling).into_iter().partition(|sampling| sampling.due <= now);
        self.sampling = open;
        let over: Vec<Sampling> = over;
        for Sampling { id, began, cpu_us_before, runnable_us_before, .. } in over {
            let runnable_us_after = self.root.as_ref().map(|root| os::runnable_us(root.pid)).unwrap_or_default();
            let runnable_us = runnable_us_after.iter().map(|(thread, after)| {
                let before = runnable_us_before.get(thread).copied().unwrap_or_default();
                after.saturating_sub(before)
            });
            let after = self.root.as_ref().and_then(|root| os::sample(root.pid));
            let sample = cpu_us_before.zip(after).map(|(before, after)| Sample {
                window_us: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
                cpu_us: after.cpu_us.saturating_sub(before),
                runnable_us: runnable_us.max().unwrap_or_default(),
                ..after
            });
            self.send(&Report::Sampled { id, sample }).await;
        }
    }

    /// Reports the loader's end, and reaps every other child that has ended.
    ///
    /// The loader itself stays a zombie until the tree has ended. The kernel announces an end before it has cleared
    /// away the last thread, and a wait() at that moment spins.
    async fn reap(&mut self) {
        if let Some(root) = &self.root
            && let Some(how) = how_it_ended(root.pid)
        {
            let waited_us = os::waited_us(root.pid);
            self.loader_ended(how, waited_us).await;
        }
        self.session.reap_template();
        reap_all_but(self.root_pid);
    }

    /// Reports the loader's end, once.
    async fn loader_ended(&mut self, (code, signal): HowEnded, waited_us: Option<u64>) {
        let at_us = monotonic_us();
        if self.root.take().is_some() {
            self.send(&Report::Exited { code, signal, waited_us, at_us }).await;
        }
    }

    /// Checks every limit. `due` is the time at which this check should have happened.
    async fn check_limits(&mut self, due: Instant) -> Turn {
        let delay_us = u64::try_from(due.elapsed().as_micros()).unwrap_or(u64::MAX);
        if delay_us > self.worst_delay_us + DELAY_STEP_US {
            self.worst_delay_us = delay_us;
            self.send(&Report::Delayed { delay_us }).await;
        }
        if !self.limit_hit
            && let Some((limit, because)) = self.limit_hit()
        {
            self.limit_hit = true;
            self.send(&Report::LimitHit { limit: limit.to_owned(), because }).await;
        }
        // After a limit, sweep until no process is left, including any that escaped the first sweep.
        if self.limit_hit && !self.session.tree().is_empty() {
            self.sweep().await;
        }
        Turn::GoOn
    }

    fn limit_hit(&mut self) -> Option<(&'static str, String)> {
        for file in &self.files {
            let bytes = file.metadata().map_or(0, |file| file.len());
            if bytes > self.spec.output_bytes_max {
                let max = self.spec.output_bytes_max;
                // If this fails, it only costs disk space.
                let _ = file.set_len(max);
                return Some(("output", format!("{bytes} bytes of output, at most {max} are kept")));
            }
        }
        if self.process_count.is_due(os::n_tasks()) {
            let n_processes = self.session.tree().len();
            if n_processes > self.spec.processes_max {
                return Some(("processes", format!("{n_processes} processes, at most {}", self.spec.processes_max)));
            }
        }
        let life = Duration::from_millis(self.spec.life_ms);
        (self.born.elapsed() > life).then(|| ("life", format!("the tree lived longer than {} s", life.as_secs())))
    }

    /// Sends a report. A failure needs no handling: the end of stdin shows that the reporting process is gone.
    async fn send(&mut self, report: &Report) {
        let Ok(mut line) = serde_json::to_string(report) else { return };
        line.push('\n');
        let _ = self.session.output.write_all(line.as_bytes()).await;
    }
}

/// Waits until an instant; without one, forever.
async fn until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
