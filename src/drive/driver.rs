//! The coordinator: carries out one step after another and decides how the plan ends.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::drive::adapter::Adapter;
use crate::drive::configuration::Configuration;
use crate::drive::context::Context;
use crate::drive::ending::{Ending, grace_after_close, take_stacks};
use crate::drive::operation::{Request, Running, Waited, place_json};
use crate::drive::operations::Operations;
use crate::drive::step_end::{StepEnd, StepsEnd, go_on_after, skip};
use crate::drive::waits::{await_gate, await_server_end, sample_between, sample_idle};
use crate::history::{Action, EventKind};
use crate::life::{Servers, ms};
use crate::plan::{Invoked, Place, Step, StepDo, Until, WaitFor};
use crate::record::{AdapterLink, Completion};
use crate::supervise::Signalled;

/// Operations of a repeated step between two samples of the loader's process.
const REPEATS_PER_SAMPLE: u32 = 10;

/// One plan while it runs.
pub(super) struct Driver<'a> {
    context: Context<'a>,
    configuration: Configuration<'a>,
    operations: Operations<'a>,
    /// Position of the present step in the scenario, from 1.
    number: u32,
}

impl<'a> Driver<'a> {
    pub(super) fn new(context: Context<'a>, link: AdapterLink, servers: &'a mut Servers) -> Self {
        let operations = Operations::new(context, Adapter::new(link));
        Self { context, configuration: Configuration::new(context, servers), operations, number: 0 }
    }

    /// Runs the plan, and ends the loader's process.
    pub(super) async fn run(&mut self) {
        let scenario = &self.context.input.scenario;
        let missing = self.context.program.lacks(scenario).or_else(|| self.operations.adapter.missing(scenario));
        let is_applicable = missing.is_none();
        let end = match missing {
            Some(because) => {
                self.context.note(EventKind::PlanNotApplicable { because });
                StepsEnd::Done { exiting: false }
            }
            None if self.start_servers().await => self.steps().await,
            None => StepsEnd::Lost,
        };
        let mut ending = Ending { context: self.context, operations: &mut self.operations, is_applicable };
        match end {
            StepsEnd::Done { exiting: false } if ending.operations.any_hung() => ending.after_hang("a call hangs"),
            StepsEnd::Done { exiting } => ending.in_order(exiting).await,
            StepsEnd::Overdue => ending.by_force("a bound was hit").await,
            StepsEnd::Lost => ending.lost().await,
        }
        if self.context.program.is_lost() {
            self.context.stage.note_failed("the supervisor was lost");
        }
    }

    /// Starts the servers that are configured for the first time. Returns whether all of them run.
    async fn start_servers(&mut self) -> bool {
        match self.configuration.start_servers().await {
            Ok(()) => true,
            Err(error) => {
                self.context.stage.note_failed(error.to_string());
                false
            }
        }
    }

    /// Carries out every step, and a canary in the context of each operation.
    async fn steps(&mut self) -> StepsEnd {
        for (index, step) in self.context.input.scenario.steps.iter().enumerate() {
            let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
            self.number = number;
            let step = &Step { place: self.operations.free_place(&step.place), ..step.clone() };
            self.context.note(EventKind::StepBegan { step: number, about: step.to_string() });
            if let Some(because) = self.hangs(step) {
                skip(self.context, number, because);
                continue;
            }
            match self.step(number, step).await {
                StepEnd::GoOn => {}
                StepEnd::Exiting => return StepsEnd::Done { exiting: true },
                StepEnd::Stop(end) => return end,
            }
            if let StepEnd::Stop(end) = self.canary(step).await {
                return end;
            }
            if self.context.program.is_lost() {
                return StepsEnd::Lost;
            }
        }
        match self.operations.outstanding().await {
            Waited::Completed | Waited::InFlight | Waited::Invoked => StepsEnd::Done { exiting: false },
            Waited::Overdue => StepsEnd::Overdue,
            Waited::Blocked => self.blocked().await,
            Waited::Lost => StepsEnd::Lost,
        }
    }

