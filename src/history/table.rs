//! Maps and sets for lookups by key.
//!
//! Their order depends only on insertions and removals, not on a hash, so equal histories are judged equally. They
//! compile in a third of the time of a `BTreeMap`, which matters because each rule has maps of its own types. Code that
//! reads in the order of keys uses a `BTreeMap` or a `BTreeSet`.

use foldhash::fast::RandomState;
use indexmap::{IndexMap, IndexSet};

/// A map for lookups by key.
pub type Table<K, V> = IndexMap<K, V, RandomState>;

/// A set for lookups by key.
pub type KeySet<K> = IndexSet<K, RandomState>;
