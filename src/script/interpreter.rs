//! The state machine of one mock: inputs in, effects out, in the order in which they have to be carried out.
//!
//! Journals before it acts. A held action holds nothing else: every input is handled at once.

use std::collections::BTreeSet;
use std::mem;

use serde_json::Value;

use crate::history::{ConnectionId, EventKind, ServerEnd, WireEnd};
use crate::script::honest::Honest;
use crate::script::task::{Cause, Step, Task, Wait, Watch};
use crate::script::wire::{self, Incoming};
use crate::script::{Action, Death, Effect, End, Input, Setup, TimerId};

/// Exit code of a mock whose longest life is over.
pub const LIFE_OVER_CODE: u8 = 88;
/// Most actions held at once; beyond, nothing is held and the evidence counts as truncated.
const HELD_MAX: usize = 1_024;
/// Longest head of noise, in bytes.
const NOISE_HEAD_BYTES: usize = 256;

/// One mock server.
#[derive(Debug)]
pub struct Interpreter {
    setup: Setup,
    honest: Honest,
    watches: Vec<Watch>,
    held: Vec<(Wait, Task)>,
    open_gates: BTreeSet<String>,
    n_lines: u64,
    n_timers: u64,
    output_open: bool,
    connection_open: bool,
    eof_ignored: bool,
    ended: bool,
    effects: Vec<Effect>,
}

/// Whether a task goes on.
enum Flow {
    On,
    Hold(Wait),
    Over,
}

impl Interpreter {
    /// A mock that has not started.
    #[must_use]
    pub fn new(mut setup: Setup) -> Self {
        setup.script = setup.script.with(setup.temperament);
        let honest = Honest::new(setup.script.tools().to_vec(), setup.script.announces_tools(), setup.revision);
        let watches = setup.script.rules().iter().cloned().map(Watch::new).collect();
        Self {
            setup,
            honest,
            watches,
            held: Vec::new(),
            open_gates: BTreeSet::new(),
            n_lines: 0,
            n_timers: 0,
            output_open: true,
            connection_open: true,
            eof_ignored: false,
            ended: false,
            effects: Vec::new(),
        }
    }

    /// Takes one input. After an `Effect::End` there are no more effects.
    pub fn handle(&mut self, input: Input) -> Vec<Effect> {
        if !self.ended {
            self.take(input);
        }
        mem::take(&mut self.effects)
    }

    fn take(&mut self, input: Input) {
        match input {
            Input::Started => self.start(),
            Input::Line(line) => self.line(&line),
            Input::Noise { bytes, head } => self.noise(bytes, &head),
            Input::Eof => {
                self.journal(EventKind::WireEof { connection: self.connection() });
                self.begin(Cause::Eof);
            }
            Input::InputBroken => {
                self.close(WireEnd::Broken);
                self.journal(EventKind::WireEof { connection: self.connection() });
                self.begin(Cause::Eof);
            }
            Input::OutputBroken => self.output_broken(),
            Input::OutputFull => {
                let because = "the client does not read what is written".to_owned();
                self.journal(EventKind::EvidenceTruncated { what: "answers".to_owned(), because });
            }
            Input::Signal(signal) => {
                self.journal(EventKind::SignalReceived { signal: signal.name().to_owned() });
                self.begin(Cause::Signal(signal));
            }
            Input::GateOpened(gate) => {
                self.open_gates.insert(gate.clone());
                self.resume(&Wait::Gate(gate));
            }
            Input::Timer(timer) => self.resume(&Wait::Timer(timer)),
            Input::LifeOver => self.end(Some(ServerEnd::MaxLife), End::Exit(LIFE_OVER_CODE)),
        }
    }

    fn start(&mut self) {
        let script = self.setup.script.name().to_owned();
        self.journal(EventKind::MockStarted { script, pid: self.setup.pid });
        self.journal(EventKind::ConnectionOpened { connection: self.connection() });
        self.begin(Cause::Start);
    }

    fn line(&mut self, line: &[u8]) {
        self.n_lines += 1;
        let line = if self.n_lines == 1 { wire::without_mark(line) } else { line };
        match wire::read_line(line) {
            Incoming::Blank => self.noise(line.len() as u64 + 1, line),
            Incoming::NoJson => {
                self.noise(line.len() as u64, line);
                self.send_error(&Value::Null, wire::PARSE_ERROR, "Parse error");
            }
            Incoming::NoObject => {
                self.noise(line.len() as u64, line);
                self.send_error(&Value::Null, wire::INVALID_REQUEST, "Invalid request: not an object");
            }
            Incoming::NoMessage { body, id, because } => {
                self.received(&body, line);
                self.send_error(&id, wire::INVALID_REQUEST, &format!("Invalid request: {because}"));
            }
            Incoming::Response { body } => self.received(&body, line),
            Incoming::Notification { body, method } => {
                self.received(&body, line);
                self.notification(method, &body);
            }
            Incoming::Request { mut body, id, method } => {
                self.received(&body, line);
                let params = body.get_mut("params").map(Value::take).unwrap_or_default();
                self.begin(Cause::Request { id, method, params });
            }
        }
    }

    fn notification(&mut self, method: String, body: &Value) {
        if method == "notifications/cancelled"
            && let Some(request) = body.pointer("/params/requestId")
        {
            let held = self.held.iter_mut().map(|(_, task)| task);
            held.filter(|task| task.may_be_cancelled(request)).for_each(|task| task.settled = true);
        }
        let is_first = method == "notifications/initialized" && self.honest.initialized();
        self.begin(Cause::Notification(method));
        if is_first && !self.ended {
            self.begin(Cause::Initialized);
        }
    }

