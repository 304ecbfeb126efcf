//! Signals to the child processes, for mutations that the loader itself does not notice.

use std::time::Duration;

use mcp_lifecheck::process_table::processes;
use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;

use crate::reference::Watched;

/// The longest wait for a child to end on a signal. A child that ignores the signal takes all of it.
const GRACE: Duration = Duration::from_millis(250);

/// Sends every child a signal, and waits for each of them to end, at most for [`GRACE`].
pub(super) async fn signal_children(signal: Signal) {
    let children = children();
    for pid in &children {
        // It may have ended by itself. Until its owner waits for it, no other process has its pid.
        let _ = kill_process(*pid, signal);
    }
    for pid in children {
        if let Ok(ended) = Watched::open(pid).and_then(|child| child.on_runtime()) {
            let _ = timeout(GRACE, ended.readable()).await;
        }
    }
}

fn children() -> Vec<Pid> {
    // Not from the lists of the threads: one child that ends meanwhile may hide another there.
    let children = processes().filter(|process| process.parent == std::process::id());
    children.filter_map(|process| Pid::from_raw(process.pid.try_into().ok()?)).collect()
}
