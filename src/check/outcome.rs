//! What is to be said about the end of an operation, shared by the invariants about loads, calls and cleanups.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::check::{Operation, PendingRequest, View, Violation};
use crate::history::{Event, EventKind, OpId, Outcome, Seq, Tool};

/// How an operation came to an end in the history.
#[derive(Clone, Copy)]
pub(super) enum OperationEnd<'a> {
    /// It completed.
    Completed(&'a Outcome),
    /// Its bound passed.
    Overdue(Duration),
}

impl<'a> OperationEnd<'a> {
    /// The operation an event ends, and how.
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

/// How an operation missed what was expected of it.
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
    /// It was cancelled although nobody asked.
    Cancelled,
    /// A load is without the tools of a healthy server.
    WithoutTools,
    /// A load has an error for a healthy server.
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

/// `None`: it succeeded. Every other end is a miss, whatever the reason.
pub(super) fn miss_of(event: &Event, operation: &Operation, ended: OperationEnd<'_>) -> Option<Miss> {
    let miss = |kind, what: String, bound| {
        let because = format!("{}, invoked at {}, {what} at {}", operation.describe(), operation.invoked, event.seq);
        Some(Miss { kind, because, bound, witness: vec![operation.invoked, event.seq] })
    };
    match ended {
        OperationEnd::Completed(Outcome::Ok { .. }) => None,
        OperationEnd::Completed(Outcome::Failed(failure)) => {
            miss(MissKind::Failed, format!("failed with {}", failure.kind), None)
        }
        OperationEnd::Completed(Outcome::Cancelled) => {
            miss(MissKind::Cancelled, "was cancelled although nobody asked".to_owned(), None)
        }
        OperationEnd::Overdue(bound) => {
            miss(MissKind::Overdue, format!("had not completed within {} ms", bound.as_millis()), Some(bound))
        }
    }
}

/// What a rule about success says of the end of one operation.
pub(super) enum Success {
    /// Not the loader's to answer for.
    Excused,
    /// It succeeded.
    Held,
    /// It did not.
    Missed(Miss),
}

/// Judges the end of a load of any kind: Ok, with tools for every healthy server and none of them in error.
///
/// Counter-examples that shaped it. All servers dead: raising is a fair answer, so at least one healthy server is needed for a
/// failed load to count. A server held at a gate by its script has not answered: neither overdue nor missing tools
/// count. A server that declares no tools has none to hand out. A server of the legacy era may keep silent on `server/discover`: a load
/// may wait for that, and not give the server up.
pub(super) fn judge_load(event: &Event, view: &View, operation: &Operation, ended: OperationEnd<'_>) -> Success {
    if operation.is_excused() || !operation.is_promised {
        return Success::Excused;
    }
    let is_sound = |name: &&String| view.is_healthy(name) && !is_held(view, name, ended);
    let sound: Vec<&String> = operation.servers.iter().filter(is_sound).collect();
    if sound.is_empty() && !operation.servers.is_empty() {
        return Success::Excused;
    }
    // One server held back may hold back the load as a whole: it waits for all of them.
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
        Success::Missed(Miss { kind, because, bound: None, witness: vec![operation.invoked, event.seq] })
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

/// Whether a delay or hold of its script keeps a server from answering now what a load needs.
fn is_held(view: &View, server: &str, ended: OperationEnd<'_>) -> bool {
    let is_delayed = view.server(server).is_some_and(|server| server.delayed.is_some());
    let is_needed = |pending: &PendingRequest| match pending.method.as_str() {
        "subscriptions/listen" => false,
        "server/discover" => matches!(ended, OperationEnd::Overdue(_)),
        _ => true,
    };
    is_delayed && view.connections_of(server).any(|(_, connection)| connection.unanswered.values().any(is_needed))
}

/// Judges the end of a call to a server that was loaded when it was invoked.
///
/// Counter-examples that shaped it. A call whose request a script holds has no answer to succeed with. A call in flight when
/// cleanup began, cancelled, or to a server that a reload took away, may fail.
pub(super) fn judge_call(event: &Event, view: &View, operation: &Operation, ended: OperationEnd<'_>) -> Success {
    let Some(server) = &operation.server else { return Success::Excused };
    if operation.loaded.is_none() || operation.is_excused() || !operation.is_promised || !view.is_healthy(server) {
        return Success::Excused;
    }
    let is_delayed = view.server(server).is_some_and(|server| server.delayed.is_some());
    if is_delayed && operation.is_unanswered() {
        return Success::Excused;
    }
    match miss_of(event, operation, ended) {
        None => Success::Held,
        Some(miss) => Success::Missed(miss),
    }
}

/// A load of any kind that has just succeeded, nothing having come in between.
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
