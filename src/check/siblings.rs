//! Servers beside each other: which connection each has, and what a change of the configuration does to which.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::check::combinator::{Count, at_most};
use crate::check::session::{is_open, newest_open};
use crate::check::{Invariant, Level, Monitor, Operation, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{Action, ConnectionId, Event, EventKind, Header, Kind, Message, OpId, Outcome, Seq, Tool};
use crate::plan::Promise;

/// A load of any kind that has just succeeded, nothing having come in between.
fn loaded<'a>(event: &'a Event, view: &'a View) -> Option<(&'a Operation, &'a [Tool], &'a BTreeMap<String, String>)> {
    let EventKind::OperationCompleted { operation, outcome: Outcome::Ok { tools, errors, .. } } = &event.kind else {
        return None;
    };
    let operation = view.operation(*operation)?;
    let is_judged = operation.action.loads() && !operation.is_excused() && operation.is_promised;
    is_judged.then_some((operation, tools.as_slice(), errors))
}

/// Whether the driver goes on to something else: what the operation before it left to be finished had its time.
fn moves_on(event: &Event) -> bool {
    match &event.kind {
        EventKind::OperationInvoked { action, .. } => *action == Action::Close || action.loads(),
        EventKind::ExitRequested {} => true,
        _ => false,
    }
}

/// Whether the end of a connection can be seen: over streamable HTTP only where sessions are deleted.
fn sees_ends(view: &View) -> bool {
    view.shows_ends() || view.promises().sends_delete
}

/// Counter-example that shaped it: a load may open a connection, drop it and use a second one, and the end of the first may be
/// journalled later; so what counts is what is still open when the program goes on. Over HTTP a load that is given up may never have read
/// which session it was given, and a client of both eras asks first without any: what was never initialized does not count there.
pub(super) const ONE_CONNECTION_PER_SERVER: Invariant = Invariant {
    id: "one-connection-per-server",
    property: Property::Safety,
    level: Level::Own,
    claim: "after any number of loads each server has one connection",
    source: "2025-11-25, architecture, Clients: one client holds one session with one server; VG-18",
    requirement: &["VG-18", "LC-INIT-15"],
    applies: Scope::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::ExitRequested],
    vacuous: "no loaded server was connected when the program went on",
    explain: "A server had several open connections from one loader. Loads that run side by side, or one after another without \
        looking at what is there, each open their own; only the last is in the table, and nobody closes the others.\n\n\
        Look at where each of the connections was opened. Mend it by letting one load run at a time, and by looking up the \
        server before opening it.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(one_connection) },
};

fn one_connection(event: &Event, view: &View, tally: &mut Tally) {
    let is_busy = view.operations().any(|operation| operation.action.loads() && operation.invoked < event.seq);
    if !moves_on(event) || is_busy || !sees_ends(view) {
        return;
    }
    for server in view.configured().iter().filter(|server| view.is_healthy(server)) {
        let mut open = view.connections_of(server).filter(|(_, connection)| is_open(connection, view));
        let (Some((one, first)), next) = (open.next(), open.next()) else { continue };
        let Some((other, second)) = next else {
            tally.held();
            continue;
        };
        let because = format!("{server} had connections {one} and {other} open at {}", event.seq);
        tally.broken(Violation::new("several", because, &[first.opened, second.opened, event.seq]));
    }
}

/// Counter-examples that shaped it. A server that died or misbehaved is connected anew. One whose entry changed is another server.
pub(super) const UNCHANGED_SERVER_KEPT: Invariant = Invariant {
    id: "unchanged-server-kept",
    property: Property::Safety,
    level: Level::Own,
    claim: "a server whose entry did not change keeps its connection over reruns and reloads",
    source: "VG-18: loading again is incremental",
    requirement: &["VG-18"],
    applies: Scope::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::OperationCompleted],
    vacuous: "nothing was loaded again while a server was connected",
    explain: "The program ran again with the same configuration, and a server that was connected and well was connected anew. What \
        it held for the session is lost, its start is paid once more, and where the old one is not closed it stays behind.\n\n\
        Look at the connection before and after. Mend it by comparing the new configuration with the old, entry by entry.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(KeptConnections::default()) },
};

