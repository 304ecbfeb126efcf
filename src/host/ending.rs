//! The end of a host: by itself, or by force when its time is over.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use crate::drive::{After, RunEnvironment, await_quiet_wire, read_head};
use crate::history::{Channel, Event, EventKind, ProcessId, Source};
use crate::host::stderr::errors_in;
use crate::record::{Recorder, RecorderEndpoint};
use crate::supervise::{ProcessFacts, Sample, Supervised};

/// How often the process table is looked at while the grace lasts: nothing tells when another process's child is reaped.
const LOOK: Duration = Duration::from_millis(5);
/// Most bytes of stderr that are looked through.
const STDERR_BYTES_MAX: u64 = 8 << 20;

/// What is needed to see a host end.
pub(super) struct Ending<'a> {
    pub environment: &'a RunEnvironment,
    pub recorder: &'a Recorder,
    pub supervised: &'a Supervised,
    /// Its stderr.
    pub stderr: &'a File,
    /// Where its servers listen; none where it starts them itself.
    pub servers: &'a [SocketAddr],
    /// Where its servers dial.
    pub endpoint: &'a RecorderEndpoint,
}

/// How long a server may take to tell what has happened.
const CATCH_UP: Duration = Duration::from_millis(900);

/// Why waiting is over.
enum Waited {
    ForItsEnd,
    TooLong,
    Interrupted,
}

impl Ending<'_> {
    /// Waits until the host has ended, at most for `life`, and records how, and what it left. What is left is not ended here.
    pub(super) async fn await_end(&self, life: Duration) {
        tokio::select! {
            () = self.await_its_end(life) => {}
            () = self.tell_exits() => {}
        }
    }

    /// Has it on record of each process that it is about to exit, behind what its servers had seen before. Never ends.
    pub(super) async fn tell_exits(&self) {
        while let Some(exiting) = self.supervised.next_exit().await {
            // One without a connection has nothing to leave open.
            for server in self.servers.iter().filter(|_| exiting.n_sockets > 0) {
                self.catch_up(*server).await;
            }
            let kind = EventKind::ProcessExiting { pid: exiting.pid, sockets: exiting.n_sockets };
            self.recorder.note(Source::System, kind);
            self.supervised.let_exit(exiting);
        }
        // The supervisor is gone, and whoever waits for the end will see that.
        std::future::pending::<()>().await;
    }

    /// Waits until a server has told what had happened before now: it takes connections and their ends in order, so a connection
    /// of ours that it has seen come and go is behind all of that.
    async fn catch_up(&self, server: SocketAddr) {
        let from = self.recorder.n_events();
        let Ok(Ok(fence)) = tokio::time::timeout(CATCH_UP, TcpStream::connect(server)).await else { return };
        drop(fence);
        let mut opened = BTreeSet::new();
        let has_gone = |event: &Event| match &event.kind {
            EventKind::SocketOpened { socket } => {
                opened.insert((event.source.to_string(), socket.clone()));
                false
            }
            EventKind::SocketClosed { socket, .. } => opened.contains(&(event.source.to_string(), socket.clone())),
            _ => false,
        };
        self.recorder.wait_for(from, CATCH_UP, has_gone).await;
    }

    async fn await_its_end(&self, life: Duration) {
        let waited = tokio::select! {
            biased;
            () = self.supervised.broken_or_ended() => Waited::ForItsEnd,
            () = self.environment.interruption() => Waited::Interrupted,
            () = tokio::time::sleep(life) => Waited::TooLong,
        };
        match waited {
            Waited::ForItsEnd if self.supervised.loader_end_now().is_some() && !self.supervised.is_broken() => {
                self.grace().await;
                self.scan_stderr();
            }
            Waited::ForItsEnd => {
                if self.supervised.is_lost() {
                    let because = "the supervisor was lost".to_owned();
                    self.note(EventKind::ExperimentFailed { because });
                }
                self.by_force();
            }
            Waited::TooLong => {
                let because = format!("the client had not ended within {} ms", life.as_millis());
                self.note(EventKind::LimitHit { limit: "exit".to_owned(), because });
                self.take_stacks().await;
                self.scan_stderr();
                self.by_force();
            }
            Waited::Interrupted => {
                self.note(EventKind::ExperimentFailed { because: "the run was interrupted".to_owned() });
                self.by_force();
            }
        }
    }

    pub(super) fn note(&self, kind: EventKind) {
        self.recorder.note(Source::Driver, kind);
    }

    pub(super) fn note_sample(&self, label: &str, sample: Sample) {
        let Sample { window_us, cpu_us, threads, fds, rss_kib } = sample;
        let kind = EventKind::SampleTaken { label: label.to_owned(), window_us, cpu_us, threads, fds, rss_kib };
        self.recorder.note(Source::System, kind);
    }

    /// From here on nothing is the host's doing.
    pub(super) fn by_force(&self) {
        self.note(EventKind::SignalSent { signal: "KILL".to_owned(), target: "loader".to_owned() });
    }

    pub(super) async fn take_stacks(&self) {
        if let Ok(text) = self.supervised.stacks().await {
            self.recorder.note(Source::System, EventKind::StacksTaken { of: "system".to_owned(), text });
        }
    }

    /// The process has ended: what it started, and what is under way, has the grace to vanish. Then what is left is told.
    pub(super) async fn grace(&self) {
        self.note(EventKind::GraceBegan { after: "exit".to_owned() });
        let deadline = Instant::now() + self.recorder.header().limits.grace;
        if self.servers.is_empty() {
            self.endpoint.no_mock_left(self.recorder.header().limits.grace).await;
        } else {
            await_quiet_wire(self.recorder, self.supervised, After::Exit, deadline).await;
        }
        for process in self.await_vanishing(deadline).await {
            let (id, role) = self.identify(&process);
            let (pid, command) = (Some(process.pid), Some(process.command));
            self.recorder.note(Source::System, EventKind::ProcessOrphan { process: id, role, pid, command });
        }
        self.note(EventKind::GraceExpired { after: "exit".to_owned() });
    }

    /// The id and role of a process: servers by the pid of their hello, others by their pid.
    fn identify(&self, process: &ProcessFacts) -> (ProcessId, String) {
        let mocks = self.endpoint.mocks();
        // A pid may have been another server's before: the newest counts.
        match mocks.iter().rposition(|mock| mock.pid == process.pid) {
            Some(index) => (ProcessId(format!("p{}", index + 2)), format!("server:{}", mocks[index].server)),
            None => (ProcessId(format!("other-{}", process.pid)), "other".to_owned()),
        }
    }

    /// Waits until nothing the host started lives, at most until `deadline`; gives what does.
    async fn await_vanishing(&self, deadline: Instant) -> Vec<ProcessFacts> {
        loop {
            // Without the supervisor there is no process table to look at; the experiment has failed then.
            let Ok(mut processes) = self.supervised.descendants().await else { return Vec::new() };
            processes.retain(|process| process.pid != self.supervised.loader_pid() && !process.is_zombie());
            if processes.is_empty() || Instant::now() >= deadline || self.environment.is_interrupted() {
                return processes;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub(super) fn scan_stderr(&self) {
        let bytes = read_head(self.stderr, STDERR_BYTES_MAX);
        for text in errors_in(&String::from_utf8_lossy(&bytes)) {
            self.recorder.note(Source::System, EventKind::ErrorReported { channel: Channel::Stderr, text });
        }
    }
}
