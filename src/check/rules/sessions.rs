//! Sessions: a session stays open while its tools are in use, and every session is used.

use crate::check::connection_ends::{UnprovenEnds, ended_connections, newest_open};
use crate::check::host::is_responsible;
use crate::check::parts::parts;
use crate::check::{
    AppliesTo, Gone, Hears, Invariant, Level, Monitor, Of, Operation, Property, Tally, View, Violation, Witness,
};
use crate::history::{Action, ConnectionId, Event, EventKind, Header, Kind, Seq, Table};
use crate::plan::{ContextKind, PlaceKind, Promise};

/// Counter-examples: A program that crashes closes every pipe, and its servers may report that before the supervisor
/// reports the crash, so an end counts only after a later event of the loader. A server that died or was made to
/// misbehave has lost its connection by itself. A load may open a connection, drop it and use a second one: the newest
/// counts, or an older one that is still open after it. A context that the driver ended ends its sessions as well,
/// unless the loader promises to survive that. Of loads and cleanups that overlap, each may be carried out last, so the tools of
/// a server that one of them replaces count after none of them.
pub(super) const OPEN_UNTIL_CLEANUP: Invariant = Invariant {
    id: "scope-open-until-cleanup",
    property: Property::Safety,
    level: Level::Own,
    claim: "the session behind a tool that was handed out stays open until cleanup or the removal of its server",
    source: "VG-03: under the persistent promise no session's scope is left between the end of load and the start of cleanup",
    requirement: &["VG-03"],
    applies: AppliesTo::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[
        Kind::OperationInvoked,
        Kind::OperationStarted,
        Kind::OperationCompleted,
        Kind::ContextEnded,
        Kind::ExitRequested,
        Kind::SignalSent,
        Kind::ProcessExited,
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::MockEnding,
        Kind::LinkClosed,
    ],
    hears: Hears::only(&[(Kind::OperationInvoked, &[Of::Loads, Of::Action(Action::Close)])]),
    vacuous: "no load handed out tools",
    explain: "The load handed out tools, and the connection behind them ended before cleanup began. Either its scope \
        was left when `load` returned (`async with session: return tools`), or the task, loop or runtime that loaded \
        it ended. Every later call fails with a closed-resource error, and cleanup reports success because nothing \
        is left to close.\n\n\
        The servers' journals decide, not the loader: the witness is the EOF that the mock received. To fix it, make \
        the owner of the tools the owner of the session: enter its scopes in a task that ends at cleanup, not in \
        `load`.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(OpenUntilCleanup::default()) },
};

#[derive(Default)]
struct OpenUntilCleanup {
    /// Connections of servers whose tools are handed out.
    watched: Table<ConnectionId, WatchedSession>,
    unproven: UnprovenEnds,
}

struct WatchedSession {
    server: String,
    loaded: Seq,
    place: String,
    needs: ContextKind,
}

impl Monitor for OpenUntilCleanup {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.unproven.see(event, tally);
        match &event.kind {
            EventKind::OperationInvoked { action, servers, changed, .. } => match action {
                Action::Close => self.release(tally, |_| true),
                Action::Reload => {
                    self.release(tally, |watch| !servers.contains(&watch.server) || changed.contains(&watch.server));
                }
                Action::Load | Action::Rerun | Action::List | Action::Call | Action::Collect | Action::Probe => {}
            },
            EventKind::OperationCompleted { operation, .. } => {
                if let Some(operation) = view.operation(*operation).filter(|operation| operation.action.loads()) {
                    self.load_completed(event, view, operation, tally);
                }
            }
            EventKind::ContextEnded { place } => {
                let contexts = &view.promises().contexts;
                self.watched.retain(|_, watch| watch.place != *place || contexts.contains(&watch.needs));
            }
            EventKind::OperationStarted { .. } => {}
            EventKind::ExitRequested {} => self.release(tally, |_| true),
            EventKind::SignalSent { target, .. } if target == "loader" => self.release(tally, |_| true),
            EventKind::ProcessExited { role, .. } if role == "loader" => self.watched.clear(),
            _ => {
                for (connection, is_link) in ended_connections(event, view) {
                    self.connection_ended(event, view, &connection, is_link);
                }
            }
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        self.unproven.end(view, tally);
        if let Some(watch) = self.watched.values().next() {
            tally.open(format!("{}, loaded at {}, was still in use", watch.server, watch.loaded), &[watch.loaded]);
        }
    }
}

impl OpenUntilCleanup {
    fn release(&mut self, tally: &mut Tally, concerns: impl Fn(&WatchedSession) -> bool) {
        self.watched.retain(|_, watch| {
            let is_over = concerns(watch);
            if is_over {
                tally.held();
            }
            !is_over
        });
    }