#[derive(Default)]
struct KeptConnections {
    before: BTreeMap<OpId, Vec<(String, ConnectionId)>>,
}

impl Monitor for KeptConnections {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationInvoked { operation, action, changed, .. } if action.loads() => {
                let is_kept = |server: &&String| {
                    !changed.contains(server)
                        && view.is_healthy(server)
                        && view.server(server).is_some_and(|server| server.handed_out.is_some())
                };
                let servers = view.configured().iter().filter(is_kept);
                let connected = servers.filter_map(|server| {
                    newest_open(view, server, event.seq).map(|(id, _)| (server.clone(), id.clone()))
                });
                self.before.insert(*operation, connected.collect());
            }
            EventKind::OperationCompleted { operation, .. } => {
                let Some(before) = self.before.remove(operation) else { return };
                if let Some((operation, ..)) = loaded(event, view) {
                    judge_kept(event, view, operation, &before, tally);
                }
            }
            _ => {}
        }
    }
}

fn judge_kept(event: &Event, view: &View, operation: &Operation, before: &[(String, ConnectionId)], tally: &mut Tally) {
    for (server, connection) in before.iter().filter(|(server, _)| view.is_healthy(server)) {
        match view.server(server).and_then(|server| server.newest.as_ref()) {
            Some(newest) if newest != connection => {
                let because = format!(
                    "{server} had connection {connection} at {} and was connected anew as {newest} by {}",
                    operation.invoked, event.seq
                );
                tally.broken(Violation::new("connected-anew", because, &[operation.invoked, event.seq]));
            }
            Some(_) | None => tally.held(),
        }
    }
}

/// Counter-example that shaped it: a server that was not connected before the change has nothing to be replaced.
pub(super) const CHANGED_SERVER_REPLACED: Invariant = Invariant {
    id: "changed-server-replaced",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a server whose entry changed is connected anew by the reload",
    source: "VG-18: loading again brings what is asked for",
    requirement: &["VG-18"],
    applies: Scope::ALL,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::OperationCompleted],
    vacuous: "no reload changed the entry of a server that was connected",
    explain: "The entry of a server was changed, its environment or arguments, and the reload kept the old process. The user has \
        given it a new key or folder, sees no error, and works with the old one.\n\n\
        Look at the reload and at the connection that is still in use. Mend it by comparing whole entries, not only names.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ReplacedConnections::default()) },
};

#[derive(Default)]
struct ReplacedConnections {
    before: BTreeMap<OpId, Vec<(String, ConnectionId)>>,
}

