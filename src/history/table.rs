//! Maps and sets for lookups by key.
//!
//! Their order follows from what was added and removed, and from no hash, so equal histories are judged equally. They compile
//! in a third of the time of a `BTreeMap`, which counts where each rule has maps of its own types. What is read in the order
//! of its keys is in a `BTreeMap` or a `BTreeSet`.

use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};

/// A map for lookups by key.
pub type Table<K, V> = IndexMap<K, V, RandomState>;

/// A set for lookups by key.
pub type KeySet<K> = IndexSet<K, RandomState>;
