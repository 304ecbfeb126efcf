//! Ending a whole tree of processes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, waitid, waitpid};

use crate::supervise::os;
use crate::supervise::protocol::ProcessFacts;
use crate::supervise::signals::signal_name;

/// How long one pass of freezing and killing waits before it looks again.
const PASS: Duration = Duration::from_millis(2);
/// Passes of freezing before the kill all the same: a tree that is still growing then is killed in the next passes.
const FREEZE_PASSES_MAX: usize = 64;

/// What ending a tree came to.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// Processes that had to be killed.
    pub n_killed: usize,
    /// Processes that are still there: the limit passed first.
    pub n_left: usize,
    /// Direct children that were waited for.
    pub reaped: Vec<(u32, HowEnded)>,
}

/// A process for as long as it lives: its pid and its start.
type Identity = (u32, u64);

/// Kills and reaps everything below this process for which `is_ours` holds, at most for `limit`.
///
/// Freezes before it kills: a tree that forks faster than it is killed stops forking first.
pub(super) async fn sweep(limit: Duration, is_ours: impl Fn(&ProcessFacts) -> bool) -> Swept {
    let deadline = Instant::now() + limit;
    let mut killed: BTreeSet<Identity> = BTreeSet::new();
    let mut swept = Swept::default();
    loop {
        freeze(&is_ours);
        for process in targets(&is_ours) {
            os::send_signal(&process, Signal::KILL);
            killed.insert(identity(&process));
        }
        reap(&is_ours, &mut swept.reaped);
        swept.n_left = os::descendants(std::process::id()).iter().filter(|process| is_ours(process)).count();
        if swept.n_left == 0 || Instant::now() >= deadline {
            swept.n_killed = killed.len();
            return swept;
        }
        // Nothing tells when what is no child of ours has ended.
        tokio::time::sleep(PASS).await;
    }
}

fn identity(process: &ProcessFacts) -> Identity {
    (process.pid, process.started)
}

/// Stops every process until a look finds no new one. Compared by identity: one that forks and exits keeps the count equal.
fn freeze(is_ours: &impl Fn(&ProcessFacts) -> bool) {
    let mut stopped: BTreeSet<Identity> = BTreeSet::new();
    for _ in 0..FREEZE_PASSES_MAX {
        let fresh: Vec<_> =
            targets(is_ours).into_iter().filter(|process| !stopped.contains(&identity(process))).collect();
        if fresh.is_empty() {
            return;
        }
        for process in &fresh {
            os::send_signal(process, Signal::STOP);
            stopped.insert(identity(process));
        }
    }
}

fn targets(is_ours: &impl Fn(&ProcessFacts) -> bool) -> Vec<ProcessFacts> {
    let all = os::descendants(std::process::id());
    all.into_iter().filter(|process| !process.is_zombie() && is_ours(process)).collect()
}

/// Exit code, or signal named without `SIG`.
pub(super) type HowEnded = (Option<i32>, Option<String>);

/// How a direct child ended that is not waited for yet; `None` while it lives.
pub(super) fn how_it_ended(pid: u32) -> Option<HowEnded> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::Pid(raw(pid)?), options).ok()??;
    Some((status.exit_status(), status.terminating_signal().map(signal_name)))
}

/// Waits for every direct child that has ended and is ours.
fn reap(is_ours: &impl Fn(&ProcessFacts) -> bool, reaped: &mut Vec<(u32, HowEnded)>) {
    let me = std::process::id();
    for process in os::descendants(me) {
        if process.parent == me && process.is_zombie() && is_ours(&process) {
            // Somebody else may have waited for it; then it is gone as well.
            reaped.extend(reap_child(process.pid).map(|how| (process.pid, how)));
        }
    }
}

/// Waits for every direct child that has ended, but for this one.
pub(super) fn reap_all_but(kept: Option<u32>) {
    let children = os::children(std::process::id());
    children.into_iter().filter(|child| Some(*child) != kept).for_each(|child| drop(reap_child(child)));
}

/// Waits for a direct child without blocking; how it ended.
fn reap_child(pid: u32) -> Option<HowEnded> {
    let (_, status) = waitpid(Some(raw(pid)?), WaitOptions::NOHANG).ok()??;
    Some((status.exit_status(), status.terminating_signal().map(signal_name)))
}

/// A pid as the system calls take it. Without one they would take any child.
fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Whether a killed process vanishes; used after a signal to know that it has been dealt with.
pub(super) fn has_ended(process: &ProcessFacts) -> bool {
    os::has_ended(process)
}
