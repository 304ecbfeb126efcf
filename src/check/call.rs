//! Calls after a load.

use crate::check::outcome::{MissKind, OperationEnd, Success, judge_call};
use crate::check::{ContextSwitch, Invariant, Level, Monitor, Property, Scope, Tally, View, Witness};
use crate::history::{Action, Event, Header, Kind};
use crate::plan::Promise;

/// Before the first cleanup; after it, calls are judged by `cleanup-repeatable`.
pub(super) const CALL_AFTER_LOAD_SUCCEEDS: Invariant = Invariant {
    id: "call-after-load-succeeds",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a call to a loaded, healthy server succeeds from any promised context until cleanup begins",
    source: "VG-04: then, until the first cleanup begins, a call completes with success within its bound",
    requirement: &["VG-04"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::OperationOverdue],
    vacuous: "no call to a loaded server ran undisturbed before the first cleanup",
    explain: "The tools were handed out, nobody had asked for cleanup, the server was well, and the call failed or never \
        returned. This is the first of the two bugs that this project began with: sessions opened in a scope, tools listed, \
        scope left, tools kept. The tools still point at dead sessions.\n\n\
        Look at whether the request reached the mock at all. If not, the session was closed (see scope-open-until-cleanup) or \
        belongs to a loop or runtime that nobody drives any more; the variant says how the calling context differs from the \
        loading one. Mend it by keeping the session open in one owner task that lives as long as the tools, and by handing calls \
        to that task instead of using the session from wherever the caller happens to be. Patching the event loop does not \
        help: it turns the error into a hang.",
    start: |_: &Header| -> Box<dyn Monitor> {
        Box::new(|event: &Event, view: &View, tally: &mut Tally| {
            let Some((id, ended)) = OperationEnd::of(event) else { return };
            let Some(operation) = view.operation(id).filter(|operation| operation.action == Action::Call) else {
                return;
            };
            if !operation.is_in_first_life() {
                return;
            }
            match judge_call(event, view, operation, ended) {
                Success::Excused => {}
                Success::Held => tally.held(),
                Success::Missed(mut miss) => {
                    let variant = variant(miss.kind, operation.hop);
                    miss.because.push_str(", ");
                    miss.because.push_str(operation.hop.phrase());
                    if let Some(loaded) = operation.loaded {
                        miss.because.push_str(&format!(", although its server was loaded at {loaded}"));
                        miss.witness.push(loaded);
                    }
                    tally.broken(miss.violation(variant));
                }
            }
        })
    },
};

fn variant(kind: MissKind, hop: ContextSwitch) -> &'static str {
    match (kind, hop) {
        (MissKind::Overdue, ContextSwitch::None) => "overdue",
        (MissKind::Overdue, ContextSwitch::Task) => "overdue-in-other-task",
        (MissKind::Overdue, ContextSwitch::Thread) => "overdue-on-other-thread",
        (MissKind::Overdue, ContextSwitch::Loop) => "overdue-in-other-loop",
        (MissKind::Cancelled, _) => "cancelled-unasked",
        (MissKind::Failed | MissKind::WithoutTools | MissKind::ServerInError, hop) => match hop {
            ContextSwitch::None => "failed",
            ContextSwitch::Task => "failed-in-other-task",
            ContextSwitch::Thread => "failed-on-other-thread",
            ContextSwitch::Loop => "failed-in-other-loop",
        },
    }
}