impl Monitor for ReplacedConnections {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::OperationInvoked { operation, changed, .. } if !changed.is_empty() => {
                let sound = changed.iter().filter(|server| view.is_healthy(server));
                let connected = sound.filter_map(|server| {
                    newest_open(view, server, event.seq).map(|(id, _)| (server.clone(), id.clone()))
                });
                self.before.insert(*operation, connected.collect());
            }
            EventKind::OperationCompleted { operation, .. } => {
                let Some(before) = self.before.remove(operation) else { return };
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
    before: &[(String, ConnectionId)],
    tally: &mut Tally,
) {
    for (server, connection) in before {
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

/// Counter-examples that shaped it. A reload that was cancelled or failed may not have come to closing. A server that ends
/// slowly has had its EOF all the same.
pub(super) const REMOVED_SERVER_CLOSED: Invariant = Invariant {
    id: "removed-server-closed",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a server that a reload takes away or replaces is closed before the program goes on",
    source: "VG-18: what is taken away is closed",
    requirement: &["VG-18", "VG-06"],
    applies: Scope::ALL,
    needs: Promise::ClosesServers,
    witness: Witness::Always,
    kinds: &[Kind::OperationInvoked, Kind::OperationCompleted, Kind::ExitRequested],
    vacuous: "no reload took away a server that was connected",
    explain: "A server was taken out of the configuration and its connection stayed open. The user has removed it, for a reason, \
        and it goes on running with its access until the program ends; after a few changes there are several of the same.\n\n\
        Look at the connection in the reason: no EOF came before the program went on. Mend it by closing what is not in the \
        new configuration before the reload returns.",
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
                self.configured.clone_from(servers);
            }
            EventKind::OperationCompleted { operation, .. } if !self.leaving.is_empty() => {
                let is_good = loaded(event, view).is_some();
                let (done, others) =
                    std::mem::take(&mut self.leaving).into_iter().partition(|(of, ..)| of == operation);
                self.leaving = others;
                let done: Vec<(OpId, String, ConnectionId)> = done;
                if is_good {
                    self.owed.extend(done.into_iter().map(|(_, server, connection)| (event.seq, server, connection)));
                }
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
            if view.connection(&connection).is_none_or(|connection| connection.gone.is_some()) {
                tally.held();
                continue;
            }
            let because = format!(
                "connection {connection} of {server}, which the reload that ended at {reloaded} took away, was open at {}",
                event.seq
            );
            tally.broken(Violation::new("still-open", because, &[reloaded, event.seq]));
        }
    }
}

/// Counter-example that shaped it: a server that says that it has no tools has none to hand out.
pub(super) const FAILURE_REPORTED: Invariant = Invariant {
    id: "failure-reported",
    property: Property::Safety,
    level: Level::Own,
    claim: "a load that leaves out the tools of a server says so",
    source: "VG-18: a failing server is reported beside the tools of the others",
    requirement: &["VG-18"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted],
    vacuous: "no load succeeded without the tools of some server",
    explain: "A load succeeded, a server of the configuration had no tools in it, and nothing said why. The agent works without \
        a tool it was given, and the user finds out from its answers.\n\n\
        Look at the server in the reason and at its journal. Mend it by returning an error for each server that could not be \
        loaded, beside the tools of those that could.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(failure_reported) },
};

fn failure_reported(event: &Event, view: &View, tally: &mut Tally) {
    let Some((operation, tools, errors)) = loaded(event, view) else { return };
    for server in &operation.servers {
        let is_toolless = view.server(server).is_some_and(|server| server.is_toolless);
        if is_toolless || tools.iter().any(|tool| tool.server == *server) {
            continue;
        }
        if errors.contains_key(server) {
            tally.held();
            continue;
        }
        let because = format!(
            "{}, invoked at {}, completed at {} without tools of {server} and without an error for it",
            operation.describe(),
            operation.invoked,
            event.seq
        );
        tally.broken(Violation::new("silent", because, &[operation.invoked, event.seq]));
    }
}

/// Most starts of one server that one operation may cause.
const STARTS_MAX: usize = 3;

/// Counter-example that shaped it: whoever opens a session for each call starts a server for each call.
pub(super) const SERVER_NOT_RESPAWNED: Invariant = Invariant {
    id: "server-not-respawned",
    property: Property::Safety,
    level: Level::Own,
    claim: "one operation starts a server at most three times",
    source: "VG-18: a failing server is tried again on the next load, not in a loop",
    requirement: &["VG-18", "LC-STD-14"],
    applies: Scope::STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::MockStarted, Kind::OperationInvoked],
    vacuous: "no server was started",
    explain: "A server that ends as soon as it starts was started again and again. Each start costs a process and whatever it \
        loads; a machine with a broken entry in its configuration never comes to rest.\n\n\
        Look at the starts between two operations. Mend it by giving up after a few attempts, each later than the one \
        before, and by trying again only when something is asked.",
    start: |_: &Header| -> Box<dyn Monitor> { at_most(STARTS_MAX, starts, started_again) },
};

fn starts(event: &Event, _view: &View) -> Count<String> {
    match &event.kind {
        EventKind::MockStarted { .. } => Count::These(event.source.server().map(str::to_owned).into_iter().collect()),
        EventKind::OperationInvoked { action: Action::Probe, .. } => Count::Unrelated,
        EventKind::OperationInvoked { .. } => Count::Forget(|_, _| true),
        _ => Count::Unrelated,
    }
}