    fn begin(&mut self, cause: Cause) {
        let task = Task::new(cause, &mut self.watches);
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
        if !task.settled {
            self.settle(&task.cause);
        }
    }

    /// Does one action of a script.
    fn step(&mut self, task: &mut Task, step: Step) -> Flow {
        let comes_too_late = task.settled && (step.action.answers() || step.action == Action::Ignore);
        if comes_too_late || (!self.output_open && step.action.writes()) {
            return Flow::On;
        }
        if step.action.holds() && self.held.len() >= HELD_MAX {
            let because = format!("{HELD_MAX} actions are held already");
            self.journal(EventKind::EvidenceTruncated { what: "holds".to_owned(), because });
            return Flow::On;
        }
        if let Some((fault, impairs)) = step.fault {
            self.journal(EventKind::FaultDelivered { fault, impairs });
        }
        match step.action {
            Action::Hold(gate) => return self.hold(gate),
            Action::Delay(after) => {
                let timer = TimerId(self.n_timers);
                self.n_timers += 1;
                self.effects.push(Effect::SetTimer { timer, after });
                return Flow::Hold(Wait::Timer(timer));
            }
            Action::Answer => {
                self.settle(&task.cause);
                task.settled = true;
            }
            Action::Duplicate => {
                if let Some(line) = self.honest_answer(&task.cause) {
                    self.send(line.clone());
                    self.send(line);
                }
                task.settled = true;
            }
            Action::AnswerError(error) => {
                if let Cause::Request { id, .. } = &task.cause {
                    self.send_error(id, error.code, &error.message);
                }
                task.settled = true;
            }
            Action::Drop => task.settled = true,
            Action::Ignore => {
                self.eof_ignored |= task.cause == Cause::Eof;
                task.settled = true;
            }
            Action::Tools(tools) => self.honest.offer(tools),
            Action::Notify(method) => self.send(wire::notification_line(&method)),
            Action::Noise(text) => self.effects.push(Effect::Write(format!("{text}\n").into_bytes())),
            Action::Bytes(bytes) => self.effects.push(Effect::Write(bytes.0)),
            Action::CloseStdout => {
                self.close(WireEnd::ByServer);
                self.output_open = false;
                self.effects.push(Effect::CloseStdout);
            }
            Action::Exit(code) => {
                self.close(WireEnd::ByServer);
                self.end(Some(ServerEnd::Script), End::Exit(code));
            }
            Action::Die(Death::Code(code)) => self.end(None, End::Exit(code)),
            Action::Die(Death::Signal(signal)) => self.end(None, End::Signal(signal)),
        }
        if self.ended { Flow::Over } else { Flow::On }
    }

    fn hold(&mut self, gate: String) -> Flow {
        self.journal(EventKind::GateReached { gate: gate.clone() });
        if self.open_gates.contains(&gate) { Flow::On } else { Flow::Hold(Wait::Gate(gate)) }
    }

    /// Does what an honest server does about an occasion.
    fn settle(&mut self, cause: &Cause) {
        match cause {
            Cause::Start | Cause::Initialized | Cause::Notification(_) => {}
            Cause::Request { .. } => {
                if let Some(line) = self.honest_answer(cause) {
                    self.send(line);
                }
            }
            Cause::Eof => {
                self.close(WireEnd::ByClient);
                self.end(Some(ServerEnd::Eof), End::Exit(0));
            }
            Cause::Signal(signal) => {
                self.end(Some(ServerEnd::Signal(signal.name().to_owned())), End::Signal(*signal));
            }
        }
    }

    fn honest_answer(&mut self, cause: &Cause) -> Option<Vec<u8>> {
        let Cause::Request { id, method, params } = cause else { return None };
        Some(match self.honest.answer(method, params) {
            Ok(result) => wire::result_line(id, &result),
            Err(error) => wire::error_line(id, error.code, &error.message),
        })
    }

    /// A server that ignores the end of its input does not mind the end of its output either.
    fn output_broken(&mut self) {
        self.output_open = false;
        self.close(WireEnd::Broken);
        if !self.eof_ignored {
            self.end(Some(ServerEnd::BrokenPipe), End::Exit(1));
        }
    }

    fn end(&mut self, farewell: Option<ServerEnd>, end: End) {
        if let Some(how) = farewell {
            self.journal(EventKind::MockEnding { how });
        }
        self.effects.push(Effect::End(end));
        self.held.clear();
        self.ended = true;
    }

    fn close(&mut self, how: WireEnd) {
        if mem::replace(&mut self.connection_open, false) {
            self.journal(EventKind::ConnectionClosed { connection: self.connection(), how });
        }
    }

    fn received(&mut self, body: &Value, line: &[u8]) {
        let message = wire::journalled(body, line, self.setup.body_bytes_max);
        self.journal(EventKind::WireReceived { connection: self.connection(), message });
    }

    fn noise(&mut self, bytes: u64, head: &[u8]) {
        let head = wire::head(head, NOISE_HEAD_BYTES);
        self.journal(EventKind::WireNoise { connection: self.connection(), bytes, head });
    }

    fn send_error(&mut self, id: &Value, code: i64, message: &str) {
        self.send(wire::error_line(id, code, message));
    }

    fn send(&mut self, mut line: Vec<u8>) {
        if !self.output_open {
            return;
        }
        let body = serde_json::from_slice(&line).expect("our own lines are JSON");
        let message = wire::journalled(&body, &line, self.setup.body_bytes_max);
        self.journal(EventKind::WireSent { connection: self.connection(), message });
        line.push(b'\n');
        self.effects.push(Effect::Write(line));
    }

    fn journal(&mut self, kind: EventKind) {
        self.effects.push(Effect::Journal(kind));
    }

    fn connection(&self) -> ConnectionId {
        self.setup.connection.clone()
    }
}
