//! A finished application: started with a configuration, put through a plan, and ended as its user ends it.
//!
//! Start at [`Life::lead`]. Nothing here judges: what a step waited for in vain goes on record, and the plan goes to its end.

mod page;
mod request;
mod seen;
mod steps;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::drive::HttpServer;
use crate::history::{EventKind, LinkPeer};
use crate::host::app::page::Page;
use crate::host::ending::Ending;
use crate::host::run::{Application, HostInput};
use crate::host::template::{Strictness, Template, Values};
use crate::plan::{HostDo, HostStep, host_limit};
use crate::supervise::{Signalled, Supervised};

/// Windows that are looked at until a host has come to rest.
const IDLE_WINDOWS_MAX: usize = 4;
/// More CPU time than this part of a window is no rest.
const REST_PARTS: u64 = 4;

/// A host while it runs.
pub(super) struct Life<'a> {
    pub input: &'a HostInput,
    pub application: &'a Application,
    pub ending: Ending<'a>,
    pub servers: &'a mut BTreeMap<String, HttpServer>,
    pub values: &'a Values,
    state: State,
}

#[derive(Default)]
struct State {
    /// Position of the event with which the host was last made to do something, counted from 0.
    prompted: usize,
    /// Whether a signal has asked the host to end.
    is_asked: bool,
    /// Whether its end was waited for after that, as long as it may take.
    is_overdue: bool,
    page: Option<Page>,
}

/// What came of a step.
enum Came {
    /// It was done; there was nothing to wait for.
    Done,
    /// What it waited for was seen.
    Met(String),
    /// What it waited for was not.
    Unmet(String),
    /// There is nobody to act on any more.
    Skipped(String),
    /// The experiment is over: interrupted, or broken.
    Lost,
}

impl<'a> Life<'a> {
    pub(super) fn new(
        input: &'a HostInput,
        application: &'a Application,
        ending: Ending<'a>,
        servers: &'a mut BTreeMap<String, HttpServer>,
        values: &'a Values,
    ) -> Self {
        Self { input, application, ending, servers, values, state: State::default() }
    }

    /// Leads it to its end, and records what it left. What is left is not ended here, but for the browser.
    pub(super) async fn lead(&mut self) {
        let exits = Ending { ..self.ending };
        tokio::select! {
            () = self.steps_and_end() => {}
            () = exits.tell_exits() => {}
        }
    }

