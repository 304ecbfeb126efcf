//! Open operations, and what happened to each since its invocation.

use serde_json::Value;

use crate::history::{Action, ConnectionId, Message, Name, OpId, Seq, Table};
use crate::plan::{ContextKind, Place, PlaceKind};

/// An operation that was invoked and has not completed.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its number, as in the history.
    pub id: OpId,
    /// Load, call, close and so on.
    pub action: Action,
    /// The context in which the driver invoked it.
    pub place: Place,
    /// The server of a call.
    pub server: Option<String>,
    /// The tool of a call.
    pub tool: Option<String>,
    /// The servers of the configuration in force, for a load of any kind.
    pub servers: Vec<String>,
    /// The event of its invocation.
    pub invoked: Seq,
    /// The event of its start in its context, and the time of that event in microseconds.
    pub started: Option<(Seq, u64)>,
    /// How many cleanups had been invoked before it.
    pub n_closes_before: usize,
    /// The newest reload that removed a server; may be this operation.
    pub removal: Option<Removal>,
    /// The difference between its context and the contexts of the loads.
    pub switch: ContextSwitch,
    /// Whether the loader promises to work after that context switch.
    pub is_promised: bool,
    /// For a call: the completion of the load that had handed out the tools of its server.
    pub loaded: Option<Seq>,
    /// For a call: up to which event its loader had kept up when that load was invoked.
    pub asked: Option<Seq>,
    /// Up to which event its loader had kept up when it was invoked: the invocation of an operation that had completed.
    pub kept_up: Option<Seq>,
    /// Its requests on the wire, as far as they can be attributed.
    pub requests: Vec<WireRequest>,
    /// Whether one of its requests may belong to another operation.
    pub is_ambiguous: bool,
    /// The event of the request to cancel it.
    pub cancel_requested: Option<Seq>,
    /// The event that overtook it, which excuses its outcome.
    pub overtaken: Option<Overtaken>,
}

/// A reload that removed a server, which is the cleanup of that server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// The operation of the reload.
    pub operation: OpId,
    /// The event of its completion.
    pub completed: Option<Seq>,
}

/// Events that overtake an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overtaken {
    /// A cleanup was invoked: the operation may fail, but not hang.
    ByCleanup,
    /// A reload removed its server: the operation may fail, but not hang.
    ByRemoval,
    /// The driver ended its context: the operation has nowhere to complete.
    ByContextEnd,
    /// Its bound passed, and that was judged. Its later end is not judged again.
    ByBound,
    /// The harness asked the program to end, or the program ended.
    ByEnding,
}

/// One request of an operation, on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WireRequest {
    /// The connection that carried it.
    pub connection: ConnectionId,
    /// Its id, as JSON text: the number 1 and the string "1" differ.
    pub id: Name,
    /// The event of its arrival at the mock.
    pub received: Seq,
    /// The event of the mock's answer.
    pub answered: Option<Seq>,
    /// Whether that answer has no result of the call: an error, a result that is marked as one, or a result that the
    /// revision does not know.
    pub is_refused: bool,
    /// Whether a fault that may cost or spoil its answer was delivered while it waited for the answer.
    pub is_touched: bool,
}

/// A context in which a load ran.
#[derive(Debug)]
pub(super) struct LoadPlace {
    pub(super) place: Place,
    /// Whether the driver has ended it since.
    pub(super) is_over: bool,
}

/// How two contexts differ, the widest difference first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ContextSwitch {
    /// The same.
    None,
    /// Another task of the same loop.
    Task,
    /// Another thread.
    Thread,
    /// Another loop or runtime.
    Loop,
}

impl ContextSwitch {
    /// The end of a sentence.
    pub(super) fn phrase(self) -> &'static str {
        match self {
            Self::None => "in the context that loaded",
            Self::Task => "in another task than the load",
            Self::Thread => "on another thread than the load",
            Self::Loop => "in another loop than the load",
        }
    }
}

/// The switches between two contexts.
///
/// Counter-examples: A load on `thread:t1` and a call in `runtime:r1` differ in thread *and* loop, so the loader must
/// promise both. A context that the driver ended and created again under its old name is another context.
fn switches(from: &LoadPlace, to: &Place) -> Vec<ContextSwitch> {
    if from.place == *to && !from.is_over {
        return Vec::new();
    }
    let mut switches: Vec<ContextSwitch> = [&from.place, to]
        .into_iter()
        .filter_map(|place| match place.kind {
            PlaceKind::Task => None,
            PlaceKind::Thread => Some(ContextSwitch::Thread),
            PlaceKind::Runtime | PlaceKind::CurrentThreadRuntime => Some(ContextSwitch::Loop),
        })
        .collect();
    if switches.is_empty() {
        switches.push(ContextSwitch::Task);
    }
    switches
}

/// The widest switch from any of the places to this one, and whether the loader promises all of them.
pub(super) fn switch_from(places: &[LoadPlace], to: &Place, contexts: &[ContextKind]) -> (ContextSwitch, bool) {
    let all: Vec<ContextSwitch> = places.iter().flat_map(|from| switches(from, to)).collect();
    let is_promised = all.iter().all(|switch| match switch {
        ContextSwitch::None => true,
        ContextSwitch::Task => contexts.contains(&ContextKind::Task),
        ContextSwitch::Thread => contexts.contains(&ContextKind::Thread),
        ContextSwitch::Loop => contexts.contains(&ContextKind::Loop),
    });
    (all.into_iter().max().unwrap_or(ContextSwitch::None), is_promised)
}

