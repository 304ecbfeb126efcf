//! Capabilities: a client uses only what its server advertises.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::check::parts::parts;
use crate::check::{AppliesTo, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Seq};
use crate::plan::{Promise, Revision};

/// Counter-example: `handshake-order` judges a request that crosses the answer to `initialize`.
pub(super) const CAPABILITIES_RESPECTED: Invariant = Invariant {
    id: "capabilities-respected",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client requests only what its server advertises",
    source: "2025-11-25, basic/lifecycle, Operation (MUST from 2025-06-18, SHOULD before)",
    requirement: &["LC-INIT-11", "LC-LOG-01", "LC-TASK-01"],
    applies: AppliesTo::HANDSHAKE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::WireEof, Kind::ConnectionClosed],
    vacuous: "no request that needs a capability reached a server that had sent its capabilities",
    explain: "The client requested prompts, resources, completions, tools or tasks from a server that had not \
        advertised them. Many servers answer with an error, which the client takes for a broken server; some never \
        answer, and the load hangs.\n\n\
        Look at the request and at the capabilities in the answer to `initialize`. To fix it, request only what the \
        server advertises.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let is_must = header.revision.parse::<Revision>().is_ok_and(|revision| revision >= Revision::R20250618);
        Box::new(AdvertisedCapabilities { is_must, ..AdvertisedCapabilities::default() })
    },
};

#[derive(Default)]
struct AdvertisedCapabilities {
    is_must: bool,
    advertised: BTreeMap<ConnectionId, Vec<&'static str>>,
}

/// The capability that a request needs, by the prefix of its method.
const NEEDS: [(&str, &str); 6] = [
    ("tools/", "tools"),
    ("prompts/", "prompts"),
    ("resources/", "resources"),
    ("completion/", "completions"),
    ("logging/", "logging"),
    ("tasks/", "tasks"),
];
/// The capability for a call that runs as a task, and its path in the answer to `initialize`.
const TASK_CALLS: (&str, [&str; 6]) =
    ("tasks for calls", ["result", "capabilities", "tasks", "requests", "tools", "call"]);

impl Monitor for AdvertisedCapabilities {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                if let Some(Value::Object(advertised)) = message.at(&["result", "capabilities"]) {
                    let names = NEEDS.iter().map(|(_, name)| *name).filter(|name| advertised.contains_key(*name));
                    let task_calls = message.at(&TASK_CALLS.1).map(|_| TASK_CALLS.0);
                    self.advertised.insert(connection.clone(), names.chain(task_calls).collect());
                }
            }
            EventKind::WireReceived { connection, message } => {
                let Some(advertised) = self.advertised.get(connection) else { return };
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    let method = part.method().unwrap_or_default();
                    let by_method =
                        NEEDS.iter().find(|(prefix, _)| method.starts_with(prefix)).map(|(_, needed)| *needed);
                    let is_task = method == "tools/call" && part.at(&["params", "task"]).is_some();
                    for needed in by_method.into_iter().chain(is_task.then_some(TASK_CALLS.0)) {
                        self.judge(event.seq, connection, advertised, (method, needed), tally);
                    }
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.advertised.remove(connection);
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
        advertised: &[&str],
        (method, needed): (&str, &str),
        tally: &mut Tally,
    ) {
        if advertised.contains(&needed) {
            tally.held();
            return;
        }
        let because =
            format!("{method} was sent on connection {connection} at {seq}, whose server advertises no {needed}");
        let violation = Violation::new("not-offered", because, &[seq]);
        tally.broken(if self.is_must { violation } else { violation.as_warning() });
    }
}
