//! Loads: which loads succeed, and what a load reports about the servers that it could not load.

use crate::check::outcome::{MissKind, OperationEnd, Success, judge_load, loaded};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{Action, ConnectionId, Event, EventKind, Header, Kind, Outcome};
use crate::plan::Promise;

/// Judges loads before the first cleanup; `cleanup-repeatable` judges later loads.
pub(super) const LOAD_SUCCEEDS: Invariant = Invariant {
    id: "load-succeeds",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a load hands out the tools of every healthy server",
    source: "VG-04: until the first cleanup begins, healthy servers load",
    requirement: &["VG-04"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::OperationOverdue],
    hears: Hears::only(&[(Kind::OperationCompleted, &[Of::Loads])]),
    vacuous: "no load ran undisturbed before the first cleanup",
    explain: "The driver requested a load of servers that the harness itself can talk to. The load failed, never \
        returned, or left out the tools of a working server. Users see an agent without tools, often after the second \
        run of the program, because the first run left something behind: a session bound to a dead loop, or a table \
        that says \"already loaded\".\n\n\
        Look at the first witness, the invocation, and at what the mock of the missing server received: without \
        `initialize` the loader never connected; without `tools/list` it gave up during the handshake. To fix it, \
        open each session in a task that outlives the caller, report a server's error next to the tools of the \
        others, and never let one dead server fail the whole load.",
    start: |_: &Header| -> Box<dyn Monitor> {
        Box::new(|event: &Event, view: &View, tally: &mut Tally| {
            let Some((id, ended)) = OperationEnd::of(event) else { return };
            let Some(operation) = view.operation(id).filter(|operation| operation.action.loads()) else { return };
            if !operation.is_in_first_life() {
                return;
            }
            match judge_load(event, view, operation, ended) {
                Success::Excused => {}
                Success::Held => tally.held(),
                Success::Missed(miss) => {
                    let variant = variant(miss.kind);
                    tally.broken(miss.violation(variant));
                }
            }
        })
    },
};

fn variant(kind: MissKind) -> &'static str {
    match kind {
        MissKind::Failed => "failed",
        MissKind::Overdue => "overdue",
        MissKind::Cancelled => "cancelled-unasked",
        MissKind::WithoutTools => "without-tools",
        MissKind::ServerInError => "server-in-error",
    }
}

/// Counter-example: a server that advertises no tools has none to hand out.
pub(super) const FAILURE_REPORTED: Invariant = Invariant {
    id: "failure-reported",
    property: Property::Safety,
    level: Level::Own,
    claim: "a load that leaves out the tools of a server reports an error for it, and the error of a call has a text",
    source: "VG-18: a load reports each failing server next to the tools of the others",
    requirement: &["VG-18"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted],
    hears: Hears::only(&[(Kind::OperationCompleted, &[Of::Loads, Of::Action(Action::Call)])]),
    vacuous: "no load succeeded without the tools of some server, and no call failed",
    explain: "A load succeeded, one server of the configuration had no tools in it, and the load reported no error. \
        The agent works without a tool that its configuration has, and the user notices only from its answers.\n\n\
        Look at the server in the reason and at its journal. To fix it, return an error for each server that could \
        not be loaded, next to the tools of the others. An error without a text tells neither the user nor the model \
        anything: report at least its type.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(failure_reported) },
};

fn failure_reported(event: &Event, view: &View, tally: &mut Tally) {
    call_failed(event, view, tally);
    let Some((operation, tools, errors)) = loaded(event, view) else { return };
    for server in &operation.servers {
        let is_toolless = view.server(server).is_some_and(|server| server.is_toolless);
        if is_toolless || tools.iter().any(|tool| tool.server == *server) {
            continue;
        }
        let (variant, lacks) = match errors.get(server) {
            Some(error) if !error.trim().is_empty() => {
                tally.held();
                continue;
            }
            Some(_) => ("without-text", "with an error for it that has no text"),
            None => ("silent", "without an error for it"),
        };
        let because = format!(
            "{}, invoked at {}, completed at {} without tools of {server} and {lacks}",
            operation.describe(),
            operation.invoked,
            event.seq
        );
        tally.broken(Violation::new(variant, because, &[operation.invoked, event.seq]));
    }
}

/// An error of a call without a text is only a warning, because its type says something, and the program may show the
/// type. If the request of a call has no answer, the type is enough: the call timed out, and the loader may have
/// cancelled the request before.
fn call_failed(event: &Event, view: &View, tally: &mut Tally) {
    let EventKind::OperationCompleted { operation, outcome: Outcome::Failed(failure) } = &event.kind else { return };
    let call = view.operation(*operation).filter(|operation| operation.action == Action::Call);
    let Some(call) = call.filter(|call| !call.is_excused()) else { return };
    if !failure.message.trim().is_empty() {
        return tally.held();
    }
    let is_open = |known: &ConnectionId| view.connection(known).is_some_and(|known| known.gone.is_none());
    if call.requests.iter().any(|request| request.answered.is_none() && is_open(&request.connection)) {
        return;
    }
    let because = format!(
        "{}, invoked at {}, failed at {} with {}, which has no text",
        call.describe(),
        call.invoked,
        event.seq,
        failure.kind
    );
    tally.broken(Violation::new("call-without-text", because, &[call.invoked, event.seq]).as_warning());
}
