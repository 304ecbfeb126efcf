//! The framing of lines: one connection, as long as the server lives.

use std::mem;

use crate::history::{ConnectionId, EventKind, WireEnd};
use crate::plan::Framing;
use crate::script::Action;
use crate::server::batch::array;
use crate::server::cause::Place;
use crate::server::effect::Effect;
use crate::server::outbox::Outbox;
use crate::server::state::ServerState;
use crate::server::wire::{self, Line};

/// The state of the pipes.
#[derive(Debug)]
pub(super) struct Lines {
    connection: ConnectionId,
    number: u64,
    n_lines: u64,
    output_open: bool,
    connection_open: bool,
    eof_ignored: bool,
}

impl Lines {
    /// Open pipes of the connection with this name and number.
    pub(super) fn new(connection: ConnectionId, number: u64) -> Self {
        Self { connection, number, n_lines: 0, output_open: true, connection_open: true, eof_ignored: false }
    }

    pub(super) fn connection(&self) -> ConnectionId {
        self.connection.clone()
    }

    pub(super) fn place(&self) -> Place {
        Place::on(self.number)
    }

    /// Whether an action is still possible.
    pub(super) fn can(&self, action: &Action) -> bool {
        action.needs() != Some(Framing::Http) && (self.output_open || !action.writes())
    }

    /// Reads a line. The mark that may precede the first one is journalled as noise, and the message is read.
    pub(super) fn read(&mut self, line: &[u8], outbox: &mut Outbox) -> Line {
        self.n_lines += 1;
        let message = if self.n_lines == 1 { wire::without_mark(line) } else { line };
        if message.len() < line.len() {
            let mark = &line[..line.len() - message.len()];
            outbox.noise(self.connection(), mark.len() as u64, mark);
        }
        wire::read_line(message)
    }

    /// Journals that the input has ended.
    pub(super) fn note_eof(&self, outbox: &mut Outbox) {
        outbox.journal(EventKind::WireEof { connection: self.connection() });
    }

    /// The script ignores the end of the input.
    pub(super) fn ignore_eof(&mut self) {
        self.eof_ignored = true;
    }

    /// The client closed the output. Returns whether the server keeps running: a server that ignores the end of its
    /// input does.
    pub(super) fn output_broken(&mut self, outbox: &mut Outbox) -> bool {
        self.close(WireEnd::Broken, outbox);
        self.output_open = false;
        self.eof_ignored
    }

    pub(super) fn close_output(&mut self, outbox: &mut Outbox) {
        self.close(WireEnd::ByServer, outbox);
        self.output_open = false;
        outbox.push(Effect::CloseStdout);
    }

    pub(super) fn close(&mut self, how: WireEnd, outbox: &mut Outbox) {
        if mem::replace(&mut self.connection_open, false) {
            outbox.journal(EventKind::ConnectionClosed { connection: self.connection(), how });
        }
    }

    /// Sends an answer. The answer to a request in a batch waits for the others.
    pub(super) fn answer(&self, place: Place, line: Vec<u8>, state: &mut ServerState) {
        self.send_or_keep(place, line, state);
        self.leave_batch(place, state);
    }

    /// Sends an answer twice.
    pub(super) fn answer_twice(&self, place: Place, line: Vec<u8>, state: &mut ServerState) {
        self.send_or_keep(place, line.clone(), state);
        self.answer(place, line, state);
    }

    /// Gives up the seat of a request in its batch, and sends the batch if it is complete.
    pub(super) fn leave_batch(&self, place: Place, state: &mut ServerState) {
        if let Some(answers) = place.seat.and_then(|seat| state.batches.leave(seat)) {
            self.send_batch(&answers, &mut state.outbox);
        }
    }

    pub(super) fn send(&self, mut line: Vec<u8>, outbox: &mut Outbox) {
        if self.output_open {
            outbox.sent(self.connection(), &line);
            line.push(b'\n');
            outbox.push(Effect::Write(line));
        }
    }

    /// Sends a message in a malformed line. `is_readable`: whether a client can find a whole message in it.
    pub(super) fn send_malformed(&self, message: &[u8], is_readable: bool, write: Effect, state: &mut ServerState) {
        if !self.output_open {
            return;
        }
        state.wakeups.note_answer(self.place());
        if is_readable {
            state.outbox.sent(self.connection(), message);
        }
        state.outbox.push(write);
    }

    fn send_or_keep(&self, place: Place, line: Vec<u8>, state: &mut ServerState) {
        match place.seat.filter(|seat| state.batches.is_open(*seat)) {
            Some(seat) => state.batches.keep(seat, line),
            None => self.send(line, &mut state.outbox),
        }
    }

    fn send_batch(&self, answers: &[Vec<u8>], outbox: &mut Outbox) {
        if answers.is_empty() || !self.output_open {
            return;
        }
        answers.iter().for_each(|line| outbox.sent(self.connection(), line));
        outbox.push(Effect::Write([array(answers), b"\n".to_vec()].concat()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines() -> (Lines, Outbox) {
        (Lines::new(ConnectionId::from("c1"), 1), Outbox::new(1_024))
    }

    #[test]
    fn the_connection_closes_once_and_nothing_is_written_after_its_output_is_closed() {
        let (mut lines, mut outbox) = lines();
        lines.close_output(&mut outbox);
        let closed = EventKind::ConnectionClosed { connection: ConnectionId::from("c1"), how: WireEnd::ByServer };
        assert_eq!(outbox.take(), [Effect::Journal(closed), Effect::CloseStdout]);
        lines.send(b"{}".to_vec(), &mut outbox);
        lines.close(WireEnd::Broken, &mut outbox);
        assert_eq!(outbox.take(), []);
    }

    #[test]
    fn a_server_that_ignores_the_end_of_its_input_survives_the_end_of_its_output() {
        let (mut lines, mut outbox) = lines();
        assert!(!lines.output_broken(&mut outbox));
        lines.ignore_eof();
        assert!(lines.output_broken(&mut outbox));
    }
}
