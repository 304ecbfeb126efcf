//! What a script does to the process of its mock.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::thread::Builder;

use rustix::process::{Signal, getpid, kill_process};

use crate::script::Grandchild;

/// Stack of a thread that does nothing but wait.
const STACK_BYTES: usize = 64 * 1_024;

/// Writes to stderr on a thread of its own, which waits where nobody reads; calls `done` then.
pub(super) fn write_stderr(bytes: Vec<u8>, done: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let write = move || {
        // A stderr that is gone takes nothing, which is no reason to hold what follows.
        let _ = io::stderr().write_all(&bytes);
        done();
    };
    Builder::new().name("stderr".to_owned()).stack_size(STACK_BYTES).spawn(write).map(drop)
}

/// Stops this process; it goes on when somebody lets it.
pub(super) fn stop() {
    // A process may always stop itself.
    let _ = kill_process(getpid(), Signal::STOP);
}

/// Starts a process that lives for a time and does nothing.
pub(super) fn spawn(grandchild: Grandchild) -> io::Result<()> {
    let mut command = Command::new("sleep");
    command.arg(format!("{:.3}", grandchild.life.0.as_secs_f64()));
    if !grandchild.holds_pipes {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    let mut child = command.spawn()?;
    let reap = move || {
        // It is nobody's zombie while the mock lives.
        let _ = child.wait();
    };
    Builder::new().name("grandchild".to_owned()).stack_size(STACK_BYTES).spawn(reap).map(drop)
}
