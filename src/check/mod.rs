//! The checker: judges a history against named invariants.
//!
//! Start at [`judge`], or at the tables of rules: [`INVARIANTS`] for loaders, [`HOST_RULES`] for conformance clients
//! and applications. Each family of rules is one file of `rules`; the histories of a rule are in `tests/histories/ID`.
//!
//! The checker is pure: no tokio, no clock, no files. It makes one pass. The [`Engine`] keeps a small [`View`] of the
//! loader's life and passes each event to the monitors that subscribe to its kind. A monitor keeps only its open
//! obligations.
//!
//! Three exceptions prevent false alarms. No event after the harness has killed the loader is judged. An operation is
//! excused if it was cancelled, if cleanup overtook it, or if the driver ended its context. A fault of a script excuses
//! the operations of that time, until the server has recovered. No rule reads the texts of errors, because they differ
//! between versions.

mod after_answers;
mod agreement;
mod asked_answers;
mod call_results;
mod carriers;
mod causes;
mod combinator;
mod condition;
mod connection_ends;
mod course;
mod coverage;
mod digests;
mod early_streams;
mod engine;
mod evidence;
mod experiment;
mod generations;
mod honest_answers;
mod host;
mod in_force;
mod invariant;
mod lessons;
mod levels;
mod metadata;
mod methods;
mod observability;
mod operations;
mod outcome;
mod parts;
mod peers;
mod polls;
mod reading;
mod refusals;
mod requirement;
mod rules;
mod senders;
mod session_lifetime;
mod shape;
mod spoken;
mod subscribers;
mod tally;
#[cfg(test)]
mod tests;
mod topics;
mod turns;
mod verdict;
mod view;

pub use agreement::{Agreement, InitializeAnswer, Spoken};
pub use coverage::covered_by;
pub use engine::Engine;
pub use experiment::{EXPERIMENT, ExperimentCause};
pub use invariant::{AppliesTo, Invariant, Level, Monitor, Property, Witness};
pub use levels::{LEVEL_DIFFERENCES, LevelDifference, level_differences};
pub use operations::{ContextSwitch, Operation, Overtaken, Removal, WireRequest};
pub use peers::{Connection, Gone, PendingRequest, Server};
pub use requirement::{
    Channel, Deferred, DeferredKind, Judged, Oddity, Requirement, Unbreakable, UnbreakableKind, requirements,
};
pub use rules::{HOST_RULES, INVARIANTS, invariant};
pub use session_lifetime::{LifetimeTally, SessionLifetime};
pub use tally::{Tally, Violation};
pub use topics::{Hears, Of, Plans, Selection};
pub use verdict::{Finding, Judgement, PlanVerdict, Verdict};
pub use view::View;

use crate::history::History;

/// Judges a whole history by the table of its subject.
#[must_use]
pub fn judge(history: &History) -> Judgement {
    let mut engine = Engine::new(history.header());
    for event in history.events() {
        engine.see(event);
    }
    engine.end()
}
