//! Tools: a load hands out the tools that its servers list now.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::check::outcome::loaded;
use crate::check::parts::parts;
use crate::check::{AppliesTo, Invariant, Level, Monitor, Operation, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, OpId, Outcome, Seq, Tool};
use crate::plan::Promise;

/// Counter-examples: A list that comes in pages is complete only after the last page. A server that changes its tools
/// may have had others when the load listed them.
pub(super) const TOOLS_MATCH_OFFER: Invariant = Invariant {
    id: "tools-match-offer",
    property: Property::Safety,
    level: Level::Own,
    claim: "a load hands out exactly the tools its servers listed",
    source: "VG-04: a load hands out the tools that exist",
    requirement: &["VG-04"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::OperationCompleted],
    vacuous: "no load handed out tools of a server that had listed them",
    explain: "The tools that the load handed out are not the tools that the server listed: one is missing, or one is \
        no longer there. The usual reasons are a list that is cached longer than its server lives, and tools of two \
        servers that overwrite each other by name.\n\n\
        Look at the last `tools/list` answer of the server. To fix it, keep tools with their session, by server \
        *and* name.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ListedTools::default()) },
};

#[derive(Default)]
struct ListedTools {
    listed: BTreeMap<String, ToolList>,
}

#[derive(Default)]
struct ToolList {
    tools: BTreeSet<String>,
    /// Whether there were pages or lists that differ, so that a missing tool proves nothing.
    is_partial: bool,
    seq: Option<Seq>,
}

impl Monitor for ListedTools {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        if let EventKind::WireSent { message, .. } = &event.kind {
            if let (Some(server), Some(Value::Array(tools))) = (event.source.server(), message.at(&["result", "tools"]))
            {
                self.add_list(event.seq, server, message, tools);
            }
            return;
        }
        let Some((operation, tools, _)) = loaded(event, view) else { return };
        for server in operation.servers.iter().filter(|server| view.is_healthy(server)) {
            if let Some(list) = self.listed.get(server) {
                judge_list(event.seq, operation, server, list, tools, tally);
            }
        }
    }
}

impl ListedTools {
    fn add_list(&mut self, seq: Seq, server: &str, message: &Message, tools: &[Value]) {
        let names = tools.iter().filter_map(|tool| tool.get("name").and_then(Value::as_str)).map(str::to_owned);
        let names: BTreeSet<String> = names.collect();
        let is_page = message.at(&["result", "nextCursor"]).is_some();
        let list = self.listed.entry(server.to_owned()).or_default();
        list.is_partial |= is_page || (list.seq.is_some() && list.tools != names);
        list.tools.extend(names);
        list.seq = Some(seq);
    }
}

fn judge_list(seq: Seq, operation: &Operation, server: &str, list: &ToolList, tools: &[Tool], tally: &mut Tally) {
    let handed_out: BTreeSet<&str> =
        tools.iter().filter(|tool| tool.server == server).map(|tool| tool.name.as_str()).collect();
    if handed_out.is_empty() {
        return;
    }
    let invented = handed_out.iter().find(|name| !list.tools.contains(**name)).copied();
    let is_missing = |name: &&String| !list.is_partial && !handed_out.contains(name.as_str());
    let missing = list.tools.iter().find(is_missing).map(String::as_str);
    let (variant, what) = match (invented, missing) {
        (Some(name), _) => ("never-listed", format!("with {name} of {server}, which the server never listed")),
        (None, Some(name)) => ("missing", format!("without {name} of {server}, which the server had listed")),
        (None, None) => {
            tally.held();
            return;
        }
    };
    let because = format!("{}, invoked at {}, completed at {seq} {what}", operation.describe(), operation.invoked);
    let witness: Vec<Seq> = list.seq.into_iter().chain([operation.invoked, seq]).collect();
    tally.broken(Violation::new(variant, because, &witness));
}

/// Time for a client to process the notification before a load counts. A busy client in Python takes a tenth of it.
const HEARD: Duration = Duration::from_millis(250);

