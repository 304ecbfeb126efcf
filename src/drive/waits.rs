//! Waits for events that are not completions: a gate, the end of a server, an idle window.

use std::time::Duration;

use crate::drive::context::Context;
use crate::drive::operations::Operations;
use crate::drive::step_end::{StepEnd, StepsEnd, skip};
use crate::history::{EventKind, LinkPeer, Settling, is_busy};
use crate::record::MockFacts;

/// Waits until a mock reaches a gate, as long as an operation runs that can bring it there.
pub(super) async fn await_gate(context: Context<'_>, operations: &Operations<'_>, number: u32, gate: &str) -> StepEnd {
    let recorder = &context.stage.recorder;
    // A gate that was opened can bring a mock to another gate without a running operation.
    let has_opened = || recorder.any(|event| matches!(event.kind, EventKind::GateOpened { .. }));
    let (limit, from) = match operations.earliest() {
        Some(from) => (context.limits().gate, from),
        None if has_opened() => (context.limits().gate, 0),
        None => (Duration::ZERO, 0),
    };
    let open = operations.ids();
    let mut n_open = open.len();
    let mut is_reached = false;
    // Once no operation runs any more, no mock can reach the gate.
    let reached = recorder.wait_for(from, limit, |event| match &event.kind {
        EventKind::GateReached { gate: reached } => {
            is_reached = reached == gate;
            is_reached
        }
        EventKind::OperationCompleted { operation, .. } if open.contains(operation) => {
            n_open -= 1;
            n_open == 0
        }
        _ => false,
    });
    match reached.await {
        Some(_) if is_reached => StepEnd::GoOn,
        Some(_) => skip(context, number, format!("gate {gate} was not reached by any operation that ran")),
        None => skip(context, number, format!("gate {gate} was not reached within {} ms", limit.as_millis())),
    }
}

/// Waits until the link of a mock has ended.
///
/// The end may be on record already: the endpoint notes it a moment before it takes the mock for closed.
pub(super) async fn await_server_end(context: Context<'_>, number: u32, mock: &MockFacts) -> StepEnd {
    let ended = context.stage.recorder.wait_for(0, context.limits().gate, |event| match &event.kind {
        EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, .. } => {
            (server, *incarnation) == (&mock.server, mock.incarnation)
        }
        _ => false,
    });
    match ended.await {
        Some(_) => StepEnd::GoOn,
        None => skip(context, number, format!("server {} did not end within its limit", mock.server)),
    }
}

/// Samples the loader's process between two operations. Returns whether the plan can continue.
pub(super) async fn sample_between(context: Context<'_>) -> bool {
    let sample = tokio::select! {
        sample = context.program.sample(Duration::ZERO) => sample,
        () = context.stage.environment.interruption() => return false,
    };
    if let Ok(Some(sample)) = sample {
        context.stage.note_sample("repeated", sample);
    }
    true
}

/// Samples the loader's process while the driver requests nothing, until a window is quiet or the last window is over.
pub(super) async fn sample_idle(context: Context<'_>, window: Duration) -> StepEnd {
    context.note(EventKind::IdleBegan {});
    let mut settling = Settling::default();
    loop {
        let sample = tokio::select! {
            sample = context.program.sample(window) => sample,
            () = context.stage.environment.interruption() => return StepEnd::Stop(StepsEnd::Lost),
        };
        let Ok(Some(sample)) = sample else { break };
        let is_quiet = !is_busy(sample.cpu_us, sample.runnable_us, sample.window_us);
        let is_last = settling.is_over(is_quiet, sample.cpu_us, sample.window_us);
        context.stage.note_sample(if is_last { "idle" } else { "settling" }, sample);
        if is_last {
            break;
        }
    }
    StepEnd::GoOn
}
