//! Several messages at once, which revision 2025-03-26 alone has: what answers them comes at once as well.
//!
//! Over lines a batch is a line, over HTTP the body of a POST. Each request of it has a seat. The answers are sent when every
//! seat is empty: by its answer, or because there will be none.
//!
//! Source: revision 2025-03-26, basic/index, Batching, and basic/transports; JSON-RPC 2.0, section 6.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::plan::Revision;
use crate::script::interpreter::{Face, Interpreter};
use crate::script::task::{At, Cause};
use crate::script::wire::{self, Incoming};

/// The place of one request in its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    batch: u64,
    number: usize,
}

/// The batches whose answers are not all there.
#[derive(Debug, Default)]
pub(super) struct Batches {
    open: BTreeMap<u64, Batch>,
    n_opened: u64,
}

#[derive(Debug)]
struct Batch {
    taken: BTreeSet<usize>,
    answers: Vec<Vec<u8>>,
}

impl Batches {
    /// Opens a batch of so many requests; its seats.
    fn open(&mut self, n_requests: usize) -> impl Iterator<Item = Seat> + use<> {
        let batch = self.n_opened;
        self.n_opened += 1;
        if n_requests > 0 {
            self.open.insert(batch, Batch { taken: (0..n_requests).collect(), answers: Vec::new() });
        }
        (0..n_requests).map(move |number| Seat { batch, number })
    }

    /// Keeps an answer until the others of its batch are there.
    pub(super) fn keep(&mut self, seat: Seat, answer: Vec<u8>) {
        if let Some(batch) = self.open.get_mut(&seat.batch) {
            batch.answers.push(answer);
        }
    }

    /// Whether the answers of its batch were not sent yet.
    pub(super) fn is_open(&self, seat: Seat) -> bool {
        self.open.contains_key(&seat.batch)
    }

    /// Empties a seat; all answers, when it was the last one.
    pub(super) fn leave(&mut self, seat: Seat) -> Option<Vec<Vec<u8>>> {
        let batch = self.open.get_mut(&seat.batch)?;
        batch.taken.remove(&seat.number);
        if !batch.taken.is_empty() {
            return None;
        }
        self.open.remove(&seat.batch).map(|batch| batch.answers)
    }

    /// The answers that are kept in the batch of a seat, which keeps them no more.
    pub(super) fn take_kept(&mut self, seat: Seat) -> Vec<Vec<u8>> {
        self.open.get_mut(&seat.batch).map(|batch| std::mem::take(&mut batch.answers)).unwrap_or_default()
    }

    /// The bytes of all answers that are kept.
    pub(super) fn n_bytes(&self) -> usize {
        self.open.values().flat_map(|batch| &batch.answers).map(Vec::len).sum()
    }

    /// Forgets all of them.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

/// Answers as they are sent at once.
pub(super) fn array(answers: &[Vec<u8>]) -> Vec<u8> {
    [&b"["[..], &answers.join(&b','), b"]"].concat()
}

/// Whether something in a batch is answered, be it with an error.
fn is_answered(one: &Incoming) -> bool {
    !matches!(one, Incoming::Notification { .. } | Incoming::Response { .. })
}

impl Interpreter {
    /// Whether a batch is taken here: the revision that was agreed on has them.
    pub(super) fn has_batches(&self, at: At) -> bool {
        let talk = at.connection.and_then(|number| self.talks.get(&number));
        talk.is_some_and(|talk| talk.server.revision() == Some(Revision::R20250326)) && !self.is_sse()
    }

    /// Takes several messages at once, each in its turn. What is none has an answer among the others.
    pub(super) fn take_batch(&mut self, at: At, bodies: Vec<Value>) {
        let read = |body: Value| {
            let line = body.to_string().into_bytes();
            (in_batch(wire::read_body(body)), line)
        };
        let all: Vec<(Incoming, Vec<u8>)> = bodies.into_iter().map(read).collect();
        if !all.iter().any(|(one, _)| matches!(one, Incoming::Request { .. })) {
            // Over HTTP, what can not be accepted is refused.
            self.set_status(at, 400);
        }
        let mut seats = self.batches.open(all.iter().filter(|(one, _)| is_answered(one)).count());
        let is_accepted = all.iter().all(|(one, _)| !is_answered(one));
        for (one, line) in all {
            let seat = if is_answered(&one) { seats.next() } else { None };
            // The others have no exchange of their own.
            let exchange = at.exchange.filter(|_| seat.is_some());
            self.take_incoming(At { exchange, seat, ..at }, one, &line);
            if self.ended || self.is_frozen {
                return;
            }
        }
        if is_accepted {
            self.accept(at);
        }
    }

    /// A request will not be answered any more, if it was not.
    pub(super) fn leave_batch(&mut self, at: At) {
        let Some(answers) = at.seat.and_then(|seat| self.batches.leave(seat)) else { return };
        match &self.face {
            Face::Line(_) => self.send_batch(&answers),
            Face::Http(_) => self.answer_batch(at, &answers),
        }
    }

    /// Takes what was read, on a connection.
    pub(super) fn take_incoming(&mut self, at: At, incoming: Incoming, line: &[u8]) {
        let Some(connection) = at.connection.and_then(|number| self.talks.get(&number)).map(|talk| talk.id.clone())
        else {
            return self.leave_batch(at);
        };
        let refused = |id: &Value, code, message: &str| wire::error_line(id, code, message, None);
        match incoming {
            Incoming::Blank => self.noise(connection, line.len() as u64 + 1, line),
            Incoming::NoJson => {
                self.noise(connection, line.len() as u64, line);
                self.answer(at, refused(&Value::Null, wire::PARSE_ERROR, "Parse error"));
            }
            Incoming::NoObject => {
                self.noise(connection, line.len() as u64, line);
                self.answer(at, refused(&Value::Null, wire::INVALID_REQUEST, "Invalid request: not an object"));
            }
            Incoming::NoMessage { body, id, because } => {
                self.received(connection, &body, line);
                self.answer(at, refused(&id, wire::INVALID_REQUEST, &format!("Invalid request: {because}")));
            }
            Incoming::Response { body } => {
                self.received(connection, &body, line);
                self.begin(Cause::Response, at);
            }
            Incoming::Notification { body, method } => {
                self.received(connection, &body, line);
                self.notification(at, method, &body);
            }
            Incoming::Request { mut body, id, method } => {
                self.received(connection, &body, line);
                let params = body.get_mut("params").map(Value::take).unwrap_or_default();
                self.begin(Cause::Request { id, method, params }, at);
            }
        }
    }
}

/// What was read in a batch, where not everything may be that may be elsewhere. On record it stays in a batch.
fn in_batch(one: Incoming) -> Incoming {
    match one {
        Incoming::Request { body, id, method } if method == "initialize" => {
            let body = Value::Array(vec![body]);
            Incoming::NoMessage { body, id, because: "initialize must not be in a batch" }
        }
        other => other,
    }
}

/// What a list is where no batch is taken.
pub(super) fn refused(bodies: Vec<Value>) -> Incoming {
    if wire::is_batch(&bodies) {
        Incoming::NoMessage { body: Value::Array(bodies), id: Value::Null, because: "batches are not supported" }
    } else {
        Incoming::NoObject
    }
}
