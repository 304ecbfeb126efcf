//! What may not happen once cleanup or the end has begun.

use std::collections::BTreeMap;

use crate::check::combinator::{Judged, each};
use crate::check::outcome::OperationEnd;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{Action, Event, EventKind, Header, Kind, OpId, Outcome, Seq, SocketId, Source};
use crate::plan::Promise;

/// What was written before cleanup ended may be read by a mock this much later.
const UNDER_WAY_US: u64 = 100_000;

/// Counter-examples that shaped it. A load that runs beside cleanup may connect. A load that was cancelled or failed a moment
/// ago may have started a server that says so only now. A loader that reconnects on its own may be in the middle of it.
pub(super) const CLEANUP_OPENS_NOTHING: Invariant = Invariant {
    id: "cleanup-opens-nothing",
    property: Property::Safety,
    level: Level::Own,
    claim: "no connection is opened while cleanup runs and nothing is loaded",
    source: "VG-15: what is being closed is not opened again",
    requirement: &["VG-15"],
    applies: Scope::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::OperationCompleted, Kind::OperationOverdue, Kind::ConnectionOpened],
    vacuous: "no cleanup ran without a load beside it",
    explain: "Cleanup was under way and the loader connected to a server. Restart logic that takes a close for a crash does \
        this: the watcher sees its server end, starts it again, and nobody is left who would close the second one.\n\n\
        Look at which server was opened and whether its old connection had just ended. Mend it by telling whoever watches a \
        session that the end is wanted before the session is closed.",
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
                if let Some((_, close)) = self.running.first() {
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

/// Counter-examples that shaped it. Whoever opens a session for each call may do so for a call that runs on. A pool of HTTP
/// connections may put a fresh socket in place of one that was torn off, as Node's `fetch` does when a stream is aborted: a socket
/// counts once something is asked over it.
pub(super) const CLOSED_STAYS_CLOSED: Invariant = Invariant {
    id: "closed-stays-closed",
    property: Property::Safety,
    level: Level::Own,
    claim: "after cleanup nothing is connected or started until the next load",
    source: "VG-15: what is closed stays closed",
    requirement: &["VG-15", "LC-RES-07"],
    applies: Scope::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::ConnectionOpened, Kind::SocketOpened, Kind::HttpReceived],
    vacuous: "no cleanup succeeded",
    explain: "Cleanup had said that it was done, and then the loader connected to a server again. A timer for reconnecting that \
        nobody stopped, a health check, or a call that opens a session by itself brings a server back that nobody will close.\n\n\
        Look at how long after the cleanup it happened: the delay is that of the timer. Mend it by making every such timer a \
        part of the session, so that it ends with it.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(OpenedAfterCleanup::default()) },
};

#[derive(Default)]
struct OpenedAfterCleanup {
    /// Sockets that were opened after a cleanup and over which nothing was asked yet, with the end of that cleanup.
    unused: BTreeMap<(Source, SocketId), (Seq, Seq)>,
}

impl Monitor for OpenedAfterCleanup {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some((closed, _)) = view.closed() else { return self.unused.clear() };
        let (what, opened) = match &event.kind {
            EventKind::OperationCompleted { .. } if closed == event.seq => return tally.held(),
            EventKind::SocketOpened { socket } => {
                self.unused.insert((event.source.clone(), socket.clone()), (closed, event.seq));
                return;
            }
            EventKind::HttpReceived { socket, .. } => {
                match self.unused.remove(&(event.source.clone(), socket.clone())) {
                    Some((before, opened)) if before == closed => (format!("socket {socket} was opened"), opened),
                    Some(_) | None => return,
                }
            }
            EventKind::ConnectionOpened { connection } => (format!("connection {connection} was opened"), event.seq),
            _ => return,
        };
        let because = format!("{what} at {opened}, after the cleanup that ended at {closed}");
        tally.broken(Violation::new("opened", because, &[closed, opened]));
    }
}

/// Counter-examples that shaped it. What was written before may be read after. A call that is made after cleanup is told by
/// `call-after-cleanup-fails`.
pub(super) const CLOSED_STAYS_SILENT: Invariant = Invariant {
    id: "closed-stays-silent",
    property: Property::Safety,
    level: Level::Own,
    claim: "after cleanup nothing is sent to a server until something is asked of the loader",
    source: "VG-15: what is closed says nothing more",
    requirement: &["VG-15"],
    applies: Scope::ALL,
    needs: Promise::ClosesServers,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::WireReceived, Kind::HttpReceived],
    vacuous: "no cleanup succeeded",
    explain: "Cleanup was over, nothing was asked of the loader, and a server still received something. A task of the session \
        outlived it: a ping timer, a reader that reconnects its stream, a request that is tried again. Such tasks keep the \
        program alive, or fail in a loop that is closed.\n\n\
        Look at the message. Mend it by keeping every task of a session in one group that cleanup cancels and waits for.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_silence) },
};

