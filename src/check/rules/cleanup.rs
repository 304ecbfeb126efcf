//! Cleanup: it succeeds, it can be repeated, and it opens nothing.

use crate::check::outcome::{Miss, MissKind, OperationEnd, Success, judge_call, judge_load, miss_of};
use crate::check::{
    AppliesTo, Hears, Invariant, Level, Monitor, Of, Operation, Property, Tally, View, Violation, Witness,
};
use crate::history::{Action, Event, EventKind, Header, Kind, OpId, Outcome, Seq};
use crate::plan::Promise;

/// Counter-examples: A cleanup may fail if the driver cancelled it, if a signal or the exit overtook it, or if it runs
/// in a context in which the loader does not promise to work. A dead or stubborn server excuses nothing: cleanup must
/// handle exactly that case.
pub(super) const CLEANUP_REPEATABLE: Invariant = Invariant {
    id: "cleanup-repeatable",
    property: Property::Liveness,
    level: Level::Own,
    claim: "cleanup succeeds within its bound, may be repeated, and a load after it gives working tools",
    source: "VG-05: cleanup is bounded, raises nothing, may be repeated; load after cleanup gives working tools",
    requirement: &["VG-05"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::OperationOverdue],
    hears: Hears::only(&[(
        Kind::OperationCompleted,
        &[Of::Loads, Of::Action(Action::Call), Of::Action(Action::Close)],
    )]),
    vacuous: "no cleanup ran undisturbed",
    explain: "Cleanup raised, never returned, could not be repeated, or left the loader unable to load again. \
        Programs clean up from any context: another task, an exit handler, a second tab. If cleanup must run in the \
        task that loaded, it raises elsewhere (\"exit cancel scope in a different task\"), and the sessions stay \
        open.\n\n\
        Look at the variant: `failed` in another context than the load is the cross-task bug; `overdue` is a wait \
        for a task or loop that no thread drives; `load-after-cleanup-…` is a session table that was not emptied. To \
        fix it, let the task that opened a session close it, put a bound on each step of the server's shutdown, and \
        empty the table in every case.",
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
    let because = format!("{}, {}", miss.because, operation.switch.phrase());
    Success::Missed(Miss { because, ..miss })
}

fn variant(operation: &Operation, kind: MissKind) -> &'static str {
    let is_repeat = operation.n_closes_before > 0;
    match operation.action {
        Action::Close => match kind {
            MissKind::Overdue if is_repeat => "repeat-overdue",
            MissKind::Overdue => "overdue",
            MissKind::Cancelled => "cancelled-unasked",
            MissKind::Failed | MissKind::WithoutTools | MissKind::ServerInError if is_repeat => "repeat-failed",
            MissKind::Failed | MissKind::WithoutTools | MissKind::ServerInError => "failed",
        },
        Action::Call => match kind {
            MissKind::Overdue => "call-after-reload-overdue",
            MissKind::Failed | MissKind::Cancelled | MissKind::WithoutTools | MissKind::ServerInError => {
                "call-after-reload-failed"
            }
        },
        Action::Load | Action::Rerun | Action::Reload | Action::List | Action::Collect | Action::Probe => match kind {
            MissKind::Overdue => "load-after-cleanup-overdue",
            MissKind::WithoutTools | MissKind::ServerInError => "load-after-cleanup-without-tools",
            MissKind::Failed | MissKind::Cancelled => "load-after-cleanup-failed",
        },
    }
}

/// Counter-examples: A load that runs concurrently with cleanup may connect. A load that was cancelled or failed a
/// moment ago may have started a server that connects only now. A loader that promises to reconnect may be
/// reconnecting, and so may a client whose server lost a session during a call.
pub(super) const CLEANUP_OPENS_NOTHING: Invariant = Invariant {
    id: "cleanup-opens-nothing",
    property: Property::Safety,
    level: Level::Own,
    claim: "no connection is opened while cleanup runs and nothing is loaded",
    source: "VG-15: cleanup opens nothing",
    requirement: &["VG-15"],
    applies: AppliesTo::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::OperationCompleted, Kind::OperationOverdue, Kind::ConnectionOpened],
    hears: Hears::only(&[
        (Kind::OperationInvoked, &[Of::Loads, Of::Action(Action::Close)]),
        (Kind::OperationCompleted, &[Of::Loads, Of::Action(Action::Close)]),
    ]),
    vacuous: "no cleanup ran without a concurrent load",
    explain: "The loader connected to a server while its cleanup was running. The usual reason is restart logic that \
        mistakes a close for a crash: the watcher notices that its server ended and starts it again, and no code \
        closes the second server.\n\n\
        Look at which server was opened and whether its old connection had just ended. To fix it, tell the watcher \
        that the end is intended before you close the session.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RunningCleanups::default()) },
};

