//! Processes: which survive, and which are not reaped.

use crate::check::combinator::{Judged, each};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{Action, Event, EventKind, Header, Kind, LinkPeer, Outcome, ProcessId, Seq, Table};
use crate::plan::Promise;

/// Counter-examples: A load that runs concurrently with cleanup may start a server that is rightly there afterwards, also if
/// the load was invoked first and is carried out last. A
/// helper process of the language (role `other`) may outlive cleanup, but not the program. No text asks a client to look after
/// what a server has started: if the server ended by itself, only a loader that promises so owes their end. A client that
/// ended a server by a signal may have cut off the server's own cleanup, so without that promise it gets a warning. An HTTP
/// server is a process of the harness, so an open link proves nothing there. After a cleanup that the driver cancelled, only
/// the end of the program counts.
pub(super) const NOTHING_SURVIVES: Invariant = Invariant {
    id: "nothing-survives",
    property: Property::Liveness,
    level: Level::Own,
    claim: "no server is left after cleanup and its grace, and no process at all after the program's end",
    source: "VG-06: no process, socket or session is left",
    requirement: &["VG-06"],
    applies: AppliesTo::ALL,
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
    hears: Hears::ALL,
    vacuous: "no server was started, or no grace after it ended",
    explain: "A server process outlived cleanup or the program. Leaked servers hold ports, locks and memory, and a \
        desktop that ran an agent all day has dozens of them. Polite servers hide this, because they exit when their \
        stdin closes. The stubborn servers of the suite ignore EOF and SIGTERM, as real servers behind `sh -c` or \
        npx do.\n\n\
        Look at the role of the surviving process and at its journal: without an EOF the session was never closed; \
        with an EOF and no signal the shutdown stops too early. To fix it, apply all steps (EOF, SIGTERM, SIGKILL) to \
        the process group, even if the caller's task is cancelled, and register this shutdown for the end of the \
        program.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Survivors::default()) },
};

#[derive(Default)]
struct Survivors {
    started: Table<ProcessId, Seq>,
    links: Table<(String, u32), Seq>,
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
                self.links.swap_remove(&(server.clone(), *incarnation));
            }
            EventKind::ProcessStarted { process, role, .. } if role.starts_with("server:") => {
                self.n_servers += 1;
                self.started.insert(process.clone(), event.seq);
            }
            EventKind::ProcessExited { process, .. } => {
                self.started.swap_remove(process);
            }
            EventKind::ProcessLeft { process, role } => self.left(event, view, process, role, tally),
            EventKind::ProcessOrphan { process, role, .. } => {
                self.orphans.push(role.clone());
                if view.is_left_by_its_server(role) && !view.promises().closes_children {
                    return;
                }
                let is_server = role.starts_with("server:");
                let because = format!(
                    "{process} ({role}) was still there at {}, after the program's end and the grace",
                    event.seq
                );
                let variant = if is_server { "orphan-server" } else { "orphan-other" };
                let violation = Violation::new(variant, because, &[event.seq]);
                let is_owed = view.promises().closes_children || !role.starts_with("child:");
                tally.broken(if is_owed { violation } else { violation.as_warning() });
            }
            EventKind::GraceExpired { after } => self.grace_expired(event, view, after, tally),
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
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
        let is_started_since = self.links.iter().any(|((of, _), opened)| of == server && *opened > close);
        let is_of_later_load = self.started.get(process).is_some_and(|started| *started > close)
            || view.server(server).and_then(|server| server.handed_out).is_some()
            || view.operations().any(|operation| operation.action.loads())
            || (is_started_since && view.in_force().loaded().any(|loaded| loaded == server));
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

/// Counter-example: a child that exited a moment ago is a zombie until its parent waits for it; the supervisor reports
/// only the zombies that are left when the grace is over.
pub(super) const CHILDREN_REAPED: Invariant = Invariant {
    id: "children-reaped",
    property: Property::Liveness,
    level: Level::OwnResource,
    claim: "every child that ended is reaped by the end of the grace after cleanup",
    source: "VG-13: a zombie holds an entry of the process table until its parent ends",
    requirement: &["VG-13"],
    applies: AppliesTo::STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ProcessZombie, Kind::GraceExpired],
    hears: Hears::ALL,
    vacuous: "no grace after a cleanup ended",
    explain: "A server exited and the program did not wait for it. One zombie is harmless; one for each rerun of a \
        program that runs for days fills the process table.\n\n\
        Look at which code started the process and whether it dropped the handle: a child watcher bound to a closed \
        loop, or a runtime dropped before its children. To fix it, wait for each child where it is closed.",
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
