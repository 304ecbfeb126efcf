//! Batches: several messages at once, whose answers the server sends at once as well. Only revision 2025-03-26 has them.
//!
//! Over lines a batch is one line, over HTTP the body of one POST. Each of its requests has a seat. The server sends the answers
//! when every seat is empty: because the request was answered, or because it never will be.
//!
//! Source: revision 2025-03-26, basic/index, Batching, and basic/transports; JSON-RPC 2.0, section 6.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::server::wire::{self, Incoming};

/// The place of one request in its batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Seat {
    batch: u64,
    number: usize,
}

/// The batches that still wait for answers.
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
    /// Opens a batch of this many requests, and returns their seats.
    pub(super) fn open(&mut self, n_requests: usize) -> impl Iterator<Item = Seat> + use<> {
        let batch = self.n_opened;
        self.n_opened += 1;
        if n_requests > 0 {
            self.open.insert(batch, Batch { taken: (0..n_requests).collect(), answers: Vec::new() });
        }
        (0..n_requests).map(move |number| Seat { batch, number })
    }

    /// Keeps an answer until the batch is complete.
    pub(super) fn keep(&mut self, seat: Seat, answer: Vec<u8>) {
        if let Some(batch) = self.open.get_mut(&seat.batch) {
            batch.answers.push(answer);
        }
    }

    /// Whether the batch of a seat still waits for answers.
    pub(super) fn is_open(&self, seat: Seat) -> bool {
        self.open.contains_key(&seat.batch)
    }

    /// Empties a seat. Returns all answers when it was the last one.
    pub(super) fn leave(&mut self, seat: Seat) -> Option<Vec<Vec<u8>>> {
        let batch = self.open.get_mut(&seat.batch)?;
        batch.taken.remove(&seat.number);
        if !batch.taken.is_empty() {
            return None;
        }
        self.open.remove(&seat.batch).map(|batch| batch.answers)
    }

    /// Removes the answers kept in the batch of a seat.
    pub(super) fn take_kept(&mut self, seat: Seat) -> Vec<Vec<u8>> {
        self.open.get_mut(&seat.batch).map(|batch| std::mem::take(&mut batch.answers)).unwrap_or_default()
    }

    /// The bytes of all kept answers.
    pub(super) fn n_bytes(&self) -> usize {
        self.open.values().flat_map(|batch| &batch.answers).map(Vec::len).sum()
    }

    /// Drops all batches.
    pub(super) fn clear(&mut self) {
        self.open.clear();
    }
}

/// Answers as one JSON array.
pub(super) fn array(answers: &[Vec<u8>]) -> Vec<u8> {
    [&b"["[..], &answers.join(&b','), b"]"].concat()
}

/// Whether a member of a batch gets an answer, which may be an error.
pub(super) fn is_answered(one: &Incoming) -> bool {
    !matches!(one, Incoming::Notification { .. } | Incoming::Response { .. })
}

/// The messages of a batch, each with its text.
pub(super) fn read_all(bodies: Vec<Value>) -> Vec<(Incoming, Vec<u8>)> {
    let read = |body: Value| {
        let line = body.to_string().into_bytes();
        (in_batch(wire::read_body(body)), line)
    };
    bodies.into_iter().map(read).collect()
}

/// Refuses a member that must not be in a batch. The journal shows it inside a batch.
fn in_batch(one: Incoming) -> Incoming {
    match one {
        Incoming::Request { body, id, method } if method == "initialize" => {
            let body = Value::Array(vec![body]);
            Incoming::NoMessage { body, id, because: "initialize must not be in a batch" }
        }
        other => other,
    }
}

/// A JSON array received where batches are not supported.
pub(super) fn refused(bodies: Vec<Value>) -> Incoming {
    if wire::is_batch(&bodies) {
        Incoming::NoMessage { body: Value::Array(bodies), id: Value::Null, because: "batches are not supported" }
    } else {
        Incoming::NoObject
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_complete_when_every_seat_is_empty() {
        let mut batches = Batches::default();
        let seats: Vec<Seat> = batches.open(2).collect();
        batches.keep(seats[1], b"second".to_vec());
        assert_eq!(batches.n_bytes(), 6);
        assert_eq!(batches.leave(seats[1]), None);
        assert!(batches.is_open(seats[0]));
        assert_eq!(batches.leave(seats[0]), Some(vec![b"second".to_vec()]));
        assert!(!batches.is_open(seats[0]));
    }

    #[test]
    fn initialize_is_refused_in_a_batch() {
        let initialize = serde_json::json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize" });
        let read = read_all(vec![initialize]);
        assert!(matches!(&read[..], [(Incoming::NoMessage { .. }, _)]), "{read:?}");
    }
}