    /// Why a step is pointless: it concerns an operation that hangs, or its server.
    fn hangs(&self, step: &Step) -> Option<String> {
        match &step.action {
            StepDo::Call { server, .. } => {
                let (hung, action) = self.operations.hung_on(server)?;
                Some(format!("{hung}, a {} on server {server}, hangs", action.name()))
            }
            StepDo::Cancel { operation } | StepDo::Wait(WaitFor::Operation(operation)) => {
                self.operations.is_hung(operation).then(|| format!("operation {operation} hangs"))
            }
            StepDo::Load(_)
            | StepDo::Rerun(_)
            | StepDo::Reload { .. }
            | StepDo::List(_)
            | StepDo::Close(_)
            | StepDo::Collect
            | StepDo::DropContext
            | StepDo::Exit
            | StepDo::Signal { .. }
            | StepDo::OpenGate { .. }
            | StepDo::KillServer { .. }
            | StepDo::Wait(WaitFor::Idle(_) | WaitFor::Gate(_) | WaitFor::ServerEnd(_)) => None,
        }
    }

    /// How a step ends after the wait for its operation, which has not completed.
    ///
    /// A call that hangs ends the part of its server, and a list that hangs ends the part of the servers that have not answered it.
    /// The plan continues if it has calls to other servers, and if the adapter can run them. A load or a cleanup that hangs ends the
    /// plan: before the end of a load no tool was handed out, and after a cleanup none may be called.
    async fn left(&mut self, running: Running, waited: Waited) -> StepEnd {
        let has_servers = matches!(running.action, Action::Call | Action::List);
        let leaves_its_thread = self.operations.adapter.has_tasks() || !running.place.is_on_main_thread();
        match waited {
            Waited::Overdue if has_servers && leaves_its_thread => {
                let is_first = !self.operations.any_hung();
                self.operations.set_aside(running);
                if !self.calls_others() {
                    return StepEnd::Stop(StepsEnd::Overdue);
                }
                if is_first {
                    take_stacks(self.context, &mut self.operations.adapter).await;
                }
                StepEnd::GoOn
            }
            Waited::Blocked => {
                self.operations.keep(running);
                StepEnd::Stop(self.blocked().await)
            }
            Waited::Completed | Waited::InFlight | Waited::Invoked | Waited::Overdue | Waited::Lost => {
                self.operations.keep(running);
                go_on_after(waited)
            }
        }
    }

    /// Whether the rest of the plan waits for a call, or makes one, to a server on which none hangs.
    fn calls_others(&self) -> bool {
        let later = self.context.input.scenario.steps.iter().skip(self.number as usize);
        let mut called = later.filter_map(|step| call_target(&step.action)).map(|(server, _)| server);
        called.any(|server| self.operations.hung_on(&server).is_none()) || self.operations.any_on_another_server()
    }

    /// The adapter never started an operation, because another one occupies its thread. Only that other one can be judged.
    async fn blocked(&mut self) -> StepsEnd {
        let because = self.operations.abandon_blocked();
        let waited = self.operations.outstanding().await;
        self.context.stage.note_failed(because);
        if waited == Waited::Lost { StepsEnd::Lost } else { StepsEnd::Overdue }
    }

    async fn step(&mut self, number: u32, step: &Step) -> StepEnd {
        match &step.action {
            StepDo::Load(invoked) => self.operate(Action::Load, step, invoked).await,
            StepDo::Rerun(invoked) => self.operate(Action::Rerun, step, invoked).await,
            StepDo::Reload { remove, add, change, invoked } => {
                self.configuration.reconfigure(remove, add, change);
                if !self.start_servers().await {
                    return StepEnd::Stop(StepsEnd::Lost);
                }
                let end = self.operate(Action::Reload, step, invoked).await;
                self.configuration.await_ends_of_streams().await;
                end
            }
            StepDo::List(invoked) => self.operate(Action::List, step, invoked).await,
            StepDo::Call { invoked, .. } => self.operate(Action::Call, step, invoked).await,
            StepDo::Close(invoked) => self.close(step, invoked).await,
            StepDo::Collect => self.operate(Action::Collect, step, &Invoked::default()).await,
            StepDo::Cancel { operation } => self.cancel(number, operation).await,
            StepDo::DropContext => self.drop_context(number, &step.place).await,
            StepDo::Exit => {
                self.context.note(EventKind::ExitRequested {});
                // Its completion is the end of the process.
                drop(self.operations.adapter.command("exit", Map::new()));
                StepEnd::Exiting
            }
            StepDo::Signal { signal } => self.signal_loader(signal).await,
            StepDo::OpenGate { gate } => {
                self.context.note(EventKind::GateOpened { gate: gate.clone() });
                self.context.stage.endpoint.open_gate(gate);
                StepEnd::GoOn
            }
            StepDo::KillServer { server } => self.kill_server(number, server).await,
            StepDo::Wait(wait) => self.wait(number, wait).await,
        }
    }

