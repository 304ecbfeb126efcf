//! The coordinator of a server: it takes inputs, runs tasks, and hands each action to the part that delivers it.
//!
//! It journals before it acts. A held action holds nothing else: the machine handles every input at once.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::history::{EventKind, LONGEST_LINE_BYTES, ServerEnd, WireEnd};
use crate::script::{Action, Phase, Signal, Span, When};
use crate::server::arrival::Arrival;
use crate::server::batch::{self, Batches};
use crate::server::cause::{Cause, Place};
use crate::server::clients::{Clients, FramingState};
use crate::server::connections::Connections;
use crate::server::deliver::deliver;
use crate::server::effect::{Effect, End, TimerId};
use crate::server::http::{Http, Receiver};
use crate::server::input::Input;
use crate::server::lines::Lines;
use crate::server::outbox::Outbox;
use crate::server::rules::Rules;
use crate::server::scheduler::Scheduler;
use crate::server::setup::{Endpoint, Setup};
use crate::server::state::{ServerState, Wakeups};
use crate::server::task::{Next, Step, Task, Wait};
use crate::server::wire::Incoming;
use crate::server::{default, work};

/// Exit code of a server whose longest life is over.
pub const LIFE_OVER_CODE: u8 = 88;

/// One mock server.
#[derive(Debug)]
pub struct Machine {
    setup: Setup,
    clients: Clients,
    scheduler: Scheduler,
    /// The rules whose triggers belong to no connection.
    rules: Rules,
    life: Life,
}

/// How far the life of a server has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Life {
    Serving,
    /// Something asked it to end.
    Leaving,
    /// It reads and answers nothing. `leaving`: something asked it to end.
    Frozen {
        leaving: bool,
    },
    Ended,
}

impl Machine {
    /// A server that has not started.
    #[must_use]
    pub fn new(mut setup: Setup) -> Self {
        setup.script = setup.script.with(setup.shutdown_behaviour);
        let state = ServerState {
            connections: Connections::new(setup.script.clone(), setup.revision),
            batches: Batches::default(),
            outbox: Outbox::new(setup.body_bytes_max),
            wakeups: Wakeups::default(),
        };
        let framing = match &setup.endpoint {
            Endpoint::Lines => FramingState::Lines(Lines::new(setup.connection.clone(), setup.connection_number())),
            Endpoint::Http(http) => {
                let http = Http::new(http.clone(), setup.connection.clone(), setup.generation(), setup.revision);
                FramingState::Http(Box::new(http))
            }
        };
        let mut clients = Clients::new(framing, state);
        if setup.endpoint == Endpoint::Lines {
            clients.open_pipes(setup.connection_number(), setup.connection.clone(), setup.generation());
        }
        let rules = Rules::new(setup.script.rules());
        Self { setup, clients, scheduler: Scheduler::default(), rules, life: Life::Serving }
    }

    /// Whether its script may close the input.
    #[must_use]
    pub fn may_close_input(&self) -> bool {
        self.setup.script.rules().iter().any(|rule| rule.actions.contains(&Action::CloseStdin))
    }

