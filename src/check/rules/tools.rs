//! Tools: a load hands out the tools that its servers list now.

use std::collections::BTreeSet;

use std::time::Duration;

use serde_json::Value;

use crate::check::outcome::loaded;
use crate::check::parts::parts;
use crate::check::{
    AppliesTo, Gone, Hears, Invariant, Level, Monitor, Of, Operation, Property, Tally, View, Violation, Witness,
};
use crate::history::{
    Action, ConnectionId, Event, EventKind, Header, KeySet, Kind, KnownMethod, Message, Name, OpId, Outcome, Seq,
    Table, Tool,
};
use crate::plan::Promise;

/// Counter-examples: A server that changes its tools may have had others when the load listed them. A list is complete
/// only after its last page. A server may name a page that it has given already, or die before the next one. A cursor
/// that is an empty text may be none.
pub(super) const TOOLS_MATCH_OFFER: Invariant = Invariant {
    id: "tools-match-offer",
    property: Property::Safety,
    level: Level::Own,
    claim: "a load hands out exactly the tools its servers listed, on every page",
    source: "VG-04: a load hands out the tools that exist",
    requirement: &["VG-04"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::OperationCompleted],
    hears: Hears::only(&[
        (Kind::WireReceived, &[Of::Request(KnownMethod::ToolsList)]),
        (Kind::WireSent, &[Of::Answer(KnownMethod::ToolsList), Of::OtherAnswer]),
        (Kind::OperationCompleted, &[Of::Loads]),
    ]),
    vacuous: "no load handed out tools of a server that had listed them",
    explain: "The tools that the load handed out are not the tools that the server listed: one is missing, or one is \
        no longer there. The usual reasons are a list that is cached longer than its server lives, and tools of two \
        servers that overwrite each other by name.\n\n\
        Look at the last `tools/list` answer of the server. To fix it, keep tools with their session, by server \
        *and* name.\n\n\
        Or the list has more pages and the load handed out only the first page. To fix that, list again with \
        `nextCursor`, unchanged, until an answer has no `nextCursor`.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ListedTools::default()) },
};

#[derive(Default)]
struct ListedTools {
    listed: Table<String, ToolList>,
    /// The unanswered requests for a list, by connection and id, and the page that each asked for.
    asked: Table<(ConnectionId, Name), Option<String>>,
}

#[derive(Default)]
struct ToolList {
    /// Every tool that was listed.
    tools: BTreeSet<String>,
    /// The newest whole list.
    whole: Option<BTreeSet<String>>,
    /// Whether one list had a tool twice.
    has_doubles: bool,
    /// Whether there were whole lists that differ, so that a missing tool proves nothing.
    is_partial: bool,
    seq: Option<Seq>,
    pages: Table<ConnectionId, Pages>,
}

/// A list that comes in pages, on one connection, until its last page.
#[derive(Default)]
struct Pages {
    tools: BTreeSet<String>,
    /// The cursors that the client has used.
    used: BTreeSet<String>,
    /// The cursor of the next page, and the answer that has it.
    next: Option<(String, Seq)>,
}

impl Monitor for ListedTools {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_request("tools/list")) {
                    self.ask(event, connection, part);
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    self.answer(event, connection, part);
                }
            }
            _ => {
                let Some((operation, tools, _)) = loaded(event, view) else { return };
                for server in &operation.servers {
                    let Some(list) = self.listed.get(server) else { continue };
                    let left = list.left(view, server, tools);
                    if view.is_healthy(server) && left.is_none() && list.seq.is_some() {
                        judge_list(event.seq, operation, server, list, tools, tally);
                    }
                    if let Some((cursor, sent)) = left {
                        let because = format!(
                            "{}, invoked at {}, completed at {} with the tools of {server} that it had listed up to {sent}, and never asked for the next page, {cursor}",
                            operation.describe(),
                            operation.invoked,
                            event.seq
                        );
                        let witness = [*sent, operation.invoked, event.seq];
                        tally.broken(Violation::new("page-left", because, &witness).as_warning());
                    }
                }
            }
        }
    }
}

impl ListedTools {
    fn ask(&mut self, event: &Event, connection: &ConnectionId, request: &Message) {
        let Some(server) = event.source.server() else { return };
        let cursor = request.at(&["params", "cursor"]).and_then(Value::as_str).map(str::to_owned);
        let list = self.listed.entry(server.to_owned()).or_default();
        match &cursor {
            None => drop(list.pages.insert(connection.clone(), Pages::default())),
            // A cursor may be used on another connection than the one that gave it.
            Some(cursor) => {
                let is_next = |pages: &Pages| pages.next.as_ref().is_some_and(|(next, _)| next == cursor);
                for pages in list.pages.values_mut().filter(|pages| is_next(pages)) {
                    pages.next = None;
                    pages.used.insert(cursor.clone());
                }
            }
        }
        self.asked.extend(request.id().map(|id| ((connection.clone(), Name::from(id)), cursor)));
    }

