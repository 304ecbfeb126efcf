//! The state machine of one mock: inputs in, effects out, in the order in which they have to be carried out.
//!
//! Journals before it acts. A held action holds nothing else: every input is handled at once. What is the same over every
//! medium is here; what lines and HTTP have of their own is in `line` and `http`, and what each action does in `act`.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use serde_json::Value;

use crate::history::{ConnectionId, EventKind, ServerEnd, WireEnd};
use crate::script::batch::Batches;
use crate::script::http::HttpFace;
use crate::script::line::LineFace;
use crate::script::offer::Offer;
use crate::script::server::Server;
use crate::script::talk::Talk;
use crate::script::task::{At, Cause, Step, Task, Wait, Watch};
use crate::script::{Action, Effect, End, Era, Family, Input, Medium, Phase, Setup, Signal, Span, TimerId, When, wire};

/// Exit code of a mock whose longest life is over.
pub const LIFE_OVER_CODE: u8 = 88;
/// Most actions held at once; beyond, nothing is held and the evidence counts as truncated.
const HELD_MAX: usize = 1_024;
/// Most bytes of messages whose actions are held, but for the last one; beyond, the same.
const HELD_BYTES_MAX: usize = 64 << 20;

/// One mock server.
#[derive(Debug)]
pub struct Interpreter {
    pub(super) setup: Setup,
    pub(super) face: Face,
    /// The connections there are, by number.
    pub(super) talks: BTreeMap<u64, Talk>,
    /// The tools a new connection is offered.
    pub(super) tools: Vec<String>,
    /// What waits for occasions that belong to no connection.
    watches: Vec<Watch>,
    held: Vec<(Wait, Task)>,
    pub(super) batches: Batches,
    open_gates: BTreeSet<String>,
    pub(super) n_timers: u64,
    /// What was to come about so long after the start.
    clocks: BTreeMap<TimerId, Span>,
    /// Requests of its own; the first one has the id 0.
    pub(super) n_asked: u64,
    /// Connections on which an answer was sent, and nobody who waited for that was told.
    answered: Vec<u64>,
    /// Connections on which a task has ended, and nobody who waited for that was told.
    pub(super) worked: Vec<u64>,
    pub(super) is_frozen: bool,
    /// Whether its end was asked for.
    is_leaving: bool,
    pub(super) ended: bool,
    effects: Vec<Effect>,
}

/// What it has of its own over its medium.
#[derive(Debug)]
pub(super) enum Face {
    Line(LineFace),
    Http(Box<HttpFace>),
}

/// Whether a task goes on.
pub(super) enum Flow {
    On,
    Hold(Wait),
    Over,
}

impl Interpreter {
    /// A mock that has not started.
    #[must_use]
    pub fn new(mut setup: Setup) -> Self {
        setup.script = setup.script.with(setup.temperament);
        let face = match &setup.medium {
            Medium::Lines => Face::Line(LineFace::new()),
            Medium::Http(http) => Face::Http(Box::new(HttpFace::new(http.clone()))),
        };
        let mut mock = Self {
            tools: setup.script.tools().to_vec(),
            watches: setup.script.rules().iter().cloned().map(Watch::new).collect(),
            setup,
            face,
            talks: BTreeMap::new(),
            held: Vec::new(),
            batches: Batches::default(),
            open_gates: BTreeSet::new(),
            n_timers: 0,
            clocks: BTreeMap::new(),
            n_asked: 0,
            answered: Vec::new(),
            worked: Vec::new(),
            is_frozen: false,
            is_leaving: false,
            ended: false,
            effects: Vec::new(),
        };
        if mock.setup.medium == Medium::Lines {
            mock.add_talk(mock.setup.incarnation, mock.setup.connection.clone(), mock.setup.era());
        }
        mock
    }

    /// Whether its script may close the input.
    #[must_use]
    pub fn may_close_input(&self) -> bool {
        self.setup.script.rules().iter().any(|rule| rule.actions.contains(&Action::CloseStdin))
    }

