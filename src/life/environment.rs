//! The environment that all plans of a run share.

use std::io;
use std::path::PathBuf;

use tokio::sync::watch;

use crate::record::secret;
use crate::supervise::OrphanReaper;

/// The executable, the id and the interruption of a run.
#[derive(Clone)]
pub struct RunEnvironment {
    /// This executable. Supervisors, plan processes and mocks are re-entered instances of it.
    pub executable: PathBuf,
    /// Marks every process of the run, as `MCP_LIFECHECK_RUN` in its environment.
    pub run_id: String,
    /// Starts supervisors and mocks, and kills the orphans that a dead supervisor leaves.
    pub reaper: OrphanReaper,
    /// Becomes true when a signal, or the end of the parent process, interrupts the run.
    pub interrupted: watch::Receiver<bool>,
}

impl RunEnvironment {
    /// A secret of 128 bits in hexadecimal.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn token() -> io::Result<String> {
        secret()
    }

    /// Whether the run is interrupted.
    #[must_use]
    pub fn is_interrupted(&self) -> bool {
        *self.interrupted.borrow()
    }

    /// Waits until the run is interrupted.
    pub async fn interruption(&self) {
        let mut interrupted = self.interrupted.clone();
        let waited = interrupted.wait_for(|interrupted| *interrupted).await.map(drop);
        if waited.is_err() {
            // The sender is gone, so no interruption can arrive any more.
            std::future::pending::<()>().await;
        }
    }
}
