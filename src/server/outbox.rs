//! The effects of the current input, in order.

use std::mem;

use serde_json::Value;

use crate::history::{ConnectionId, EventKind, UNREAD};
use crate::server::effect::Effect;
use crate::server::repeated::repeated_name;
use crate::server::wire;

/// Collects the effects that one input leads to.
#[derive(Debug)]
pub(super) struct Outbox {
    effects: Vec<Effect>,
    body_bytes_max: usize,
}

impl Outbox {
    /// An empty outbox that cuts journalled bodies above `body_bytes_max` bytes.
    pub(super) fn new(body_bytes_max: usize) -> Self {
        Self { effects: Vec::new(), body_bytes_max }
    }

    pub(super) fn push(&mut self, effect: Effect) {
        self.effects.push(effect);
    }

    pub(super) fn journal(&mut self, kind: EventKind) {
        self.push(Effect::Journal(kind));
    }

    /// Journals a message that is about to be sent.
    pub(super) fn sent(&mut self, connection: ConnectionId, line: &[u8]) {
        let message = wire::journalled_line(line, self.body_bytes_max);
        self.journal(EventKind::WireSent { connection, message });
    }

    /// Journals a message that has arrived.
    pub(super) fn received(&mut self, connection: ConnectionId, body: &Value, line: &[u8]) {
        let message = wire::journalled(body, line, self.body_bytes_max);
        self.journal(EventKind::WireReceived { connection: connection.clone(), message });
        if let Some(name) = repeated_name(line).filter(|_| line.len() <= self.body_bytes_max) {
            self.journal(EventKind::WireRepeated { connection, name });
        }
        if wire::has_inexact_id(body) {
            self.unread("its id is a number that a 64-bit reader cannot hold");
        }
    }

    /// Journals that a limit of this server kept it from a message as its client meant it. No rule blames the client for what follows.
    pub(super) fn unread(&mut self, because: &str) {
        self.truncated(UNREAD, because);
    }

    /// Journals bytes that are not a message.
    pub(super) fn noise(&mut self, connection: ConnectionId, bytes: u64, head: &[u8]) {
        let head = wire::head(head, wire::NOISE_HEAD_BYTES);
        self.journal(EventKind::WireNoise { connection, bytes, head });
    }

    /// Journals that some evidence is missing.
    pub(super) fn truncated(&mut self, what: &str, because: impl Into<String>) {
        self.journal(EventKind::EvidenceTruncated { what: what.to_owned(), because: because.into() });
    }

    /// Removes all effects.
    pub(super) fn take(&mut self) -> Vec<Effect> {
        mem::take(&mut self.effects)
    }
}
