//! Processes: what is left, what is not reaped, what does not end.

use std::collections::BTreeMap;

use crate::check::combinator::{Judged, Obligation, each, once_then};
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{Action, Event, EventKind, Header, Kind, LinkPeer, Outcome, ProcessId, Seq};
use crate::plan::Promise;

/// Counter-examples that shaped it. A load that runs while cleanup does may start a server that is rightly there afterwards.
/// A helper process of the language (role `other`) may outlive cleanup, but not the program. An HTTP server is the harness's own
/// process, so an open link says nothing there. After a cleanup that was cancelled on request, only the end of the program counts.
pub(super) const NOTHING_SURVIVES: Invariant = Invariant {
    id: "nothing-survives",
    property: Property::Liveness,
    level: Level::Own,
    claim: "no server is left after cleanup and its grace, and no process at all after the program's end",
    source: "VG-06: no process, socket or session is left",
    requirement: &["VG-06"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::OperationInvoked,
        Kind::OperationCompleted,
        Kind::LinkOpened,
        Kind::LinkClosed,
        Kind::ProcessStarted,
        Kind::ProcessExited,
        Kind::ProcessLeft,
        Kind::ProcessOrphan,
        Kind::GraceExpired,
    ],
    vacuous: "no server was started, or no grace after it ended",
    explain: "A server process outlived cleanup or the program. Leaked servers hold ports, locks and memory, and a desktop that ran \
        an agent all day has dozens of them. Polite servers hide this: they end when their stdin does. The stubborn ones of \
        the suite ignore EOF and SIGTERM, as real ones behind `sh -c` or npx do.\n\n\
        Look at the role of the process that is left and at what its journal says: no EOF means that the session was never \
        closed; EOF and no signal that the shutdown ladder stops too early. Mend it with the whole ladder, EOF, SIGTERM, SIGKILL, over \
        the process group, run even when the caller's task is cancelled, and registered for the end of the program.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Survivors::default()) },
};

#[derive(Default)]
struct Survivors {
    started: BTreeMap<ProcessId, Seq>,
    links: BTreeMap<(String, u32), Seq>,
    orphans: Vec<String>,
    n_servers: usize,
    was_close_cancelled: bool,
}

impl Monitor for Survivors {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationInvoked { action: Action::Close, .. } => self.was_close_cancelled = false,
            EventKind::OperationCompleted { operation, outcome } => {
                let is_close = view.operation(*operation).is_some_and(|operation| operation.action == Action::Close);
                self.was_close_cancelled |= is_close && *outcome == Outcome::Cancelled;
            }
            EventKind::LinkOpened { peer: LinkPeer::Mock { server, incarnation } } => {
                self.n_servers += 1;
                self.links.insert((server.clone(), *incarnation), event.seq);
            }
            EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, .. } => {
                self.links.remove(&(server.clone(), *incarnation));
            }
            EventKind::ProcessStarted { process, role, .. } if role.starts_with("server:") => {
                self.n_servers += 1;
                self.started.insert(process.clone(), event.seq);
            }
            EventKind::ProcessExited { process, .. } => {
                self.started.remove(process);
            }
            EventKind::ProcessLeft { process, role } => self.left(event, view, process, role, tally),
            EventKind::ProcessOrphan { process, role, .. } => {
                self.orphans.push(role.clone());
                let is_server = role.starts_with("server:");
                let because = format!(
                    "{process} ({role}) was still there at {}, after the program's end and the grace",
                    event.seq
                );
                let variant = if is_server { "orphan-server" } else { "orphan-other" };
                tally.broken(Violation::new(variant, because, &[event.seq]));
            }
            EventKind::GraceExpired { after } => self.grace_expired(event, view, after, tally),
            _ => {}
        }
    }

    fn end(&mut self, view: &View, tally: &mut Tally) {
        if let Some(((server, _), opened)) = self.links.iter().next().filter(|_| view.is_stdio()) {
            tally.open(format!("server {server}, started at {opened}, was still there"), &[*opened]);
        }
    }
}

