//! The orphan reaper: it ends the processes that a killed supervisor leaves behind.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::supervise::os;
use crate::supervise::process::Spares;
use crate::supervise::tree::sweep;

/// Starts every direct child of the reporting process. Any other child must therefore be the orphan of a dead
/// supervisor, and the reaper ends it.
///
/// Cheap to clone. In a process with children of other origin the reaper adopts nothing and ends nothing, because it
/// could not recognise orphans.
#[derive(Clone, Default)]
pub struct OrphanReaper {
    adopts: bool,
    children: Arc<Mutex<BTreeSet<u32>>>,
    descriptors_soft: Option<u64>,
    /// The waiting supervisors of a run; `None` where each supervisor ends with its plan.
    spares: Option<Spares>,
}

impl OrphanReaper {
    /// Whether this process will only ever have descendants that it starts itself, directly or indirectly.
    ///
    /// There are two exceptions. A process started by `exec` inherits children, as in `sh -c 'sidecar & exec
    /// mcp-lifecheck'`. The first process of a container adopts every orphan. Such a process must run its plans in a
    /// child.
    #[must_use]
    pub fn is_alone() -> bool {
        let me = std::process::id();
        me != 1 && os::descendants(me).is_empty()
    }

    /// Makes this process adopt the orphans of killed supervisors, if it [is alone](Self::is_alone).
    ///
    /// # Errors
    /// When the system refuses.
    pub fn install() -> io::Result<Self> {
        let adopts = Self::is_alone();
        if adopts {
            os::adopt_orphans()?;
        }
        let descriptors_soft = os::raise_descriptor_limit();
        Ok(Self { adopts, children: Arc::default(), descriptors_soft, spares: None })
    }

    /// Adopts nothing, for a process that may have children of other origin. Raises the limit of open descriptors, as
    /// [`Self::install`] does.
    #[must_use]
    pub fn without_adopting() -> Self {
        Self { descriptors_soft: os::raise_descriptor_limit(), ..Self::default() }
    }

    /// The same reaper for the plans of one run. Their supervisors take one launch after another, until
    /// [`Self::end_spares`].
    #[must_use]
    pub fn with_spares(&self) -> Self {
        Self { spares: Some(Spares::default()), ..self.clone() }
    }

    pub(super) fn spares(&self) -> Option<&Spares> {
        self.spares.as_ref()
    }

    /// Ends every supervisor that waits for a launch, by force after `limit`.
    pub async fn end_spares(&self, limit: Duration) {
        let spares = self.spares.iter().flat_map(Spares::take_all);
        futures_util::future::join_all(spares.map(|spare| spare.end(limit, self))).await;
    }

    /// The soft limit of open descriptors before this process raised it.
    pub(super) fn descriptors_soft(&self) -> Option<u64> {
        self.descriptors_soft
    }

    /// Starts and registers a child in one step, so that no sweep mistakes it for an orphan.
    ///
    /// # Errors
    /// When the child cannot be started.
    pub fn spawn(&self, command: &mut Command) -> io::Result<Child> {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let child = command.spawn()?;
        children.extend(child.id());
        Ok(child)
    }

    /// Removes a child that has been waited for.
    pub fn ended(&self, pid: u32) {
        self.children.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }

    /// Kills and reaps every descendant outside the trees of registered children, for at most `limit`.
    pub async fn sweep(&self, limit: Duration) {
        if self.adopts && self.has_strays() {
            sweep(limit, |process| self.strays().contains(&process.pid)).await;
        }
    }

    /// Whether any direct child is unregistered. It does not look further: a stray's tree hangs below a stray, and even
    /// reading the trees of other supervisors would disturb them.
    fn has_strays(&self) -> bool {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        os::children(std::process::id()).iter().any(|child| !children.contains(child))
    }

    fn strays(&self) -> BTreeSet<u32> {
        let children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kept = children.clone();
        let mut strays = BTreeSet::new();
        // Parents come before children, so one pass finds every descendant of a registered child.
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
