//! The history of one plan: what every source reported, merged in the order in which it was acknowledged.
//!
//! Start at [`Event`] and [`History`]. Plain data: nothing here waits, judges or knows a clock. Only the recorder gives
//! sequence numbers; a [`History`] that exists is well formed, so that no monitor has to test for it again.

mod event;
mod header;
mod ids;
mod jsonl;
mod message;
mod normal;
mod source;
#[cfg(test)]
mod tests;
mod text;

pub use event::{
    Action, Channel, Context, Event, EventKind, Failure, Impact, Kind, Leaving, LinkPeer, Outcome, ScopeForm,
    ServerEnd, Tool, WireEnd,
};
pub use header::{ApplicationFacts, Header, HostFacts, LINK_LOST_CODE, SCHEMA, ServerFacts};
pub use ids::{ConnectionId, ExchangeId, OpId, ProcessId, ScopeId, Seq, SessionId, SocketId};
pub use jsonl::{event_to_line, read_history};
pub use message::Message;
pub use normal::{normal_lanes, normal_text};
pub use source::Source;
pub use text::{event_from_text, event_to_text, history_from_text, history_to_text};

/// A well-formed history: a header and events whose sequence numbers rise by exactly one, from 1.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    header: Header,
    events: Vec<Event>,
}

/// Why a list of events is no history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Sequence numbers do not rise by exactly one.
    #[error("found event {found}, expected {expected}: sequence numbers rise by exactly one")]
    OutOfOrder {
        /// The number that belongs here.
        expected: Seq,
        /// The number that stands here.
        found: Seq,
    },
}

impl History {
    /// Accepts events in recorded order.
    ///
    /// # Errors
    /// `OutOfOrder` when sequence numbers do not rise by exactly one, from 1.
    pub fn from_events(header: Header, events: Vec<Event>) -> Result<Self, HistoryError> {
        let mut expected = Seq(1);
        for event in &events {
            if event.seq != expected {
                return Err(HistoryError::OutOfOrder { expected, found: event.seq });
            }
            expected = Seq(expected.0 + 1);
        }
        Ok(Self { header, events })
    }

    /// The facts that hold for the whole plan.
    #[must_use]
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// All events, in recorded order.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The event with this number.
    #[must_use]
    pub fn event(&self, seq: Seq) -> Option<&Event> {
        let index = usize::try_from(seq.0).ok()?.checked_sub(1)?;
        self.events.get(index)
    }
}
