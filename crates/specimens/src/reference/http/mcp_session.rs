//! One session of the protocol: from an `initialize` to the moment the server forgets it.
//!
//! The loader's own session outlives it: when the server answers 404, a new session begins.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::header::HeaderValue;

use super::super::options::Revision;

/// What is known of one session of the protocol.
pub(super) struct McpSession {
    /// Counts from 1.
    pub(super) number: u32,
    session_id: OnceLock<HeaderValue>,
    revision: OnceLock<Revision>,
    /// Whether anything but the handshake was answered in it.
    proven: AtomicBool,
}

impl McpSession {
    pub(super) fn new(number: u32) -> Self {
        Self { number, session_id: OnceLock::new(), revision: OnceLock::new(), proven: AtomicBool::new(false) }
    }

    /// The id that the server gave; none if it has not answered yet, or keeps no sessions.
    pub(super) fn session_id(&self) -> Option<&HeaderValue> {
        self.session_id.get()
    }

    /// The revision that was agreed on; none before that.
    pub(super) fn revision(&self) -> Option<Revision> {
        self.revision.get().copied()
    }

    /// Notes the id with which the server answers `initialize`. The first one stands.
    pub(super) fn note_session_id(&self, id: Option<&HeaderValue>) {
        if let Some(id) = id {
            let _ = self.session_id.set(id.clone());
        }
    }

    /// Notes the revision with which the server answers `initialize`. The first one stands.
    pub(super) fn note_revision(&self, revision: Option<Revision>) {
        if let Some(revision) = revision {
            let _ = self.revision.set(revision);
        }
    }

    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    /// Whether it was opened in place of another, and has answered nothing since.
    pub(super) fn is_unproven_renewal(&self) -> bool {
        self.number > 1 && !self.proven.load(Ordering::Relaxed)
    }
}