    /// One operation, repeated as often as its step says, with samples of the loader's process in between.
    async fn operate(&mut self, action: Action, step: &Step, invoked: &Invoked) -> StepEnd {
        let mut end = self.operate_once(action, step, invoked).await;
        for n_done in 1..=invoked.again {
            if !matches!(end, StepEnd::GoOn) || self.context.program.is_lost() {
                return end;
            }
            if n_done % REPEATS_PER_SAMPLE == 1 {
                end = self.sample_between(step).await;
                if !matches!(end, StepEnd::GoOn) {
                    return end;
                }
            }
            end = self.operate_once(action, step, invoked).await;
        }
        if invoked.again > 0 && matches!(end, StepEnd::GoOn) { self.sample_between(step).await } else { end }
    }

    /// Samples the loader's process between two operations. What waits to be collected is not kept, so it is collected
    /// before, where the adapter can.
    async fn sample_between(&mut self, step: &Step) -> StepEnd {
        if self.operations.adapter.can_collect_garbage() {
            let end = self.operate_once(Action::Collect, step, &Invoked::default()).await;
            if !matches!(end, StepEnd::GoOn) {
                return end;
            }
        }
        if sample_between(self.context).await { StepEnd::GoOn } else { StepEnd::Stop(StepsEnd::Lost) }
    }

    async fn operate_once(&mut self, action: Action, step: &Step, invoked: &Invoked) -> StepEnd {
        let target = call_target(&step.action).filter(|_| action == Action::Call);
        let server = target.as_ref().map(|(server, _)| server.clone()).unwrap_or_default();
        let handed = self.configuration.handed_to(action);
        let mut running = self.operations.invoke(Request { action, place: step.place.clone(), target, handed });
        if let Some(name) = &invoked.name {
            self.operations.name(name, running.id);
        }
        let waited = self.operations.stay(&mut running, invoked.until, &server).await;
        if waited == Waited::Completed {
            return StepEnd::GoOn;
        }
        self.left(running, waited).await
    }

    async fn close(&mut self, step: &Step, invoked: &Invoked) -> StepEnd {
        let end = self.operate(Action::Close, step, invoked).await;
        if matches!(end, StepEnd::GoOn) && invoked.until == Until::Completed {
            grace_after_close(self.context).await;
        }
        end
    }

    /// One harmless operation in the step's context, because some bugs hit the next await there.
    async fn canary(&mut self, step: &Step) -> StepEnd {
        let is_operation = step.action.invoked().is_some();
        if !is_operation || self.operations.is_busy(&step.place) || !self.operations.adapter.can("probe") {
            return StepEnd::GoOn;
        }
        self.operate(Action::Probe, step, &Invoked::default()).await
    }

    async fn cancel(&mut self, number: u32, name: &str) -> StepEnd {
        if !self.operations.adapter.can("cancel") {
            return skip(self.context, number, "the adapter cannot cancel");
        }
        let Some(mut running) = self.operations.take(name) else {
            return skip(self.context, number, format!("operation {name} has completed already"));
        };
        let operation = running.id;
        self.context.note(EventKind::CancelRequested { operation });
        let fields = Map::from_iter([("operation".to_owned(), Value::from(operation.0))]);
        let reply = self.operations.adapter.command("cancel", fields);
        let delivered = match tokio::time::timeout(self.context.limits().operation, reply).await {
            Ok(Ok(Completion::Ok(reply))) => reply.get("delivered").and_then(Value::as_bool) == Some(true),
            Ok(Ok(Completion::Failed(_) | Completion::Cancelled) | Err(_)) | Err(_) => false,
        };
        self.context.note(EventKind::CancelDelivered { operation, delivered });
        match self.operations.complete(&mut running).await {
            Waited::Completed => StepEnd::GoOn,
            waited => self.left(running, waited).await,
        }
    }

