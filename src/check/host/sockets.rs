//! What a host leaves open when it ends.

use std::collections::BTreeMap;

use crate::check::host::is_its_doing;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{Event, EventKind, ExchangeId, Header, Kind, Seq, SocketId, WireEnd};
use crate::plan::Promise;

/// Ends of streams this close to the end of the process are its end: the system closes what is left and then tells of the process.
const TOGETHER_US: u64 = 2_000;

/// Counter-examples that shaped it. Idle connections that are kept for later are no streams. A stream that its server ended, also by the
/// DELETE of its session, was not left open.
pub(in crate::check) const STREAMS_CLOSED: Invariant = Invariant {
    id: "streams-closed",
    property: Property::Liveness,
    level: Level::Own,
    claim: "no stream is open when the client ends",
    source: "VG-06: no process, socket or session is left",
    requirement: &["VG-06"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered, Kind::HttpEnded, Kind::ProcessExited, Kind::GraceExpired],
    vacuous: "no client asked for a stream, or it did not end by itself",
    explain: "The client ended with a stream of events still open, so nothing in it closed the stream: its system did. In a program that \
        lives on, such a stream is a task, a socket and a session for each connection that was ever made.\n\n\
        Look at the GET in the witness. Mend it by ending the stream where the session is closed, and by waiting for that.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Streams::default()) },
};

#[derive(Default)]
struct Streams {
    asked: BTreeMap<ExchangeId, Seq>,
    open: BTreeMap<ExchangeId, Seq>,
    /// Streams that the client ended: where they were asked for, where and when they ended.
    ended: Vec<(Seq, Seq, u64)>,
    n_seen: usize,
    exited: Option<(Seq, u64)>,
}

impl Monitor for Streams {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HttpReceived { verb, exchange, .. } if verb == "GET" => {
                self.asked.insert(exchange.clone(), event.seq);
            }
            EventKind::HttpAnswered { exchange, streams: true, .. } => {
                if let Some(asked) = self.asked.remove(exchange) {
                    self.n_seen += 1;
                    self.open.insert(exchange.clone(), asked);
                }
            }
            EventKind::HttpEnded { exchange, how } => {
                let asked = self.open.remove(exchange).filter(|_| *how == WireEnd::ByClient);
                self.ended.extend(asked.map(|asked| (asked, event.seq, event.at_us)));
            }
            EventKind::ProcessExited { role, .. } if role == "loader" => self.exited = Some((event.seq, event.at_us)),
            EventKind::GraceExpired { .. } => self.due(event.seq, tally),
            _ => {}
        }
    }
}

impl Streams {
    fn due(&mut self, seq: Seq, tally: &mut Tally) {
        let Some((exited, at_us)) = self.exited.filter(|_| self.n_seen > 0) else { return };
        let still = self.open.values().map(|asked| (*asked, seq));
        let with_it = self.ended.iter().filter(|(_, _, ended_us)| ended_us + TOGETHER_US >= at_us);
        let left: Vec<_> = still.chain(with_it.map(|(asked, ended, _)| (*asked, *ended))).collect();
        if left.is_empty() {
            tally.held();
        }
        for (asked, ended) in left {
            let because = format!("the stream of {asked} was open when the client ended at {exited}");
            tally.broken(Violation::new("left-open", because, &[asked, exited, ended]));
        }
    }
}

/// Counter-examples that shaped it. Of a stream of events the last bytes need not be read. A socket that our side resets says nothing.
pub(in crate::check) const ANSWERS_READ: Invariant = Invariant {
    id: "answers-read",
    property: Property::Liveness,
    level: Level::Own,
    claim: "no answer is unread when the client ends",
    source: "VG-06: no process, socket or session is left",
    requirement: &["VG-06"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered, Kind::SocketClosed, Kind::FaultDelivered],
    vacuous: "nothing was answered",
    explain: "The client closed a connection whose answer it had not read. Whoever waited for that answer was not told that it will \
        never come, or nobody waited at all.\n\n\
        Look at the request of the witness. Mend it by waiting for every answer before the end, or by cancelling the request.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Answers::default()) },
};

#[derive(Default)]
struct Answers {
    asked: BTreeMap<ExchangeId, (SocketId, Seq)>,
    /// The last whole answer on each socket: its request.
    answered: BTreeMap<SocketId, Seq>,
    reset: bool,
    broken: Vec<(Seq, Seq)>,
}

impl Monitor for Answers {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HttpReceived { exchange, socket, .. } => {
                self.answered.remove(socket);
                self.asked.insert(exchange.clone(), (socket.clone(), event.seq));
            }
            EventKind::HttpAnswered { exchange, streams, .. } => {
                let Some((socket, asked)) = self.asked.remove(exchange) else { return };
                tally.held();
                if !streams {
                    self.answered.insert(socket, asked);
                }
            }
            EventKind::FaultDelivered { fault, .. } => self.reset |= fault.starts_with("reset"),
            EventKind::SocketClosed { socket, how } => {
                let asked = self.answered.remove(socket).filter(|_| *how == WireEnd::Broken);
                self.broken.extend(asked.map(|asked| (asked, event.seq)));
            }
            _ => {}
        }
    }

    fn end(&mut self, view: &View, tally: &mut Tally) {
        for (asked, closed) in self.broken.drain(..).filter(|_| is_its_doing(view) && !self.reset) {
            let because =
                format!("the answer to the request of {asked} was not read before its socket ended at {closed}");
            tally.broken(Violation::new("unread", because, &[asked, closed]));
        }
    }
}