    fn answer(&mut self, event: &Event, connection: &ConnectionId, answer: &Message) {
        let id = answer.id_text();
        let cursor = self.asked.swap_remove(&(connection.clone(), id)).flatten();
        let (Some(server), Some(Value::Array(tools))) = (event.source.server(), answer.at(&["result", "tools"])) else {
            return;
        };
        let names = tools.iter().filter_map(|tool| tool.get("name").and_then(Value::as_str)).map(str::to_owned);
        let names: Vec<String> = names.collect();
        let list = self.listed.entry(server.to_owned()).or_default();
        list.tools.extend(names.iter().cloned());
        list.seq = Some(event.seq);
        let pages = list.pages.entry(connection.clone()).or_default();
        if cursor.is_none() {
            *pages = Pages::default();
        }
        list.has_doubles |= !names.into_iter().all(|name| pages.tools.insert(name));
        match answer.at(&["result", "nextCursor"]) {
            None | Some(Value::Null) => {
                let whole = list.pages.swap_remove(connection).map(|pages| pages.tools).unwrap_or_default();
                list.is_partial |= list.whole.as_ref().is_some_and(|before| *before != whole);
                list.whole = Some(whole);
            }
            Some(Value::String(next)) if !next.is_empty() && !pages.used.contains(next) => {
                pages.next = Some((next.clone(), event.seq));
            }
            Some(_) => list.is_partial = true,
        }
    }
}

impl ToolList {
    /// The page that the loader did not request although the load handed out tools of the pages before it.
    fn left(&self, view: &View, server: &str, tools: &[Tool]) -> Option<&(String, Seq)> {
        if self.whole.is_some() {
            return None;
        }
        let is_told = |name: &String| tools.iter().any(|tool| tool.server == *server && tool.name == *name);
        let lives = |id: &ConnectionId| {
            let gone = view.connection(id).and_then(|connection| connection.gone);
            !matches!(gone, Some((_, Gone::ByServer | Gone::Unclear)))
        };
        let left = self.pages.iter().filter(|(id, pages)| lives(id) && pages.tools.iter().any(is_told));
        left.filter_map(|(_, pages)| pages.next.as_ref()).next()
    }
}

fn judge_list(seq: Seq, operation: &Operation, server: &str, list: &ToolList, tools: &[Tool], tally: &mut Tally) {
    let handed_out: KeySet<&str> =
        tools.iter().filter(|tool| tool.server == server).map(|tool| tool.name.as_str()).collect();
    if handed_out.is_empty() {
        return;
    }
    let invented = handed_out.iter().find(|name| !list.tools.contains(**name)).copied();
    let whole = list.whole.iter().filter(|_| !list.is_partial).flatten();
    let missing = whole.map(String::as_str).find(|name| !handed_out.contains(name));
    let mut seen = KeySet::<&str>::default();
    let of_server = tools.iter().filter(|tool| tool.server == server && !list.has_doubles);
    let twice = of_server.map(|tool| tool.name.as_str()).find(|name| !seen.insert(*name));
    let (variant, what) = match (invented, missing.or(twice)) {
        (Some(name), _) => ("never-listed", format!("with {name} of {server}, which the server never listed")),
        (None, Some(name)) if missing.is_none() => {
            ("twice", format!("with {name} of {server} twice, which the server never listed twice"))
        }
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

/// Number of answers after one notification that are remembered: the operations that they complete show that it was
/// read.
const BEHIND_MAX: usize = 64;

/// Counter-examples: A load that begins a moment after the notification cannot know of it, unless an operation had
/// completed before with an answer that came after the notification on its stream. A list that the client requested in
/// between may be the new one; the request may still be under way when the load completes. Before
/// `notifications/initialized` no tools were handed out, so none could have changed. Over streamable HTTP a client may
/// have no stream that would carry the notification.
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
        Kind::WireEof,
        Kind::ConnectionClosed,
        Kind::OperationInvoked,
        Kind::OperationCompleted,
    ],
    hears: Hears::only(&[
        (Kind::WireSent, &[Of::Notice(KnownMethod::ToolsListChanged), Of::AnyAnswer]),
        (Kind::OperationInvoked, &[Of::Loads]),
        (Kind::OperationCompleted, &[Of::Loads, Of::Action(Action::Call)]),
    ])
    .from(&[(Kind::WireSent, &[Of::Notice(KnownMethod::ToolsListChanged)])]),
    vacuous: "no server announced a change of its tools before a load",
    explain: "A server announced that its list of tools had changed, and the next load handed out the old list: the \
        loader keeps its sessions, each with a list. The model sees tools that are gone, and never sees the new \
        tools.\n\n\
        Look at the notification and at the requests that the server received afterwards. To fix it, mark the list \
        of that session as stale when `notifications/tools/list_changed` arrives, and list again before the next \
        load hands out tools.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ChangedTools::default()) },
};

