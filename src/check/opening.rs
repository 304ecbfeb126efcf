//! What the two sides agree on when a session is opened.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::combinator::{Judged, each};
use crate::check::sight::parts;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Seq};
use crate::plan::{Promise, Revision};

/// Counter-example that shaped it: a message above the limit is kept without its parameters.
pub(super) const INITIALIZE_COMPLETE: Invariant = Invariant {
    id: "initialize-complete",
    property: Property::Safety,
    level: Level::Must,
    claim: "initialize says which revision is wanted, what the client can do and who it is",
    source: "2025-11-25, basic/lifecycle, Initialization; the same in all revisions from 2024-11-05",
    requirement: &["LC-INIT-02", "LC-INIT-07"],
    applies: Scope::LEGACY,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived],
    vacuous: "no client sent initialize",
    explain: "The client sent `initialize` without a revision, without its capabilities or without its name and version. A strict \
        server refuses the session; a lenient one guesses, and guesses another revision than the next server does.\n\n\
        Look at the parameters in the witness. Mend it by filling in all three; empty capabilities are an empty object.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_initialize) },
};

fn judge_initialize(event: &Event, _view: &View) -> Judged {
    let EventKind::WireReceived { connection, message } = &event.kind else { return Judged::Unrelated };
    if !message.is_request("initialize") || message.is_cut() {
        return Judged::Unrelated;
    }
    let param = |path: &[&str]| message.at(&[&["params"], path].concat());
    let is_text = |path: &[&str]| param(path).is_some_and(Value::is_string);
    let missing = if !is_text(&["protocolVersion"]) {
        "protocol-version"
    } else if !param(&["capabilities"]).is_some_and(Value::is_object) {
        "capabilities"
    } else if !is_text(&["clientInfo", "name"]) || !is_text(&["clientInfo", "version"]) {
        "client-info"
    } else {
        return Judged::Held;
    };
    let because = format!("initialize was sent on connection {connection} at {} without {missing}", event.seq);
    Judged::Broken(Violation::new(missing, because, &[event.seq]))
}

/// Counter-example that shaped it: a load that was cancelled, or gave the server up, need not finish the handshake.
pub(super) const INITIALIZED_SENT: Invariant = Invariant {
    id: "initialized-sent",
    property: Property::Liveness,
    level: Level::Must,
    claim: "a session is in use only after notifications/initialized was sent on it",
    source: "2025-11-25, basic/lifecycle, Initialization; the same in all revisions from 2024-11-05",
    requirement: &["LC-INIT-03"],
    applies: Scope::LEGACY,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::WireEof, Kind::ConnectionClosed, Kind::OperationCompleted],
    vacuous: "no server answered initialize",
    explain: "The server answered `initialize`, its tools were handed out, and `notifications/initialized` never came. Until it \
        does, a server may refuse every request, and may not send any of its own: sampling and roots stay dead.\n\n\
        Look at the connection of the witness. Mend it by sending the notification right behind the answer, before the tools are listed.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(InitializedConnections::default()) },
};

#[derive(Default)]
struct InitializedConnections {
    asked: BTreeMap<ConnectionId, String>,
    owed: BTreeMap<ConnectionId, Seq>,
}

impl Monitor for InitializedConnections {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } if message.is_request("initialize") => {
                let id = message.id().map(ToString::to_string).unwrap_or_default();
                self.asked.insert(connection.clone(), id);
            }
            EventKind::WireReceived { connection, message } if !self.owed.is_empty() => {
                let is_notice = |part: &Message| part.is_notification("notifications/initialized");
                if parts(message).iter().any(is_notice) && self.owed.remove(connection).is_some() {
                    tally.held();
                }
            }
            EventKind::WireSent { connection, message } if !self.asked.is_empty() => {
                let id = message.id().map(ToString::to_string);
                if message.at(&["result"]).is_some() && self.asked.get(connection) == id.as_ref() {
                    self.asked.remove(connection);
                    self.owed.insert(connection.clone(), event.seq);
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.asked.remove(connection);
                self.owed.remove(connection);
            }
            EventKind::OperationCompleted { .. } if !self.owed.is_empty() => self.completed(event, view, tally),
            _ => {}
        }
    }
}

