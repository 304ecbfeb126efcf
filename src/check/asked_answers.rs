//! The answers about which one rule asks whether their client has read them.

use crate::check::View;
use crate::check::parts::parts;
use crate::check::reading::RequestKey;
use crate::history::{ConnectionId, Event, EventKind, Message, Seq, Table};

/// Requests whose answers matter to a rule, with what is known about each answer.
#[derive(Default)]
pub(super) struct AskedAnswers(Table<RequestKey, Option<Answer>>);

#[derive(Clone, Copy)]
struct Answer {
    sent: Seq,
    /// The first event that shows that it was read.
    read: Option<Seq>,
}

impl AskedAnswers {
    /// Follows a request that has arrived.
    pub(super) fn follow(&mut self, request: RequestKey) {
        self.0.insert(request, None);
    }

    /// Follows a request that was answered.
    pub(super) fn keep(&mut self, request: RequestKey, sent: Seq) {
        self.0.insert(request, Some(Answer { sent, read: None }));
    }

    /// No longer follows a request: the rule will not ask about it again.
    pub(super) fn forget(&mut self, request: &RequestKey) {
        self.0.swap_remove(request);
    }

    /// Takes an event, before the rule asks. The rule must get the messages of both sides, and what shows that a client has
    /// read one.
    pub(super) fn see(&mut self, event: &Event, view: &View) {
        if self.0.is_empty() {
            return;
        }
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                parts(message).iter().for_each(|part| self.answer(event.seq, connection, part));
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.0.retain(|(of, _), _| of != connection);
            }
            _ => view.reading().proven(event).iter().for_each(|request| self.returned(event.seq, request)),
        }
    }

    fn answer(&mut self, sent: Seq, connection: &ConnectionId, message: &Message) {
        if message.is_response()
            && let Some(answer) = self.0.get_mut(&(connection.clone(), message.id_text()))
        {
            *answer = Some(Answer { sent, read: None });
        }
    }

    /// Notes an event that shows that the client has read the answer to a request.
    pub(super) fn returned(&mut self, evidence: Seq, request: &RequestKey) {
        if let Some(Some(answer)) = self.0.get_mut(request) {
            answer.read.get_or_insert(evidence);
        }
    }

    /// The event that shows that the client has read the answer to a request.
    pub(super) fn read(&self, view: &View, request: &RequestKey) -> Option<Seq> {
        let answer = (*self.0.get(request)?)?;
        answer.read.or_else(|| view.reading().in_order(&request.0, answer.sent))
    }
}
