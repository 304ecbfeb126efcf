//! The steps of a scenario, one after another.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::check::is_busy;
use crate::drive::operation::{Asked, Running, Waited, place_json};
use crate::drive::plan_run::Drive;
use crate::history::{Action, EventKind, LinkPeer, OpId, Source};
use crate::plan::{Invoked, Place, Step, StepDo, Until, WaitFor};
use crate::record::Completion;
use crate::supervise::Signalled;

/// How many operations of a repeated step lie between two samples.
const REPEATS_PER_SAMPLE: u32 = 10;

/// Most windows that one wait for idleness looks at.
const IDLE_WINDOWS_MAX: u32 = 4;

/// How the steps ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepsEnd {
    /// All were carried out; `exiting` when one of them already asked the program to end.
    Done {
        /// Whether the program was asked to end.
        exiting: bool,
    },
    /// An operation passed its bound.
    Overdue,
    /// The loader's process is gone unasked, or the experiment is broken.
    Lost,
}

/// How one step ended.
enum StepEnd {
    GoOn,
    Exiting,
    Stop(StepsEnd),
}

impl Drive<'_> {
    /// Carries out every step, and a canary in its context after each.
    pub(super) async fn steps(&mut self) -> StepsEnd {
        for (index, step) in self.input.scenario.steps.iter().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            self.note(EventKind::StepBegan { step: number, about: step.to_string() });
            match self.step(number, step).await {
                StepEnd::GoOn => {}
                StepEnd::Exiting => return StepsEnd::Done { exiting: true },
                StepEnd::Stop(end) => return end,
            }
            if let StepEnd::Stop(end) = self.canary(step).await {
                return end;
            }
            if self.supervised.is_lost() {
                return StepsEnd::Lost;
            }
        }
        self.outstanding().await
    }

    async fn step(&mut self, number: u32, step: &Step) -> StepEnd {
        match &step.action {
            StepDo::Load(invoked) => self.operate(Action::Load, step, invoked, None).await,
            StepDo::Rerun(invoked) => self.operate(Action::Rerun, step, invoked, None).await,
            StepDo::Reload { remove, add, change, invoked } => {
                self.reconfigure(remove, add, change);
                if !self.start_servers().await {
                    return StepEnd::Stop(StepsEnd::Lost);
                }
                self.operate(Action::Reload, step, invoked, None).await
            }
            StepDo::List(invoked) => self.operate(Action::List, step, invoked, None).await,
            StepDo::Call { server, tool, invoked } => {
                self.operate(Action::Call, step, invoked, Some((server, tool))).await
            }
            StepDo::Close(invoked) => self.close(step, invoked).await,
            StepDo::Collect => self.operate(Action::Collect, step, &Invoked::default(), None).await,
            StepDo::Cancel { operation } => self.cancel(number, operation).await,
            StepDo::DropContext => self.drop_context(number, &step.place).await,
            StepDo::Exit => {
                self.request_exit();
                StepEnd::Exiting
            }
            StepDo::Signal { signal } => self.signal_loader(signal).await,
            StepDo::OpenGate { gate } => {
                self.note(EventKind::GateOpened { gate: gate.clone() });
                self.endpoint.open_gate(gate);
                StepEnd::GoOn
            }
            StepDo::KillServer { server } => self.kill_server(number, server).await,
            StepDo::Wait(wait) => self.wait(number, wait).await,
        }
    }

    fn reconfigure(&mut self, remove: &[String], add: &[String], change: &[String]) {
        let kept = |name: &String| self.configured.contains(name) && !remove.contains(name) || add.contains(name);
        let names = self.input.scenario.servers.iter().map(|server| server.name.clone());
        self.configured = names.filter(kept).collect();
        for name in change {
            *self.changes.entry(name.clone()).or_default() += 1;
        }
        self.changed = change.iter().filter(|name| self.configured.contains(name)).cloned().collect();
    }

    /// One operation, and again as often as its step says, with a sample of the loader's process now and then.
    async fn operate(
        &mut self,
        action: Action,
        step: &Step,
        invoked: &Invoked,
        target: Option<(&String, &String)>,
    ) -> StepEnd {
        let mut end = self.operate_once(action, step, invoked, target).await;
        for n_done in 1..=invoked.again {
            if !matches!(end, StepEnd::GoOn) || self.supervised.is_lost() {
                return end;
            }
            if n_done % REPEATS_PER_SAMPLE == 1 && !self.sample_between().await {
                return StepEnd::Stop(StepsEnd::Lost);
            }
            end = self.operate_once(action, step, invoked, target).await;
        }
        if invoked.again > 0 && matches!(end, StepEnd::GoOn) && !self.sample_between().await {
            return StepEnd::Stop(StepsEnd::Lost);
        }
        end
    }

    /// What the loader's process uses between two operations; whether the plan can go on.
    async fn sample_between(&self) -> bool {
        let sample = tokio::select! {
            sample = self.supervised.sample(Duration::ZERO) => sample,
            () = self.environment.interruption() => return false,
        };
        if let Ok(Some(sample)) = sample {
            self.note_sample("repeated", sample);
        }
        true
    }

    async fn operate_once(
        &mut self,
        action: Action,
        step: &Step,
        invoked: &Invoked,
        target: Option<(&String, &String)>,
    ) -> StepEnd {
        let (server, tool) = (target.map(|(server, _)| server.clone()), target.map(|(_, tool)| tool.clone()));
        let wanted_server = server.clone().unwrap_or_default();
        let mut running = self.invoke(Asked { action, place: step.place.clone(), server, tool });
        if let Some(name) = &invoked.name {
            self.named.insert(name.clone(), running.id);
        }
        let waited = self.stay(&mut running, invoked.until, &wanted_server).await;
        if waited == Waited::Completed {
            return StepEnd::GoOn;
        }
        self.running.push(running);
        self.go_on_after(waited)
    }

    fn go_on_after(&self, waited: Waited) -> StepEnd {
        match waited {
            Waited::Completed | Waited::InFlight | Waited::Invoked => StepEnd::GoOn,
            Waited::Overdue => StepEnd::Stop(StepsEnd::Overdue),
            Waited::Lost => StepEnd::Stop(StepsEnd::Lost),
        }
    }

    async fn close(&mut self, step: &Step, invoked: &Invoked) -> StepEnd {
        let end = self.operate(Action::Close, step, invoked, None).await;
        if matches!(end, StepEnd::GoOn) && invoked.until == Until::Completed {
            self.grace_after_close().await;
        }
        end
    }

    /// One innocent await in the step's context: some bugs hit the next one.
    async fn canary(&mut self, step: &Step) -> StepEnd {
        let is_operation = step.action.invoked().is_some();
        if !is_operation || self.is_busy(&step.place) || !self.can("probe") {
            return StepEnd::GoOn;
        }
        self.operate(Action::Probe, step, &Invoked::default(), None).await
    }

    pub(super) fn can(&self, operation: &str) -> bool {
        self.adapter.hello().operations.iter().any(|known| known == operation)
    }

    fn skip(&self, step: u32, because: impl Into<String>) -> StepEnd {
        self.note(EventKind::StepSkipped { step, because: because.into() });
        StepEnd::GoOn
    }

    fn take_running(&mut self, name: &str) -> Option<Running> {
        let id = *self.named.get(name)?;
        let index = self.running.iter().position(|running| running.id == id)?;
        Some(self.running.remove(index))
    }

    async fn cancel(&mut self, number: u32, name: &str) -> StepEnd {
        if !self.can("cancel") {
            return self.skip(number, "the adapter can not cancel");
        }
        let Some(mut running) = self.take_running(name) else {
            return self.skip(number, format!("operation {name} has completed already"));
        };
        self.note(EventKind::CancelRequested { operation: running.id });
        let answer = self.command("cancel", Map::from_iter([("operation".to_owned(), Value::from(running.id.0))]));
        let delivered = match tokio::time::timeout(self.limits().operation, answer).await {
            Ok(Ok(Completion::Ok(answer))) => answer.get("delivered").and_then(Value::as_bool) == Some(true),
            Ok(Ok(Completion::Failed(_) | Completion::Cancelled) | Err(_)) | Err(_) => false,
        };
        self.note(EventKind::CancelDelivered { operation: running.id, delivered });
        let waited = self.complete(&mut running).await;
        if waited != Waited::Completed {
            self.running.push(running);
        }
        self.go_on_after(waited)
    }

    async fn drop_context(&mut self, number: u32, place: &Place) -> StepEnd {
        if !self.can("drop-context") {
            return self.skip(number, "the adapter can not end a context");
        }
        // What still runs there may be what keeps it from ending, and has a bound of its own.
        let was_busy = self.is_busy(place);
        self.note(EventKind::ContextEnded { place: place.to_string() });
        let ended = self.command("drop-context", Map::from_iter([("in".to_owned(), place_json(place))]));
        match tokio::time::timeout(self.limits().operation, ended).await {
            Ok(Ok(_)) => StepEnd::GoOn,
            Ok(Err(_)) => StepEnd::Stop(StepsEnd::Lost),
            Err(_) => {
                let (place, limit) = (place.to_string(), "operation".to_owned());
                let bound_ms = u64::try_from(self.limits().operation.as_millis()).unwrap_or(u64::MAX);
                self.note(match was_busy {
                    true => EventKind::LimitHit { limit, because: format!("{place} did not end within its limit") },
                    false => EventKind::ContextOverdue { place, limit, bound_ms },
                });
                StepEnd::Stop(StepsEnd::Overdue)
            }
        }
    }

    async fn signal_loader(&mut self, signal: &str) -> StepEnd {
        self.note(EventKind::SignalSent { signal: signal.to_owned(), target: "loader".to_owned() });
        match self.supervised.signal(None, signal).await {
            Ok(Signalled::Sent) => StepEnd::Exiting,
            Ok(Signalled::Gone) | Err(_) => StepEnd::Stop(StepsEnd::Lost),
        }
    }

    async fn kill_server(&mut self, number: u32, server: &str) -> StepEnd {
        let mocks = self.endpoint.mocks();
        let Some(mock) = mocks.iter().rfind(|mock| mock.server == server && mock.open) else {
            return self.skip(number, format!("no server {server} is running"));
        };
        let from = self.recorder.n_events();
        self.note(EventKind::SignalSent { signal: "KILL".to_owned(), target: format!("server:{server}") });
        match self.kill_mock(mock).await {
            Ok(Signalled::Sent) => self.wait_server_end(number, server, from).await,
            Ok(Signalled::Gone) => self.skip(number, format!("server {server} is gone already")),
            Err(_) => StepEnd::Stop(StepsEnd::Lost),
        }
    }

    async fn wait(&mut self, number: u32, wait: &WaitFor) -> StepEnd {
        match wait {
            WaitFor::Idle(window) => {
                self.note(EventKind::IdleBegan {});
                self.idle(*window).await
            }
            WaitFor::Operation(name) => match self.take_running(name) {
                None => StepEnd::GoOn,
                Some(mut running) => {
                    let waited = self.complete(&mut running).await;
                    let is_close = running.action == Action::Close;
                    if waited != Waited::Completed {
                        self.running.push(running);
                    } else if is_close && self.running.is_empty() {
                        self.grace_after_close().await;
                    }
                    self.go_on_after(waited)
                }
            },
            WaitFor::Gate(gate) => self.wait_gate(number, gate).await,
            WaitFor::ServerEnd(server) => {
                let from = self.recorder.n_events();
                match self.endpoint.mocks().iter().rfind(|mock| mock.server == *server) {
                    Some(mock) if mock.open => self.wait_server_end(number, server, from).await,
                    Some(_) => StepEnd::GoOn,
                    None => self.skip(number, format!("server {server} was never started")),
                }
            }
        }
    }

    /// Samples the loader's process while nothing is asked of it: until a window is quiet, at most a few times.
    ///
    /// A runtime that compiles what it has just run does so beside it, once; what turns without end is busy in every window.
    async fn idle(&mut self, window: Duration) -> StepEnd {
        for n_left in (0..IDLE_WINDOWS_MAX).rev() {
            let sample = tokio::select! {
                sample = self.supervised.sample(window) => sample,
                () = self.environment.interruption() => return StepEnd::Stop(StepsEnd::Lost),
            };
            let Ok(Some(sample)) = sample else { break };
            let is_last = n_left == 0 || !is_busy(sample.cpu_us, sample.window_us);
            self.note_sample(if is_last { "idle" } else { "settling" }, sample);
            if is_last {
                break;
            }
        }
        StepEnd::GoOn
    }

    async fn wait_gate(&mut self, number: u32, gate: &str) -> StepEnd {
        // Only an operation that runs can bring a mock to a gate, or another gate that was opened.
        let has_opened = || self.recorder.any(|event| matches!(event.kind, EventKind::GateOpened { .. }));
        let (limit, from) = match self.running.iter().map(|running| running.from).min() {
            Some(from) => (self.limits().gate, from),
            None if has_opened() => (self.limits().gate, 0),
            None => (Duration::ZERO, 0),
        };
        let open: BTreeSet<OpId> = self.running.iter().map(|running| running.id).collect();
        let mut n_open = open.len();
        let mut is_reached = false;
        let recorder = self.recorder.clone();
        // Once nothing runs any more, nothing can reach the gate.
        let reached = recorder.wait_for(from, limit, |event| match &event.kind {
            EventKind::GateReached { gate: reached } => {
                is_reached = reached == gate;
                is_reached
            }
            EventKind::OperationCompleted { operation, .. } if open.contains(operation) => {
                n_open -= 1;
                n_open == 0
            }
            _ => false,
        });
        match reached.await {
            Some(_) if is_reached => StepEnd::GoOn,
            Some(_) => self.skip(number, format!("gate {gate} was not reached by any operation that ran")),
            None => self.skip(number, format!("gate {gate} was not reached within {} ms", limit.as_millis())),
        }
    }

    async fn wait_server_end(&mut self, number: u32, server: &str, from: usize) -> StepEnd {
        let ended = self.recorder.wait_for(from, self.limits().gate, |event| {
            matches!(&event.kind, EventKind::LinkClosed { peer: LinkPeer::Mock { server: ended, .. }, .. } if ended == server)
        });
        match ended.await {
            Some(_) => StepEnd::GoOn,
            None => self.skip(number, format!("server {server} did not end within its limit")),
        }
    }

    pub(super) fn note_sample(&self, label: &str, sample: crate::supervise::Sample) {
        let kind = EventKind::SampleTaken {
            label: label.to_owned(),
            window_us: sample.window_us,
            cpu_us: sample.cpu_us,
            threads: sample.threads,
            fds: sample.fds,
            rss_kib: sample.rss_kib,
        };
        self.recorder.note(Source::System, kind);
    }

    pub(super) fn request_exit(&mut self) {
        self.note(EventKind::ExitRequested {});
        // Its completion is the end of the process.
        drop(self.command("exit", Map::new()));
    }

    /// Waits for every operation that no step has waited for.
    async fn outstanding(&mut self) -> StepsEnd {
        while let Some(mut running) = self.running.pop() {
            match self.complete(&mut running).await {
                Waited::Completed | Waited::InFlight | Waited::Invoked => {}
                waited @ (Waited::Overdue | Waited::Lost) => {
                    self.running.push(running);
                    return if waited == Waited::Overdue { StepsEnd::Overdue } else { StepsEnd::Lost };
                }
            }
        }
        StepsEnd::Done { exiting: false }
    }
}
