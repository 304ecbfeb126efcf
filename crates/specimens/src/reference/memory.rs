//! A server in memory, over lines: its pipes, and how it is left.

use std::io;
use std::sync::Arc;

use mcp_lifecheck::loader::memory::{Connector, MemoryAddress, Pipes};
use tokio::time::timeout;

use super::options::{Ladder, Options};
use super::pipes::{Gate, Inlet, Outlet, drained};
use super::process::Ending;

/// A server behind pipes. Dropping it lets go of both.
pub(super) struct MemoryServer {
    stdin: Gate<Outlet>,
    stdout: Gate<Inlet>,
    ladder: Ladder,
}

/// How servers in memory are reached, if they are.
pub(super) fn connector(options: &Options) -> io::Result<Arc<dyn Connector>> {
    options.memory.clone().ok_or_else(|| io::ErrorKind::Unsupported.into())
}

impl MemoryServer {
    /// Starts a server.
    ///
    /// # Errors
    /// What its host said; `Unsupported` where there is none.
    pub(super) fn start(address: &MemoryAddress, options: &Options) -> io::Result<Self> {
        let Pipes { stdin, stdout } = connector(options)?.pipes(address)?;
        Ok(Self { stdin: Gate::new(Box::new(stdin)), stdout: Gate::new(Box::new(stdout)), ladder: options.ladder })
    }

    /// The ends of its pipes that are ours.
    pub(super) fn pipes(&self) -> (Gate<Inlet>, Gate<Outlet>) {
        (self.stdout.clone(), self.stdin.clone())
    }

    /// Ends its input and reads on until it ends its output, for as long as a process may take to do so. There is nothing to
    /// signal: after that the pipes are all there is to let go of.
    pub(super) async fn shut_down(self) -> Ending {
        drop(self.stdin.take());
        match timeout(self.ladder.eof_grace, drained(self.stdout.take())).await {
            Ok(()) => Ending::Eof,
            Err(_) => Ending::StillThere,
        }
    }
}

impl Drop for MemoryServer {
    fn drop(&mut self) {
        // rmcp may still hold the other hand on them.
        drop(self.stdin.take());
        drop(self.stdout.take());
    }
}
