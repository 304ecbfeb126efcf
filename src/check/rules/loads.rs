//! Loads: which loads succeed, and what a load reports about the servers that it could not load.

use crate::check::outcome::{MissKind, OperationEnd, Success, judge_load, loaded};
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{Event, Header, Kind};
use crate::plan::Promise;

/// Before the first cleanup; after it, loads are judged by `cleanup-repeatable`.
pub(super) const LOAD_SUCCEEDS: Invariant = Invariant {
    id: "load-succeeds",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a load hands out the tools of every healthy server",
    source: "VG-04: until the first cleanup begins, healthy servers load",
    requirement: &["VG-04"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted, Kind::OperationOverdue],
    vacuous: "no load ran undisturbed before the first cleanup",
    explain: "The loader was asked to load servers that our own client can talk to, and it failed, never returned, or left out \
        the tools of one that works. Users see an agent without tools, often after the second run of the program, because the \
        first one left something behind: a session bound to a dead loop, a table that says \"already loaded\".\n\n\
        Look at the first witness, the invocation, and at what the mock of the missing server received: no `initialize` means \
        that the loader never connected, no `tools/list` that it gave up during the handshake. Mend it by opening each session \
        in a task that outlives the caller, by reporting a server's error beside the tools of the others, and by never letting \
        one dead server fail the load as a whole.",
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

/// Counter-example that shaped it: a server that says that it has no tools has none to hand out.
pub(super) const FAILURE_REPORTED: Invariant = Invariant {
    id: "failure-reported",
    property: Property::Safety,
    level: Level::Own,
    claim: "a load that leaves out the tools of a server says so",
    source: "VG-18: a failing server is reported beside the tools of the others",
    requirement: &["VG-18"],
    applies: Scope::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::OperationCompleted],
    vacuous: "no load succeeded without the tools of some server",
    explain: "A load succeeded, a server of the configuration had no tools in it, and nothing said why. The agent works without \
        a tool it was given, and the user finds out from its answers.\n\n\
        Look at the server in the reason and at its journal. Mend it by returning an error for each server that could not be \
        loaded, beside the tools of those that could.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(failure_reported) },
};

fn failure_reported(event: &Event, view: &View, tally: &mut Tally) {
    let Some((operation, tools, errors)) = loaded(event, view) else { return };
    for server in &operation.servers {
        let is_toolless = view.server(server).is_some_and(|server| server.is_toolless);
        if is_toolless || tools.iter().any(|tool| tool.server == *server) {
            continue;
        }
        if errors.contains_key(server) {
            tally.held();
            continue;
        }
        let because = format!(
            "{}, invoked at {}, completed at {} without tools of {server} and without an error for it",
            operation.describe(),
            operation.invoked,
            event.seq
        );
        tally.broken(Violation::new("silent", because, &[operation.invoked, event.seq]));
    }
}