impl InitializedConnections {
    fn completed(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.owed.retain(|connection, answered| {
            let server = view.connection(connection).and_then(|connection| view.server(&connection.server));
            let is_in_use = server.is_some_and(|server| {
                server.handed_out == Some(event.seq) && server.newest.as_ref() == Some(connection)
            });
            if is_in_use {
                let because = format!(
                    "connection {connection} was in use at {}, and nothing but the answer of {answered} had opened it",
                    event.seq
                );
                tally.broken(Violation::new("missing", because, &[*answered, event.seq]));
            }
            !is_in_use
        });
    }
}

/// Counter-example that shaped it: a request that crosses the answer to initialize is told by `handshake-order`.
pub(super) const CAPABILITIES_RESPECTED: Invariant = Invariant {
    id: "capabilities-respected",
    property: Property::Safety,
    level: Level::Must,
    claim: "nothing is asked of a server that it did not offer",
    source: "2025-11-25, basic/lifecycle, Operation (MUST from 2025-06-18, SHOULD before)",
    requirement: &["LC-INIT-11", "LC-LOG-01", "LC-TASK-01"],
    applies: Scope::LEGACY,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::WireEof, Kind::ConnectionClosed],
    vacuous: "nothing that needs a capability was asked of a server that had told its capabilities",
    explain: "The client asked for prompts, resources, completions, tools or tasks of a server that had said it has none. Many servers \
        answer with an error, which is then taken for a broken server; some answer nothing, and the load hangs.\n\n\
        Look at the request and at the capabilities in the answer to `initialize`. Mend it by asking only for what is offered.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let is_must = header.revision.parse::<Revision>().is_ok_and(|revision| revision >= Revision::R20250618);
        Box::new(AdvertisedCapabilities { is_must, ..AdvertisedCapabilities::default() })
    },
};

#[derive(Default)]
struct AdvertisedCapabilities {
    is_must: bool,
    offered: BTreeMap<ConnectionId, Vec<&'static str>>,
}

/// The capability a request needs, by the beginning of its method.
const NEEDS: [(&str, &str); 6] = [
    ("tools/", "tools"),
    ("prompts/", "prompts"),
    ("resources/", "resources"),
    ("completion/", "completions"),
    ("logging/", "logging"),
    ("tasks/", "tasks"),
];
/// What a call needs that is to be made a task, and where that stands among the capabilities.
const TASK_CALLS: (&str, [&str; 6]) =
    ("tasks for calls", ["result", "capabilities", "tasks", "requests", "tools", "call"]);

impl Monitor for AdvertisedCapabilities {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                if let Some(Value::Object(offered)) = message.at(&["result", "capabilities"]) {
                    let names = NEEDS.iter().map(|(_, name)| *name).filter(|name| offered.contains_key(*name));
                    let task_calls = message.at(&TASK_CALLS.1).map(|_| TASK_CALLS.0);
                    self.offered.insert(connection.clone(), names.chain(task_calls).collect());
                }
            }
            EventKind::WireReceived { connection, message } => {
                let Some(offered) = self.offered.get(connection) else { return };
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    let method = part.method().unwrap_or_default();
                    let by_method =
                        NEEDS.iter().find(|(prefix, _)| method.starts_with(prefix)).map(|(_, needed)| *needed);
                    let is_task = method == "tools/call" && part.at(&["params", "task"]).is_some();
                    for needed in by_method.into_iter().chain(is_task.then_some(TASK_CALLS.0)) {
                        self.judge(event.seq, connection, offered, (method, needed), tally);
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.offered.remove(connection);
            }
            _ => {}
        }
    }
}

impl AdvertisedCapabilities {
    fn judge(
        &self,
        seq: Seq,
        connection: &ConnectionId,
        offered: &[&str],
        (method, needed): (&str, &str),
        tally: &mut Tally,
    ) {
        if offered.contains(&needed) {
            tally.held();
            return;
        }
        let because = format!("{method} was sent on connection {connection} at {seq}, whose server offers no {needed}");
        let violation = Violation::new("not-offered", because, &[seq]);
        tally.broken(if self.is_must { violation } else { violation.as_warning() });
    }
}
