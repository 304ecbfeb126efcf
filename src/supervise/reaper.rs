//! The last resort: what a killed supervisor leaves falls to the reporting process.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::supervise::os;
use crate::supervise::tree::sweep;

/// Starts every direct child of the reporting process, so that any other child must be the orphan of a dead supervisor.
///
/// Cheap to clone. One that was not appointed (in a process that has children of its own) ends nothing: there, a child
/// that was not started here may be anybody's.
#[derive(Clone, Default)]
pub struct OrphanReaper {
    appointed: bool,
    children: Arc<Mutex<BTreeSet<u32>>>,
    descriptors_soft: Option<u64>,
}

impl OrphanReaper {
    /// Whether every process that will ever be below this one is started by it, or by what it starts.
    ///
    /// Not so in a process that was started by `exec` in one with children, as by `sh -c 'sidecar & exec mcp-lifecheck'`, nor
    /// in the first process of a container, which is given every orphan. Such a process has to run its plans in a child.
    #[must_use]
    pub fn is_alone() -> bool {
        let me = std::process::id();
        me != 1 && os::descendants(me).is_empty()
    }

    /// Makes this process adopt what its supervisors leave when they are killed, where it [is alone](Self::is_alone).
    ///
    /// # Errors
    /// Where the system can not do that.
    pub fn install() -> io::Result<Self> {
        let appointed = Self::is_alone();
        if appointed {
            os::adopt_orphans()?;
        }
        let descriptors_soft = os::raise_descriptor_limit();
        Ok(Self { appointed, children: Arc::default(), descriptors_soft })
    }

    /// Adopts nothing, for a process that may have children of its own; makes room for the descriptors of many plans.
    #[must_use]
    pub fn without_adopting() -> Self {
        Self { descriptors_soft: os::raise_descriptor_limit(), ..Self::default() }
    }

    /// The soft limit of open descriptors before it was raised for this process.
    pub(super) fn descriptors_soft(&self) -> Option<u64> {
        self.descriptors_soft
    }

    /// Starts a child. Starting and registering are one step, so that no sweep takes it for an orphan.
    ///
    /// # Errors
    /// When it can not be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        children.extend(child.id());
        Ok(child)
    }

    /// A child was waited for.
    pub fn ended(&self, pid: u32) {
        self.children.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }

    /// Ends and reaps every process below this one that belongs to no living child of ours, at most for `limit`.
    pub async fn sweep(&self, limit: Duration) {
        if self.appointed && self.has_strays() {
            sweep(limit, |process| self.strays().contains(&process.pid)).await;
        }
    }

    /// Whether any direct child was not started here. Looks no further: a stray's tree hangs below a stray, and what hangs below
    /// the supervisors of other plans is not to be touched, not even by looking.
    fn has_strays(&self) -> bool {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        os::children(std::process::id()).iter().any(|child| !children.contains(child))
    }

    fn strays(&self) -> BTreeSet<u32> {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = children.clone();
        let mut strays = BTreeSet::new();
        // Parents come before children, so one pass knows every descendant of a child of ours.
        for process in os::descendants(std::process::id()) {
            if kept.contains(&process.parent) {
                kept.insert(process.pid);
            } else if !kept.contains(&process.pid) {
                strays.insert(process.pid);
            }
        }
        strays
    }
}
