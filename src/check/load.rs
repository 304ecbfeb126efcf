//! Loads.

use crate::check::outcome::{MissKind, OperationEnd, Success, judge_load};
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Witness};
use crate::history::{Event, Header, Kind};
use crate::plan::Promise;

/// Before the first cleanup; after it, loads are judged by `cleanup-repeatable`.
pub(super) const LOAD_SUCCEEDS: Invariant = Invariant {
    id: "load-succeeds",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a load hands out the tools of every healthy server",
    source: "VG-04: until the first cleanup begins, healthy servers load",
    requirement: &["VG-04"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::OperationOverdue],
    vacuous: "no load ran undisturbed before the first cleanup",
    explain: "The loader was asked to load servers that our own client can talk to, and it failed, never returned, or left out \
        the tools of one that works. Users see an agent without tools, often after the second run of the program, because the \
        first one left something behind: a session bound to a dead loop, a table that says \"already loaded\".\n\n\
        Look at the first witness, the invocation, and at what the mock of the missing server received: no `initialize` means \
        that the loader never connected, no `tools/list` that it gave up during the handshake. Mend it by opening each session \
        in a task that outlives the caller, by reporting a server's error beside the tools of the others, and by never letting \
        one dead server fail the load as a whole.",
    start: |_: &Header| -> Box<dyn Monitor> {
        Box::new(|event: &Event, view: &View, tally: &mut Tally| {
            let Some((id, ended)) = OperationEnd::of(event) else { return };
            let Some(operation) = view.operation(id).filter(|operation| operation.action.loads()) else { return };
            if !operation.is_in_first_life() {
                return;
            }
            match judge_load(event, view, operation, ended) {
                Success::Excused => {}
                Success::Held => tally.held(),
                Success::Missed(miss) => {
                    let variant = variant(miss.kind);
                    tally.broken(miss.violation(variant));
                }
            }
        })
    },
};

fn variant(kind: MissKind) -> &'static str {
    match kind {
        MissKind::Failed => "failed",
        MissKind::Overdue => "overdue",
        MissKind::Cancelled => "cancelled-unasked",
        MissKind::WithoutTools => "without-tools",
        MissKind::ServerInError => "server-in-error",
    }
}