    /// Takes one input. After an `Effect::End` there are no more effects.
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        match self.life {
            Life::Ended => {}
            Life::Frozen { .. } => self.take_frozen(input),
            Life::Serving | Life::Leaving => self.take(input),
        }
        while let Some(number) = self.clients.state.wakeups.pop_answered().filter(|_| !self.has_ended()) {
            self.resume(&Wait::Answer(number));
        }
        while let Some(number) = self.clients.state.wakeups.pop_worked().filter(|_| !self.has_ended()) {
            self.resume(&Wait::Work(number));
        }
        self.clients.state.outbox.take()
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Started => self.start(),
            Input::Line(line) => {
                if let Some((place, arrival)) = self.clients.take_line(&line) {
                    self.arrive(place, arrival);
                }
            }
            Input::Noise { bytes, head } => {
                if let Some((lines, state)) = self.clients.lines() {
                    state.outbox.noise(lines.connection(), bytes, &head);
                    if bytes > LONGEST_LINE_BYTES {
                        let because = format!("a line has {bytes} bytes, and this server reads {LONGEST_LINE_BYTES}");
                        state.outbox.unread(&because);
                    }
                }
            }
            Input::Eof => self.eof(),
            Input::InputBroken => {
                if let Some((lines, state)) = self.clients.lines() {
                    lines.close(WireEnd::Broken, &mut state.outbox);
                    self.input_ended();
                }
            }
            Input::OutputBroken => self.output_broken(),
            Input::OutputFull => {
                self.clients.state.outbox.truncated("answers", "the client does not read what is written");
            }
            Input::SocketOpened(_) | Input::SocketClosed { .. } | Input::SocketRefused => self.take_http(input),
            Input::Request(_) | Input::ExchangeGone(_) => self.take_http(input),
            Input::Signal(signal) => self.signal(signal),
            Input::GateOpened(gate) => self.gate_opened(gate),
            Input::Timer(timer) => self.timer(timer),
            Input::LifeOver => self.end(Some(ServerEnd::MaxLife), End::Exit(LIFE_OVER_CODE)),
        }
    }

    /// Handles the inputs that a frozen server still receives.
    fn take_frozen(&mut self, input: Input) {
        match input {
            Input::Signal(signal) => self.signal(signal),
            // The server does not read it, but the history of its client has it.
            Input::Eof => {
                if let Some((lines, state)) = self.clients.lines() {
                    lines.note_eof(&mut state.outbox);
                }
            }
            Input::SocketOpened(_) | Input::SocketClosed { .. } => self.take_http(input),
            Input::LifeOver => self.end(Some(ServerEnd::MaxLife), End::Exit(LIFE_OVER_CODE)),
            Input::Started | Input::Line(_) | Input::Noise { .. } | Input::InputBroken | Input::OutputBroken => {}
            Input::OutputFull | Input::SocketRefused | Input::Request(_) | Input::ExchangeGone(_) => {}
            Input::GateOpened(_) | Input::Timer(_) => {}
        }
    }

    fn start(&mut self) {
        let script = self.setup.script.name().to_owned();
        let outbox = &mut self.clients.state.outbox;
        outbox.journal(EventKind::MockStarted { script, pid: self.setup.pid });
        outbox.journal(match &self.setup.endpoint {
            Endpoint::Lines => EventKind::ConnectionOpened { connection: self.setup.connection.clone() },
            Endpoint::Http(http) => EventKind::MockListening { url: http.url.clone() },
        });
        for time in self.times() {
            let timer = self.scheduler.start_clock(time);
            self.clients.state.outbox.push(Effect::SetTimer { timer, after: time.0 });
        }
        self.begin(Cause::Start, self.clients.whole());
    }

    /// The times that trigger a rule, each once.
    fn times(&self) -> BTreeSet<Span> {
        let rules = self.setup.script.rules().iter();
        rules.filter_map(|rule| if let When::Elapsed(time) = rule.on.when { Some(time) } else { None }).collect()
    }

    fn eof(&mut self) {
        match self.clients.lines() {
            Some(_) => self.input_ended(),
            // Over HTTP: clients can no longer connect.
            None => self.end(Some(ServerEnd::Eof), End::Exit(0)),
        }
    }

    fn input_ended(&mut self) {
        if let Some((lines, state)) = self.clients.lines() {
            lines.note_eof(&mut state.outbox);
        }
        self.begin(Cause::Eof, self.clients.whole());
        self.leave();
    }

    fn output_broken(&mut self) {
        let goes_on = self.clients.lines().is_none_or(|(lines, state)| lines.output_broken(&mut state.outbox));
        if !goes_on {
            self.end(Some(ServerEnd::BrokenPipe), End::Exit(1));
        }
    }

    fn signal(&mut self, signal: Signal) {
        self.clients.state.outbox.journal(EventKind::SignalReceived { signal: signal.name().to_owned() });
        self.begin(Cause::Signal(signal), self.clients.whole());
        self.leave();
    }

    /// Something asked all connections to end.
    fn leave(&mut self) {
        self.life = match self.life {
            Life::Serving | Life::Leaving => Life::Leaving,
            Life::Frozen { .. } => Life::Frozen { leaving: true },
            Life::Ended => Life::Ended,
        };
        self.clients.state.connections.begin_shutdown();
    }

    fn gate_opened(&mut self, gate: String) {
        let was_closed = self.scheduler.open_gate(&gate);
        self.resume(&Wait::Gate(gate.clone()));
        if was_closed && !self.has_ended() {
            self.begin(Cause::Gate(gate), self.clients.whole());
        }
    }

    fn timer(&mut self, timer: TimerId) {
        match self.scheduler.take_clock(timer) {
            Some(time) => self.begin(Cause::Elapsed(time), self.clients.whole()),
            None => self.resume(&Wait::Timer(timer)),
        }
    }

    fn take_http(&mut self, input: Input) {
        let Some((http, state)) = self.clients.http() else { return };
        if let Some((place, arrival)) = (Receiver { http, state }).take(input) {
            self.arrive(place, arrival);
        }
    }

    fn arrive(&mut self, place: Place, arrival: Arrival) {
        match arrival {
            Arrival::Request { id, method, params } => self.begin(Cause::Request { id, method, params }, place),
            Arrival::Notification { body, method } => self.notification(place, method, &body),
            Arrival::Response => self.begin(Cause::Response, place),
            Arrival::Batch(bodies) => self.take_batch(place, bodies),
            Arrival::Get => self.begin(Cause::Get, place),
            Arrival::Delete => {
                self.begin(Cause::Delete, place);
                self.clients.advance(place, Phase::DuringShutdown);
            }
        }
    }

    /// Takes the messages of a batch in turn. What is not a message gets an answer among the others.
    fn take_batch(&mut self, place: Place, bodies: Vec<Value>) {
        let all = batch::read_all(bodies);
        if !all.iter().any(|(one, _)| matches!(one, Incoming::Request { .. })) {
            // Over HTTP, the server refuses a batch that it cannot accept.
            self.clients.set_status(place, 400);
        }
        let n_answered = all.iter().filter(|(one, _)| batch::is_answered(one)).count();
        let mut seats = self.clients.state.batches.open(n_answered);
        for (one, line) in all {
            let seat = if batch::is_answered(&one) { seats.next() } else { None };
            // Members without an answer have no exchange of their own.
            let exchange = place.exchange.filter(|_| seat.is_some());
            let place = Place { exchange, seat, ..place };
            if let Some(arrival) = self.clients.take_message(place, one, &line) {
                self.arrive(place, arrival);
            }
            if matches!(self.life, Life::Frozen { .. } | Life::Ended) {
                return;
            }
        }
        if n_answered == 0 {
            self.clients.accept(place);
        }
    }

    fn notification(&mut self, place: Place, method: String, body: &Value) {
        if method == "notifications/cancelled"
            && let Some(request) = body.pointer("/params/requestId")
        {
            self.cancel(place, request);
        }
        let connection = self.clients.state.connections.at_mut(place);
        let is_initialized = method == "notifications/initialized";
        let is_first = is_initialized && connection.is_some_and(|connection| connection.server.initialized());
        self.begin(Cause::Notification(method), place);
        if is_first && !self.has_ended() {
            self.begin(Cause::Initialized, Place { exchange: None, ..place });
        }
        if is_initialized {
            self.clients.advance(place, Phase::AfterInitialize);
        }
    }

    /// A client cancelled a request: if it is held, the server never answers it.
    fn cancel(&mut self, place: Place, request: &Value) {
        if let Some(connection) = self.clients.state.connections.at_mut(place) {
            connection.subscriptions.cancel(request);
        }
        let cancelled = self.scheduler.cancel(place.connection, request);
        cancelled.into_iter().for_each(|place| self.clients.leave_batch(place));
    }

    /// Triggers the rules for a cause, and runs their actions.
    fn begin(&mut self, cause: Cause, place: Place) {
        self.clients.note(&cause, place);
        let generation = self.setup.generation();
        let steps = match place.connection {
            None => self.rules.trigger(&cause, place, self.phase(), generation),
            // No rule acts on a connection that is closed.
            Some(number) => {
                self.clients.state.connections.get_mut(number).map_or_else(Default::default, |connection| {
                    connection.rules.trigger(&cause, place, connection.phase, generation)
                })
            }
        };
        let mut task = Task::new(cause, place, steps);
        self.clients.accept_at_once(&mut task);
        self.run(task);
    }

    /// The phase of what belongs to no connection.
    fn phase(&self) -> Phase {
        match self.life {
            Life::Serving | Life::Frozen { leaving: false } => Phase::BeforeInitialize,
            Life::Leaving | Life::Frozen { leaving: true } | Life::Ended => Phase::DuringShutdown,
        }
    }

    fn resume(&mut self, wait: &Wait) {
        for task in self.scheduler.take_ready(wait) {
            if !self.has_ended() {
                self.run(task);
            }
        }
    }

    fn run(&mut self, mut task: Task) {
        while let Some(step) = task.steps.pop_front() {
            match self.step(&mut task, step) {
                Flow::On => {}
                Flow::Hold(wait) => return self.scheduler.hold(wait, task),
                Flow::Over => return,
            }
        }
        if let Some(wait) = self.pending_work(&task, None) {
            task.weigh();
            return self.scheduler.hold(wait, task);
        }
        if !task.settled {
            let next = default::handle(&task.cause, task.place, &mut self.clients);
            self.follow(next);
        }
        self.clients.accept_posted(&task);
        self.clients.leave_batch(task.place);
        work::finish(&task, &mut self.clients);
    }

    /// Does one action of a script.
    fn step(&mut self, task: &mut Task, step: Step) -> Flow {
        let decides = step.action.answers() || step.action == Action::Ignore;
        let comes_too_late = task.settled && decides && step.action != Action::AnswerAnyway;
        if comes_too_late || !self.clients.can(&step.action, task.place) {
            return Flow::On;
        }
        if let Some(wait) = self.pending_work(task, Some(&step.action)) {
            task.weigh();
            task.steps.push_front(step);
            return Flow::Hold(wait);
        }
        if step.action.holds()
            && let Some(because) = self.why_full()
        {
            self.clients.state.outbox.truncated("holds", because);
            return Flow::On;
        }
        if let Some((fault, impairs)) = step.fault {
            self.clients.state.outbox.journal(EventKind::FaultDelivered { fault, impairs });
        }
        task.settled |= step.action.settles();
        match deliver(&step.action, task, &mut self.clients, &mut self.scheduler) {
            Next::Repeat(timer) => {
                task.steps.push_front(Step { action: step.action, fault: None });
                Flow::Hold(Wait::Timer(timer))
            }
            next => self.follow(next),
        }
    }

    /// Does what follows an action or the default handling.
    fn follow(&mut self, next: Next) -> Flow {
        match next {
            Next::Continue => Flow::On,
            Next::Hold(wait) => Flow::Hold(wait),
            Next::Repeat(timer) => Flow::Hold(Wait::Timer(timer)),
            Next::Resume(wait) => {
                self.resume(&wait);
                if self.has_ended() { Flow::Over } else { Flow::On }
            }
            Next::Freeze => {
                self.life = Life::Frozen { leaving: self.phase() == Phase::DuringShutdown };
                Flow::Over
            }
            Next::End(farewell, end) => {
                self.end(farewell, end);
                Flow::Over
            }
        }
    }

    /// The event for which an action, or the conforming answer, must wait, as far as the server can hold more.
    fn pending_work(&self, task: &Task, action: Option<&Action>) -> Option<Wait> {
        work::pending(task, action, &self.clients).filter(|_| self.why_full().is_none())
    }

    fn why_full(&self) -> Option<String> {
        self.scheduler.why_full(self.clients.state.batches.n_bytes())
    }

    fn has_ended(&self) -> bool {
        self.life == Life::Ended
    }

    fn end(&mut self, farewell: Option<ServerEnd>, end: End) {
        if let Some(how) = farewell {
            self.clients.state.outbox.journal(EventKind::MockEnding { how });
        }
        self.clients.state.outbox.push(Effect::End(end));
        self.scheduler.clear();
        self.clients.state.batches.clear();
        self.life = Life::Ended;
    }
}

/// Whether the machine continues a task.
enum Flow {
    On,
    Hold(Wait),
    Over,
}
