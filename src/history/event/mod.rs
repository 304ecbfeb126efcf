//! Events, the elements of a history. Start at the table of kinds in `table`.

mod kinds;
mod mock_rows;
mod operation;
mod server;
mod table;
mod witness;

pub use self::operation::{Action, Context, Failure, Outcome, Tool};
pub use self::server::{Impact, LinkPeer, ServerEnd, WireEnd};
pub use self::table::{EventKind, Kind};
pub use self::witness::{Channel, CodeLine, Leaving, ScopeForm, WaitingCode};
use crate::history::{Seq, Source};

/// One thing that happened, as its source reported it.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// Position in the recorder's order.
    pub seq: Seq,
    /// CLOCK_MONOTONIC of the source in microseconds, counted from the start of the plan.
    pub at_us: u64,
    /// The process or part of the harness that reported the event.
    pub source: Source,
    /// The kind of event, with its fields.
    pub kind: EventKind,
}

/// Whether a flag is left out of a file.
fn is_false(flag: &bool) -> bool {
    !flag
}
