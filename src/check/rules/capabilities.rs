//! Capabilities: a client uses only what its server advertises.

use serde_json::Value;

use crate::check::agreement::Spoken;
use crate::check::combinator::Judged;
use crate::check::methods::{has_completions_capability, method};
use crate::check::parts::parts;
use crate::check::{
    Agreement, AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness,
};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Seq};
use crate::plan::{Promise, Revision};

/// Counter-examples: `handshake-order` judges a request that crosses the answer to `initialize`, and `methods-known` a
/// method that the revision of the session does not have, as `fields-of-revision` does a task. Revision 2024-11-05 has
/// completions and no capability for them: its servers complete arguments of the prompts and resources that they offer.
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
    kinds: &[Kind::WireReceived],
    hears: Hears::only(&[(Kind::WireReceived, &[Of::AnyRequest])]),
    vacuous: "no request that needs a capability reached a server that had sent its capabilities",
    explain: "The client requested prompts, resources, completions, tools or tasks from a server that had not \
        advertised them, or subscribed to resources although the server does not offer subscriptions. Many servers \
        answer with an error, which the client mistakes for a broken server. Some servers never answer, and the load \
        hangs.\n\n\
        Look at the request and at the capabilities in the answer to `initialize`. To fix it, request only what the \
        server advertises.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(see) },
};

fn see(event: &Event, view: &View, tally: &mut Tally) {
    let EventKind::WireReceived { connection, message } = &event.kind else { return };
    let Spoken::Handshake(revision, agreement) = view.spoken(connection) else { return };
    for part in parts(message).iter().filter(|part| part.is_any_request()) {
        for needed in needed_by(part, revision) {
            match judge(event.seq, connection, (part, needed), (revision, agreement)) {
                Judged::Unrelated => {}
                Judged::Held => tally.held(),
                Judged::Broken(violation) => tally.broken(violation),
            }
        }
    }
}

/// A capability: its name in a finding, and its path in the answer to `initialize`.
type Capability = (&'static str, &'static [&'static str]);

const TASK_CALLS: Capability = ("tasks for calls", &["tasks", "requests", "tools", "call"]);

/// In every revision, servers run only calls as tasks.
const OTHER_TASKS: Capability = ("tasks for this method", &["tasks", "requests", "-"]);

/// The capabilities that a request needs in a revision.
fn needed_by(request: &Message, revision: Revision) -> Vec<Capability> {
    let name = request.method().unwrap_or_default();
    if !method(name).is_some_and(|method| method.is_of_clients(revision)) {
        return Vec::new();
    }
    let is_task = revision >= Revision::R20251125 && request.at(&["params", "task"]).is_some();
    let tasks = if name == "tools/call" { TASK_CALLS } else { OTHER_TASKS };
    let of_method: Option<Capability> = match name {
        "resources/subscribe" | "resources/unsubscribe" => {
            Some(("subscriptions to resources", &["resources", "subscribe"]))
        }
        "completion/complete" if has_completions_capability(revision) => Some(("completions", &["completions"])),
        "completion/complete" => completed_by(request),
        "tasks/list" => Some(("list of tasks", &["tasks", "list"])),
        "tasks/cancel" => Some(("cancellation of tasks", &["tasks", "cancel"])),
        _ => match name.split('/').next() {
            Some("tools") => Some(("tools", &["tools"])),
            Some("prompts") => Some(("prompts", &["prompts"])),
            Some("resources") => Some(("resources", &["resources"])),
            Some("logging") => Some(("logging", &["logging"])),
            Some("tasks") => Some(("tasks", &["tasks"])),
            Some(_) | None => None,
        },
    };
    of_method.into_iter().chain(is_task.then_some(tasks)).collect()
}

/// The capability behind what a completion refers to, where completions have none of their own.
fn completed_by(request: &Message) -> Option<Capability> {
    match request.at(&["params", "ref", "type"])?.as_str()? {
        "ref/prompt" => Some(("prompts", &["prompts"])),
        "ref/resource" => Some(("resources", &["resources"])),
        _ => None,
    }
}

fn judge(
    seq: Seq,
    connection: &ConnectionId,
    (request, (what, path)): (&Message, Capability),
    (revision, agreement): (Revision, &Agreement),
) -> Judged {
    let is_offered = |value: &Value| !matches!(value, Value::Null | Value::Bool(false));
    if agreement.of_server(path).is_some_and(is_offered) {
        return Judged::Held;
    }
    let name = request.method().unwrap_or_default();
    let because = format!("{name} was sent on connection {connection} at {seq}, whose server advertises no {what}");
    let violation = Violation::new("not-offered", because, &[seq]);
    Judged::Broken(if revision >= Revision::R20250618 { violation } else { violation.as_warning() })
}
