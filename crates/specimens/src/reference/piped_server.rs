//! A server behind a pair of pipes, and how the loader ends it.

use std::convert::Infallible;
use std::io;

use tokio::time::timeout;

use super::config::CommandLine;
use super::hooked_inlet::hooked_inlet;
use super::options::{Ladder, Options};
use super::pipes::{Gate, Inlet, Outlet, drained};
use super::process::{Ending, ServerProcess};

/// A server behind pipes. Dropping it closes both pipes, and then drops its process.
pub(super) struct PipedServer {
    stdin: Gate<Outlet>,
    stdout: Gate<Inlet>,
    /// None where the pipes are all there is of it.
    process: Option<ServerProcess>,
    ladder: Ladder,
}

impl PipedServer {
    /// Starts a process. Must be called on a runtime.
    ///
    /// # Errors
    /// What the system said. No process is left then.
    pub(super) fn spawn(line: &CommandLine, options: &Options) -> io::Result<Self> {
        let (process, stdin, stdout) = ServerProcess::spawn(line, options)?;
        Ok(Self::new(Box::new(stdin), Box::new(stdout), Some(process), options))
    }

    /// A server of which nothing is seen but the ends of its pipes.
    pub(super) fn without_process(stdin: Outlet, stdout: Inlet, options: &Options) -> Self {
        Self::new(stdin, stdout, None, options)
    }

    fn new(stdin: Outlet, stdout: Inlet, process: Option<ServerProcess>, options: &Options) -> Self {
        let Options { hooks, ladder, .. } = options;
        let (stdin, stdout) = (Gate::new(stdin), Gate::new(hooked_inlet(hooks, stdout)));
        Self { stdin, stdout, process, ladder: *ladder }
    }

    /// The ends of its pipes that are ours.
    pub(super) fn pipes(&self) -> (Gate<Inlet>, Gate<Outlet>) {
        (self.stdout.clone(), self.stdin.clone())
    }

    /// Its process, if it is one of ours.
    pub(super) fn process(&self) -> Option<&ServerProcess> {
        self.process.as_ref()
    }

    /// Ends its input, then its process. Without a process there is nothing to signal: the server has as long as a process to end
    /// its output, and then only the pipes are left to close.
    pub(super) async fn shut_down(self) -> Ending {
        drop(self.stdin.take());
        let stdout = self.stdout.take();
        let Some(process) = &self.process else {
            let ended = timeout(self.ladder.eof_grace, drained(stdout)).await;
            return ended.map_or(Ending::StillThere, |()| Ending::Eof);
        };
        let ending = tokio::select! {
            ending = process.climb() => ending,
            // A server may still want to write while it ends, so its stdout is read until it does.
            never = drained_for_ever(stdout) => match never {},
        };
        // Whatever is left, be it a member that was forked in the last moment, goes before the leader is reaped.
        process.reap();
        ending
    }
}

impl Drop for PipedServer {
    fn drop(&mut self) {
        // rmcp may still hold the other hand on them.
        drop(self.stdin.take());
        drop(self.stdout.take());
    }
}

async fn drained_for_ever(stdout: Option<Inlet>) -> Infallible {
    drained(stdout).await;
    std::future::pending().await
}
