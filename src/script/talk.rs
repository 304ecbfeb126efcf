//! What a mock knows of one connection.

use std::mem;

use crate::history::{ConnectionId, SessionId};
use crate::script::listen::Subscriptions;
use crate::script::server::Server;
use crate::script::task::Watch;
use crate::script::{ExchangeNo, Phase};

/// Most messages that wait for a stream.
const NOTES_MAX: usize = 64;

/// One connection: over lines the only one, over HTTP what one `initialize` began, or
/// all there is of the modern era.
#[derive(Debug)]
pub(super) struct Talk {
    pub id: ConnectionId,
    pub server: Server,
    pub watches: Vec<Watch>,
    /// How far it has come.
    pub phase: Phase,
    /// Whether its session is to have the id of the one before.
    pub repeats_session: bool,
    /// Its session, once it was handed out.
    pub session: Option<SessionId>,
    /// Its open streams for what is no answer, the newest last.
    pub streams: Vec<ExchangeNo>,
    pub subscriptions: Subscriptions,
    /// Answers that wait for the stream with which the client takes up where another ended.
    pub returns: Vec<Vec<u8>>,
    notes: Vec<Vec<u8>>,
}

impl Talk {
    pub(super) fn new(id: ConnectionId, server: Server, watches: Vec<Watch>) -> Self {
        Self {
            id,
            server,
            watches,
            phase: Phase::BeforeInitialize,
            repeats_session: false,
            session: None,
            streams: Vec::new(),
            subscriptions: Subscriptions::default(),
            returns: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// Keeps a message until there is a stream for it; whether there is room.
    pub(super) fn keep(&mut self, line: Vec<u8>) -> bool {
        let has_room = self.notes.len() < NOTES_MAX;
        if has_room {
            self.notes.push(line);
        }
        has_room
    }

    /// What waited for a stream.
    pub(super) fn take_notes(&mut self) -> Vec<Vec<u8>> {
        mem::take(&mut self.notes)
    }
}