fn judge_silence(event: &Event, view: &View) -> Judged {
    let Some((closed, closed_at_us)) = view.closed() else { return Judged::Unrelated };
    if matches!(event.kind, EventKind::OperationCompleted { .. }) {
        return if closed == event.seq { Judged::Held } else { Judged::Unrelated };
    }
    let is_asked = view.operations().any(|operation| operation.action != Action::Probe);
    if is_asked || event.at_us <= closed_at_us + UNDER_WAY_US {
        return Judged::Unrelated;
    }
    let because = format!(
        "a server received something at {}, {} ms after the cleanup that ended at {closed}",
        event.seq,
        (event.at_us - closed_at_us) / 1_000
    );
    Judged::Broken(Violation::new("spoke", because, &[closed, event.seq]))
}

/// Counter-example that shaped it: whoever opens a session when it is first needed may open one for this call.
pub(super) const CALL_AFTER_CLEANUP_FAILS: Invariant = Invariant {
    id: "call-after-cleanup-fails",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a call after cleanup fails at once, and no server hears of it",
    source: "VG-15: what is closed can not be used; whoever tries is told so",
    requirement: &["VG-15"],
    applies: Scope::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::OperationOverdue],
    vacuous: "no tool was called after cleanup",
    explain: "A tool was kept beyond cleanup and called. It worked, because the server was still there or came back; it hung, \
        waiting for an answer from a session that is gone; or its request still went out. Programs keep tools longer than they \
        think: in a chat history, in a closure, in a second tab.\n\n\
        Look at the variant. Mend it by marking the tools of a closed session as closed, and by failing with an error of its \
        own kind before anything else is tried.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_late_call) },
};

fn judge_late_call(event: &Event, view: &View) -> Judged {
    let (Some((id, ended)), Some((closed, _))) = (OperationEnd::of(event), view.closed()) else {
        return Judged::Unrelated;
    };
    let Some(operation) = view.operation(id).filter(|operation| operation.action == Action::Call) else {
        return Judged::Unrelated;
    };
    if operation.invoked < closed || operation.is_excused() {
        return Judged::Unrelated;
    }
    let broken = |variant, what: &str| {
        let because =
            format!("{} {what} at {}, after the cleanup that ended at {closed}", operation.describe(), event.seq);
        Judged::Broken(Violation::new(variant, because, &[closed, operation.invoked, event.seq]))
    };
    match ended {
        OperationEnd::Overdue(_) => broken("overdue", "had not completed"),
        OperationEnd::Completed(Outcome::Ok { .. }) => broken("succeeded", "succeeded"),
        OperationEnd::Completed(Outcome::Failed(_) | Outcome::Cancelled) if !operation.requests.is_empty() => {
            broken("reached-server", "failed, but its request had reached the server")
        }
        OperationEnd::Completed(Outcome::Failed(_) | Outcome::Cancelled) => Judged::Held,
    }
}

/// Counter-examples that shaped it. Two cleanups at the same time share the work. After one that failed, there is work left.
pub(super) const REPEATED_CLEANUP_QUIET: Invariant = Invariant {
    id: "repeated-cleanup-quiet",
    property: Property::Safety,
    level: Level::Own,
    claim: "a cleanup that finds nothing to do asks no server for anything",
    source: "VG-05: cleanup may be repeated",
    requirement: &["VG-05"],
    applies: Scope::ALL,
    needs: Promise::ClosesServers,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::OperationCompleted, Kind::WireReceived, Kind::HttpReceived],
    vacuous: "no cleanup followed one that had succeeded",
    explain: "Everything was closed, cleanup was called again, as exit handlers do, and a server received a request. The second \
        cleanup went through a list that the first had not emptied, or opened a session in order to close it.\n\n\
        Look at the request. Mend it by emptying the table of sessions in the same step that closes them.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RepeatedCleanup::default()) },
};

#[derive(Default)]
struct RepeatedCleanup {
    running: Option<(OpId, Seq)>,
}

