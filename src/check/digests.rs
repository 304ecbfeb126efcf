//! What remains of the requests of a long session.

use std::collections::HashMap;
use std::hash::BuildHasher;

use foldhash::fast::FixedState;

/// A map by the digest of an id, for lookups alone: a session may have millions of requests, and the texts of their ids would
/// take most of the memory. Of ten million ids in one session, two share a digest with a chance of three in a million.
pub(super) type Digests<V> = HashMap<u64, V, FixedState>;

/// Eight bytes that stand for an id.
pub(super) fn digest(id: &str) -> u64 {
    FixedState::default().hash_one(id)
}
