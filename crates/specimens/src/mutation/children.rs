//! The children of this process, for changes that signal them behind the loader's back.

use std::fs;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tokio::time::timeout;

use crate::reference::Watched;

/// How long a child may take to end on a signal before what follows: one that ignores it takes all of it.
const GRACE: Duration = Duration::from_millis(250);

/// Sends every child a signal, and waits until each has ended, or for a grace.
pub(super) async fn signal_children(signal: Signal) {
    let children = children();
    for pid in &children {
        // It may have ended by itself; until its owner waits for it, its pid is nobody else's.
        let _ = kill_process(*pid, signal);
    }
    for pid in children {
        if let Ok(ended) = Watched::open(pid).and_then(|child| child.on_runtime()) {
            let _ = timeout(GRACE, ended.readable()).await;
        }
    }
}

fn children() -> Vec<Pid> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| is_child(*pid)).filter_map(Pid::from_raw).collect()
}

fn is_child(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // `pid (name) state ppid ...`; the name may hold spaces and parentheses.
    let parent = stat.rsplit_once(") ").and_then(|(_, fields)| fields.split(' ').nth(1)?.parse::<u32>().ok());
    parent == Some(std::process::id())
}