impl Monitor for RepeatedCleanup {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationInvoked { action: Action::Close, operation, .. } if view.closed().is_some() => {
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
                        "a server was asked for something at {}, during the cleanup of {close}, which had nothing to do",
                        event.seq
                    );
                    tally.broken(Violation::new("asked", because, &[close, event.seq]));
                }
            }
            _ => {}
        }
    }
}

/// Counter-example that shaped it: a load that was under way when the end was asked for may have a server starting.
pub(super) const EXIT_OPENS_NOTHING: Invariant = Invariant {
    id: "exit-opens-nothing",
    property: Property::Safety,
    level: Level::Own,
    claim: "no connection is opened once the program was asked to end",
    source: "VG-15: who ends, opens nothing",
    requirement: &["VG-15"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ExitRequested, Kind::SignalSent, Kind::ConnectionOpened, Kind::ProcessExited],
    vacuous: "the program was not asked to end while nothing ran",
    explain: "The program was ending, by itself or by a signal, and the loader connected to a server. Exit handlers that load in \
        order to close, and watchers that restart what the end has just taken down, leave servers without an owner.\n\n\
        Look at what ended just before. Mend it as for `cleanup-opens-nothing`: the end has to be known to whoever restarts.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(OpenedAtExit::default()) },
};

#[derive(Default)]
struct OpenedAtExit {
    asked: Option<Seq>,
}

impl Monitor for OpenedAtExit {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, self.asked) {
            (EventKind::ExitRequested {}, None) => self.begin(event, view),
            (EventKind::SignalSent { target, .. }, None) if target == "loader" => self.begin(event, view),
            (EventKind::ConnectionOpened { connection }, Some(asked)) => {
                let because = format!(
                    "connection {connection} was opened at {}, after the end was asked for at {asked}",
                    event.seq
                );
                tally.broken(Violation::new("opened", because, &[asked, event.seq]));
            }
            (EventKind::ProcessExited { role, .. }, Some(_)) if role == "loader" => {
                self.asked = None;
                tally.held();
            }
            _ => {}
        }
    }
}

impl OpenedAtExit {
    fn begin(&mut self, event: &Event, view: &View) {
        let is_busy = view.operations().any(|operation| operation.action != Action::Probe);
        self.asked = (!is_busy && view.loader_exited().is_none()).then_some(event.seq);
    }
}

/// Counter-examples that shaped it. Who was signalled as well has more to do. An interpreter takes seconds to end on a busy
/// machine, so only what comes near the whole limit counts.
pub(super) const EXIT_PROMPT_AFTER_CLEANUP: Invariant = Invariant {
    id: "exit-prompt-after-cleanup",
    property: Property::Liveness,
    level: Level::OwnResource,
    claim: "after cleanup the program ends without waiting for anything",
    source: "VG-14: a process that is kept alive after its work is done is as bad as one that hangs",
    requirement: &["VG-14"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ExitRequested, Kind::SignalSent, Kind::ProcessExited],
    vacuous: "the program was not asked to end after a cleanup that had succeeded",
    explain: "Everything was closed and the program still took seconds to end. Something waited: a thread that is joined at exit, \
        a connection pool that drains, a timer that nobody cancelled. Users see a command that is done and does not return.\n\n\
        Look at which threads were alive at the end. Mend it by ending what was started for sessions in cleanup, not at exit.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(PromptExit::default()) },
};

#[derive(Default)]
struct PromptExit {
    asked: Option<(Seq, u64)>,
}

impl Monitor for PromptExit {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, &event.source) {
            (EventKind::ExitRequested {}, _) => {
                let is_idle = view.closed().is_some() && view.operations().next().is_none();
                self.asked = (is_idle && view.signalled().is_none()).then_some((event.seq, event.at_us));
            }
            (EventKind::SignalSent { .. }, _) => self.asked = None,
            (EventKind::ProcessExited { role, .. }, Source::System) if role == "loader" => {
                let Some((asked, at_us)) = self.asked.take() else { return };
                let limit = view.limits().exit * 3 / 4;
                let took_us = event.at_us.saturating_sub(at_us);
                if u128::from(took_us) <= limit.as_micros() {
                    tally.held();
                    return;
                }
                let because = format!(
                    "the program took {} ms to end, from {asked} to {}, although everything was closed",
                    took_us / 1_000,
                    event.seq
                );
                tally.broken(Violation::new("late", because, &[asked, event.seq]).of_bound(limit));
            }
            _ => {}
        }
    }
}
