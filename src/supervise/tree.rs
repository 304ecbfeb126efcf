//! Kills a whole tree of processes.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, WaitOptions, wait, waitid, waitpid};

use crate::supervise::os;
use crate::supervise::protocol::ProcessFacts;
use crate::supervise::signals::signal_name;

/// Pause between two passes of freezing and killing.
const PASS: Duration = Duration::from_millis(2);
/// Maximum passes of freezing before the kill. A tree that still grows is killed in later passes.
const FREEZE_PASSES_MAX: usize = 64;

/// The result of killing a tree.
#[derive(Debug, Default)]
pub(super) struct Swept {
    /// Processes that were killed.
    pub n_killed: usize,
    /// Processes that still existed when the limit passed.
    pub n_left: usize,
    /// Direct children that were reaped, with how they ended.
    pub reaped: Vec<(u32, HowEnded)>,
}

/// Pid and start, which together identify a process for good.
type Identity = (u32, u64);

/// Kills and reaps every process below this one for which `is_ours` holds, for at most `limit`.
///
/// It stops processes before it kills them, so a tree cannot fork faster than it is killed.
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
        // The kernel announces only the end of direct children, so this polls.
        tokio::time::sleep(PASS).await;
    }
}

fn identity(process: &ProcessFacts) -> Identity {
    (process.pid, process.started)
}

/// Stops processes until a pass finds no new one. It compares identities, because a process that forks and exits keeps
/// the count equal.
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

/// Exit code, or name of the signal without `SIG`.
pub(super) type HowEnded = (Option<i32>, Option<String>);

/// How a direct child ended, without reaping it; `None` while it lives.
pub(super) fn how_it_ended(pid: u32) -> Option<HowEnded> {
    let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
    let status = waitid(WaitId::Pid(raw(pid)?), options).ok()??;
    Some((status.exit_status(), status.terminating_signal().map(signal_name)))
}

/// Reaps every direct child that has ended and for which `is_ours` holds.
fn reap(is_ours: &impl Fn(&ProcessFacts) -> bool, reaped: &mut Vec<(u32, HowEnded)>) {
    let me = std::process::id();
    for process in os::descendants(me) {
        if process.parent == me && process.is_zombie() && is_ours(&process) {
            // A concurrent wait may have reaped it first.
            reaped.extend(reap_child(process.pid).map(|how| (process.pid, how)));
        }
    }
}

/// Reaps every direct child that has ended, except `kept`.
pub(super) fn reap_all_but(kept: Option<u32>) {
    let children = os::children(std::process::id());
    children.into_iter().filter(|child| Some(*child) != kept).for_each(|child| drop(reap_child(child)));
}

/// Reaps every direct child that has ended. Returns whether a child is left, `apart` from one.
///
/// The supervisor adopts orphans: without a child it has no other descendant either.
pub(super) fn reap_ended(apart: Option<u32>, reaped: &mut Vec<(u32, HowEnded)>) -> bool {
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let how = (status.exit_status(), status.terminating_signal().map(signal_name));
                reaped.push((pid.as_raw_nonzero().get().unsigned_abs(), how));
            }
            Ok(None) => {
                return apart.is_none() || os::children(std::process::id()).iter().any(|child| Some(*child) != apart);
            }
            Err(Errno::INTR) => {}
            // The only other error says that there is no child.
            Err(_) => return false,
        }
    }
}

/// Reaps a direct child without blocking, and returns how it ended.
pub(super) fn reap_child(pid: u32) -> Option<HowEnded> {
    let (_, status) = waitpid(Some(raw(pid)?), WaitOptions::NOHANG).ok()??;
    Some((status.exit_status(), status.terminating_signal().map(signal_name)))
}

/// Converts a pid for a system call. Without a pid, the call would apply to any child.
fn raw(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Whether a process has ended. Callers check it before they send a signal.
pub(super) fn has_ended(process: &ProcessFacts) -> bool {
    os::has_ended(process)
}
