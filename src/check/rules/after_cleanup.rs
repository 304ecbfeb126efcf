//! After cleanup: nothing is opened, nothing is sent, and calls fail.

use std::time::Duration;

use crate::check::combinator::{Judged, each};
use crate::check::outcome::OperationEnd;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{Action, Event, EventKind, Header, Kind, Outcome, Seq, SocketId, Source, Table};
use crate::plan::Promise;

/// A mock may read a message this long after the loader wrote it.
const UNDER_WAY_US: u64 = 300_000;

/// Counter-examples: A loader that opens a session for each call may do so for a call that is still running. A pool of
/// HTTP connections may replace a socket that was broken, as Node's `fetch` does when a stream is aborted: a socket
/// counts only after a request uses it. A load or call that overlapped the cleanup, or a load that had failed before, may
/// have been connecting, and a mock journals a connection later than its client opens it.
pub(super) const CLOSED_STAYS_CLOSED: Invariant = Invariant {
    id: "closed-stays-closed",
    property: Property::Safety,
    level: Level::Own,
    claim: "after cleanup nothing is connected or started until the next load",
    source: "VG-15: closed sessions stay closed",
    requirement: &["VG-15", "LC-RES-07"],
    applies: AppliesTo::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[
        Kind::OperationInvoked,
        Kind::OperationCompleted,
        Kind::ConnectionOpened,
        Kind::SocketOpened,
        Kind::HttpReceived,
    ],
    hears: Hears::only(&[
        (Kind::OperationInvoked, &[Of::Loads, Of::Action(Action::Close)]),
        (Kind::OperationCompleted, &[Of::Action(Action::Close)]),
    ])
    .from(&[(Kind::OperationInvoked, &[Of::Action(Action::Close)])]),
    vacuous: "no cleanup succeeded",
    explain: "Cleanup had reported success, and then the loader connected to a server again. A reconnect timer that \
        is still running, a health check, or a call that opens a session by itself brings back a server that no code \
        will close.\n\n\
        Look at the time between the cleanup and the connection: it is the delay of the timer. To fix it, make every \
        such timer part of the session, so that it ends with the session.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(OpenedAfterCleanup::default()) },
};

#[derive(Default)]
struct OpenedAfterCleanup {
    /// Whether something may have been connecting during a cleanup since the latest load, or that load itself overlapped one.
    is_connecting: bool,
    /// Sockets that were opened after a cleanup and have carried no request yet: the end of that cleanup, the opening, and
    /// how much later it was than one that was under way may be.
    unused: Table<(Source, SocketId), (Seq, Seq, u64)>,
}

impl Monitor for OpenedAfterCleanup {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        if let EventKind::OperationInvoked { action, .. } = &event.kind {
            let mut others =
                view.operations().filter(|other| other.invoked < event.seq && other.action != Action::Probe);
            if *action == Action::Close {
                self.is_connecting |= others.next().is_some() || view.in_force().has_failed();
            } else if action.loads() {
                self.is_connecting = others.any(|other| other.action == Action::Close);
            }
        }
        let Some((closed, closed_at_us)) = view.closed() else { return self.unused.clear() };
        let over_us = event.at_us.saturating_sub(closed_at_us + UNDER_WAY_US);
        let (what, opened, over_us) = match &event.kind {
            EventKind::OperationCompleted { .. } if closed == event.seq => return tally.held(),
            EventKind::SocketOpened { socket } => {
                self.unused.insert((event.source.clone(), socket.clone()), (closed, event.seq, over_us));
                return;
            }
            EventKind::HttpReceived { socket, .. } => {
                match self.unused.swap_remove(&(event.source.clone(), socket.clone())) {
                    Some((before, at, over_us)) if before == closed => {
                        (format!("socket {socket} was opened"), at, over_us)
                    }
                    Some(_) | None => return,
                }
            }
            EventKind::ConnectionOpened { connection } => {
                (format!("connection {connection} was opened"), event.seq, over_us)
            }
            _ => return,
        };
        if self.is_connecting && over_us == 0 {
            return;
        }
        let because = format!("{what} at {opened}, after the cleanup that ended at {closed}");
        let violation = Violation::new("opened", because, &[closed, opened]);
        let is_by_time = self.is_connecting;
        tally.broken(if is_by_time { violation.of_lateness(Duration::from_micros(over_us)) } else { violation });
    }
}

/// Counter-examples: A mock may read later what the loader wrote before. `call-after-cleanup-fails` judges a call after
/// cleanup.
pub(super) const CLOSED_STAYS_SILENT: Invariant = Invariant {
    id: "closed-stays-silent",
    property: Property::Safety,
    level: Level::Own,
    claim: "after cleanup the loader sends nothing to a server until the next operation",
    source: "VG-15: closed sessions send nothing",
    requirement: &["VG-15"],
    applies: AppliesTo::ALL,
    needs: Promise::ClosesServers,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::WireReceived, Kind::HttpReceived],
    hears: Hears::only(&[(Kind::OperationCompleted, &[Of::Action(Action::Close)])])
        .from(&[(Kind::OperationCompleted, &[Of::Action(Action::Close)])]),
    vacuous: "no cleanup succeeded",
    explain: "Cleanup was over, no operation was running, and a server still received a message. A task of the \
        session outlived it: a ping timer, a reader that reconnects its stream, a request that is retried. Such \
        tasks keep the program alive, or fail in a loop that is closed.\n\n\
        Look at the message. To fix it, keep every task of a session in one group that cleanup cancels and waits \
        for.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_silence) },
};

fn judge_silence(event: &Event, view: &View) -> Judged {
    let Some((closed, closed_at_us)) = view.closed() else { return Judged::Unrelated };
    if matches!(event.kind, EventKind::OperationCompleted { .. }) {
        return if closed == event.seq { Judged::Held } else { Judged::Unrelated };
    }
    let is_asked = view.operations().any(|operation| operation.action != Action::Probe);
    let over_us = event.at_us.saturating_sub(closed_at_us + UNDER_WAY_US);
    if is_asked || over_us == 0 {
        return Judged::Unrelated;
    }
    let because = format!(
        "a server received something at {}, {} ms after the cleanup that ended at {closed}",
        event.seq,
        (event.at_us - closed_at_us) / 1_000
    );
    let violation = Violation::new("spoke", because, &[closed, event.seq]);
    Judged::Broken(violation.of_lateness(Duration::from_micros(over_us)))
}

/// Counter-example: a loader that opens sessions on demand may open one for this call.
pub(super) const CALL_AFTER_CLEANUP_FAILS: Invariant = Invariant {
    id: "call-after-cleanup-fails",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a call after cleanup fails at once, and no server receives it",
    source: "VG-15: a call on a closed session fails",
    requirement: &["VG-15"],
    applies: AppliesTo::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::OperationOverdue],
    hears: Hears::only(&[(Kind::OperationCompleted, &[Of::Action(Action::Call)])])
        .from(&[(Kind::OperationCompleted, &[Of::Action(Action::Close)])]),
    vacuous: "no tool was called after cleanup",
    explain: "The program kept a tool beyond cleanup and called it. There are three variants. The call worked, because \
        the server was still there or came back. It hung, because it waited for an answer from a closed session. Or \
        the client still sent its request. Programs often keep tools longer than intended: in a chat history, in a \
        closure, in a second tab.\n\n\
        Look at the variant. To fix it, mark the tools of a closed session as closed, and return a distinct error \
        before anything else is tried.",
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
