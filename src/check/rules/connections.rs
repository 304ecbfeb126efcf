//! Connections: how many a server has, and which of them a rerun or a reload keeps or replaces.

use std::collections::BTreeSet;

use crate::check::connection_ends::{is_open, moves_on, newest_open, sees_ends};
use crate::check::host::is_responsible;
use crate::check::outcome::loaded;
use crate::check::{
    AppliesTo, Connection, Hears, Invariant, Level, Monitor, Of, Operation, Property, Tally, View, Violation, Witness,
};
use crate::history::{
    Action, ConnectionId, Event, EventKind, Header, Impact, KeySet, Kind, LinkPeer, Name, OpId, Seq, Source, Table,
};
use crate::plan::{Promise, SessionPromise};

/// A loader that leaves the end of a cancelled load to a finaliser ends its connections within this time.
const UNDONE_WITHIN_US: u64 = 300_000;

/// Counter-examples: A load that was cancelled may leave the end of its connection to a finaliser, which has its own thread.
/// A load may open a connection, drop it and use a second one, and the mock may journal the end of
/// the first later, so only a connection that is open when the program continues counts. Over HTTP a load that the
/// caller gives up may never have read its session id, and a client of both generations probes without a session: a
/// connection that was never initialized does not count there.
pub(super) const ONE_CONNECTION_PER_SERVER: Invariant = Invariant {
    id: "one-connection-per-server",
    property: Property::Safety,
    level: Level::Own,
    claim: "after any number of loads each server has one connection",
    source: "2025-11-25, architecture, Clients: one client holds one session with one server; VG-18",
    requirement: &["VG-18", "LC-INIT-15"],
    applies: AppliesTo::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::ExitRequested],
    hears: Hears::only(&[(Kind::OperationInvoked, &[Of::Loads, Of::Action(Action::Close)])]),
    vacuous: "no loaded server was connected when the program continued",
    explain: "A server had several open connections from one loader. Loads that run concurrently, or one after \
        another without a look at the existing sessions, each open their own. The loader's table keeps only the last \
        one, and no code closes the others.\n\n\
        Look for the code that opened each connection. To fix it, run one load at a time, and look up the server \
        before you open it.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(one_connection) },
};

fn one_connection(event: &Event, view: &View, tally: &mut Tally) {
    let is_busy = view.operations().any(|operation| operation.action.loads() && operation.invoked < event.seq);
    if !moves_on(event) || is_busy || !sees_ends(view) {
        return;
    }
    for server in view.configured().iter().filter(|server| view.is_healthy(server)) {
        let is_counted = |connection: &Connection| {
            is_open(connection, view) && !view.is_being_undone(connection, event.at_us, UNDONE_WITHIN_US)
        };
        let mut open = view.connections_of(server).filter(|(_, connection)| is_counted(connection));
        let (Some((one, first)), next) = (open.next(), open.next()) else { continue };
        let Some((other, second)) = next else {
            tally.held();
            continue;
        };
        let because = format!("{server} had connections {one} and {other} open at {}", event.seq);
        tally.broken(Violation::new("several", because, &[first.opened, second.opened, event.seq]));
    }
}

/// Counter-examples: A server that died or misbehaved may be connected again. A server whose entry changed is another
/// server. Of two loads that overlap, the one with the older entry may be carried out last.
pub(super) const UNCHANGED_SERVER_KEPT: Invariant = Invariant {
    id: "unchanged-server-kept",
    property: Property::Safety,
    level: Level::Own,
    claim: "a server whose entry did not change keeps its connection over reruns and reloads",
    source: "VG-18: loading again is incremental",
    requirement: &["VG-18", "LC-META-10"],
    applies: AppliesTo::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::OperationCompleted],
    hears: Hears::only(&[(Kind::OperationInvoked, &[Of::Loads]), (Kind::OperationCompleted, &[Of::Loads])]),
    vacuous: "no server was loaded again while it was connected",
    explain: "The program ran again with the same configuration, and the loader opened a new connection to a healthy \
        server that was connected already. The state of the old session is lost, the server starts a second time, \
        and if the old connection is not closed, it stays behind.\n\n\
        Look at the connection before and after. To fix it, compare the new configuration with the old one, entry by \
        entry.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(KeptConnections::default()) },
};

#[derive(Default)]
struct KeptConnections {
    before: Table<OpId, Vec<(Name, ConnectionId)>>,
}

impl Monitor for KeptConnections {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationInvoked { operation, action, changed, .. } if action.loads() => {
                for (_, connected) in &mut self.before {
                    connected.retain(|(server, _)| view.in_force().is_settled(server.as_str()));
                }
                let is_kept = |server: &&String| {
                    !changed.contains(server)
                        && view.is_healthy(server)
                        && view.server(server).is_some_and(|server| server.handed_out.is_some())
                };
                let servers = view.configured().iter().filter(is_kept);
                let connected = servers.filter_map(|server| {
                    newest_open(view, server, event.seq).map(|(id, _)| (Name::from(server), id.clone()))
                });
                self.before.insert(*operation, connected.collect());
            }
            EventKind::OperationCompleted { operation, .. } => {
                let Some(before) = self.before.swap_remove(operation) else { return };
                if let Some((operation, ..)) = loaded(event, view) {
                    judge_kept(event, view, operation, &before, tally);
                }
            }
            _ => {}
        }
    }
}

