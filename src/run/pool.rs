//! Runs plans, a few at once.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::task::JoinSet;

use crate::life::{RunEnvironment, preflight};
use crate::run::folder::RunFolder;
use crate::run::plan::{Finished, PlanRunner};
use crate::run::repeat::Repeat;
use crate::run::select::Selected;

/// How a run's plans are run.
pub struct Pool<'a> {
    pub folder: Arc<RunFolder>,
    pub jobs: usize,
    pub environment: RunEnvironment,
    pub repeat: Repeat,
    /// Told of every plan that is over.
    pub told: &'a (dyn Fn(&Finished) + Sync),
}

impl Pool<'_> {
    /// Runs every plan, at most to where the run is interrupted.
    pub async fn run(&self, selected: &[Selected]) -> Vec<Finished> {
        let scripts = selected.iter().filter(|one| one.misfit.is_none()).flat_map(|one| {
            let transport = one.probed_over();
            one.scripts.values().map(move |script| ((transport, script.name().to_owned()), script.clone()))
        });
        let preflight = Arc::new(preflight(&scripts.collect::<BTreeMap<_, _>>(), &self.environment).await);
        let runner = PlanRunner {
            folder: Arc::clone(&self.folder),
            environment: self.environment.clone(),
            preflight,
            repeat: self.repeat.clone(),
        };
        let mut finished = self.run_all(selected, &runner).await;
        for (index, one) in finished.iter_mut().enumerate() {
            if one.is_doubtful && !self.environment.is_interrupted() {
                *one = runner.run(&selected[index]).await;
            }
        }
        finished
    }

    async fn run_all(&self, selected: &[Selected], runner: &PlanRunner) -> Vec<Finished> {
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
            (self.told)(&one);
            finished.insert(index, one);
        }
        finished.into_values().collect()
    }
}
