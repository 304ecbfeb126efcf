//! The history of one plan: the reports of every source, in the order in which the recorder acknowledged them.
//!
//! Start at [`Event`] and [`History`]. This module holds plain data: it does not wait, judge or read a clock. Only the
//! recorder assigns sequence numbers. Every [`History`] is well formed, so monitors do not check that again.

mod event;
mod header;
mod header_value;
mod idle;
mod ids;
mod jsonl;
mod message;
mod method;
mod name;
mod normal;
mod origin;
mod reader;
mod source;
mod table;
#[cfg(test)]
mod tests;
mod text;
mod trace;

pub use event::{
    Action, Channel, CodeLine, Context, Event, EventKind, Failure, Impact, Kind, Leaving, LinkPeer, Outcome, ScopeForm,
    ServerEnd, Tool, WaitingCode, WireEnd,
};
pub use header::{ApplicationFacts, Header, HostFacts, LINK_LOST_CODE, SCHEMA, ServerFacts, UNKNOWN_TRANSPORT};
pub use header_value::{header_text, is_header_text};
pub use idle::{Settling, cpu_percent, is_busy};
pub use ids::{ConnectionId, ExchangeId, OpId, ProcessId, ScopeId, Seq, SessionId, SocketId};
pub use jsonl::event_to_line;
pub use message::Message;
pub use method::KnownMethod;
pub use name::Name;
pub use normal::{normal_lanes, normal_text};
pub use origin::Origin;
pub use reader::{HistoryReader, read_history, read_journal};
pub use source::Source;
pub use table::{KeySet, Table};
pub use text::{event_from_text, event_to_text, history_from_text, history_to_text};
pub use trace::{is_trace, read_trace};

/// The longest line that a mock reads, in bytes: a longer one is journalled as noise, although it may be a message.
pub const LONGEST_LINE_BYTES: u64 = 6 << 20;

/// What an `evidence.truncated` names if a limit of a mock kept it from a message as its client meant it.
pub const UNREAD: &str = "message";

/// A well-formed history: a header and events whose sequence numbers rise by exactly one, from 1. An excerpt of one lacks
/// events.
#[derive(Debug, Clone, PartialEq)]
pub struct History {
    header: Header,
    events: Vec<Event>,
}

/// Why a list of events is not a history.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// Sequence numbers do not rise by exactly one.
    #[error("found event {found}, expected {expected}: sequence numbers rise by exactly one")]
    OutOfOrder {
        /// The number that belongs at this position.
        expected: Seq,
        /// The number found at this position.
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

    /// Some events of a history that is too long to keep, in recorded order.
    #[must_use]
    pub fn excerpt(header: Header, mut events: Vec<Event>) -> Self {
        events.sort_by_key(|event| event.seq);
        Self { header, events }
    }

    /// The text of `history.jsonl`.
    #[must_use]
    pub fn to_jsonl(&self) -> String {
        let mut text = serde_json::to_string(&self.header).expect("a header has string keys only");
        text.push('\n');
        for event in &self.events {
            text.push_str(&event_to_line(event));
            text.push('\n');
        }
        text
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

    /// The event with this number, if there is one.
    #[must_use]
    pub fn event(&self, seq: Seq) -> Option<&Event> {
        let index = self.events.binary_search_by_key(&seq, |event| event.seq).ok()?;
        self.events.get(index)
    }
}