/// Whether a server works, and has lost no connection since an operation began. An operation that overlaps this one may have
/// shown since that it works again.
fn is_unhurt(view: &View, server: &str, operation: &Operation) -> bool {
    view.is_healthy(server)
        && view.server(server).is_none_or(|known| known.lost.is_none_or(|lost| lost < operation.invoked))
}

fn judge_kept(event: &Event, view: &View, operation: &Operation, before: &[(Name, ConnectionId)], tally: &mut Tally) {
    for (server, connection) in before.iter().filter(|(server, _)| is_unhurt(view, server, operation)) {
        match view.server(server).and_then(|server| server.newest.as_ref()) {
            Some(newest) if newest != connection => {
                let because = format!(
                    "{server} had connection {connection} at {} and was connected again as {newest} by {}",
                    operation.invoked, event.seq
                );
                tally.broken(Violation::new("connected-anew", because, &[operation.invoked, event.seq]));
            }
            Some(_) | None => tally.held(),
        }
    }
}

/// Counter-examples: A server that was not connected before the change has no connection to replace. A server that fails while
/// the reload runs may not be there to be connected again.
pub(super) const CHANGED_SERVER_REPLACED: Invariant = Invariant {
    id: "changed-server-replaced",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a reload replaces the connection of a server whose entry changed",
    source: "VG-18: a reload applies the new configuration",
    requirement: &["VG-18"],
    applies: AppliesTo::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::OperationCompleted],
    hears: Hears::only(&[(Kind::OperationInvoked, &[Of::Loads]), (Kind::OperationCompleted, &[Of::Loads])]),
    vacuous: "no reload changed the entry of a server that was connected",
    explain: "The entry of a server changed, its environment or its arguments, and the reload kept the old process. \
        The user has given the server a new key or folder, sees no error, and works with the old one.\n\n\
        Look at the reload and at the connection that is still in use. To fix it, compare whole entries, not only \
        names.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ReplacedConnections::default()) },
};

#[derive(Default)]
struct ReplacedConnections {
    before: Table<OpId, Vec<(Name, ConnectionId)>>,
}

impl Monitor for ReplacedConnections {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationInvoked { operation, changed, .. } if !changed.is_empty() => {
                let sound = changed.iter().filter(|server| view.is_healthy(server));
                let connected = sound.filter_map(|server| {
                    newest_open(view, server, event.seq).map(|(id, _)| (Name::from(server), id.clone()))
                });
                self.before.insert(*operation, connected.collect());
            }
            EventKind::OperationCompleted { operation, .. } => {
                let Some(before) = self.before.swap_remove(operation) else { return };
                if let Some((operation, ..)) = loaded(event, view) {
                    judge_replaced(event, view, operation, &before, tally);
                }
            }
            _ => {}
        }
    }
}

fn judge_replaced(
    event: &Event,
    view: &View,
    operation: &Operation,
    before: &[(Name, ConnectionId)],
    tally: &mut Tally,
) {
    for (server, connection) in before.iter().filter(|(server, _)| is_unhurt(view, server, operation)) {
        if view.server(server).and_then(|server| server.newest.as_ref()) != Some(connection) {
            tally.held();
            continue;
        }
        let because = format!(
            "the entry of {server} changed at {}, and it still had connection {connection} at {}",
            operation.invoked, event.seq
        );
        tally.broken(Violation::new("kept", because, &[operation.invoked, event.seq]));
    }
}

/// Upper bound on the starts of one server by one operation.
const STARTS_MAX: usize = 3;

/// Counter-examples: A load may start each server twice, one after the other: that is waste, and no text forbids it. A loader
/// that opens a session for each call starts a server for each call, and calls may run together. A pool starts several
/// servers, and starts none of them again unless one has ended.
pub(super) const SERVER_NOT_RESPAWNED: Invariant = Invariant {
    id: "server-not-respawned",
    property: Property::Safety,
    level: Level::Own,
    claim: "one operation starts a server at most three times",
    source: "VG-18: a failing server is tried again on the next load, not in a loop",
    requirement: &["VG-18", "LC-STD-14"],
    applies: AppliesTo::STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::MockStarted, Kind::MockEnding, Kind::LinkClosed, Kind::FaultDelivered, Kind::OperationInvoked],
    hears: Hears::ALL,
    vacuous: "no server was started",
    explain: "The loader started a server again and again, although the server exits as soon as it starts. Each start \
        costs a process and all the work of its start-up, so one broken entry in the configuration keeps the machine \
        busy.\n\n\
        Look at the starts between two operations. To fix it, give up after a few attempts, wait longer before each \
        one, and try again only for a new operation. A second start breaks no rule: a client may ask one process for \
        its generation and initialize another, and no text forbids it to start a server to list its tools and once \
        more to call them.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Starts::default()) },
};

