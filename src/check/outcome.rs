//! How operations end: shared by the rules about loads, calls and cleanups.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::{Operation, PendingRequest, View, Violation, WireRequest};
use crate::history::{Event, EventKind, OpId, Outcome, Seq, Tool};

/// The end of an operation in the history.
#[derive(Clone, Copy)]
pub(super) enum OperationEnd<'a> {
    /// The operation completed.
    Completed(&'a Outcome),
    /// This bound passed.
    Overdue(Duration),
}

impl<'a> OperationEnd<'a> {
    /// The operation that an event ends, and how.
    pub(super) fn of(event: &'a Event) -> Option<(OpId, Self)> {
        match &event.kind {
            EventKind::OperationCompleted { operation, outcome } => Some((*operation, Self::Completed(outcome))),
            EventKind::OperationOverdue { operation, bound_ms, .. } => {
                Some((*operation, Self::Overdue(Duration::from_millis(*bound_ms))))
            }
            _ => None,
        }
    }
}

/// An operation that did not succeed.
pub(super) struct Miss {
    pub(super) kind: MissKind,
    pub(super) because: String,
    pub(super) bound: Option<Duration>,
    pub(super) witness: Vec<Seq>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum MissKind {
    /// It failed.
    Failed,
    /// Its bound passed.
    Overdue,
    /// It was cancelled, and the driver had not requested that.
    Cancelled,
    /// A load left out the tools of a healthy server.
    WithoutTools,
    /// A load reported an error for a healthy server.
    ServerInError,
}

impl Miss {
    pub(super) fn violation(self, variant: &'static str) -> Violation {
        let violation = Violation::new(variant, self.because, &self.witness);
        match self.bound {
            Some(bound) => violation.of_bound(bound),
            None => violation,
        }
    }
}

/// A loader that fails sooner than this has not waited for a bound of its own.
const OWN_BOUND_MIN: Duration = Duration::from_secs(2);

/// The bound that an operation may have met inside its loader. It is a third of the time that the operation took: a loader may wait for
/// several servers and messages, each with a bound of its own.
fn own_bound(event: &Event, operation: &Operation) -> Option<Duration> {
    let (_, started_us) = operation.started?;
    let took = Duration::from_micros(event.at_us.saturating_sub(started_us));
    (took >= OWN_BOUND_MIN).then_some(took / 3)
}

/// The miss, or `None` if the operation succeeded. Every other end is a miss, whatever the reason.
pub(super) fn miss_of(event: &Event, operation: &Operation, ended: OperationEnd<'_>) -> Option<Miss> {
    let miss = |kind, what: String, bound| {
        let because = format!("{}, invoked at {}, {what} at {}", operation.describe(), operation.invoked, event.seq);
        Some(Miss { kind, because, bound, witness: vec![operation.invoked, event.seq] })
    };
    match ended {
        OperationEnd::Completed(Outcome::Ok { .. }) => None,
        OperationEnd::Completed(Outcome::Failed(failure)) => {
            let through = failure.code.first().map(|line| format!(" in {line}")).unwrap_or_default();
            miss(MissKind::Failed, format!("failed with {}{through}", failure.kind), own_bound(event, operation))
        }
        OperationEnd::Completed(Outcome::Cancelled) => {
            miss(MissKind::Cancelled, "was cancelled by the loader itself".to_owned(), None)
        }
        OperationEnd::Overdue(bound) => {
            miss(MissKind::Overdue, format!("had not completed within {} ms", bound.as_millis()), Some(bound))
        }
    }
}

/// The result of a rule about success, for the end of one operation.
pub(super) enum Success {
    /// The loader is not responsible for the outcome.
    Excused,
    /// It succeeded.
    Held,
    /// It did not.
    Missed(Miss),
}

/// Judges the end of a load of any kind: it must succeed, with tools and without an error for every healthy server.
///
/// Counter-examples: If all servers are dead, the load may raise, so a failed load counts only with at least one
/// healthy server. A server that its script holds at a gate has not answered, so neither overdue nor missing tools
/// count. A server that advertises no tools has none to hand out. A server of the handshake generation may leave
/// `server/discover` unanswered: a load may wait for the answer, but must not abandon the server.
pub(super) fn judge_load(event: &Event, view: &View, operation: &Operation, ended: OperationEnd<'_>) -> Success {
    if operation.is_excused() || !operation.is_promised {
        return Success::Excused;
    }
    let is_sound = |name: &&String| view.must_load(operation, name) && !is_held(view, name, ended);
    let sound: Vec<&String> = operation.servers.iter().filter(is_sound).collect();
    if sound.is_empty() && !operation.servers.is_empty() {
        return Success::Excused;
    }
    // One held server may delay the whole load, which waits for all servers.
    if sound.len() < operation.servers.len() && matches!(ended, OperationEnd::Overdue(_)) {
        return Success::Excused;
    }
    if let Some(miss) = miss_of(event, operation, ended) {
        return Success::Missed(miss);
    }
    let OperationEnd::Completed(Outcome::Ok { tools, errors, .. }) = ended else { return Success::Excused };
    let wrong = |kind, what: String| {
        let because =
            format!("{}, invoked at {}, completed at {} {what}", operation.describe(), operation.invoked, event.seq);
        let bound = own_bound(event, operation);
        Success::Missed(Miss { kind, because, bound, witness: vec![operation.invoked, event.seq] })
    };
    for name in sound {
        if errors.contains_key(name) {
            return wrong(MissKind::ServerInError, format!("with an error for {name}, which is healthy"));
        }
        let is_toolless = view.server(name).is_some_and(|server| server.is_toolless);
        if !is_toolless && !tools.iter().any(|tool| tool.server == *name) {
            return wrong(MissKind::WithoutTools, format!("without tools of {name}, which is healthy"));
        }
    }
    Success::Held
}

/// Whether a delay or hold of its script keeps a server from answering a request that a load needs.
fn is_held(view: &View, server: &str, ended: OperationEnd<'_>) -> bool {
    let is_delayed = view.server(server).is_some_and(|server| server.delayed.is_some());
    let is_needed = |pending: &PendingRequest| match &*pending.method {
        "subscriptions/listen" => false,
        "server/discover" => matches!(ended, OperationEnd::Overdue(_)),
        _ => true,
    };
    is_delayed && view.connections_of(server).any(|(_, connection)| connection.unanswered.values().any(is_needed))
}

/// Judges the end of a call to a server that was loaded when it was invoked.
///
/// Counter-examples: A call cannot succeed while a script holds its request, or if its answer continues a broken line. A call fails if its server answered it with an
/// error: `answer-reaches-its-caller` judges the result that its caller gets. A call may fail if it was in flight when
/// cleanup began, if the driver cancelled it, or if a reload removed its server. But a call that nobody cancelled does not
/// end as cancelled: whatever its server does, its caller would take that for its own cancellation.
pub(super) fn judge_call(event: &Event, view: &View, operation: &Operation, ended: OperationEnd<'_>) -> Success {
    let Some(server) = &operation.server else { return Success::Excused };
    if operation.loaded.is_none() || operation.is_excused() || !operation.is_promised {
        return Success::Excused;
    }
    let is_cancelled_unasked = matches!(ended, OperationEnd::Completed(Outcome::Cancelled));
    if !view.must_call(operation, server) && !is_cancelled_unasked {
        return Success::Excused;
    }
    let is_delayed = view.server(server).is_some_and(|server| server.delayed.is_some());
    // Another call may have shown since that its server is healthy again.
    let is_spoiled = |request: &WireRequest| request.answered.is_some_and(|sent| view.reading().is_spoiled(sent));
    let is_hit =
        is_delayed && operation.is_unanswered() || operation.is_touched() || operation.requests.iter().any(is_spoiled);
    if is_hit && !is_cancelled_unasked {
        return Success::Excused;
    }
    match miss_of(event, operation, ended) {
        None => Success::Held,
        Some(miss) if miss.kind == MissKind::Failed && operation.is_refused() => Success::Excused,
        Some(miss) => Success::Missed(miss),
    }
}

/// The load of any kind that this event completes with success, with its tools and errors, unless it is excused.
pub(super) fn loaded<'a>(
    event: &'a Event,
    view: &'a View,
) -> Option<(&'a Operation, &'a [Tool], &'a BTreeMap<String, String>)> {
    let EventKind::OperationCompleted { operation, outcome: Outcome::Ok { tools, errors, .. } } = &event.kind else {
        return None;
    };
    let operation = view.operation(*operation)?;
    let is_judged = operation.action.loads() && !operation.is_excused() && operation.is_promised;
    is_judged.then_some((operation, tools.as_slice(), errors))
}
