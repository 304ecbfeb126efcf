//! A mock over lines: one connection, as long as it lives.

use std::mem;

use crate::history::{ConnectionId, EventKind, ServerEnd, WireEnd};
use crate::script::batch::{array, refused};
use crate::script::interpreter::{Face, Interpreter};
use crate::script::task::{At, Cause};
use crate::script::wire::{self, Line};
use crate::script::{Action, Carriage, Effect, End, Input, forge};

/// A line that is no message, where there are many.
const NOISE: &[u8] = b"mcp-mock is ready to serve\n";

/// What a mock over lines knows beside its connection.
#[derive(Debug)]
pub(super) struct LineFace {
    n_lines: u64,
    output_open: bool,
    connection_open: bool,
    pub eof_ignored: bool,
}

impl LineFace {
    pub(super) fn new() -> Self {
        Self { n_lines: 0, output_open: true, connection_open: true, eof_ignored: false }
    }

    /// Whether an action can still be carried out.
    pub(super) fn can(&self, action: &Action) -> bool {
        action.needs() != Some(Carriage::Http) && (self.output_open || !action.writes())
    }
}

impl Interpreter {
    fn line_face(&mut self) -> Option<&mut LineFace> {
        match &mut self.face {
            Face::Line(line) => Some(line),
            Face::Http(_) => None,
        }
    }

    fn line_connection(&self) -> ConnectionId {
        self.setup.connection.clone()
    }

    /// Takes an input of lines; over another medium there is none.
    pub(super) fn take_line(&mut self, input: Input) {
        if self.line_face().is_none() {
            return;
        }
        match input {
            Input::Line(line) => self.line(&line),
            Input::Noise { bytes, head } => self.noise(self.line_connection(), bytes, &head),
            Input::Eof => self.eof(),
            Input::InputBroken => {
                self.close_line(WireEnd::Broken);
                self.eof();
            }
            Input::OutputBroken => self.output_broken(),
            _ => {}
        }
    }

    fn eof(&mut self) {
        self.note_eof();
        self.begin(Cause::Eof, self.whole());
        self.leave();
    }

    /// Journals that the input has ended.
    pub(super) fn note_eof(&mut self) {
        self.journal(EventKind::WireEof { connection: self.line_connection() });
    }

    fn line(&mut self, line: &[u8]) {
        let Some(face) = self.line_face() else { return };
        face.n_lines += 1;
        let line = if face.n_lines == 1 { wire::without_mark(line) } else { line };
        let at = self.whole();
        match wire::read_line(line) {
            Line::Batch(bodies) if !bodies.is_empty() && self.has_batches(at) => self.take_batch(at, bodies),
            Line::Batch(bodies) => self.take_incoming(at, refused(bodies), line),
            Line::One(incoming) => self.take_incoming(at, incoming, line),
        }
    }

    /// Does an action that only lines have.
    pub(super) fn line_action(&mut self, action: Action) {
        match action {
            Action::Noise(text) => self.push(Effect::Write(format!("{text}\n").into_bytes())),
            Action::NoiseFlood(times) => self.push(Effect::Write(NOISE.repeat(times as usize))),
            Action::Bytes(bytes) => self.push(Effect::Write(bytes.0)),
            Action::EndlessLine(n_bytes) => self.push(Effect::Write(vec![b'x'; n_bytes as usize])),
            Action::CloseStdin => self.push(Effect::CloseStdin),
            Action::CloseStdout => {
                self.close_line(WireEnd::ByServer);
                if let Some(face) = self.line_face() {
                    face.output_open = false;
                }
                self.push(Effect::CloseStdout);
            }
            _ => {}
        }
    }

    /// A server that ignores the end of its input does not mind the end of its output either.
    fn output_broken(&mut self) {
        self.close_line(WireEnd::Broken);
        let Some(face) = self.line_face() else { return };
        face.output_open = false;
        if !face.eof_ignored {
            self.end(Some(ServerEnd::BrokenPipe), End::Exit(1));
        }
    }

    /// Sends an answer; that to a request in a batch when the others are there.
    pub(super) fn answer_line(&mut self, at: At, line: Vec<u8>) {
        self.send_or_keep(at, line);
        self.leave_batch(at);
    }

    /// Sends an answer, or keeps it for its batch.
    pub(super) fn send_or_keep(&mut self, at: At, line: Vec<u8>) {
        match at.seat.filter(|seat| self.batches.is_open(*seat)) {
            Some(seat) => self.batches.keep(seat, line),
            None => self.send_line(line),
        }
    }

    /// Sends the answers to a batch, if there are any.
    pub(super) fn send_batch(&mut self, answers: &[Vec<u8>]) {
        if answers.is_empty() || self.line_face().is_none_or(|face| !face.output_open) {
            return;
        }
        answers.iter().for_each(|line| self.sent(self.line_connection(), line));
        self.push(Effect::Write([array(answers), b"\n".to_vec()].concat()));
    }

    pub(super) fn send_line(&mut self, mut line: Vec<u8>) {
        if self.line_face().is_none_or(|face| !face.output_open) {
            return;
        }
        self.sent(self.line_connection(), &line);
        line.push(b'\n');
        self.push(Effect::Write(line));
    }

    /// Sends an answer in a line that is not as it should be.
    pub(super) fn send_forged(&mut self, action: &Action, message: &[u8]) {
        if self.line_face().is_none_or(|face| !face.output_open) {
            return;
        }
        self.note_answer(self.whole());
        if forge::is_whole(action) {
            self.sent(self.line_connection(), message);
        }
        let line = forge::line_of(action, message);
        self.push(if *action == Action::Split { Effect::WriteApart(line) } else { Effect::Write(line) });
    }

    pub(super) fn close_line(&mut self, how: WireEnd) {
        if self.line_face().is_some_and(|face| mem::replace(&mut face.connection_open, false)) {
            self.journal(EventKind::ConnectionClosed { connection: self.line_connection(), how });
        }
    }
}
