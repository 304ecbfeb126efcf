//! Cleanup, repeated cleanup, and life after it.

use crate::check::outcome::{Miss, MissKind, OperationEnd, Success, judge_call, judge_load, miss_of};
use crate::check::{Invariant, Level, Monitor, Operation, Property, Scope, Tally, View, Witness};
use crate::history::{Action, Event, Header, Kind};
use crate::plan::Promise;

/// Counter-examples that shaped it. A cleanup that was cancelled on request may fail. One that a signal or the exit overtook
/// may fail. One in a context the loader does not promise to work in may fail. A dead or stubborn server excuses nothing: cleanup
/// is there for exactly that.
pub(super) const CLEANUP_REPEATABLE: Invariant = Invariant {
    id: "cleanup-repeatable",
    property: Property::Liveness,
    level: Level::Own,
    claim: "cleanup succeeds within its bound, may be repeated, and a load after it gives working tools",
    source: "VG-05: cleanup is bounded, raises nothing, may be repeated; load after cleanup gives working tools",
    requirement: &["VG-05"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::OperationOverdue],
    vacuous: "no cleanup ran undisturbed",
    explain: "Cleanup raised, never returned, could not be repeated, or left the loader unable to load again. Programs clean \
        up from wherever they happen to be: another task, an exit handler, a second tab. When cleanup must run in the task that \
        loaded, it raises there (\"exit cancel scope in a different task\"), and what it was to close stays open.\n\n\
        Look at the variant: `failed` in another context than the load is the cross-task bug; `overdue` is a wait for a task \
        or loop that nobody drives; `load-after-cleanup-…` is a session table that was not emptied. Mend it by letting the task that \
        opened a session close it, by bounding each step of the server's shutdown, and by emptying the table whatever happens.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(see) },
};

fn see(event: &Event, view: &View, tally: &mut Tally) {
    let Some((id, ended)) = OperationEnd::of(event) else { return };
    let Some(operation) = view.operation(id) else { return };
    let is_after = operation.is_in_later_life();
    let judged = match operation.action {
        Action::Close => judge_close(event, operation, ended),
        Action::Load | Action::Rerun | Action::Reload if is_after => judge_load(event, view, operation, ended),
        Action::Call if is_after => judge_call(event, view, operation, ended),
        Action::Load
        | Action::Rerun
        | Action::Reload
        | Action::Call
        | Action::List
        | Action::Collect
        | Action::Probe => return,
    };
    match judged {
        Success::Excused => {}
        Success::Held => tally.held(),
        Success::Missed(miss) => {
            let variant = variant(operation, miss.kind);
            tally.broken(miss.violation(variant));
        }
    }
}

fn judge_close(event: &Event, operation: &Operation, ended: OperationEnd<'_>) -> Success {
    if operation.is_excused() || !operation.is_promised {
        return Success::Excused;
    }
    let Some(miss) = miss_of(event, operation, ended) else { return Success::Held };
    let because = format!("{}, {}", miss.because, operation.hop.phrase());
    Success::Missed(Miss { because, ..miss })
}

fn variant(operation: &Operation, kind: MissKind) -> &'static str {
    let is_repeat = operation.n_closes_before > 0;
    match (operation.action, kind) {
        (Action::Call, MissKind::Overdue) => "call-after-reload-overdue",
        (Action::Call, _) => "call-after-reload-failed",
        (Action::Close, MissKind::Overdue) if is_repeat => "repeat-overdue",
        (Action::Close, MissKind::Overdue) => "overdue",
        (Action::Close, MissKind::Cancelled) => "cancelled-unasked",
        (Action::Close, _) if is_repeat => "repeat-failed",
        (Action::Close, _) => "failed",
        (_, MissKind::Overdue) => "load-after-cleanup-overdue",
        (_, MissKind::WithoutTools | MissKind::ServerInError) => "load-after-cleanup-without-tools",
        (_, MissKind::Failed | MissKind::Cancelled) => "load-after-cleanup-failed",
    }
}