#[derive(Default)]
struct RunningCleanups {
    running: Vec<(OpId, Seq)>,
    is_last_load_unclear: bool,
}

impl Monitor for RunningCleanups {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationInvoked { action: Action::Close, operation, .. } => {
                let is_loading = view.operations().any(|operation| operation.action.loads());
                if !is_loading && !self.is_last_load_unclear && !view.promises().reconnects {
                    self.running.push((*operation, event.seq));
                }
            }
            EventKind::OperationInvoked { action, .. } if action.loads() => self.running.clear(),
            EventKind::ConnectionOpened { connection } => {
                let is_healthy = view.is_healthy(event.source.server().unwrap_or_default());
                if let Some((_, close)) = self.running.first().filter(|_| is_healthy) {
                    let because =
                        format!("connection {connection} was opened at {}, during the cleanup of {close}", event.seq);
                    tally.broken(Violation::new("opened", because, &[*close, event.seq]));
                }
            }
            _ => self.ended(event, view, tally),
        }
    }
}

impl RunningCleanups {
    fn ended(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some((id, ended)) = OperationEnd::of(event) else { return };
        if view.operation(id).is_some_and(|operation| operation.action.loads()) {
            self.is_last_load_unclear = !matches!(ended, OperationEnd::Completed(Outcome::Ok { .. }));
        }
        let n_running = self.running.len();
        self.running.retain(|(running, _)| *running != id);
        if self.running.len() < n_running {
            tally.held();
        }
    }
}

/// Counter-examples: Two concurrent cleanups share the work. After a cleanup that failed, there is work left, and perhaps after a
/// load that was cancelled.
pub(super) const REPEATED_CLEANUP_QUIET: Invariant = Invariant {
    id: "repeated-cleanup-quiet",
    property: Property::Safety,
    level: Level::Own,
    claim: "a cleanup that finds nothing to do sends no request",
    source: "VG-05: cleanup may be repeated",
    requirement: &["VG-05"],
    applies: AppliesTo::ALL,
    needs: Promise::ClosesServers,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::OperationCompleted, Kind::WireReceived, Kind::HttpReceived],
    hears: Hears::only(&[
        (Kind::OperationCompleted, &[Of::Action(Action::Close)]),
        (Kind::WireReceived, &[Of::AnyRequest]),
    ])
    .from(&[(Kind::OperationCompleted, &[Of::Action(Action::Close)])]),
    vacuous: "no cleanup followed one that had succeeded",
    explain: "All sessions were closed, an exit handler or other code called cleanup again, and a server received a \
        request. The second cleanup went through a list that the first had not emptied, or opened a session in order \
        to close it.\n\n\
        Look at the request. To fix it, empty the table of sessions in the same step that closes them.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RepeatedCleanup::default()) },
};

#[derive(Default)]
struct RepeatedCleanup {
    running: Option<(OpId, Seq)>,
}

impl Monitor for RepeatedCleanup {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationInvoked { action: Action::Close, operation, .. }
                if view.closed().is_some() && !view.in_force().has_failed() =>
            {
                self.running = Some((*operation, event.seq));
            }
            EventKind::OperationInvoked { action, .. } if *action != Action::Probe => self.running = None,
            EventKind::OperationCompleted { operation, .. } => {
                let Some(_) = self.running.take_if(|(running, _)| running == operation) else { return };
                tally.held();
            }
            EventKind::WireReceived { message, .. } if !message.is_any_request() => {}
            EventKind::WireReceived { .. } | EventKind::HttpReceived { .. } => {
                if let Some((_, close)) = self.running {
                    let because = format!(
                        "a server received a request at {}, during the cleanup of {close}, which had nothing to do",
                        event.seq
                    );
                    tally.broken(Violation::new("asked", because, &[close, event.seq]));
                }
            }
            _ => {}
        }
    }
}
