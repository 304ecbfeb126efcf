//! Completion: every operation ends, and the process of the loader stays alive.

use std::time::Duration;

use crate::check::outcome::OperationEnd;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Operation, Property, Tally, View, Violation, Witness};
use crate::history::{Action, Event, EventKind, Header, Kind, LINK_LOST_CODE, OpId, Outcome, Seq, Table};
use crate::plan::{Bound, Promise};

/// Counter-examples: An operation whose context the driver ended cannot complete. A process that exits after a request
/// to exit, or that the supervisor ends because of a limit of the harness, is not lost. A loader that keeps a declared
/// bound of 10 s with a timer fires at 10.00x s, so a declared bound is broken only beyond one tenth more.
pub(super) const OPERATION_COMPLETES: Invariant = Invariant {
    id: "operation-completes",
    property: Property::Liveness,
    level: Level::Own,
    claim: "every operation completes within its bound, and the loader's process does not end by itself",
    source: "VG-11: every operation completes within its bound; the loader's process survives",
    requirement: &["VG-11", "LC-TMO-01", "LC-TMO-05"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::LoaderReady,
        Kind::OperationInvoked,
        Kind::OperationCompleted,
        Kind::OperationOverdue,
        Kind::OperationAbandoned,
        Kind::ContextOverdue,
        Kind::ProcessExited,
    ],
    hears: Hears::ALL,
    vacuous: "no operation ran undisturbed",
    explain: "An operation of the loader never ended, or its process died. Hangs are worse than errors: the program \
        logs nothing, the user waits, and in the end someone kills the process, which leaves its servers behind. \
        `probe-failed` means that one plain await right after a step raised: it received a cancellation or an error \
        that belongs to another task. `context-overdue` means that the driver could not end an idle task, thread or \
        loop. A program has this problem when it returns from the main function of its loop and then waits forever for \
        work that the loop must still finish.\n\n\
        Look at the stacks, taken before the end: which code waits, and what does it wait for? It may wait for a \
        future of a loop that no longer runs, a server that does not answer, or a lock held by a task that was \
        dropped. To fix it, put a deadline on every wait, and wake all waiters when the owner of a session ends.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(OpenOperations::default()) },
};

#[derive(Default)]
struct OpenOperations {
    open: Table<OpId, Seq>,
    /// The exit of the loader's process before its hello was recorded; the hello may still arrive.
    ended_unready: Option<(Seq, String)>,
}

impl OpenOperations {
    fn process_lost(at: Seq, how: &str, tally: &mut Tally) {
        let because = format!("the loader's process ended {how} at {at} although the driver had not requested it");
        tally.broken(Violation::new("process-lost", because, &[at]));
    }
}

impl Monitor for OpenOperations {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationInvoked { operation, .. } => {
                self.open.insert(*operation, event.seq);
            }
            EventKind::LoaderReady { .. } => {
                if let Some((at, how)) = self.ended_unready.take() {
                    Self::process_lost(at, &how, tally);
                }
            }
            EventKind::OperationAbandoned { operation, .. } => {
                self.open.swap_remove(operation);
            }
            EventKind::ContextOverdue { place, bound_ms, .. } => {
                let because =
                    format!("{place}, in which nothing ran, had not ended within {bound_ms} ms at {}", event.seq);
                let violation = Violation::new("context-overdue", because, &[event.seq]);
                tally.broken(violation.of_bound(Duration::from_millis(*bound_ms)));
            }
            EventKind::ProcessExited { role, code, signal, .. } => {
                // An adapter that lost its link exits with this code; the driver reports that the experiment failed.
                let is_lost = role == "loader"
                    && *code != Some(LINK_LOST_CODE)
                    && view.ending().is_none()
                    && view.experiment_failed().is_none();
                if is_lost && view.is_ready() {
                    Self::process_lost(event.seq, &how_it_ended(*code, signal.as_deref()), tally);
                } else if is_lost {
                    self.ended_unready = Some((event.seq, how_it_ended(*code, signal.as_deref())));
                }
            }
            _ => {
                let Some((id, ended)) = OperationEnd::of(event) else { return };
                self.open.swap_remove(&id);
                if let Some(operation) = view.operation(id) {
                    judge(event, view, operation, ended, tally);
                }
            }
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        for (id, invoked) in &self.open {
            if view.operation(*id).is_some_and(|operation| !operation.is_excused()) {
                tally.open(format!("{id}, invoked at {invoked}, had not completed"), &[*invoked]);
            }
        }
    }
}

fn how_it_ended(code: Option<i32>, signal: Option<&str>) -> String {
    match (code, signal) {
        (Some(code), _) => format!("with exit code {code}"),
        (None, Some(signal)) => format!("by signal {signal}"),
        (None, None) => "for an unknown reason".to_owned(),
    }
}

fn judge(event: &Event, view: &View, operation: &Operation, ended: OperationEnd<'_>, tally: &mut Tally) {
    let witness = [operation.invoked, event.seq];
    match ended {
        // Cancellation and cleanup excuse a failure, but not a hang: the caller waits for the end of the operation.
        OperationEnd::Overdue(bound) => {
            if operation.is_moot() {
                return;
            }
            let because = format!(
                "{}, invoked at {}, had not completed within {} ms at {}",
                operation.describe(),
                operation.invoked,
                bound.as_millis(),
                event.seq
            );
            tally.broken(Violation::new(overdue_variant(operation.action), because, &witness).of_bound(bound));
        }
        OperationEnd::Completed(outcome) => {
            let is_bad_probe =
                operation.action == Action::Probe && !operation.is_excused() && !matches!(outcome, Outcome::Ok { .. });
            if is_bad_probe {
                let because = format!("one plain await after a step did not return: {} at {}", operation.id, event.seq);
                tally.broken(Violation::new("probe-failed", because, &witness));
                return;
            }
            match broken_bound(event, view, operation) {
                Some(violation) => tally.broken(violation),
                None => tally.held(),
            }
        }
    }
}

fn broken_bound(event: &Event, view: &View, operation: &Operation) -> Option<Violation> {
    let promises = view.promises();
    let (Bound(bound), variant) = match operation.action {
        Action::Call => (promises.call_bound?, "call-over-declared-bound"),
        Action::Close => (promises.cleanup_bound?, "close-over-declared-bound"),
        Action::Load | Action::Rerun | Action::Reload | Action::List | Action::Collect | Action::Probe => return None,
    };
    let (started, at_us) = operation.started.filter(|_| !operation.is_excused())?;
    let took = Duration::from_micros(event.at_us.saturating_sub(at_us));
    if took <= bound + bound / 10 {
        return None;
    }
    let because = format!(
        "{} took {} ms, from {started} to {}, where the loader declares {} ms",
        operation.describe(),
        took.as_millis(),
        event.seq,
        bound.as_millis()
    );
    Some(Violation::new(variant, because, &[operation.invoked, started, event.seq]).of_bound(bound))
}

fn overdue_variant(action: Action) -> &'static str {
    match action {
        Action::Load => "load-overdue",
        Action::Rerun => "rerun-overdue",
        Action::Reload => "reload-overdue",
        Action::List => "list-overdue",
        Action::Call => "call-overdue",
        Action::Close => "close-overdue",
        Action::Collect => "collect-overdue",
        Action::Probe => "probe-overdue",
    }
}