    /// Takes one input. After an `Effect::End` there are no more effects.
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        if !self.ended {
            self.take(input);
        }
        while let Some(number) = self.answered.pop().filter(|_| !self.ended) {
            self.resume(&Wait::Answer(number));
        }
        while let Some(number) = self.worked.pop().filter(|_| !self.ended) {
            self.resume(&Wait::Work(number));
        }
        mem::take(&mut self.effects)
    }

    fn take(&mut self, input: Input) {
        if self.is_frozen {
            return self.take_frozen(input);
        }
        match input {
            Input::Started => self.start(),
            // Over HTTP: nobody can connect any more.
            Input::Eof if matches!(self.face, Face::Http(_)) => self.end(Some(ServerEnd::Eof), End::Exit(0)),
            Input::Line(_) | Input::Noise { .. } | Input::Eof => self.take_line(input),
            Input::InputBroken | Input::OutputBroken => self.take_line(input),
            Input::SocketOpened(_) | Input::SocketClosed { .. } | Input::SocketRefused => self.take_http(input),
            Input::Request(_) | Input::ExchangeGone(_) => self.take_http(input),
            Input::OutputFull => {
                let because = "the client does not read what is written".to_owned();
                self.journal(EventKind::EvidenceTruncated { what: "answers".to_owned(), because });
            }
            Input::Signal(signal) => self.signal(signal),
            Input::GateOpened(gate) => {
                let is_new = self.open_gates.insert(gate.clone());
                self.resume(&Wait::Gate(gate.clone()));
                if is_new && !self.ended {
                    self.begin(Cause::Gate(gate), self.whole());
                }
            }
            Input::Timer(timer) => match self.clocks.remove(&timer) {
                Some(time) => self.begin(Cause::Elapsed(time), self.whole()),
                None => self.resume(&Wait::Timer(timer)),
            },
            Input::LifeOver => self.end(Some(ServerEnd::MaxLife), End::Exit(LIFE_OVER_CODE)),
        }
    }

    /// Takes what reaches even a server that does nothing any more.
    fn take_frozen(&mut self, input: Input) {
        match input {
            Input::Signal(signal) => self.signal(signal),
            // Nobody reads it; but that it was there belongs to the history of its client.
            Input::Eof if matches!(self.face, Face::Line(_)) => self.note_eof(),
            Input::SocketOpened(_) | Input::SocketClosed { .. } => self.take_http(input),
            Input::LifeOver => self.end(Some(ServerEnd::MaxLife), End::Exit(LIFE_OVER_CODE)),
            _ => {}
        }
    }

    fn signal(&mut self, signal: Signal) {
        self.journal(EventKind::SignalReceived { signal: signal.name().to_owned() });
        self.begin(Cause::Signal(signal), self.whole());
        self.leave();
    }

    /// The end of all connections was asked for.
    pub(super) fn leave(&mut self) {
        self.is_leaving = true;
        self.talks.values_mut().for_each(|talk| talk.phase = Phase::DuringShutdown);
    }

    fn start(&mut self) {
        let script = self.setup.script.name().to_owned();
        self.journal(EventKind::MockStarted { script, pid: self.setup.pid });
        match &self.setup.medium {
            Medium::Lines => self.journal(EventKind::ConnectionOpened { connection: self.setup.connection.clone() }),
            Medium::Http(http) => self.journal(EventKind::MockListening { url: http.url.clone() }),
        }
        for time in self.times() {
            let timer = self.new_timer();
            self.clocks.insert(timer, time);
            self.push(Effect::SetTimer { timer, after: time.0 });
        }
        self.begin(Cause::Start, self.whole());
    }

    /// The times after which a rule acts, each once.
    fn times(&self) -> BTreeSet<Span> {
        let rules = self.setup.script.rules().iter();
        rules.filter_map(|rule| if let When::Elapsed(time) = rule.on.when { Some(time) } else { None }).collect()
    }

    /// Where what concerns the whole mock comes about: over lines, on its one connection.
    pub(super) fn whole(&self) -> At {
        let connection = (self.setup.medium == Medium::Lines).then_some(self.setup.incarnation);
        At { connection, ..At::default() }
    }

    pub(super) fn add_talk(&mut self, number: u64, id: ConnectionId, era: Era) {
        let script = &self.setup.script;
        let offer = Offer::new(self.tools.clone(), script.tool_kinds().to_vec(), script.features());
        let server = Server::new(era, offer, self.setup.revision);
        let watches = script.rules().iter().cloned().map(Watch::new).collect();
        let is_modern = server.is_modern();
        self.talks.insert(number, Talk::new(id, server, watches));
        if is_modern {
            // There is no handshake to come.
            self.advance(At { connection: Some(number), ..At::default() }, Phase::AfterInitialize);
        }
    }

    /// A client cancelled a request: while that is held, it is never answered.
    pub(super) fn cancel(&mut self, at: At, request: &Value) {
        if let Some(talk) = at.connection.and_then(|number| self.talks.get_mut(&number)) {
            talk.subscriptions.cancel(request);
        }
        let held = self.held.iter_mut().map(|(_, task)| task);
        let mut places = Vec::new();
        for task in held.filter(|task| task.may_be_cancelled(at.connection, request)) {
            task.settled = true;
            places.push(task.at);
        }
        places.into_iter().for_each(|place| self.leave_batch(place));
    }

    /// Takes a notification of a connection.
    pub(super) fn notification(&mut self, at: At, method: String, body: &Value) {
        if method == "notifications/cancelled"
            && let Some(request) = body.pointer("/params/requestId")
        {
            self.cancel(at, request);
        }
        let server = at.connection.and_then(|number| self.talks.get_mut(&number)).map(|talk| &mut talk.server);
        let is_initialized = method == "notifications/initialized";
        let is_first = is_initialized && server.is_some_and(Server::initialized);
        self.begin(Cause::Notification(method), at);
        if is_first && !self.ended {
            self.begin(Cause::Initialized, At { exchange: None, ..at });
        }
        if is_initialized {
            self.advance(at, Phase::AfterInitialize);
        }
    }

    /// A connection has come this far; none goes back.
    pub(super) fn advance(&mut self, at: At, phase: Phase) {
        if let Some(talk) = at.connection.and_then(|number| self.talks.get_mut(&number)) {
            talk.phase = talk.phase.max(phase);
        }
    }

    pub(super) fn begin(&mut self, cause: Cause, at: At) {
        if let (Cause::Request { id, .. }, Some(number)) = (&cause, at.connection)
            && let Some(talk) = self.talks.get_mut(&number)
        {
            talk.subscriptions.ask(id);
        }
        if matches!(&cause, Cause::Request { method, .. } if method == "initialize") {
            self.advance(at, Phase::DuringInitialize);
        }
        let era = self.setup.era();
        let whole = if self.is_leaving { Phase::DuringShutdown } else { Phase::BeforeInitialize };
        let (so_far, watches) = match at.connection {
            None => (whole, &mut self.watches[..]),
            // Nothing waits for what comes about on a connection that is over.
            Some(number) => {
                self.talks.get_mut(&number).map_or((whole, &mut [][..]), |talk| (talk.phase, &mut talk.watches[..]))
            }
        };
        let mut task = Task::new(cause, at, so_far, era, watches);
        self.accept_at_once(&mut task);
        self.run(task);
    }

    fn resume(&mut self, wait: &Wait) {
        let (ready, held) = mem::take(&mut self.held).into_iter().partition(|(for_what, _)| for_what == wait);
        self.held = held;
        for (_, task) in Vec::from_iter::<Vec<(Wait, Task)>>(ready) {
            if !self.ended {
                self.run(task);
            }
        }
    }

    fn run(&mut self, mut task: Task) {
        while let Some(step) = task.steps.pop_front() {
            match self.step(&mut task, step) {
                Flow::On => {}
                Flow::Hold(wait) => return self.held.push((wait, task)),
                Flow::Over => return,
            }
        }
        if let Some(wait) = self.wait_for_work(&task, None) {
            task.weigh();
            return self.held.push((wait, task));
        }
        if !task.settled {
            self.settle(&task.cause, task.at);
        }
        self.accept_posted(&task);
        self.leave_batch(task.at);
        self.finish_work(&task);
    }

    /// Does one action of a script.
    fn step(&mut self, task: &mut Task, step: Step) -> Flow {
        let decides = step.action.answers() || step.action == Action::Ignore;
        let comes_too_late = task.settled && decides && step.action != Action::AnswerAnyway;
        if comes_too_late || !self.can(&step.action, task.at) {
            return Flow::On;
        }
        if let Some(wait) = self.wait_for_work(task, Some(&step.action)) {
            task.weigh();
            task.steps.push_front(step);
            return Flow::Hold(wait);
        }
        if step.action.holds()
            && let Some(because) = self.cannot_hold_more()
        {
            self.journal(EventKind::EvidenceTruncated { what: "holds".to_owned(), because });
            return Flow::On;
        }
        if let Some((fault, impairs)) = step.fault {
            self.journal(EventKind::FaultDelivered { fault, impairs });
        }
        task.settled |= step.action.answers() && step.action.family() != Family::Endless;
        let flow = self.act(task, step.action);
        if self.ended { Flow::Over } else { flow }
    }

    /// Why nothing more can be held, where that is so.
    pub(super) fn cannot_hold_more(&self) -> Option<String> {
        if self.held.len() >= HELD_MAX {
            return Some(format!("{HELD_MAX} actions are held already"));
        }
        let n_bytes = self.held.iter().map(|(_, task)| task.weight).sum::<usize>() + self.batches.n_bytes();
        (n_bytes >= HELD_BYTES_MAX).then(|| format!("{n_bytes} bytes of messages are held already"))
    }

    pub(super) fn hold(&mut self, gate: String) -> Flow {
        self.journal(EventKind::GateReached { gate: gate.clone() });
        if self.open_gates.contains(&gate) { Flow::On } else { Flow::Hold(Wait::Gate(gate)) }
    }

    /// Whether an action can still be carried out.
    fn can(&self, action: &Action, at: At) -> bool {
        match &self.face {
            Face::Line(line) => line.can(action),
            Face::Http(_) => self.can_over_http(action, at),
        }
    }

    /// Does what an honest server does about an occasion.
    pub(super) fn settle(&mut self, cause: &Cause, at: At) {
        match cause {
            Cause::Start | Cause::Initialized | Cause::Gate(_) | Cause::Elapsed(_) => {}
            Cause::Request { .. } if self.settle_listen(cause, at) => {}
            Cause::Request { .. } => {
                if let Some(line) = self.honest_answer(cause, at) {
                    self.answer(at, line);
                }
            }
            Cause::Notification(_) => self.accept(at),
            Cause::Response => {
                self.accept(at);
                at.connection.into_iter().for_each(|number| self.resume(&Wait::Response(number)));
            }
            Cause::Get => self.open_stream(at),
            Cause::Delete => self.delete_session(at),
            Cause::Eof => {
                self.close_all(WireEnd::ByClient);
                self.end(Some(ServerEnd::Eof), End::Exit(0));
            }
            Cause::Signal(signal) => {
                self.end(Some(ServerEnd::Signal(signal.name().to_owned())), End::Signal(*signal));
            }
        }
    }

    /// The honest answer to a request; none where nobody is left to take it.
    pub(super) fn honest_answer(&mut self, cause: &Cause, at: At) -> Option<Vec<u8>> {
        let Cause::Request { id, method, params } = cause else { return None };
        if !self.is_awaited(at) {
            return None;
        }
        let Some(number) = at.connection else { return Some(self.stateless_answer(at, id, method)) };
        match self.talks.get_mut(&number)?.server.answer(method, params, id) {
            Ok(result) => Some(wire::result_line(id, &result)),
            Err(error) => {
                self.set_status(at, error.status());
                Some(error.line(id))
            }
        }
    }

    pub(super) fn is_awaited(&self, at: At) -> bool {
        match &self.face {
            Face::Line(_) => true,
            Face::Http(_) if self.is_sse() => self.has_stream(at),
            Face::Http(http) => at.exchange.is_some_and(|exchange| http.is_open(exchange)),
        }
    }

    /// Sends an answer.
    pub(super) fn answer(&mut self, at: At, line: Vec<u8>) {
        self.note_answer(at);
        match &self.face {
            Face::Line(_) => self.answer_line(at, line),
            Face::Http(_) => self.answer_exchange(at, line),
        }
    }

    /// An answer is about to be sent.
    pub(super) fn note_answer(&mut self, at: At) {
        self.answered.extend(at.connection);
    }

    pub(super) fn answer_twice(&mut self, cause: &Cause, at: At) {
        let Some(line) = self.honest_answer(cause, at) else { return };
        match &self.face {
            Face::Line(_) => {
                self.send_or_keep(at, line.clone());
                self.answer_line(at, line);
            }
            Face::Http(_) => self.answer_exchange_twice(at, &line),
        }
    }

    /// Sends a message that is no answer.
    pub(super) fn notify(&mut self, at: At, line: &[u8]) {
        match &self.face {
            Face::Line(_) => self.send_line(line.to_vec()),
            Face::Http(_) => self.numbers_at(at).into_iter().for_each(|number| self.push_note(number, line)),
        }
    }

    /// The connection something came about on; where it concerns the whole mock, all there are.
    pub(super) fn numbers_at(&self, at: At) -> Vec<u64> {
        at.connection.map_or_else(|| self.talks.keys().copied().collect(), |number| vec![number])
    }

    pub(super) fn offer(&mut self, at: At, tools: &[String]) {
        if at.connection.is_none() {
            self.tools = tools.to_vec();
        }
        for number in self.numbers_at(at) {
            if let Some(talk) = self.talks.get_mut(&number) {
                talk.server.offer(tools);
            }
        }
    }

    pub(super) fn note_ignored(&mut self, cause: &Cause) {
        if let Face::Line(line) = &mut self.face {
            line.eof_ignored |= *cause == Cause::Eof;
        }
    }

    pub(super) fn close_all(&mut self, how: WireEnd) {
        match &self.face {
            Face::Line(_) => self.close_line(how),
            Face::Http(_) => self.close_talks(how),
        }
    }

    pub(super) fn end(&mut self, farewell: Option<ServerEnd>, end: End) {
        if let Some(how) = farewell {
            self.journal(EventKind::MockEnding { how });
        }
        self.push(Effect::End(end));
        self.held.clear();
        self.batches.clear();
        self.ended = true;
    }

    /// Journals a message that is about to be sent.
    pub(super) fn sent(&mut self, connection: ConnectionId, line: &[u8]) {
        let message = wire::journalled_line(line, self.setup.body_bytes_max);
        self.journal(EventKind::WireSent { connection, message });
    }

    /// Journals a message that has arrived.
    pub(super) fn received(&mut self, connection: ConnectionId, body: &Value, line: &[u8]) {
        let message = wire::journalled(body, line, self.setup.body_bytes_max);
        self.journal(EventKind::WireReceived { connection, message });
    }

    /// Journals bytes that are no message.
    pub(super) fn noise(&mut self, connection: ConnectionId, bytes: u64, head: &[u8]) {
        let head = wire::head(head, wire::NOISE_HEAD_BYTES);
        self.journal(EventKind::WireNoise { connection, bytes, head });
    }

    pub(super) fn journal(&mut self, kind: EventKind) {
        self.push(Effect::Journal(kind));
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }
}
