//! The processes that a subject leaves behind.

use std::time::Duration;

use tokio::time::Instant;

use crate::history::ProcessId;
use crate::record::{CHILD_OF, RecorderEndpoint};
use crate::supervise::{ProcessFacts, Supervised, variable};

/// Pause between two looks at the process table. The kernel reports no event when another process reaps its child.
const LOOK: Duration = Duration::from_millis(5);

/// Waits until no process below the subject matters, at most until `deadline` or until `is_over`, and returns what is left.
pub(crate) async fn await_vanishing(
    supervised: &Supervised,
    deadline: Instant,
    is_over: impl Fn() -> bool,
    matters: impl Fn(&ProcessFacts) -> bool,
) -> Vec<ProcessFacts> {
    loop {
        // Without the supervisor there is no process table to look at, and the experiment has failed.
        let Ok(processes) = supervised.descendants().await else { return Vec::new() };
        let subject = supervised.loader_pid();
        let below: Vec<_> = processes.into_iter().filter(|process| process.pid != subject).collect();
        if !below.iter().any(&matters) || Instant::now() >= deadline || is_over() {
            return below;
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// The id and the role of a process. A mock is known by the pid in its hello, any other process by its own pid. The
/// environment of a process that a mock has started names that mock.
pub(crate) fn identify(endpoint: &RecorderEndpoint, process: &ProcessFacts) -> (ProcessId, String) {
    let mocks = endpoint.mocks();
    // An earlier mock may have had the same pid, so the newest one counts.
    let of = |pid: u32| mocks.iter().rposition(|mock| mock.pid == pid);
    if let Some(index) = of(process.pid) {
        return (ProcessId(format!("p{}", index + 2).into()), format!("server:{}", mocks[index].server));
    }
    let parent = variable(process.pid, CHILD_OF).and_then(|pid| of(pid.parse().ok()?));
    let role = parent.map_or_else(|| "other".to_owned(), |index| format!("child:{}", mocks[index].server));
    (ProcessId(format!("other-{}", process.pid).into()), role)
}