    async fn drop_context(&mut self, number: u32, place: &Place) -> StepEnd {
        if !self.operations.adapter.can("drop-context") {
            return skip(self.context, number, "the adapter cannot end a context");
        }
        // An operation that runs there may keep the context from ending, and has a limit of its own.
        let was_busy = self.operations.is_busy(place);
        self.context.note(EventKind::ContextEnded { place: place.to_string() });
        let fields = Map::from_iter([("in".to_owned(), place_json(place))]);
        let ended = self.operations.adapter.command("drop-context", fields);
        let bound = self.context.limits().operation;
        match tokio::time::timeout(bound, ended).await {
            Ok(Ok(_)) => StepEnd::GoOn,
            Ok(Err(_)) => StepEnd::Stop(StepsEnd::Lost),
            Err(_) => {
                self.context.note(context_overdue(place, bound, was_busy));
                StepEnd::Stop(StepsEnd::Overdue)
            }
        }
    }

    async fn signal_loader(&self, signal: &str) -> StepEnd {
        self.context.note(EventKind::SignalSent { signal: signal.to_owned(), target: "loader".to_owned() });
        match self.context.program.signal(signal).await {
            Ok(Signalled::Sent) => StepEnd::Exiting,
            Ok(Signalled::Gone) | Err(_) => StepEnd::Stop(StepsEnd::Lost),
        }
    }

    async fn kill_server(&mut self, number: u32, server: &str) -> StepEnd {
        let mocks = self.context.stage.endpoint.mocks();
        let Some(mock) = mocks.iter().rfind(|mock| mock.server == server && mock.open) else {
            return skip(self.context, number, format!("no server {server} is running"));
        };
        self.context.note(EventKind::SignalSent { signal: "KILL".to_owned(), target: format!("server:{server}") });
        match self.configuration.kill(mock).await {
            Ok(Signalled::Sent) => await_server_end(self.context, number, mock).await,
            Ok(Signalled::Gone) => skip(self.context, number, format!("server {server} is gone already")),
            Err(_) => StepEnd::Stop(StepsEnd::Lost),
        }
    }

    async fn wait(&mut self, number: u32, wait: &WaitFor) -> StepEnd {
        match wait {
            WaitFor::Idle(window) => sample_idle(self.context, *window).await,
            WaitFor::Operation(name) => self.wait_operation(name).await,
            WaitFor::Gate(gate) => await_gate(self.context, &self.operations, number, gate).await,
            WaitFor::ServerEnd(server) => {
                match self.context.stage.endpoint.mocks().iter().rfind(|mock| mock.server == *server) {
                    Some(mock) => await_server_end(self.context, number, mock).await,
                    None => skip(self.context, number, format!("server {server} was never started")),
                }
            }
        }
    }

    async fn wait_operation(&mut self, name: &str) -> StepEnd {
        let Some(mut running) = self.operations.take(name) else { return StepEnd::GoOn };
        let waited = self.operations.complete(&mut running).await;
        if waited != Waited::Completed {
            return self.left(running, waited).await;
        }
        if running.action == Action::Close && self.operations.is_idle() {
            grace_after_close(self.context).await;
        }
        StepEnd::GoOn
    }
}

/// The server and the tool of a call.
fn call_target(action: &StepDo) -> Option<(String, String)> {
    let StepDo::Call { server, tool, .. } = action else { return None };
    Some((server.clone(), tool.clone()))
}

/// A context that did not end: the loader is to blame only if no operation ran there.
fn context_overdue(place: &Place, bound: Duration, was_busy: bool) -> EventKind {
    let (place, limit) = (place.to_string(), "operation".to_owned());
    if was_busy {
        return EventKind::LimitHit { limit, because: format!("{place} did not end within its limit") };
    }
    EventKind::ContextOverdue { place, limit, bound_ms: ms(bound) }
}
