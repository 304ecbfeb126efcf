//! The checker: judges a history against named invariants.
//!
//! Start at [`judge`], or at [`INVARIANTS`], the table of everything that is judged. Pure: no tokio, no clock, no files. One
//! pass: the [`Engine`] keeps a small [`View`] of the loader's life and hands each event to the monitors that subscribe to
//! its kind; a monitor keeps only what it still waits for.
//!
//! Three rules keep it from crying wolf. Whatever follows the harness's own KILL of the loader is not judged. An operation
//! that was cancelled, overtaken by cleanup or whose context was ended on purpose is excused. A server that was made to
//! misbehave is not expected to work. What is deliberately absent: message texts. Nothing is judged by them, because they differ
//! between versions.

mod combinator;
mod connection_ends;
mod engine;
mod experiment;
mod host;
mod invariant;
mod mode;
mod operations;
mod outcome;
mod peers;
mod rules;
mod sight;
mod tally;
#[cfg(test)]
mod tests;
mod verdict;
mod view;

pub use engine::Engine;
pub use experiment::{EXPERIMENT, ExperimentCause};
pub use invariant::{Invariant, Level, Monitor, Property, Scope, Witness};
pub use mode::{Mode, ModeTally};
pub use operations::{ContextSwitch, Operation, Overtaken, Removal, Request};
pub use peers::{Connection, Gone, PendingRequest, Server};
pub use rules::{HOST_RULES, INVARIANTS, invariant};
pub use tally::{Tally, Violation};
pub use verdict::{Finding, Judgement, PlanVerdict, Verdict};
pub use view::View;

use crate::history::History;

/// Judges a whole history.
#[must_use]
pub fn judge(history: &History) -> Judgement {
    let mut engine = Engine::new(history.header());
    for event in history.events() {
        engine.see(event);
    }
    engine.end()
}
