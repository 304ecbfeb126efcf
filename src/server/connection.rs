//! The state of one connection.

use std::mem;

use crate::history::{ConnectionId, SessionId};
use crate::script::Phase;
use crate::server::conforming::Conforming;
use crate::server::http_io::ExchangeNo;
use crate::server::kept_answers::KeptAnswers;
use crate::server::rules::Rules;
use crate::server::subscriptions::Subscriptions;

/// Most messages that wait for a stream.
const WAITING_MAX: usize = 64;

/// One connection: over lines the only one, over HTTP what one `initialize` opened, or all requests of the stateless generation.
#[derive(Debug)]
pub(super) struct Connection {
    pub id: ConnectionId,
    pub server: Conforming,
    pub rules: Rules,
    /// How far it has come.
    pub phase: Phase,
    /// Whether its session repeats the id of the session before.
    pub repeats_session: bool,
    /// Its session, once the server has opened it.
    pub session: Option<SessionId>,
    /// Its open streams for messages that are not answers, the newest last.
    pub streams: Vec<ExchangeNo>,
    pub subscriptions: Subscriptions,
    /// Answers kept for the stream with which the client resumes one that ended.
    pub kept_answers: KeptAnswers,
    /// Messages that wait for a stream.
    waiting: Vec<Vec<u8>>,
}

impl Connection {
    pub(super) fn new(id: ConnectionId, server: Conforming, rules: Rules) -> Self {
        Self {
            id,
            server,
            rules,
            phase: Phase::BeforeInitialize,
            repeats_session: false,
            session: None,
            streams: Vec::new(),
            subscriptions: Subscriptions::default(),
            kept_answers: KeptAnswers::default(),
            waiting: Vec::new(),
        }
    }

    /// Moves on to a phase; it never goes back.
    pub(super) fn advance(&mut self, phase: Phase) {
        self.phase = self.phase.max(phase);
    }

    /// Keeps a message until there is a stream for it, and returns whether there was room.
    pub(super) fn keep_waiting(&mut self, line: Vec<u8>) -> bool {
        let has_room = self.waiting.len() < WAITING_MAX;
        if has_room {
            self.waiting.push(line);
        }
        has_room
    }

    /// Removes the messages that waited for a stream.
    pub(super) fn take_waiting(&mut self) -> Vec<Vec<u8>> {
        mem::take(&mut self.waiting)
    }
}
