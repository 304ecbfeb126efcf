//! The steps of a plan.

use std::time::{Duration, Instant};

use crate::history::{EventKind, Source};
use crate::host::app::life::ApplicationLife;
use crate::host::app::observation::Observation;
use crate::host::app::page::{Page, PageRequest};
use crate::host::app::request::{Asked, ask};
use crate::host::app::step_end::StepEnd;
use crate::plan::{HostDo, HostStep, PageAction};
use crate::supervise::{Signalled, Written};

/// Pause between two requests to an application that does not listen yet. The system reports no event when another process begins to listen.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// Longest wait for one of these requests.
const TRY_LIMIT: Duration = Duration::from_secs(5);

impl ApplicationLife<'_> {
    /// Carries out one step, at most for `limit`.
    pub(super) async fn step(&mut self, step: &HostStep, limit: Duration) -> StepEnd {
        match &step.does {
            HostDo::Tools { again, .. } | HostDo::Call { again, .. } => {
                let from = if *again { self.progress.prompted } else { 0 };
                self.await_seen(&step.does, from, limit).await
            }
            HostDo::Connections { .. } | HostDo::Gate { .. } => self.await_seen(&step.does, 0, limit).await,
            HostDo::Ready { url, status } => self.await_ready(&self.filled(url), *status, limit).await,
            HostDo::Request { method, url, body, status } => {
                let body = body.as_ref().map(|body| self.filled(body));
                let asked = Asked { method: method.clone(), url: self.filled(url), body };
                self.request(&asked, *status, limit).await
            }
            HostDo::Signal { signal } => self.signal(signal).await,
            HostDo::Line { text } => self.line(&self.filled(text)).await,
            HostDo::KillServer { server } => self.kill_server(server, limit).await,
            HostDo::OpenGate { gate } => {
                self.note(EventKind::GateOpened { gate: gate.clone() });
                self.ending.stage.endpoint.open_gate(gate);
                StepEnd::Done
            }
            HostDo::Idle { .. } => self.idle(step.does.window()).await,
            HostDo::Page { .. } => self.page(&step.does, limit).await,
            HostDo::CloseStdin {} => {
                self.close_stdin().await;
                StepEnd::Done
            }
            HostDo::Interrupt {} => self.end_by("INT").await,
            HostDo::Terminate {} => self.end_by("TERM").await,
            HostDo::Exit { .. } => self.await_exit(step, limit).await,
        }
    }

    /// Waits until the servers have seen what a step waits for, from position `from` on. Stops at `limit` or at the end of the application.
    async fn await_seen(&self, step: &HostDo, from: usize, limit: Duration) -> StepEnd {
        let nothing = || Observation::of(self.input.servers.keys().cloned());
        let mut seen = nothing();
        let met = {
            let waited = self.ending.stage.recorder.wait_for(0, limit, |event| seen.meets_with(event, step, from));
            tokio::select! {
                biased;
                met = waited => Some(met.is_some()),
                () = self.over() => None,
            }
        };
        match met {
            Some(true) => StepEnd::Met(seen.text(step)),
            Some(false) => StepEnd::Unmet(format!("not within {} ms; seen: {}", limit.as_millis(), seen.text(step))),
            None => self.ended_before(|| {
                // An event that was acknowledged before the end may not have been looked at.
                let mut seen = nothing();
                let met = self.ending.stage.recorder.any(|event| seen.meets_with(event, step, from));
                (met, seen.text(step))
            }),
        }
    }

    /// The application ended, or the run was interrupted, before the step saw what it waits for. `last` looks once more.
    fn ended_before(&self, last: impl FnOnce() -> (bool, String)) -> StepEnd {
        if self.supervised().is_broken() || self.ending.stage.environment.is_interrupted() {
            return StepEnd::Lost;
        }
        match last() {
            (true, seen) => StepEnd::Met(seen),
            (false, seen) => StepEnd::Unmet(format!("{} before that; seen: {seen}", self.how_it_ended())),
        }
    }

    async fn await_ready(&self, url: &str, status: u16, limit: Duration) -> StepEnd {
        let deadline = Instant::now() + limit;
        let asked = Asked { method: "GET".to_owned(), url: url.to_owned(), body: None };
        let mut last = "no request yet".to_owned();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return StepEnd::Unmet(format!("not within {} ms; at last: {last}", limit.as_millis()));
            }
            tokio::select! {
                answer = ask(&asked, left.min(TRY_LIMIT)) => match answer {
                    Ok(answer) if answer.status == status => return StepEnd::Met(format!("{url} answered {status}")),
                    Ok(answer) => last = format!("{url} answered {}: {}", answer.status, answer.body),
                    Err(error) => last = error.to_string(),
                },
                () = self.over() => return self.ended_before(|| (false, last)),
            }
            tokio::time::sleep(ASK_AGAIN.min(left)).await;
        }
    }

    /// Records that the driver prompts the application. Later messages may follow from the prompt.
    fn prompt(&mut self, how: &str) {
        let seq = self.ending.stage.recorder.note(Source::Driver, EventKind::HostPrompted { how: how.to_owned() });
        self.progress.prompted = usize::try_from(seq.0).unwrap_or(usize::MAX).saturating_sub(1);
    }

    async fn request(&mut self, asked: &Asked, status: u16, limit: Duration) -> StepEnd {
        self.prompt("request");
        tokio::select! {
            answer = ask(asked, limit) => match answer {
                Ok(answer) if answer.status == status => StepEnd::Met(format!("answered {status}")),
                Ok(answer) => StepEnd::Unmet(format!("answered {}: {}", answer.status, answer.body)),
                Err(error) => StepEnd::Unmet(error.to_string()),
            },
            () = self.over() => self.ended_before(|| (false, "no answer".to_owned())),
        }
    }

    async fn signal(&mut self, signal: &str) -> StepEnd {
        self.prompt("signal");
        match self.supervised().signal(None, signal).await {
            Ok(Signalled::Sent) => StepEnd::Done,
            Ok(Signalled::Gone) => StepEnd::Unmet(self.how_it_ended()),
            Err(_) => StepEnd::Lost,
        }
    }

    async fn line(&mut self, text: &str) -> StepEnd {
        self.prompt("line");
        match self.supervised().write_line(text).await {
            Ok(Written::Done) => StepEnd::Done,
            Ok(Written::Gone) => StepEnd::Unmet("the application's stdin is closed".to_owned()),
            Ok(Written::Full) => StepEnd::Unmet("its stdin is full: the application does not read it".to_owned()),
            Err(_) => StepEnd::Lost,
        }
    }

    async fn end_by(&mut self, signal: &str) -> StepEnd {
        if self.request_end(signal).await {
            return StepEnd::Done;
        }
        StepEnd::Skipped(self.how_it_ended())
    }

    async fn page(&mut self, step: &HostDo, limit: Duration) -> StepEnd {
        let HostDo::Page { action, tab, url, text, expect, absent } = step else { return StepEnd::Done };
        if matches!(action, PageAction::Open | PageAction::Reload | PageAction::Click) {
            self.prompt("page");
        }
        let filled = [url, text, expect, absent].map(|text| text.as_ref().map(|text| self.filled(text)));
        let [url, text, expect, absent] = filled.each_ref().map(Option::as_deref);
        let asked = PageRequest { action: *action, tab, url, text, expect, absent };
        // Taken out, so that the driver can watch the application meanwhile.
        let mut page = match self.progress.page.take() {
            Some(page) => page,
            None => {
                let life = self.input.life;
                let command = self.application.page.as_deref().unwrap_or_default();
                match Page::start(command, &self.input.directory, self.ending.stage.environment, life).await {
                    Ok(page) => page,
                    Err(error) => return self.no_page(&error.to_string()),
                }
            }
        };
        let answer = tokio::select! {
            answer = page.ask(asked, limit) => Some(answer),
            () = self.over() => None,
        };
        self.progress.page = Some(page);
        match answer {
            Some(Ok(Ok(()))) => StepEnd::Met("done".to_owned()),
            Some(Ok(Err(message))) => StepEnd::Unmet(message),
            Some(Err(error)) => self.no_page(&error.to_string()),
            None => self.ended_before(|| (false, "no answer of the page".to_owned())),
        }
    }

    fn no_page(&self, because: &str) -> StepEnd {
        self.note(EventKind::ExperimentFailed { because: because.to_owned() });
        StepEnd::Lost
    }
}
