//! Boots this process for a run: runtime, interruption, orphan reaper, environment.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, poll};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::life::RunEnvironment;
use crate::run::signals::interrupting_signals;
use crate::run::{ExitReason, RunError};
use crate::stack::is_interrupted;
use crate::supervise::OrphanReaper;

/// The kind of process that boots: the command or a test.
#[derive(Debug)]
pub enum Ownership {
    /// A command of its own. Signals interrupt the run, and every orphan belongs to the run.
    Command {
        /// Becomes readable when the parent ends, which interrupts the run. `None` where the parent does not matter.
        parent: Option<OwnedFd>,
    },
    /// A test binary of the user. Its signals and its children are its own.
    Guest,
}

/// This process, booted for a run.
pub struct RunProcess {
    runtime: Runtime,
    environment: RunEnvironment,
}

impl RunProcess {
    /// Boots this process.
    ///
    /// # Errors
    /// When the system refuses a runtime, a signal handler, the adoption of orphans, or random bytes; or when a signal came before.
    pub fn boot(ownership: Ownership) -> Result<Self, RunError> {
        let runtime = Builder::new_multi_thread().enable_all().build().map_err(RunError::system("no runtime"))?;
        let (interrupt, interrupted) = watch::channel(false);
        let reaper = match ownership {
            Ownership::Command { parent } => {
                let _entered = runtime.enter();
                if is_interrupted() {
                    return Err(RunError::Interrupted);
                }
                watch_interruptions(interrupt, parent).map_err(RunError::system("signals cannot be caught"))?;
                OrphanReaper::install().map_err(RunError::system("orphans cannot be adopted"))?
            }
            Ownership::Guest => OrphanReaper::without_adopting(),
        };
        let token = RunEnvironment::token().map_err(RunError::system("no id for the run"))?;
        let executable = std::env::current_exe().map_err(RunError::system("the path of this executable"))?;
        let run_id = token.chars().take(12).collect();
        Ok(Self { runtime, environment: RunEnvironment { executable, run_id, reaper, interrupted } })
    }

    /// The environment that all plans of the run share.
    #[must_use]
    pub fn environment(&self) -> RunEnvironment {
        self.environment.clone()
    }

    /// Runs the work of this process. Background tasks that are left belong to lives that are over, so they are dropped.
    pub fn finish<T>(self, work: impl Future<Output = T>) -> T {
        let result = self.runtime.block_on(work);
        self.runtime.shutdown_background();
        result
    }
}

/// The first signal, or the end of the parent, interrupts the run gracefully. A second signal ends this process at
/// once, and the supervisors kill what it leaves.
fn watch_interruptions(interrupt: watch::Sender<bool>, parent: Option<OwnedFd>) -> io::Result<()> {
    let interrupt = Arc::new(interrupt);
    for number in interrupting_signals() {
        let mut signals = signal(SignalKind::from_raw(number))?;
        let interrupt = Arc::clone(&interrupt);
        tokio::spawn(async move {
            while signals.recv().await.is_some() {
                if interrupt.send_replace(true) {
                    std::process::exit(i32::from(ExitReason::Inconclusive.number()));
                }
            }
        });
    }
    if let Some(parent) = parent {
        // This thread lives as long as the process. A blocking task would keep the runtime from its shutdown.
        std::thread::Builder::new().spawn(move || {
            if await_readable(&parent).is_ok() {
                interrupt.send_replace(true);
            }
        })?;
    }
    Ok(())
}

fn await_readable(fd: &OwnedFd) -> rustix::io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(fd, PollFlags::IN)], None) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
}
