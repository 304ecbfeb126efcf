//! The actions of a mock on its own process: it starts a child, stops, writes to stderr, or dies.

use std::io::{self, Write};
use std::process::{Command, Stdio};
use std::thread::Builder;

use rustix::process::{self, Resource, Rlimit, getpid, kill_process, setrlimit};

use crate::record::CHILD_OF;
use crate::script::{Grandchild, Signal};

/// Stack of a thread that does nothing but wait.
const STACK_BYTES: usize = 64 * 1_024;

/// Writes to stderr on a thread of its own, which waits for a reader; then calls `done`.
pub(super) fn write_stderr(bytes: Vec<u8>, done: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let write = move || {
        // A closed stderr takes nothing, which is not a reason to hold what follows.
        let _ = io::stderr().write_all(&bytes);
        done();
    };
    Builder::new().name("stderr".to_owned()).stack_size(STACK_BYTES).spawn(write).map(drop)
}

/// Stops this process until another process lets it continue.
pub(super) fn stop() {
    // A process may always stop itself.
    let _ = kill_process(getpid(), process::Signal::STOP);
}

/// Starts a process that lives for a time and does nothing.
pub(super) fn spawn(grandchild: Grandchild) -> io::Result<()> {
    let mut command = Command::new("sleep");
    command.arg(format!("{:.3}", grandchild.life.0.as_secs_f64())).env(CHILD_OF, std::process::id().to_string());
    if !grandchild.holds_pipes {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    }
    let mut child = command.spawn()?;
    let reap = move || {
        // Otherwise it stays a zombie while the mock lives.
        let _ = child.wait();
    };
    Builder::new().name("grandchild".to_owned()).stack_size(STACK_BYTES).spawn(reap).map(drop)
}

/// Reports on stderr an error that no journal can record any more. A closed stderr is not a reason to fail.
pub(super) fn complain(message: &str) {
    let _ = writeln!(io::stderr(), "mcp-mock: {message}");
}

/// Ends the process by a signal, as a real server does: abruptly, and visibly to its parent.
pub(super) fn die(signal: Signal) -> u8 {
    let number = match signal {
        Signal::Kill => {
            // A process may always kill itself.
            let _ = kill_process(getpid(), process::Signal::KILL);
            return 128 + 9;
        }
        Signal::Hup => signal_hook::consts::SIGHUP,
        Signal::Int => signal_hook::consts::SIGINT,
        Signal::Quit => signal_hook::consts::SIGQUIT,
        Signal::Term => signal_hook::consts::SIGTERM,
        Signal::Usr1 => signal_hook::consts::SIGUSR1,
        Signal::Usr2 => signal_hook::consts::SIGUSR2,
        Signal::Abrt => signal_hook::consts::SIGABRT,
        Signal::Segv => signal_hook::consts::SIGSEGV,
    };
    // A mock that dies on cue leaves no core file behind.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    // Restores the default disposition and raises it; returns only when even that failed.
    let _ = signal_hook::low_level::emulate_default_handler(number);
    u8::try_from(128 + number).unwrap_or(u8::MAX)
}