/// The starts since the newest operation began.
#[derive(Default)]
struct Starts {
    servers: Table<String, ServerStarts>,
    /// Most calls that ran together since then.
    n_calls: usize,
}

#[derive(Default)]
struct ServerStarts {
    n: usize,
    last: Option<Seq>,
    /// The incarnations that have ended.
    ended: KeySet<u32>,
    /// How many of them were replaced.
    n_replaced: usize,
}

impl Monitor for Starts {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, &event.source) {
            (EventKind::OperationInvoked { action: Action::Probe, .. }, _) => {}
            (EventKind::OperationInvoked { .. }, _) => {
                self.servers.clear();
                self.n_calls = view.operations().filter(|operation| operation.action == Action::Call).count();
            }
            (EventKind::MockStarted { .. }, Source::Mock { server, .. }) => self.start(event.seq, view, server, tally),
            (EventKind::MockEnding { .. }, Source::Mock { server, incarnation })
            | (EventKind::FaultDelivered { impairs: Impact::Connection, .. }, Source::Mock { server, incarnation })
            | (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, .. }, _) => {
                self.servers.entry(server.clone()).or_default().ended.insert(*incarnation);
            }
            _ => {}
        }
    }
}

impl Starts {
    fn start(&mut self, now: Seq, view: &View, server: &str, tally: &mut Tally) {
        let most = match view.promises().session {
            SessionPromise::PerCall => STARTS_MAX * self.n_calls.max(1),
            SessionPromise::Persistent | SessionPromise::Lazy | SessionPromise::Pooled => STARTS_MAX,
        };
        let starts = self.servers.entry(server.to_owned()).or_default();
        let replaces = starts.ended.len() > starts.n_replaced;
        starts.n_replaced += usize::from(replaces);
        let is_one_more = view.promises().session == SessionPromise::Pooled && !replaces;
        let before = starts.last.replace(now);
        if is_one_more {
            return tally.held();
        }
        starts.n += 1;
        let Some(before) = before.filter(|_| starts.n > most) else { return tally.held() };
        let because =
            format!("{server} was started at {before} and again at {now}, after {most} starts by one operation");
        tally.broken(Violation::new("in-a-loop", because, &[before, now]));
    }
}

/// Counter-examples: The plan must demand it, because an application may open a session for each run. A server that the
/// harness killed must be opened again. An exchange that names no session is not a connection.
pub(super) const SERVERS_KEPT: Invariant = Invariant {
    id: "servers-kept",
    property: Property::Safety,
    level: Level::Own,
    claim: "if the plan demands it, the application keeps the connections that it opened first",
    source: "VG-03: sessions stay open from load to cleanup; VG-18: one connection per server",
    requirement: &["VG-03", "VG-18"],
    applies: AppliesTo::ALL.of_applications(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ConnectionOpened, Kind::SignalSent, Kind::HostPrompted],
    hears: Hears::ALL,
    vacuous: "the plan does not demand it, or the application did not run again",
    explain: "The driver made the application run again, and it opened a server that it had open already. A script \
        that runs from its top on every click does that if its loader is not cached: each run starts servers, and the \
        servers of the previous run stay until a garbage collector finds them.\n\n\
        Look at the prompt just before the second connection. To fix it, keep the loader outside of the code that \
        runs again.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let is_demanded = header.application().is_some_and(|application| application.same_servers);
        Box::new(FirstConnections { is_demanded, ..FirstConnections::default() })
    },
};

#[derive(Default)]
struct FirstConnections {
    is_demanded: bool,
    first: Table<String, (ConnectionId, Seq)>,
    killed: BTreeSet<String>,
    is_prompted: bool,
}

impl Monitor for FirstConnections {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HostPrompted { .. } => self.is_prompted = true,
            EventKind::SignalSent { target, .. } => {
                self.killed.extend(target.strip_prefix("server:").map(str::to_owned));
            }
            EventKind::ConnectionOpened { connection } if self.is_demanded && !connection.0.ends_with(".0") => {
                let server = event.source.server().unwrap_or_default().into();
                let earlier = self.first.get(&server).filter(|_| !self.killed.remove(&server)).cloned();
                match earlier {
                    None => drop(self.first.insert(server, (connection.clone(), event.seq))),
                    Some((kept, at)) => {
                        let because = format!(
                            "server {server} was opened again at {} ({connection}), although {kept} had been at {at}",
                            event.seq
                        );
                        tally.broken(Violation::new("opened-again", because, &[at, event.seq]));
                    }
                }
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        if self.is_prompted && is_responsible(view) {
            self.first.iter().for_each(|_| tally.held());
        }
    }
}