impl Survivors {
    fn left(&self, event: &Event, view: &View, process: &ProcessId, role: &str, tally: &mut Tally) {
        let Some(server) = role.strip_prefix("server:") else { return };
        let Some(close) = view.last_close() else { return };
        if !view.promises().closes_servers || self.was_close_cancelled {
            return;
        }
        let is_of_later_load = self.started.get(process).is_some_and(|started| *started > close)
            || view.server(server).and_then(|server| server.handed_out).is_some()
            || view.operations().any(|operation| operation.action.loads());
        if is_of_later_load {
            return;
        }
        let because =
            format!("{process} ({role}) was still there at {}, after the cleanup of {close} and the grace", event.seq);
        tally.broken(Violation::new("server-left-after-close", because, &[close, event.seq]));
    }

    fn grace_expired(&self, event: &Event, view: &View, after: &str, tally: &mut Tally) {
        if self.n_servers == 0 {
            return;
        }
        let is_exit = after == "exit";
        if is_exit && view.is_stdio() {
            for ((server, _), opened) in &self.links {
                if !self.orphans.iter().any(|role| role.strip_prefix("server:") == Some(server)) {
                    let because =
                        format!("the link of server {server}, open since {opened}, was still open at {}", event.seq);
                    tally.broken(Violation::new("link-open-after-exit", because, &[*opened, event.seq]));
                }
            }
        }
        if is_exit || (view.promises().closes_servers && !self.was_close_cancelled) {
            tally.held();
        }
    }
}

/// Counter-example that shaped it: KILL from outside leaves no chance to anybody, so INT, TERM and HUP are judged.
pub(super) const SIGNAL_ENDS_PROCESS: Invariant = Invariant {
    id: "signal-ends-process",
    property: Property::Liveness,
    level: Level::Own,
    claim: "SIGINT, SIGTERM or SIGHUP ends the program within its bound and leaves no process behind",
    source: "VG-09: SIGINT or SIGTERM ends the process within its bound, with nothing left",
    requirement: &["VG-09"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SignalSent, Kind::ProcessExited, Kind::ProcessOrphan, Kind::LimitHit],
    vacuous: "the program was not signalled",
    explain: "Ctrl-C, a service manager or a closed terminal asked the program to end, and it did not, or it left its servers \
        behind. A patched event loop that swallows the interrupt, a thread that is not a daemon and waits for a queue, and an exit \
        handler that waits for a dead loop are the usual reasons.\n\n\
        Look at the stacks, taken before the kill: which thread is the program waiting for? Mend it by turning the signal into \
        cleanup with a bound, and by making every background thread end with it.",
    start: |_: &Header| -> Box<dyn Monitor> { once_then("the end of the program after the signal", signalled) },
};

fn signalled(event: &Event, view: &View, since: Option<Seq>) -> Obligation {
    match (&event.kind, since) {
        (EventKind::SignalSent { signal, target }, _) => {
            let is_request_to_end = target == "loader" && matches!(signal.as_str(), "INT" | "TERM" | "HUP");
            if is_request_to_end && view.loader_exited().is_none() { Obligation::Opens } else { Obligation::Unrelated }
        }
        (EventKind::ProcessExited { role, .. }, Some(_)) if role == "loader" => Obligation::Meets,
        (EventKind::ProcessOrphan { process, role, .. }, Some(signal)) => {
            let because =
                format!("the program was signalled at {signal}, and {process} ({role}) was left at {}", event.seq);
            Obligation::Breaks(Violation::new("orphan-left", because, &[signal, event.seq]))
        }
        (EventKind::LimitHit { limit, .. }, Some(signal)) if limit == "exit" && view.loader_exited().is_none() => {
            let bound = view.limits().exit;
            let because = format!(
                "the program was signalled at {signal} and had not ended within {} ms at {}",
                bound.as_millis(),
                event.seq
            );
            Obligation::Breaks(Violation::new("still-alive", because, &[signal, event.seq]).of_bound(bound))
        }
        _ => Obligation::Unrelated,
    }
}