fn started_again(server: &String, before: Seq, event: &Event) -> Violation {
    let because = format!(
        "{server} was started at {before} and again at {}, after {STARTS_MAX} starts by one operation",
        event.seq
    );
    Violation::new("in-a-loop", because, &[before, event.seq])
}

/// Counter-examples that shaped it. A list that comes in pages is whole only after the last. A server that changes its tools may
/// have had others when the load looked.
pub(super) const TOOLS_MATCH_OFFER: Invariant = Invariant {
    id: "tools-match-offer",
    property: Property::Safety,
    level: Level::Own,
    claim: "a load hands out exactly the tools its servers listed",
    source: "VG-04: a load hands out what is there",
    requirement: &["VG-04"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::OperationCompleted],
    vacuous: "no load handed out tools of a server that had listed them",
    explain: "The tools that were handed out are not those the server listed: one is missing, or one is there that it does not \
        have (any more). Lists cached beyond the life of their server, and tools of two servers that overwrite each other by \
        name, are the usual reasons.\n\n\
        Look at the last `tools/list` answer of the server. Mend it by keeping tools with their session and by server *and* name.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ListedTools::default()) },
};

#[derive(Default)]
struct ListedTools {
    offered: BTreeMap<String, ToolList>,
}

#[derive(Default)]
struct ToolList {
    tools: BTreeSet<String>,
    /// More than one list, and they differ, or one in pages: what is missing can not be told.
    is_partial: bool,
    seq: Option<Seq>,
}

impl Monitor for ListedTools {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        if let EventKind::WireSent { message, .. } = &event.kind {
            if let (Some(server), Some(Value::Array(tools))) = (event.source.server(), message.at(&["result", "tools"]))
            {
                self.offer(event.seq, server, message, tools);
            }
            return;
        }
        let Some((operation, tools, _)) = loaded(event, view) else { return };
        for server in operation.servers.iter().filter(|server| view.is_healthy(server)) {
            if let Some(offer) = self.offered.get(server) {
                judge_offer(event.seq, operation, server, offer, tools, tally);
            }
        }
    }
}

impl ListedTools {
    fn offer(&mut self, seq: Seq, server: &str, message: &Message, tools: &[Value]) {
        let names = tools.iter().filter_map(|tool| tool.get("name").and_then(Value::as_str)).map(str::to_owned);
        let names: BTreeSet<String> = names.collect();
        let is_page = message.at(&["result", "nextCursor"]).is_some();
        let offer = self.offered.entry(server.to_owned()).or_default();
        offer.is_partial |= is_page || (offer.seq.is_some() && offer.tools != names);
        offer.tools.extend(names);
        offer.seq = Some(seq);
    }
}

fn judge_offer(seq: Seq, operation: &Operation, server: &str, offer: &ToolList, tools: &[Tool], tally: &mut Tally) {
    let handed_out: BTreeSet<&str> =
        tools.iter().filter(|tool| tool.server == server).map(|tool| tool.name.as_str()).collect();
    if handed_out.is_empty() {
        return;
    }
    let invented = handed_out.iter().find(|name| !offer.tools.contains(**name)).copied();
    let is_missing = |name: &&String| !offer.is_partial && !handed_out.contains(name.as_str());
    let missing = offer.tools.iter().find(is_missing).map(String::as_str);
    let (variant, what) = match (invented, missing) {
        (Some(name), _) => ("never-listed", format!("with {name} of {server}, which the server never listed")),
        (None, Some(name)) => ("missing", format!("without {name} of {server}, which the server had listed")),
        (None, None) => {
            tally.held();
            return;
        }
    };
    let because = format!("{}, invoked at {}, completed at {seq} {what}", operation.describe(), operation.invoked);
    let witness: Vec<Seq> = offer.seq.into_iter().chain([operation.invoked, seq]).collect();
    tally.broken(Violation::new(variant, because, &witness));
}