    async fn steps_and_end(&mut self) {
        let steps = self.application.plan.steps.clone();
        for (index, step) in steps.iter().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            self.note(EventKind::StepBegan { step: number, about: step.to_string() });
            let (began, limit) = (Instant::now(), step.limit(self.exit_limit()));
            match self.step(step, limit).await {
                Came::Done => {}
                Came::Met(saw) => self.note(EventKind::StepMet { step: number, saw }),
                Came::Skipped(because) => self.note(EventKind::StepSkipped { step: number, because }),
                Came::Unmet(because) => {
                    let because = format!("{step}: {because}");
                    let bound_ms =
                        (began.elapsed() >= limit).then(|| u64::try_from(limit.as_millis()).unwrap_or(u64::MAX));
                    self.note(EventKind::StepUnmet { step: number, because, bound_ms });
                    break;
                }
                Came::Lost => break,
            }
        }
        self.end().await;
        if let Some(page) = self.state.page.take() {
            page.end().await;
        }
    }

    /// The end of the host: by itself, as by Ctrl-C, or by force.
    async fn end(&mut self) {
        if !self.is_over() && !self.state.is_overdue {
            if !self.state.is_asked {
                self.close_stdin().await;
                self.ask_to_end("INT").await;
            }
            let limit = self.exit_limit();
            self.await_end(limit).await;
        }
        let supervised = self.supervised();
        if self.ending.environment.is_interrupted() {
            self.note(EventKind::ExperimentFailed { because: "the run was interrupted".to_owned() });
            return self.ending.by_force();
        }
        if supervised.is_broken() {
            if supervised.is_lost() {
                self.note(EventKind::ExperimentFailed { because: "the supervisor was lost".to_owned() });
            }
            return self.ending.by_force();
        }
        if supervised.loader_end_now().is_some() {
            self.ending.grace().await;
            self.ending.scan_stderr();
            return self.note_undelivered();
        }
        let because = format!("the host had not ended within {} ms", self.exit_limit().as_millis());
        self.note(EventKind::LimitHit { limit: "exit".to_owned(), because });
        self.ending.take_stacks().await;
        self.ending.scan_stderr();
        self.ending.by_force();
    }

    /// Tells which faults of the scripts never came about.
    fn note_undelivered(&self) {
        for (server, script) in &self.input.servers {
            for fault in script.required_faults() {
                let is_it = |kind: &EventKind| matches!(kind, EventKind::FaultDelivered { fault: found, .. } if *found == fault);
                let delivered =
                    self.ending.recorder.any(|event| event.source.server() == Some(server) && is_it(&event.kind));
                if !delivered {
                    self.note(EventKind::FaultUndelivered { server: server.clone(), fault });
                }
            }
        }
    }

    fn note(&self, kind: EventKind) {
        self.ending.note(kind);
    }

    fn supervised(&self) -> &'a Supervised {
        self.ending.supervised
    }

    fn exit_limit(&self) -> Duration {
        self.ending.recorder.header().limits.exit
    }

    /// Whether there is nothing more to wait for.
    fn is_over(&self) -> bool {
        let supervised = self.supervised();
        supervised.loader_end_now().is_some() || supervised.is_broken() || self.ending.environment.is_interrupted()
    }

    /// Waits until there is nothing more to wait for.
    async fn over(&self) {
        tokio::select! {
            () = self.supervised().broken_or_ended() => {}
            () = self.ending.environment.interruption() => {}
        }
    }

    /// Waits for the end of the host, at most for `limit`.
    async fn await_end(&self, limit: Duration) {
        // Who waits looks what came of it.
        let _ = tokio::time::timeout(limit, self.over()).await;
    }

    /// A text of the plan with everything filled in; it was taken apart before.
    fn filled(&self, text: &str) -> String {
        Template::parse(text, Strictness::Strict).map_or_else(|_| text.to_owned(), |text| text.fill(self.values))
    }

    /// How the host ended, as the end of a sentence.
    fn how_it_ended(&self) -> String {
        match self.supervised().loader_end_now().map(|end| (end.code, end.signal)) {
            Some((Some(code), _)) => format!("the host ended with status {code}"),
            Some((None, Some(signal))) => format!("the host ended of SIG{signal}"),
            Some((None, None)) => "the host ended".to_owned(),
            None => "the host is gone".to_owned(),
        }
    }

    async fn close_stdin(&self) {
        // Closed already, or nobody there: both are as well.
        let _ = self.supervised().close_stdin().await;
        self.await_end(host_limit("host-stdin-end")).await;
    }

    /// Sends a signal that asks the host to end; whether there was somebody to send it to.
    async fn ask_to_end(&mut self, signal: &str) -> bool {
        if self.is_over() {
            return false;
        }
        self.note(EventKind::SignalSent { signal: signal.to_owned(), target: "loader".to_owned() });
        self.state.is_asked = true;
        let sent = match signal {
            "INT" => self.supervised().signal_group(signal).await,
            _ => self.supervised().signal(None, signal).await,
        };
        matches!(sent, Ok(Signalled::Sent))
    }

    /// A window in which nothing is asked; where the host has not come to rest yet, some more of them.
    async fn idle(&self, window: Duration) -> Came {
        self.note(EventKind::IdleBegan {});
        for n in 1..=IDLE_WINDOWS_MAX {
            let sample = tokio::select! {
                sample = self.supervised().sample(window) => sample,
                () = self.ending.environment.interruption() => return Came::Lost,
            };
            let Ok(Some(sample)) = sample else { return Came::Done };
            let is_at_rest = sample.cpu_us.saturating_mul(REST_PARTS) <= sample.window_us;
            let is_last = is_at_rest || n == IDLE_WINDOWS_MAX;
            self.ending.note_sample(if is_last { "idle" } else { "settling" }, sample);
            if is_last {
                break;
            }
        }
        Came::Done
    }

    async fn kill_server(&mut self, server: &str, limit: Duration) -> Came {
        let mocks = self.ending.endpoint.mocks();
        let Some(mock) = mocks.iter().rfind(|mock| mock.server == server && mock.open) else {
            return Came::Unmet(format!("no server {server} is running"));
        };
        let from = self.ending.recorder.n_events();
        self.note(EventKind::SignalSent { signal: "KILL".to_owned(), target: format!("server:{server}") });
        let sent = match self.servers.get_mut(server) {
            Some(server) => Ok(server.kill()),
            None => self.supervised().signal(Some(mock.pid), "KILL").await,
        };
        if !matches!(sent, Ok(Signalled::Sent)) {
            return Came::Skipped(format!("server {server} is gone already"));
        }
        let ended = self.ending.recorder.wait_for(from, limit, |event| {
            matches!(&event.kind, EventKind::LinkClosed { peer: LinkPeer::Mock { server: ended, .. }, .. } if ended == server)
        });
        match ended.await {
            Some(_) => Came::Met(format!("server {server} is gone")),
            None => Came::Unmet(format!("server {server} did not end within {} ms", limit.as_millis())),
        }
    }

    async fn await_exit(&mut self, step: &HostStep, limit: Duration) -> Came {
        self.await_end(limit).await;
        let supervised = self.supervised();
        if supervised.is_broken() || self.ending.environment.is_interrupted() {
            return Came::Lost;
        }
        let HostDo::Exit { status } = step.does else { return Came::Done };
        match (supervised.loader_end_now(), status) {
            (Some(end), Some(status)) if end.code != Some(status) => Came::Unmet(self.how_it_ended()),
            (Some(_), _) => Came::Met(self.how_it_ended()),
            (None, _) => {
                self.state.is_overdue = self.state.is_asked;
                Came::Unmet(format!("the host was still there after {} ms", limit.as_millis()))
            }
        }
    }
}
