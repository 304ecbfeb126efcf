//! The life of an application: its steps, one after another, and its end.

use std::time::{Duration, Instant};

use crate::history::{EventKind, LinkPeer, Settling, is_busy};
use crate::host::app::page::Page;
use crate::host::app::step_end::StepEnd;
use crate::host::ending::Ending;
use crate::host::input::{Application, HostInput};
use crate::host::template::{Strictness, Template, Values};
use crate::life::{Servers, ms};
use crate::plan::{HostDo, HostStep, host_limit};
use crate::supervise::{Signalled, Supervised};

/// A window is quiet when the application uses at most one part in so many of one processor.
const QUIET_PARTS: u64 = 4;

/// An application while it runs.
pub(in crate::host) struct ApplicationLife<'a> {
    pub(super) input: &'a HostInput,
    pub(super) application: &'a Application,
    pub(super) ending: Ending<'a>,
    pub(super) servers: &'a mut Servers,
    pub(super) values: &'a Values,
    pub(super) progress: Progress,
}

/// The progress of the driver.
#[derive(Default)]
pub(super) struct Progress {
    /// Position in the history of the last prompt to the application, counted from 0.
    pub prompted: usize,
    /// Whether the driver has sent a signal that ends a program.
    pub is_signalled: bool,
    /// Whether the limit for the end has passed after that signal.
    pub is_overdue: bool,
    /// The browser, once a page step has started it.
    pub page: Option<Page>,
}

impl<'a> ApplicationLife<'a> {
    pub(in crate::host) fn new(
        input: &'a HostInput,
        application: &'a Application,
        ending: Ending<'a>,
        servers: &'a mut Servers,
        values: &'a Values,
    ) -> Self {
        Self { input, application, ending, servers, values, progress: Progress::default() }
    }

    /// Carries out the plan, ends the application, and records what it left. Kills nothing but the browser.
    pub(in crate::host) async fn lead(&mut self) {
        let ending = self.ending;
        tokio::select! {
            () = self.steps_and_end() => {}
            () = ending.record_exits() => {}
        }
    }

