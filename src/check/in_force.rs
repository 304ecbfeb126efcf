//! Which configuration may be in force. A loader may carry out loads and cleanups that overlap in either order.
//!
//! A load brings the servers of its configuration about, and a cleanup brings none about. After a load that overlapped no
//! other operation of this kind, its configuration is in force. Of several that overlapped, each may have been the last. A
//! server whose entry is the same in all of them is settled: it stays connected in every order. The entry of another server is
//! not settled before a later load has succeeded, and that load may replace it.

use crate::history::{OpId, Seq, Table};

/// What may be in force, as the loads and cleanups show it.
#[derive(Debug, Default)]
pub(super) struct InForce {
    /// How often a reload has changed the entry of each server.
    versions: Table<String, u32>,
    /// Each may be the last that was carried out, or is running.
    candidates: Vec<Candidate>,
}

/// A load or a cleanup.
#[derive(Debug)]
struct Candidate {
    operation: OpId,
    invoked: Seq,
    /// The event of its end.
    ended: Option<Seq>,
    has_failed: bool,
    /// The servers that are there after it, each with the version of its entry.
    entries: Table<String, u32>,
}

impl InForce {
    /// Takes the invocation of a load. Its configuration has the `servers`, and the entries of the `changed` ones are new.
    pub(super) fn load_begins(&mut self, invoked: Seq, operation: OpId, servers: &[String], changed: &[String]) {
        for server in changed {
            *self.versions.entry(server.clone()).or_default() += 1;
        }
        let version = |server: &String| self.versions.get(server).copied().unwrap_or_default();
        let entries = servers.iter().map(|server| (server.clone(), version(server))).collect();
        self.candidates.push(Candidate { operation, invoked, ended: None, has_failed: false, entries });
    }

    /// Takes the invocation of a cleanup.
    pub(super) fn cleanup_begins(&mut self, invoked: Seq, operation: OpId) {
        self.load_begins(invoked, operation, &[], &[]);
    }

    /// Takes the end of any operation. What had ended before it began was not carried out after it.
    pub(super) fn ended(&mut self, at: Seq, operation: OpId, has_failed: bool) {
        let Some(ended) = self.candidates.iter_mut().find(|known| known.operation == operation) else { return };
        (ended.ended, ended.has_failed) = (Some(at), has_failed);
        let invoked = ended.invoked;
        self.candidates.retain(|known| has_failed || known.ended.is_none_or(|ended| ended > invoked));
    }

    /// Whether the entry of a server, or its absence, is the same in every order.
    pub(super) fn is_settled(&self, server: &str) -> bool {
        let mut entries = self.candidates.iter().map(|known| known.entries.get(server));
        let first = entries.next();
        first.is_none_or(|first| entries.all(|entry| entry == first))
    }

    /// Whether a load or a cleanup failed or was cancelled, and none has succeeded since. Its loader may still be at work on it.
    pub(super) fn has_failed(&self) -> bool {
        self.candidates.iter().any(|known| known.has_failed)
    }

    /// The servers of the loads that run or have succeeded, and may be carried out after every cleanup so far.
    pub(super) fn loaded(&self) -> impl Iterator<Item = &String> {
        self.candidates.iter().filter(|known| !known.has_failed).flat_map(|known| known.entries.keys())
    }
}