/// Counter-example that shaped it: a program may end with any exit code it likes; only a crash or no end at all counts.
pub(super) const EXIT_COMPLETES: Invariant = Invariant {
    id: "exit-completes",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a program that is asked to end ends by itself within its bound, and does not crash",
    source: "VG-14: a process that is kept alive after its work is done is as bad as one that hangs",
    requirement: &["VG-14"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ExitRequested, Kind::SignalSent, Kind::ProcessExited, Kind::LimitHit],
    vacuous: "the program was not asked to end, or was signalled as well",
    explain: "The program left its main function and its process stayed: a thread, a timer or a child's pipe kept it alive, \
        or an exit handler waited for a loop that was closed before it ran. In CI that is a job that times out with nothing in its log.\n\n\
        Look at the stacks. Mend it by closing sessions before the loop ends, by bounding what runs at exit, and by not \
        leaving threads that are not daemons behind.",
    start: |_: &Header| -> Box<dyn Monitor> { once_then("the end of the program", exit_requested) },
};

fn exit_requested(event: &Event, view: &View, since: Option<Seq>) -> Obligation {
    match (&event.kind, since) {
        (EventKind::ExitRequested {}, _) if view.signalled().is_none() && view.loader_exited().is_none() => {
            Obligation::Opens
        }
        (EventKind::SignalSent { target, .. }, Some(_)) if target == "loader" => Obligation::Waives,
        (EventKind::ProcessExited { role, signal, .. }, Some(asked)) if role == "loader" => match signal.as_deref() {
            Some(signal @ ("ABRT" | "SEGV" | "BUS" | "ILL" | "FPE")) if view.signalled().is_none() => {
                let because =
                    format!("the program was asked to end at {asked} and crashed with SIG{signal} at {}", event.seq);
                Obligation::Breaks(Violation::new("crashed", because, &[asked, event.seq]))
            }
            Some(_) | None => Obligation::Meets,
        },
        (EventKind::LimitHit { limit, .. }, Some(asked))
            if limit == "exit" && view.signalled().is_none() && view.loader_exited().is_none() =>
        {
            let bound = view.limits().exit;
            let because = format!(
                "the program was asked to end at {asked} and had not ended within {} ms at {}",
                bound.as_millis(),
                event.seq
            );
            Obligation::Breaks(Violation::new("still-alive", because, &[asked, event.seq]).of_bound(bound))
        }
        _ => Obligation::Unrelated,
    }
}

/// Counter-example that shaped it: a child that ended a moment ago is a zombie until its parent looks; the supervisor reports
/// only those that are left when the grace is over.
pub(super) const CHILDREN_REAPED: Invariant = Invariant {
    id: "children-reaped",
    property: Property::Liveness,
    level: Level::OwnResource,
    claim: "every child that ended is reaped by the end of the grace after cleanup",
    source: "VG-13: a zombie holds an entry of the process table until its parent ends",
    requirement: &["VG-13"],
    applies: Scope::STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ProcessZombie, Kind::GraceExpired],
    vacuous: "no cleanup came to the end of its grace",
    explain: "A server ended and nobody waited for it. One zombie is harmless; one for each rerun of a program that runs for days \
        fills the process table.\n\n\
        Look at who started the process and whether its handle was dropped: a child watcher bound to a closed loop, a runtime \
        dropped before its children, a handle that was forgotten. Mend it by waiting for each child where it is closed.",
    start: |_: &Header| -> Box<dyn Monitor> { each(zombie) },
};

fn zombie(event: &Event, view: &View) -> Judged {
    match &event.kind {
        EventKind::GraceExpired { after } if after == "close" => Judged::Held,
        EventKind::ProcessZombie { process, role } if view.ending().is_none() => {
            let because = format!(
                "{process} ({role}) had ended and was not reaped at {}, after cleanup and the grace",
                event.seq
            );
            Judged::Broken(Violation::new("zombie-after-close", because, &[event.seq]))
        }
        _ => Judged::Unrelated,
    }
}
