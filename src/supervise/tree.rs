//! Ending a whole tree of processes.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitOptions, WaitStatus, wait, waitpid};

use crate::supervise::os;
use crate::supervise::protocol::ProcessFacts;

/// How long one pass of freezing and killing waits before it looks again.
const PASS: Duration = Duration::from_millis(2);

/// What ending a tree came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Swept {
    /// Processes that had to be killed.
    pub n_killed: usize,
    /// Processes that are still there: the limit passed first.
    pub left: Vec<ProcessFacts>,
}

/// Kills and reaps everything below this process for which `is_ours` holds, at most for `limit`.
///
/// Freezes before it kills: a tree that forks faster than it is killed stops forking first.
pub(super) async fn sweep(limit: Duration, is_ours: impl Fn(&ProcessFacts) -> bool) -> Swept {
    let deadline = Instant::now() + limit;
    let mut killed = BTreeMap::new();
    loop {
        freeze(&is_ours);
        for process in targets(&is_ours) {
            os::send_signal(&process, Signal::KILL);
            killed.insert((process.pid, process.started), ());
        }
        tokio::time::sleep(PASS).await;
        reap(&is_ours);
        let left: Vec<_> = os::descendants(std::process::id()).into_iter().filter(&is_ours).collect();
        if left.is_empty() || Instant::now() >= deadline {
            return Swept { n_killed: killed.len(), left };
        }
    }
}

/// Stops every process until a look finds no new one.
fn freeze(is_ours: &impl Fn(&ProcessFacts) -> bool) {
    let mut n_seen = 0;
    for _ in 0..64 {
        let found = targets(is_ours);
        if found.len() == n_seen {
            return;
        }
        n_seen = found.len();
        for process in &found {
            os::send_signal(process, Signal::STOP);
        }
    }
}

fn targets(is_ours: &impl Fn(&ProcessFacts) -> bool) -> Vec<ProcessFacts> {
    let all = os::descendants(std::process::id());
    all.into_iter().filter(|process| !process.is_zombie() && is_ours(process)).collect()
}

/// Waits for every direct child that has ended and is ours.
fn reap(is_ours: &impl Fn(&ProcessFacts) -> bool) {
    let me = std::process::id();
    for process in os::descendants(me) {
        // Without a pid the call would take any child.
        let Some(pid) = i32::try_from(process.pid).ok().and_then(Pid::from_raw) else { continue };
        if process.parent == me && process.is_zombie() && is_ours(&process) {
            // Somebody else may have waited for it; then it is gone as well.
            let _ = waitpid(Some(pid), WaitOptions::NOHANG);
        }
    }
}

/// Waits for any child that has ended, without blocking.
pub(super) fn reap_any() -> Option<(u32, WaitStatus)> {
    match wait(WaitOptions::NOHANG) {
        Ok(Some((pid, status))) => Some((pid.as_raw_nonzero().get().unsigned_abs(), status)),
        Ok(None) | Err(_) => None,
    }
}

/// Whether a killed process vanishes; used after a signal to know that it has been dealt with.
pub(super) fn has_ended(process: &ProcessFacts) -> bool {
    os::has_ended(process)
}
