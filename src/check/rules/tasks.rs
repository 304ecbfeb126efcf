//! Tasks: which tools are called as tasks.

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, KnownMethod, Message, Name, Seq, Table};
use crate::plan::{Promise, Revision};

/// Counter-examples: A client that has not listed a tool knows nothing of its tasks. A call that crosses a list, or a
/// tool whose support changed on this connection, proves nothing. A server without tasks may list anything.
pub(super) const TASK_SUPPORT_FOLLOWED: Invariant = Invariant {
    id: "task-support-followed",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client calls a tool as a task if the tool requires that, and never if the tool has no tasks",
    source: "2025-11-25, basic/utilities/tasks, Tool-Level Negotiation",
    requirement: &["LC-TASK-02"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::WireEof, Kind::ConnectionClosed],
    hears: Hears::only(&[
        (Kind::WireReceived, &[Of::Request(KnownMethod::ToolsList), Of::Request(KnownMethod::ToolsCall)]),
        (Kind::WireSent, &[Of::Answer(KnownMethod::ToolsList)]),
    ]),
    vacuous: "no tool of a server with tasks was called",
    explain: "The list of tools says how each is to be called, and the client did not follow it: it called a tool that \
        requires a task without one, or called a tool as a task that does not support tasks. The server must refuse \
        such a call with -32601.\n\n\
        Look at `execution.taskSupport` of the tool in the answer to `tools/list`. To fix it, read this value for each \
        call. A tool without it does not support tasks.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(TaskSupport::default()) },
};

#[derive(Default)]
struct TaskSupport {
    /// Unanswered lists, by connection and id.
    listing: Table<(ConnectionId, Name), Seq>,
    /// The support of each tool, by connection and name; none if it changed.
    tools: Table<(ConnectionId, Name), Option<ListedSupport>>,
}

#[derive(Clone, PartialEq, Eq)]
struct ListedSupport {
    support: String,
    listed: Seq,
}

impl Monitor for TaskSupport {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let Spoken::Handshake(Revision::R20251125, agreement) = view.spoken(connection) else { return };
                if agreement.of_server(&["tasks", "requests", "tools", "call"]).is_none() {
                    return;
                }
                for part in parts(message).iter() {
                    if part.is_request("tools/list") {
                        let id = part.id_text();
                        self.listing.insert((connection.clone(), id), event.seq);
                    } else if part.is_request("tools/call") && !part.is_cut() {
                        self.call(event.seq, connection, part, tally);
                    }
                }
            }
            EventKind::WireSent { connection, message } if !self.listing.is_empty() => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    self.listed(event.seq, connection, part);
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.listing.retain(|(of, _), _| of != connection);
                self.tools.retain(|(of, _), _| of != connection);
            }
            _ => {}
        }
    }
}

impl TaskSupport {
    fn listed(&mut self, seq: Seq, connection: &ConnectionId, answer: &Message) {
        let id = answer.id_text();
        if self.listing.swap_remove(&(connection.clone(), id)).is_none() {
            return;
        }
        for tool in answer.at(&["result", "tools"]).and_then(Value::as_array).into_iter().flatten() {
            let Some(name) = tool.get("name").and_then(Value::as_str) else { continue };
            let support = tool.pointer("/execution/taskSupport").and_then(Value::as_str).unwrap_or("forbidden");
            let found = ListedSupport { support: support.to_owned(), listed: seq };
            let known = self.tools.entry((connection.clone(), name.into())).or_insert_with(|| Some(found.clone()));
            if known.as_ref().is_some_and(|known| known.support != found.support) {
                *known = None;
            }
        }
    }

    fn call(&self, seq: Seq, connection: &ConnectionId, call: &Message, tally: &mut Tally) {
        let is_listing = self.listing.keys().any(|(of, _)| of == connection);
        let Some(name) = call.at(&["params", "name"]).and_then(Value::as_str).filter(|_| !is_listing) else { return };
        let Some(Some(ListedSupport { support, listed })) = self.tools.get(&(connection.clone(), name.into())) else {
            return;
        };
        let is_task = call.at(&["params", "task"]).is_some();
        let (variant, how) = match (support.as_str(), is_task) {
            ("required", false) => ("required", "without a task"),
            ("forbidden", true) => ("forbidden", "as a task"),
            _ => return tally.held(),
        };
        let because = format!(
            "tool {name}, whose task support is {support} in the list of {listed}, was called {how} on connection {connection} at {seq}"
        );
        tally.broken(Violation::new(variant, because, &[*listed, seq]));
    }
}