/// Counter-examples: A load that begins a moment after the notification cannot know of it. A list that the client
/// requested in between may be the new one. Before `notifications/initialized` no tools were handed out, so none could
/// have changed. Over streamable HTTP a client may have no stream that would carry the notification.
pub(super) const CHANGED_TOOLS_LISTED_AGAIN: Invariant = Invariant {
    id: "changed-tools-listed-again",
    property: Property::Safety,
    level: Level::Should,
    claim: "after a server announced a change of its tools, the next load lists them again",
    source: "2025-11-25, server/tools, List Changed Notification and Message Flow; VG-04: a load hands out the tools that exist",
    requirement: &["LC-SUB-01", "VG-04"],
    applies: AppliesTo::SERVER_PUSH,
    needs: Promise::PersistentSession,
    witness: Witness::Always,
    kinds: &[
        Kind::WireSent,
        Kind::WireReceived,
        Kind::ConnectionClosed,
        Kind::OperationInvoked,
        Kind::OperationCompleted,
    ],
    vacuous: "no server announced a change of its tools before a load",
    explain: "A server announced that its list of tools had changed, and the next load handed out the old list: the \
        loader keeps its sessions, and a list with each. The model sees tools that are gone, and never the new ones.\n\n\
        Look at the notification and at the requests that the server received afterwards. To fix it, mark the list \
        of that session as stale when `notifications/tools/list_changed` arrives, and list again before the next \
        load hands out tools.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ChangedTools::default()) },
};

#[derive(Default)]
struct ChangedTools {
    /// Servers that announced a change and got no `tools/list` since.
    announced: BTreeMap<String, ToolChange>,
    /// Loads that began long enough after a change, with the changed servers.
    late: BTreeMap<OpId, Vec<String>>,
}

struct ToolChange {
    connection: ConnectionId,
    seq: Seq,
    at_us: u64,
}

impl Monitor for ChangedTools {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                let is_change =
                    parts(message).iter().any(|part| part.method() == Some("notifications/tools/list_changed"));
                let known = view.connection(connection).filter(|known| is_change && known.is_initialized);
                if let Some(known) = known {
                    let change = ToolChange { connection: connection.clone(), seq: event.seq, at_us: event.at_us };
                    self.announced.entry(known.server.clone()).or_insert(change);
                }
            }
            EventKind::WireReceived { message, .. } => {
                let is_list = parts(message).iter().any(|part| part.is_request("tools/list"));
                let asked = event.source.server().filter(|_| is_list).and_then(|server| self.announced.remove(server));
                if asked.is_some() {
                    tally.held();
                }
            }
            EventKind::ConnectionClosed { connection, .. } => {
                self.announced.retain(|_, change| change.connection != *connection)
            }
            EventKind::OperationInvoked { operation, action, .. } if action.loads() => {
                self.begin(*operation, event.at_us)
            }
            EventKind::OperationCompleted { operation, outcome } => {
                self.complete(event.seq, *operation, outcome, view, tally)
            }
            _ => {}
        }
    }
}

impl ChangedTools {
    fn begin(&mut self, operation: OpId, at_us: u64) {
        let is_heard = |change: &ToolChange| Duration::from_micros(at_us.saturating_sub(change.at_us)) >= HEARD;
        let servers =
            self.announced.iter().filter(|(_, change)| is_heard(change)).map(|(server, _)| server.clone()).collect();
        self.late.insert(operation, servers);
    }

    fn complete(&mut self, now: Seq, id: OpId, outcome: &Outcome, view: &View, tally: &mut Tally) {
        let servers = self.late.remove(&id).unwrap_or_default();
        let Some(operation) = view.operation(id).filter(|operation| !operation.is_excused()) else { return };
        let Outcome::Ok { tools, .. } = outcome else { return };
        for server in servers.iter().filter(|server| view.is_healthy(server)) {
            let Some(change) = self.announced.get(server) else { continue };
            if !tools.iter().any(|tool| tool.server == *server) {
                continue;
            }
            let because = format!(
                "{server} announced at {} that its tools had changed; {}, invoked at {}, handed out its old tools at {now}",
                change.seq,
                operation.describe(),
                operation.invoked
            );
            let witness = [change.seq, operation.invoked, now];
            tally.broken(Violation::new("stale", because, &witness).of_bound(HEARD));
        }
    }
}
