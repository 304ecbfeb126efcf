//! Operations that are open, and what happened to each since it was invoked.

use serde_json::Value;

use crate::history::{Action, ConnectionId, Message, OpId, Seq};
use crate::plan::{ContextKind, Place, PlaceKind};

/// An operation that was invoked and has not completed.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Which.
    pub id: OpId,
    /// What it is.
    pub action: Action,
    /// The context it was asked for in.
    pub place: Place,
    /// The server a call goes to.
    pub server: Option<String>,
    /// The tool a call calls.
    pub tool: Option<String>,
    /// The servers of the configuration in force, for a load of any kind.
    pub servers: Vec<String>,
    /// Where it was invoked.
    pub invoked: Seq,
    /// Where and when it began to run in its context.
    pub started: Option<(Seq, u64)>,
    /// How many cleanups had been invoked before it.
    pub n_closes_before: usize,
    /// The newest reload that took a server away, this operation itself included.
    pub removal: Option<Removal>,
    /// How its context differs from the one of the load it depends on.
    pub hop: ContextSwitch,
    /// Whether the loader promises to work after that hop.
    pub is_promised: bool,
    /// For a call: the completion of the load that had handed out its server, when it was invoked.
    pub loaded: Option<Seq>,
    /// Requests it sent, as far as they could be told apart.
    pub requests: Vec<Request>,
    /// Whether a request could be its own or another operation's.
    pub is_ambiguous: bool,
    /// Where its cancellation was asked for.
    pub cancel_requested: Option<Seq>,
    /// What overtook it, so that its outcome is not the loader's to answer for.
    pub overtaken: Option<Overtaken>,
}

/// A reload that took a server away: the cleanup of that server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Removal {
    /// Which operation.
    pub operation: OpId,
    /// Where it completed.
    pub completed: Option<Seq>,
}

/// What can overtake an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overtaken {
    /// A cleanup was invoked: the operation may fail, but not hang.
    ByCleanup,
    /// A reload took its server away: it may fail, but not hang.
    ByRemoval,
    /// Its context was ended on purpose: it has nowhere to complete.
    ByContextEnd,
    /// The program was asked to end, or did.
    ByEnding,
}

/// One request of an operation, on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// On which connection.
    pub connection: ConnectionId,
    /// Its id, as JSON text: the number 1 and the string "1" differ.
    pub id: String,
    /// Where the mock received it.
    pub received: Seq,
    /// Where the mock answered it.
    pub answered: Option<Seq>,
}

/// A context a load ran in.
#[derive(Debug)]
pub(super) struct LoadPlace {
    pub(super) place: Place,
    /// It was ended on purpose since.
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
    /// As the end of a sentence.
    pub(super) fn phrase(self) -> &'static str {
        match self {
            Self::None => "in the context that loaded",
            Self::Task => "in another task than the load",
            Self::Thread => "on another thread than the load",
            Self::Loop => "in another loop than the load",
        }
    }
}

/// The hops between two contexts. Counter-example that shaped it: a load on `thread:t1` and a call in `runtime:r1` differ in
/// thread *and* loop, so a loader that promises only one of the two is not asked for it. A context that was ended and made
/// anew under its old name is another one.
fn hops(from: &LoadPlace, to: &Place) -> Vec<ContextSwitch> {
    if from.place == *to && !from.is_over {
        return Vec::new();
    }
    let mut hops: Vec<ContextSwitch> = [&from.place, to]
        .into_iter()
        .filter_map(|place| match place.kind {
            PlaceKind::Task => None,
            PlaceKind::Thread => Some(ContextSwitch::Thread),
            PlaceKind::Runtime | PlaceKind::CurrentThreadRuntime => Some(ContextSwitch::Loop),
        })
        .collect();
    if hops.is_empty() {
        hops.push(ContextSwitch::Task);
    }
    hops
}

/// The widest hop from any of the places to this one, and whether each is promised.
pub(super) fn hop_from(places: &[LoadPlace], to: &Place, contexts: &[ContextKind]) -> (ContextSwitch, bool) {
    let all: Vec<ContextSwitch> = places.iter().flat_map(|from| hops(from, to)).collect();
    let is_promised = all.iter().all(|hop| match hop {
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
    /// A reload that takes a server away closes that server: a loader that can not close anything breaks there as it breaks
    /// in cleanup, and is to be told once, by `removal-spares-siblings` and `cleanup-repeatable`.
    #[must_use]
    pub fn is_in_first_life(&self) -> bool {
        self.n_closes_before == 0 && self.removal.is_none()
    }

    /// Whether it belongs to a life after a cleanup: after a close, or loaded anew after a removal.
    #[must_use]
    pub fn is_in_later_life(&self) -> bool {
        let is_later = |removal: Removal| match self.loaded {
            Some(loaded) => removal.completed.is_some_and(|completed| loaded > completed),
            None => self.action.loads() && removal.operation != self.id,
        };
        self.n_closes_before > 0 || self.removal.is_some_and(is_later)
    }

    /// Whether it was asked to be cancelled, was overtaken by cleanup or the end, or lost its context on purpose.
    #[must_use]
    pub fn is_excused(&self) -> bool {
        self.cancel_requested.is_some() || self.overtaken.is_some()
    }

    /// Whether it can not be expected to complete at all.
    #[must_use]
    pub fn is_moot(&self) -> bool {
        match self.overtaken {
            Some(Overtaken::ByContextEnd | Overtaken::ByEnding) => true,
            Some(Overtaken::ByCleanup | Overtaken::ByRemoval) | None => false,
        }
    }

    /// Whether a request of it arrived and none was answered.
    #[must_use]
    pub fn is_unanswered(&self) -> bool {
        !self.requests.is_empty() && self.requests.iter().all(|request| request.answered.is_none())
    }

    /// As a sentence names it: `call of read on files (operation 3)`.
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

/// The operation a `tools/call` says it is of: the driver gives each call its operation's number as argument `n`.
pub(super) fn caller_of(message: &Message) -> Option<OpId> {
    if !message.is_request("tools/call") {
        return None;
    }
    let number = message.at(&["params", "arguments", "n"]).and_then(serde_json::Value::as_u64)?;
    u32::try_from(number).ok().map(OpId)
}

/// The operation a `tools/call` belongs to, and whether it could be another one.
///
/// Counter-examples that shaped it. Two calls of one tool, both started before either request arrived, can not be told apart
/// unless they say whose they are. Five calls that lost their session are sent again, and each has a request already.
pub(super) fn owner_of(
    operations: &mut std::collections::BTreeMap<OpId, Operation>,
    server: &str,
    message: &Message,
) -> Option<OpId> {
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
    let said = caller_of(message);
    if fitting.iter().any(|operation| Some(operation.id) == said) {
        return said;
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

/// What kind of result an answer has, where it sends its call back.
const SENT_BACK: &str = "input_required";

/// The id of the request that an answer sends back.
pub(super) fn sent_back(answer: &Message) -> Option<&Value> {
    let kind = answer.at(&["result", "resultType"]).and_then(Value::as_str);
    answer.id().filter(|_| kind == Some(SENT_BACK))
}