impl Operation {
    /// Whether no cleanup of any kind had begun when it was invoked.
    ///
    /// A reload that removes a server closes it. A loader whose close is broken breaks there as it breaks in cleanup,
    /// so only `removal-spares-siblings` and `cleanup-repeatable` report it.
    #[must_use]
    pub fn is_in_first_life(&self) -> bool {
        self.n_closes_before == 0 && self.removal.is_none()
    }

    /// Whether it belongs to a life after a cleanup: after a close, or after a load that followed a removal.
    #[must_use]
    pub fn is_in_later_life(&self) -> bool {
        let is_later = |removal: Removal| match self.loaded {
            Some(loaded) => removal.completed.is_some_and(|completed| loaded > completed),
            None => self.action.loads() && removal.operation != self.id,
        };
        self.n_closes_before > 0 || self.removal.is_some_and(is_later)
    }

    /// Whether the driver cancelled it, or another event overtook it.
    #[must_use]
    pub fn is_excused(&self) -> bool {
        self.cancel_requested.is_some() || self.overtaken.is_some()
    }

    /// Whether it need not complete at all.
    #[must_use]
    pub fn is_moot(&self) -> bool {
        match self.overtaken {
            Some(Overtaken::ByContextEnd | Overtaken::ByBound | Overtaken::ByEnding) => true,
            Some(Overtaken::ByCleanup | Overtaken::ByRemoval) | None => false,
        }
    }

    /// Whether at least one of its requests arrived and none was answered.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        !self.requests.is_empty() && self.requests.iter().all(|request| request.answered.is_none())
    }

    /// Whether a fault may have cost or spoiled the answer to one of its requests.
    #[must_use]
    pub fn is_touched(&self) -> bool {
        self.requests.iter().any(|request| request.is_touched)
    }

    /// Whether its server answered its last request, and that answer has no result of the call.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        !self.is_ambiguous && self.requests.last().is_some_and(|request| request.is_refused)
    }

    /// Its name in a sentence: `call of read on files (operation 3)`.
    #[must_use]
    pub fn describe(&self) -> String {
        let what = match (&self.tool, &self.server) {
            (Some(tool), Some(server)) => format!("call of {tool} on {server}"),
            (None, Some(server)) => format!("{} on {server}", self.action.name()),
            (_, None) => self.action.name().to_owned(),
        };
        format!("{what} ({})", self.id)
    }
}

/// The operation that a `tools/call` names: the driver gives each call the number of its operation as argument `n`.
pub(super) fn caller_of(message: &Message) -> Option<OpId> {
    if !message.is_request("tools/call") {
        return None;
    }
    let number = message.at(&["params", "arguments", "n"])?;
    // Some languages write every number as a fraction.
    let whole = || number.as_f64().filter(|n| n.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(n));
    number.as_u64().or_else(|| whole().map(|n| n as u64)).and_then(|n| u32::try_from(n).ok()).map(OpId)
}

/// The operation to which a `tools/call` belongs; marks operations that cannot be distinguished as ambiguous.
///
/// Counter-examples: Two calls of one tool that both started before either request arrived cannot be distinguished
/// without the argument `n`. Five calls that lost their session are sent again, and each has a request already. The
/// request of a call that was cancelled at once may arrive after its end.
pub(super) fn owner_of(operations: &mut Table<OpId, Operation>, server: &str, message: &Message) -> Option<OpId> {
    if !message.is_request("tools/call") {
        return None;
    }
    let tool = message.at(&["params", "name"]).and_then(serde_json::Value::as_str);
    let fits = |operation: &Operation| {
        operation.action == Action::Call
            && operation.server.as_deref() == Some(server)
            && (tool.is_none() || operation.tool.is_none() || operation.tool.as_deref() == tool)
    };
    let mut fitting: Vec<&mut Operation> = operations.values_mut().filter(|operation| fits(operation)).collect();
    let named = caller_of(message);
    if fitting.iter().any(|operation| Some(operation.id) == named) {
        return named;
    }
    if named.is_some_and(|named| fitting.iter().all(|operation| named < operation.id)) {
        return None;
    }
    if fitting.iter().any(|operation| operation.started.is_some()) {
        fitting.retain(|operation| operation.started.is_some());
    }
    if fitting.iter().any(|operation| operation.requests.is_empty()) {
        fitting.retain(|operation| operation.requests.is_empty());
    }
    if fitting.len() > 1 {
        for operation in &mut fitting {
            operation.is_ambiguous = true;
        }
    }
    fitting.first().map(|operation| operation.id)
}

/// Whether an answer to a call has no result that a caller could get.
///
/// Counter-examples: A server may send a call back for input that the client does not have. A result without a list of
/// contents is none, and neither is one of an unknown type.
pub(super) fn refuses_call(answer: &Message) -> bool {
    let Some(result) = answer.at(&["result"]).filter(|result| result.is_object()) else { return true };
    let is_complete = result.get("resultType").is_none_or(|kind| kind == "complete");
    let has_content = result.get("content").is_some_and(Value::is_array) || result.get("task").is_some();
    result.get("isError") == Some(&Value::Bool(true)) || !is_complete || !has_content
}

/// The result type of an answer that sends its call back for more input.
const SENT_BACK: &str = "input_required";

/// The id of the request, if this answer sends it back for more input.
pub(super) fn sent_back(answer: &Message) -> Option<&Value> {
    let kind = answer.at(&["result", "resultType"]).and_then(Value::as_str);
    answer.id().filter(|_| kind == Some(SENT_BACK))
}