#[derive(Default)]
struct ChangedTools {
    /// Servers that announced a change and got no `tools/list` since.
    announced: Table<String, ToolChange>,
    /// Loads whose loader knew of a change when they began, with the changed servers and the evidence.
    late: Table<OpId, Vec<(String, Shown)>>,
    /// Loads that handed out old tools, unless the next message of the client asks for the new ones.
    stale: Table<ConnectionId, StaleLoad>,
}

/// How a history shows that a loader has read a notification.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shown {
    /// It had time.
    ByTime,
    /// It had read a later answer on the stream.
    ByAnswer,
}

struct StaleLoad {
    violation: Violation,
    at_us: u64,
}

struct ToolChange {
    connection: ConnectionId,
    seq: Seq,
    at_us: u64,
    /// The answers after it on its stream.
    behind: Vec<Seq>,
    /// Whether an operation has completed with one of them.
    is_read: bool,
}

impl ToolChange {
    /// An answer came after it. The first few are enough.
    fn behind(&mut self, answer: Seq) {
        if !self.is_read && self.behind.len() < BEHIND_MAX {
            self.behind.push(answer);
        }
    }
}

impl Monitor for ChangedTools {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                let is_change =
                    parts(message).iter().any(|part| part.method() == Some("notifications/tools/list_changed"));
                if view.shows_ends() && parts(message).iter().any(Message::is_response) {
                    let changes = self.announced.values_mut();
                    changes
                        .filter(|change| change.connection == *connection)
                        .for_each(|change| change.behind(event.seq));
                }
                let known = view.connection(connection).filter(|known| is_change && known.is_initialized);
                if let Some(known) = known {
                    let (connection, behind) = (connection.clone(), Vec::new());
                    let change = ToolChange { connection, seq: event.seq, at_us: event.at_us, behind, is_read: false };
                    self.announced.entry(known.server.clone()).or_insert(change);
                }
            }
            EventKind::WireReceived { connection, message } => {
                let is_list = parts(message).iter().any(|part| part.is_request("tools/list"));
                let was_asked =
                    |load: &StaleLoad| is_list && Duration::from_micros(event.at_us.saturating_sub(load.at_us)) < HEARD;
                if let Some(load) = self.stale.swap_remove(connection).filter(|load| !was_asked(load)) {
                    tally.broken(load.violation);
                }
                let asked =
                    event.source.server().filter(|_| is_list).and_then(|server| self.announced.swap_remove(server));
                if asked.is_some() {
                    tally.held();
                }
            }
            EventKind::WireEof { connection } => self.settle(connection, tally),
            EventKind::ConnectionClosed { connection, .. } => {
                self.settle(connection, tally);
                self.announced.retain(|_, change| change.connection != *connection)
            }
            EventKind::OperationInvoked { operation, action, .. } if action.loads() => {
                self.begin(*operation, event.at_us)
            }
            EventKind::OperationCompleted { operation, outcome } => {
                self.complete(event, *operation, outcome, view, tally)
            }
            _ => {}
        }
    }
}

impl ChangedTools {
    fn begin(&mut self, operation: OpId, at_us: u64) {
        let shown = |(server, change): (&String, &ToolChange)| {
            let had_time = Duration::from_micros(at_us.saturating_sub(change.at_us)) >= HEARD;
            let shown = if change.is_read { Some(Shown::ByAnswer) } else { had_time.then_some(Shown::ByTime) };
            shown.map(|shown| (server.clone(), shown))
        };
        let servers = self.announced.iter().filter_map(shown).collect();
        self.late.insert(operation, servers);
    }

    /// The client of a connection sends nothing more.
    fn settle(&mut self, connection: &ConnectionId, tally: &mut Tally) {
        if let Some(load) = self.stale.swap_remove(connection) {
            tally.broken(load.violation);
        }
    }

    fn complete(&mut self, event: &Event, id: OpId, outcome: &Outcome, view: &View, tally: &mut Tally) {
        let now = event.seq;
        let servers = self.late.swap_remove(&id).unwrap_or_default();
        let Some(operation) = view.operation(id).filter(|operation| !operation.is_excused()) else { return };
        let Outcome::Ok { tools, .. } = outcome else { return };
        if !operation.is_ambiguous {
            let answered = || operation.requests.iter().filter_map(|request| request.answered);
            for change in self.announced.values_mut() {
                change.is_read |= answered().any(|answer| change.behind.contains(&answer));
            }
        }
        for (server, shown) in servers.iter().filter(|(server, _)| view.is_healthy(server)) {
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
            let violation = Violation::new("stale", because, &witness);
            match shown {
                Shown::ByTime => tally.broken(violation.of_bound(HEARD)),
                Shown::ByAnswer => {
                    let load = StaleLoad { violation, at_us: event.at_us };
                    self.stale.insert(change.connection.clone(), load);
                }
            }
        }
    }
}