    fn load_completed(&mut self, event: &Event, view: &View, operation: &Operation, tally: &mut Tally) {
        if operation.is_excused() {
            if operation.cancel_requested.is_some() {
                self.watched.clear();
            }
            return;
        }
        for server in &operation.servers {
            let is_handed_out = view.server(server).is_some_and(|server| server.handed_out == Some(event.seq));
            if !is_handed_out || !view.is_healthy(server) {
                continue;
            }
            if let Some((connection, _)) = newest_open(view, server, event.seq) {
                self.watched
                    .entry(connection.clone())
                    .or_insert_with(|| WatchedSession::new(server, operation, event.seq));
                continue;
            }
            let last = view.connections_of(server).max_by_key(|(_, connection)| connection.opened);
            let ended = last.and_then(|(id, connection)| {
                let gone = connection.gone.filter(|(_, side)| matches!(side, Gone::ByClient | Gone::ByServer));
                Some((id, connection.deleted.or(gone.map(|(gone, _)| gone))?))
            });
            if let Some((connection, gone)) = ended {
                let because = format!(
                    "connection {connection} of {server} ended at {gone}, and its tools were handed out at {}",
                    event.seq
                );
                tally.broken(Violation::new("closed-early", because, &[gone, event.seq]));
            }
        }
    }

    fn connection_ended(&mut self, event: &Event, view: &View, id: &ConnectionId, is_link: bool) {
        let Some(watch) = self.watched.swap_remove(id) else { return };
        if !view.is_healthy(&watch.server) {
            return;
        }
        let loads_now: Vec<&Operation> = view.operations().filter(|operation| operation.action.loads()).collect();
        if loads_now.iter().any(|operation| operation.is_excused()) {
            return;
        }
        if let Some((older, _)) = newest_open(view, &watch.server, watch.loaded) {
            self.watched.entry(older.clone()).or_insert(watch);
            return;
        }
        let variant = if loads_now.is_empty() { "closed-early" } else { "closed-by-rerun" };
        let because = format!(
            "connection {id} of {}, whose tools were handed out at {}, ended at {} and no cleanup had begun",
            watch.server, watch.loaded, event.seq
        );
        let violation = Violation::new(variant, because, &[watch.loaded, event.seq]);
        self.unproven.suspect(if is_link { violation.of_link() } else { violation });
    }
}

impl WatchedSession {
    fn new(server: &str, operation: &Operation, loaded: Seq) -> Self {
        let needs = match operation.place.kind {
            PlaceKind::Task => ContextKind::Task,
            PlaceKind::Thread => ContextKind::Thread,
            PlaceKind::Runtime | PlaceKind::CurrentThreadRuntime => ContextKind::Loop,
        };
        Self { server: server.to_owned(), loaded, place: operation.place.to_string(), needs }
    }
}

/// Counter-examples: A scenario may cover the handshake alone, so a single session may stay unused. A stream is a use, and so
/// is a ping: a client may open a session to see whether its server is there. If the server ended a session, the client did
/// not abandon it.
pub(super) const SESSIONS_USED: Invariant = Invariant {
    id: "sessions-used",
    property: Property::Liveness,
    level: Level::Own,
    claim: "if there are several sessions, each is used",
    source: "VG-03: sessions stay open from load to cleanup; VG-18: one connection per server",
    requirement: &["VG-03", "VG-18"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SessionOpened, Kind::HttpReceived, Kind::WireReceived],
    hears: Hears::only(&[(Kind::WireReceived, &[Of::AnyRequest]), (Kind::HttpReceived, &[Of::Get])]),
    vacuous: "no session was opened",
    explain: "The client opened several sessions with one server and sent no request on one of them. A second \
        connect next to the first, or a retry of an open that had succeeded, leaves such a session on the server \
        until it expires.\n\n\
        Look for the code that sends the second `initialize`. To fix it, open one session and share it.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(UsedSessions::default()) },
};

#[derive(Default)]
struct UsedSessions {
    opened: Table<ConnectionId, Seq>,
    unused: Table<ConnectionId, Seq>,
}

impl Monitor for UsedSessions {
    fn see(&mut self, event: &Event, _view: &View, _tally: &mut Tally) {
        match &event.kind {
            EventKind::SessionOpened { connection, .. } => {
                self.opened.insert(connection.clone(), event.seq);
                self.unused.insert(connection.clone(), event.seq);
            }
            EventKind::WireReceived { connection, message } => {
                let parts = parts(message);
                let mut methods = parts.iter().filter(|part| part.is_any_request()).filter_map(|part| part.method());
                if methods.any(|method| method != "initialize") {
                    self.unused.swap_remove(connection);
                }
            }
            EventKind::HttpReceived { connection: Some(connection), verb, .. } if verb == "GET" => {
                self.unused.swap_remove(connection);
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        if !is_responsible(view) || self.opened.is_empty() {
            return;
        }
        if self.opened.len() == 1 || self.unused.is_empty() {
            return tally.held();
        }
        for (connection, opened) in &self.unused {
            let n_others = self.opened.len() - 1;
            let because = format!(
                "the session of connection {connection}, opened at {opened} in addition to {n_others}, was never used"
            );
            tally.broken(Violation::new("unused", because, &[*opened]));
        }
    }
}
