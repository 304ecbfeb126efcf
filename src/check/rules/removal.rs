//! Removal of one server out of several.

use std::collections::BTreeSet;

use crate::check::connection_ends::{UnprovenEnds, ended_connections, is_open, moves_on, newest_open, sees_ends};
use crate::check::outcome::{MissKind, OperationEnd, Success, judge_call, judge_load, loaded};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{Action, ConnectionId, Event, EventKind, Header, Kind, OpId, Seq, Table};
use crate::plan::Promise;

/// Counter-examples: A reload that was cancelled or failed may not have reached the point of closing. A server that
/// exits slowly has received its EOF. A server may refuse a DELETE or never answer it. A load that overlaps the reload may
/// be carried out after it.
pub(super) const REMOVED_SERVER_CLOSED: Invariant = Invariant {
    id: "removed-server-closed",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a server that a reload removes or replaces is closed before the program continues",
    source: "VG-18: a reload closes the servers that it removes",
    requirement: &["VG-18", "VG-06"],
    applies: AppliesTo::ALL,
    needs: Promise::ClosesServers,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::OperationCompleted, Kind::ExitRequested],
    hears: Hears::only(&[
        (Kind::OperationInvoked, &[Of::Loads, Of::Action(Action::Close)]),
        (Kind::OperationCompleted, &[Of::Loads]),
    ]),
    vacuous: "no reload removed a server that was connected",
    explain: "A reload removed a server from the configuration, and its connection stayed open. The user removed it \
        for a reason, and it keeps running with its access until the program ends; after a few changes several \
        copies are running.\n\n\
        Look at the connection in the reason: no EOF came before the program continued. To fix it, close every server \
        that is not in the new configuration before the reload returns.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RemovedConnections::default()) },
};

#[derive(Default)]
struct RemovedConnections {
    configured: Vec<String>,
    leaving: Vec<(OpId, String, ConnectionId)>,
    owed: Vec<(Seq, String, ConnectionId)>,
}

impl Monitor for RemovedConnections {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        if moves_on(event) {
            self.due(event, view, tally);
        }
        match &event.kind {
            EventKind::OperationInvoked { operation, action, servers, changed, .. } if action.loads() => {
                if *action == Action::Reload {
                    self.begin(event, view, *operation, |server| !servers.contains(server) || changed.contains(server));
                }
                view.configured().clone_into(&mut self.configured);
            }
            EventKind::OperationCompleted { operation, .. } if !self.leaving.is_empty() => {
                let is_good = loaded(event, view).is_some();
                let is_over = |server: &String| is_good && view.in_force().is_settled(server);
                let (done, others) =
                    std::mem::take(&mut self.leaving).into_iter().partition(|(of, ..)| of == operation);
                self.leaving = others;
                let done: Vec<(OpId, String, ConnectionId)> = done;
                let over = done.into_iter().filter(|(_, server, _)| is_over(server));
                self.owed.extend(over.map(|(_, server, connection)| (event.seq, server, connection)));
            }
            _ => {}
        }
    }
}

impl RemovedConnections {
    fn begin(&mut self, event: &Event, view: &View, reload: OpId, is_taken: impl Fn(&String) -> bool) {
        for server in self.configured.iter().filter(|server| is_taken(server)) {
            let open = view.connections_of(server).filter(|(_, connection)| is_open(connection, view));
            let open = open.filter(|(_, connection)| connection.opened < event.seq);
            self.leaving.extend(open.map(|(id, _)| (reload, server.clone(), id.clone())));
        }
    }

    fn due(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        for (reloaded, server, connection) in self.owed.drain(..).filter(|_| sees_ends(view)) {
            if view.connection(&connection).is_none_or(|connection| !is_open(connection, view)) {
                tally.held();
                continue;
            }
            let because = format!(
                "connection {connection} of {server}, which the reload that ended at {reloaded} removed, was open at {}",
                event.seq
            );
            tally.broken(Violation::new("still-open", because, &[reloaded, event.seq]));
        }
    }
}

/// Counter-examples: A reload that also adds a broken server may fail for that reason. A per-call loader keeps no
/// sibling connection open, so that part needs the persistent promise. A reload may replace a server whose entry earlier
/// loads that overlapped had left unsettled.
pub(super) const REMOVAL_SPARES_SIBLINGS: Invariant = Invariant {
    id: "removal-spares-siblings",
    property: Property::Safety,
    level: Level::Own,
    claim: "after the removal of one of several servers, the others stay connected and usable",
    source: "VG-10: removing one of several servers, in any order, leaves the others alive",
    requirement: &["VG-10"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::OperationInvoked,
        Kind::OperationStarted,
        Kind::OperationCompleted,
        Kind::OperationOverdue,
        Kind::ExitRequested,
        Kind::SignalSent,
        Kind::ProcessExited,
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::MockEnding,
        Kind::LinkClosed,
    ],
    hears: Hears::only(&[(Kind::OperationInvoked, &[Of::Loads, Of::Action(Action::Close)])]),
    vacuous: "no reload removed one of several loaded servers",
    explain: "A reload removed one server from the configuration, and another server lost its session, or the reload \
        itself failed. Sessions that one task enters one after another are nested: their cancel scopes form a stack. \
        Closing a lower scope first cancels the task that carries the upper one.\n\n\
        Look at which connection got its EOF: if it belongs to a sibling, the close order or a rebuild of everything \
        is the reason. To fix it, use one owner task per server, and compare configurations instead of starting \
        over.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(SiblingsOfRemoval::default()) },
};

