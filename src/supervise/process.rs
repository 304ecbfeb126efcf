//! The processes that supervisors run in, and the ones that wait for their next plan.
//!
//! Starting a process of this executable costs more than all that a supervisor does in a short plan. So a supervisor
//! whose tree has ended completely takes the next launch of the run. It never watches two trees at once.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::process::{Child, ChildStdin, ChildStdout, Command};
use tokio_util::codec::{FramedRead, LinesCodec};

use crate::supervise::reaper::OrphanReaper;

/// Maximum length of a report line, in bytes. The longest one lists the processes of a whole tree.
const LINE_BYTES_MAX: usize = 4 << 20;
/// Maximum supervisors that wait at the same time. Bounds the descriptors of a run with several loaders.
const SPARES_MAX: usize = 8;

/// The lines that a supervisor writes.
pub(super) type Reports = FramedRead<ChildStdout, LinesCodec>;

/// The process of one supervisor. Dropping it closes the lifeline, so the supervisor ends.
pub(super) struct SupervisorProcess {
    pub child: Child,
    pub pid: u32,
    /// The lifeline. Also carries launches and requests.
    pub stdin: ChildStdin,
    pub reports: Reports,
    /// Names of the variables of its launch. A loader inherits them, so the next launch must set the same ones.
    pub variables: Vec<String>,
    /// The inputs of its template, if it has one.
    pub template: Option<String>,
}

impl SupervisorProcess {
    /// Takes a waiting supervisor that fits `env`, or starts one from `executable`. Prefers a supervisor whose template
    /// is `template`.
    pub(super) fn take_or_start(
        executable: &Path,
        env: &BTreeMap<String, String>,
        template: Option<&str>,
        reaper: &OrphanReaper,
    ) -> io::Result<Self> {
        match reaper.spares().and_then(|spares| spares.take(env, template, reaper)) {
            Some(spare) => Ok(spare),
            None => Self::start(executable, env, reaper),
        }
    }

    fn start(executable: &Path, env: &BTreeMap<String, String>, reaper: &OrphanReaper) -> io::Result<Self> {
        let mut command = Command::new(executable);
        command.arg("__supervise").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).envs(env);
        let mut child = reaper.spawn(&mut command)?;
        let (Some(stdin), Some(stdout), Some(pid)) = (child.stdin.take(), child.stdout.take(), child.id()) else {
            return Err(io::Error::other("the process ended at once"));
        };
        let reports = FramedRead::new(stdout, LinesCodec::new_with_max_length(LINE_BYTES_MAX));
        Ok(Self { child, pid, stdin, reports, variables: env.keys().cloned().collect(), template: None })
    }

    /// Closes the lifeline and waits until the process has ended, by force after `limit`.
    pub(super) async fn end(self, limit: Duration, reaper: &OrphanReaper) {
        let Self { child, pid, stdin, .. } = self;
        drop(stdin);
        end_child(child, pid, limit, reaper).await;
    }
}

/// Waits until a supervisor has ended by itself, and kills it after `limit`.
pub(super) async fn end_child(mut child: Child, pid: u32, limit: Duration, reaper: &OrphanReaper) {
    if tokio::time::timeout(limit, child.wait()).await.is_err() {
        // Something outside stopped or blocked this supervisor. Its death leaves the tree to this process.
        let _ = child.kill().await;
    }
    reaper.ended(pid);
}

/// Supervisors without a tree, which wait for the next launch. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Spares {
    waiting: Arc<Mutex<Vec<SupervisorProcess>>>,
}

impl Spares {
    fn take(
        &self,
        env: &BTreeMap<String, String>,
        template: Option<&str>,
        reaper: &OrphanReaper,
    ) -> Option<SupervisorProcess> {
        loop {
            let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let fitting = waiting.iter().enumerate().filter(|(_, spare)| spare.variables.iter().eq(env.keys()));
            // Next to one with the right template, one without any: a template that no launch uses only takes memory.
            let preference = |(_, spare): &(usize, &SupervisorProcess)| match spare.template.as_deref() {
                found if found == template => 0,
                None => 1,
                Some(_) => 2,
            };
            let (index, _) = fitting.min_by_key(preference)?;
            let mut spare = waiting.swap_remove(index);
            drop(waiting);
            match spare.child.try_wait() {
                Ok(None) => return Some(spare),
                // Something outside killed it while it waited.
                Ok(Some(_)) | Err(_) => reaper.ended(spare.pid),
            }
        }
    }

    /// Keeps a supervisor for the next launch; returns it if enough of them wait.
    pub(super) fn keep(&self, process: SupervisorProcess) -> Option<SupervisorProcess> {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if waiting.len() < SPARES_MAX {
            waiting.push(process);
            return None;
        }
        Some(process)
    }

    /// Takes every waiting supervisor.
    pub(super) fn take_all(&self) -> Vec<SupervisorProcess> {
        std::mem::take(&mut *self.waiting.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
