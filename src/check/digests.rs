//! What remains of the requests of a long session.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::fast::FixedState;

use crate::history::Seq;

/// Ids by their digests, each with one event, for lookups alone. A session may have millions of requests, and the texts of their
/// ids would take most of the memory. Of ten million ids in one session, two share a digest with a chance of three in a million.
///
/// An event is kept in four bytes. Of an id with an event beyond that nothing is kept.
#[derive(Debug, Default)]
pub(super) struct Digests(HashMap<Digest, u32, FixedState>);

/// Eight bytes that stand for an id. In two halves they need no padding beside an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Digest([u32; 2]);

impl Digest {
    fn of(id: &str) -> Self {
        let whole = FixedState::default().hash_one(id);
        Self([whole as u32, (whole >> u32::BITS) as u32])
    }
}

impl Hash for Digest {
    fn hash<H: Hasher>(&self, state: &mut H) {
        let [low, high] = self.0;
        state.write_u64(u64::from(high) << u32::BITS | u64::from(low));
    }
}

impl Digests {
    /// Keeps an id with an event, and returns the event that it had before.
    pub(super) fn insert(&mut self, id: &str, seq: Seq) -> Option<Seq> {
        let before = match u32::try_from(seq.0) {
            Ok(seq) => self.0.insert(Digest::of(id), seq),
            Err(_) => self.0.remove(&Digest::of(id)),
        };
        before.map(|before| Seq(before.into()))
    }

    pub(super) fn get(&self, id: &str) -> Option<Seq> {
        self.0.get(&Digest::of(id)).map(|seq| Seq((*seq).into()))
    }

    pub(super) fn remove(&mut self, id: &str) {
        self.0.remove(&Digest::of(id));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_its_newest_event_and_none_that_needs_more_than_four_bytes() {
        let mut ids = Digests::default();
        let last = Seq(u32::MAX.into());
        assert_eq!((ids.insert("1", Seq(7)), ids.get("1"), ids.get("2")), (None, Some(Seq(7)), None));
        assert_eq!((ids.insert("1", last), ids.get("1")), (Some(Seq(7)), Some(last)));
        assert_eq!((ids.insert("1", Seq(last.0 + 1)), ids.get("1")), (Some(last), None));
        ids.insert("2", Seq(8));
        ids.remove("2");
        assert_eq!(ids.get("2"), None);
    }
}
