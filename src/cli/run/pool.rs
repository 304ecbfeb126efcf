//! Runs plans, a few at once, and stops in order when it is interrupted.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use rustix::event::{PollFd, PollFlags, poll};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::cli::args::OutputArgs;
use crate::cli::outcome::{CliError, ExitReason};
use crate::cli::run::folder::RunFolder;
use crate::cli::run::plan::{Finished, PlanRunner};
use crate::cli::select::Selected;
use crate::cli::signals::heeded;
use crate::drive::{RunEnvironment, preflight};
use crate::supervise::Warden;

/// How a run's plans are run.
pub(super) struct Pool<'a> {
    pub folder: Arc<RunFolder>,
    pub output: &'a OutputArgs,
    pub jobs: usize,
}

impl Pool<'_> {
    /// Runs every plan; tells whether the run was interrupted. `parent` is readable when the run has nobody to report
    /// to any more.
    pub(super) async fn run(
        &self,
        selected: &[Selected],
        parent: Option<OwnedFd>,
    ) -> Result<(Vec<Finished>, bool), CliError> {
        let (interrupt, interrupted) = watch::channel(false);
        watch_signals(interrupt, parent).map_err(CliError::system("signals can not be caught"))?;
        let token = RunEnvironment::token().map_err(CliError::system("no id for the run"))?;
        let environment = RunEnvironment {
            executable: executable()?,
            run_id: token.chars().take(12).collect(),
            warden: Warden::appoint().map_err(CliError::system("orphans can not be adopted"))?,
            interrupted,
        };
        let scripts = selected.iter().filter(|one| one.misfit.is_none()).flat_map(|one| {
            let transport = one.plan.transport;
            one.scripts.values().map(move |script| ((transport, script.name().to_owned()), script.clone()))
        });
        let preflight = Arc::new(preflight(&scripts.collect::<BTreeMap<_, _>>(), &environment).await);
        let runner = PlanRunner { folder: Arc::clone(&self.folder), environment, preflight };
        let mut finished = self.run_all(selected, &runner).await;
        for (index, one) in finished.iter_mut().enumerate() {
            if one.is_doubtful && !runner.environment.is_interrupted() {
                *one = runner.run(&selected[index]).await;
            }
        }
        Ok((finished, runner.environment.is_interrupted()))
    }

    async fn run_all(&self, selected: &[Selected], runner: &PlanRunner) -> Vec<Finished> {
        let progress = self.progress(selected.len());
        let mut tasks = JoinSet::new();
        let mut finished: BTreeMap<usize, Finished> = BTreeMap::new();
        let mut waiting = selected.iter().enumerate();
        loop {
            while tasks.len() < self.jobs
                && let Some((index, one)) = waiting.next()
            {
                let (one, runner) = (one.clone(), runner.clone());
                tasks.spawn(async move { (index, runner.run(&one).await) });
            }
            let (index, one) = match tasks.join_next().await {
                Some(Ok(joined)) => joined,
                // A panic here is a defect of ours; it must not pass for a verdict.
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                None => break,
            };
            progress.set_message(one.row.id.clone());
            progress.inc(1);
            finished.insert(index, one);
        }
        progress.finish_and_clear();
        finished.into_values().collect()
    }

    fn progress(&self, n_plans: usize) -> ProgressBar {
        if self.output.quiet || !io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
        ProgressBar::new(n_plans as u64).with_style(style.expect("the template is well formed"))
    }
}

fn executable() -> Result<PathBuf, CliError> {
    std::env::current_exe().map_err(CliError::system("the path of this executable"))
}

/// The first signal stops the run in order; another one ends this process at once, and supervisors see to the rest.
/// The end of the parent stops the run in order as well.
fn watch_signals(interrupt: watch::Sender<bool>, parent: Option<OwnedFd>) -> io::Result<()> {
    let interrupt = Arc::new(interrupt);
    for number in heeded() {
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
        // A thread that waits as long as this process lives: the runtime is not to wait for it.
        std::thread::spawn(move || {
            if await_readable(&parent).is_ok() {
                interrupt.send_replace(true);
            }
        });
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