#[derive(Default)]
struct SiblingsOfRemoval {
    loaded: BTreeSet<String>,
    reload: Option<WatchedReload>,
    unproven: UnprovenEnds,
}

/// The latest reload that removed a server and kept others.
struct WatchedReload {
    operation: OpId,
    invoked: Seq,
    completed: Option<Seq>,
    siblings: BTreeSet<String>,
    connections: Table<ConnectionId, String>,
}

impl Monitor for SiblingsOfRemoval {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.unproven.see(event, tally);
        match &event.kind {
            EventKind::OperationInvoked { operation, action, servers, changed, .. } => match action {
                Action::Reload => {
                    let kept: Vec<String> = servers.iter().filter(|name| !changed.contains(name)).cloned().collect();
                    self.begin(event, view, *operation, &kept);
                }
                Action::Close => {
                    self.loaded.clear();
                    self.reload = None;
                }
                Action::Load | Action::Rerun => self.stop_watching(),
                Action::List | Action::Call | Action::Collect | Action::Probe => {}
            },
            EventKind::OperationStarted { .. } => {}
            EventKind::ExitRequested {} => self.reload = None,
            EventKind::SignalSent { target, .. } if target == "loader" => self.reload = None,
            EventKind::ProcessExited { role, .. } if role == "loader" => self.reload = None,
            EventKind::OperationCompleted { .. } | EventKind::OperationOverdue { .. } => self.ended(event, view, tally),
            _ => self.connections_ended(event, view),
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        self.unproven.end(view, tally);
        if let Some(reload) = self.reload.as_ref().filter(|reload| reload.completed.is_none()) {
            tally.open(format!("the reload of {} had not completed", reload.invoked), &[reload.invoked]);
        }
    }
}

impl SiblingsOfRemoval {
    fn begin(&mut self, event: &Event, view: &View, operation: OpId, servers: &[String]) {
        let (siblings, removed): (BTreeSet<String>, BTreeSet<String>) =
            self.loaded.iter().cloned().partition(|server| servers.contains(server));
        let siblings: BTreeSet<String> =
            siblings.into_iter().filter(|server| view.in_force().is_settled(server)).collect();
        self.loaded.clone_from(&siblings);
        if siblings.is_empty() || removed.is_empty() {
            self.stop_watching();
            return;
        }
        let is_persistent = Promise::PersistentSession.is_given(view.promises());
        let healthy = siblings.iter().filter(|server| is_persistent && view.is_healthy(server));
        let connections = healthy
            .filter_map(|server| newest_open(view, server, event.seq).map(|(id, _)| (id.clone(), server.clone())))
            .collect();
        self.reload = Some(WatchedReload { operation, invoked: event.seq, completed: None, siblings, connections });
    }

    fn stop_watching(&mut self) {
        if let Some(reload) = &mut self.reload {
            reload.connections.clear();
        }
    }

    fn ended(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some((id, ended)) = OperationEnd::of(event) else { return };
        let Some(operation) = view.operation(id) else { return };
        if operation.action.loads() {
            let is_handed_out =
                |server: &&String| view.server(server).is_some_and(|known| known.handed_out == Some(event.seq));
            self.loaded.extend(operation.servers.iter().filter(is_handed_out).cloned());
        }
        let Some(reload) = &mut self.reload else { return };
        if id == reload.operation {
            reload.completed = Some(event.seq);
            if operation.is_excused() {
                self.reload = None;
                return;
            }
            if !reload.siblings.iter().any(|server| view.is_healthy(server)) {
                return;
            }
            match judge_load(event, view, operation, ended) {
                Success::Excused => {}
                Success::Held => tally.held(),
                Success::Missed(miss) => match miss.kind {
                    MissKind::Overdue => tally.broken(miss.violation("reload-overdue")),
                    MissKind::Failed | MissKind::Cancelled => tally.broken(miss.violation("reload-failed")),
                    MissKind::WithoutTools | MissKind::ServerInError => {}
                },
            }
            return;
        }
        let is_later = reload.completed.is_some_and(|completed| operation.invoked > completed);
        let is_sibling = operation.server.as_ref().is_some_and(|server| reload.siblings.contains(server));
        if operation.action != Action::Call || !is_later || !is_sibling {
            return;
        }
        match judge_call(event, view, operation, ended) {
            Success::Excused => {}
            Success::Held => tally.held(),
            Success::Missed(mut miss) => {
                miss.because.push_str(&format!(", after the reload of {} removed another server", reload.invoked));
                miss.witness.push(reload.invoked);
                let is_overdue = miss.kind == MissKind::Overdue;
                tally.broken(miss.violation(if is_overdue { "sibling-call-overdue" } else { "sibling-call-failed" }));
            }
        }
    }

    fn connections_ended(&mut self, event: &Event, view: &View) {
        for (connection, is_link) in ended_connections(event, view) {
            let Some(reload) = &mut self.reload else { return };
            let Some(server) = reload.connections.swap_remove(&connection) else { continue };
            let is_cancelled = view.operation(reload.operation).is_some_and(|operation| operation.is_excused());
            if is_cancelled || !view.is_healthy(&server) {
                continue;
            }
            let because = format!(
                "connection {connection} of {server} ended at {}, after the reload of {} removed another server",
                event.seq, reload.invoked
            );
            let violation = Violation::new("sibling-closed", because, &[reload.invoked, event.seq]);
            self.unproven.suspect(if is_link { violation.of_link() } else { violation });
        }
    }
}