    async fn steps_and_end(&mut self) {
        let steps = self.application.plan.steps.clone();
        for (index, step) in steps.iter().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            self.note(EventKind::StepBegan { step: number, about: step.to_string() });
            let (began, limit) = (Instant::now(), step.limit(self.exit_limit()));
            match self.step(step, limit).await {
                StepEnd::Done => {}
                StepEnd::Met(saw) => self.note(EventKind::StepMet { step: number, saw }),
                StepEnd::Skipped(because) => self.note(EventKind::StepSkipped { step: number, because }),
                StepEnd::Unmet(because) => {
                    let because = format!("{step}: {because}");
                    let bound_ms = (began.elapsed() >= limit).then(|| ms(limit));
                    self.note(EventKind::StepUnmet { step: number, because, bound_ms });
                    break;
                }
                StepEnd::Lost => break,
            }
        }
        self.end().await;
        if let Some(page) = self.progress.page.take() {
            page.end().await;
        }
    }

    /// Ends the application: by itself, by SIGINT as from Ctrl-C, or by force.
    async fn end(&mut self) {
        if !self.is_over() && !self.progress.is_overdue {
            if !self.progress.is_signalled {
                self.close_stdin().await;
                self.request_end("INT").await;
            }
            let limit = self.exit_limit();
            self.await_end(limit).await;
        }
        let supervised = self.supervised();
        if self.ending.stage.environment.is_interrupted() {
            self.ending.stage.note_failed("the run was interrupted");
            return self.ending.stage.note_kill();
        }
        if supervised.is_broken() {
            if supervised.is_lost() {
                self.ending.stage.note_failed("the supervisor was lost");
            }
            return self.ending.stage.note_kill();
        }
        if supervised.loader_end_now().is_some() {
            self.ending.grace().await;
            self.ending.scan_stderr();
            return self.ending.stage.note_undelivered(&self.input.servers);
        }
        let because = format!("the application had not ended within {} ms", self.exit_limit().as_millis());
        self.ending.overdue(because).await;
    }

    pub(super) fn note(&self, kind: EventKind) {
        self.ending.stage.note(kind);
    }

    pub(super) fn supervised(&self) -> &'a Supervised {
        self.ending.supervised
    }

    fn exit_limit(&self) -> Duration {
        self.ending.stage.recorder.header().limits.exit
    }

    /// Whether the application has ended, or the experiment is over.
    fn is_over(&self) -> bool {
        let supervised = self.supervised();
        supervised.loader_end_now().is_some()
            || supervised.is_broken()
            || self.ending.stage.environment.is_interrupted()
    }

    /// Waits until the application has ended, or the experiment is over.
    pub(super) async fn over(&self) {
        tokio::select! {
            () = self.supervised().broken_or_ended() => {}
            () = self.ending.stage.environment.interruption() => {}
        }
    }

    /// Waits for the end of the application, at most for `limit`.
    async fn await_end(&self, limit: Duration) {
        // The caller checks the result.
        let _ = tokio::time::timeout(limit, self.over()).await;
    }

    /// A text of the plan with its placeholders filled in. The text parsed before the run.
    pub(super) fn filled(&self, text: &str) -> String {
        Template::parse(text, Strictness::Strict).map_or_else(|_| text.to_owned(), |text| text.fill(self.values))
    }

    /// How the application ended, as the end of a sentence.
    pub(super) fn how_it_ended(&self) -> String {
        match self.supervised().loader_end_now().map(|end| (end.code, end.signal)) {
            Some((Some(code), _)) => format!("the application ended with status {code}"),
            Some((None, Some(signal))) => format!("the application was ended by SIG{signal}"),
            Some((None, None)) => "the application ended".to_owned(),
            None => "the application is gone".to_owned(),
        }
    }

    pub(super) async fn close_stdin(&self) {
        // A closed stdin, or an ended host, is just as good.
        let _ = self.supervised().close_stdin().await;
        self.await_end(host_limit("host-stdin-end")).await;
    }

    /// Sends a signal that ends a program. Returns whether the application was there to receive it.
    pub(super) async fn request_end(&mut self, signal: &str) -> bool {
        if self.is_over() {
            return false;
        }
        self.note(EventKind::SignalSent { signal: signal.to_owned(), target: "loader".to_owned() });
        self.progress.is_signalled = true;
        let sent = match signal {
            "INT" => self.supervised().signal_group(signal).await,
            _ => self.supervised().signal(None, signal).await,
        };
        matches!(sent, Ok(Signalled::Sent))
    }

    /// Samples the application in windows without a request, until a window is quiet or the last one is over.
    pub(super) async fn idle(&self, window: Duration) -> StepEnd {
        self.note(EventKind::IdleBegan {});
        let mut settling = Settling::default();
        loop {
            let sample = tokio::select! {
                sample = self.supervised().sample(window) => sample,
                () = self.ending.stage.environment.interruption() => return StepEnd::Lost,
            };
            let Ok(Some(sample)) = sample else { return StepEnd::Done };
            let is_quiet = sample.cpu_us.saturating_mul(QUIET_PARTS) <= sample.window_us
                && !is_busy(sample.cpu_us, sample.runnable_us, sample.window_us);
            let is_last = settling.is_over(is_quiet, sample.cpu_us, sample.window_us);
            self.ending.stage.note_sample(if is_last { "idle" } else { "settling" }, sample);
            if is_last {
                break;
            }
        }
        StepEnd::Done
    }

    pub(super) async fn kill_server(&mut self, server: &str, limit: Duration) -> StepEnd {
        let mocks = self.ending.stage.endpoint.mocks();
        let Some(mock) = mocks.iter().rfind(|mock| mock.server == server && mock.open) else {
            return StepEnd::Unmet(format!("no server {server} is running"));
        };
        let from = self.ending.stage.recorder.n_events();
        self.note(EventKind::SignalSent { signal: "KILL".to_owned(), target: format!("server:{server}") });
        let Ending { stage, supervised, .. } = self.ending;
        let sent = self.servers.kill(&stage.endpoint, Some(supervised), mock).await;
        if !matches!(sent, Ok(Signalled::Sent)) {
            return StepEnd::Skipped(format!("server {server} is gone already"));
        }
        let ended = self.ending.stage.recorder.wait_for(from, limit, |event| {
            matches!(&event.kind, EventKind::LinkClosed { peer: LinkPeer::Mock { server: ended, .. }, .. } if ended == server)
        });
        match ended.await {
            Some(_) => StepEnd::Met(format!("server {server} is gone")),
            None => StepEnd::Unmet(format!("server {server} did not end within {} ms", limit.as_millis())),
        }
    }

    pub(super) async fn await_exit(&mut self, step: &HostStep, limit: Duration) -> StepEnd {
        self.await_end(limit).await;
        let supervised = self.supervised();
        if supervised.is_broken() || self.ending.stage.environment.is_interrupted() {
            return StepEnd::Lost;
        }
        let HostDo::Exit { status } = step.does else { return StepEnd::Done };
        match (supervised.loader_end_now(), status) {
            (Some(end), Some(status)) if end.code != Some(status) => StepEnd::Unmet(self.how_it_ended()),
            (Some(_), _) => StepEnd::Met(self.how_it_ended()),
            (None, _) => {
                self.progress.is_overdue = self.progress.is_signalled;
                StepEnd::Unmet(format!("the application was still there after {} ms", limit.as_millis()))
            }
        }
    }
}
