//! Runs plans, as many at once as the machine has room for.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::{StreamExt, stream};
use tokio::task::JoinSet;

use crate::check::Verdict;
use crate::life::{Preflight, RunEnvironment, preflight};
use crate::plan::Tier;
use crate::report::RunVerdict;
use crate::run::admission::{Admission, Jobs};
use crate::run::folder::RunFolder;
use crate::run::plan::{Finished, PlanRunner};
use crate::run::repeat::Repeat;
use crate::run::select::{Notify, Selected};
use crate::run::warm::WarmStarts;
use crate::stack::Stack;

/// Time for the supervisors of a run to end when it is over. They have no process to end then.
const SPARES_LIMIT: Duration = Duration::from_secs(2);

/// The invariant that measures CPU time.
const IDLE_WITHOUT_CPU: &str = "idle-without-cpu";

/// Which plans of the simulated tier keep their folders. Writing one takes longer than such a plan.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Keeps {
    /// Every plan.
    #[default]
    All,
    /// Those with a finding.
    Findings,
}

/// How a run's plans are run.
pub struct Pool<'a> {
    pub folder: Arc<RunFolder>,
    /// How many plans run at once.
    pub jobs: Jobs,
    pub environment: RunEnvironment,
    pub repeat: Repeat,
    /// Whether every plan starts its loader as a new process.
    pub fresh: bool,
    /// Which simulated plans keep their folders. All others do.
    pub keeps: Keeps,
    /// Called with a line about every loader that cannot start warm.
    pub notify: Notify<'a>,
    /// Called with every plan that is over.
    pub on_finished: &'a (dyn Fn(&Finished) + Sync),
}

impl Pool<'_> {
    /// Runs every plan, at most to where the run is interrupted.
    pub async fn run(&self, selected: &[Selected]) -> Vec<Finished> {
        self.run_after(selected, &mut Preflight::new()).await
    }

    /// Like [`run`](Self::run), for one of several runs: `probed` has the scripts that passed their preflight before, and gets
    /// those of this run.
    pub async fn run_after(&self, selected: &[Selected], probed: &mut Preflight) -> Vec<Finished> {
        if self.keeps == Keeps::Findings && selected.iter().all(|one| one.plan.tier == Tier::Simulated) {
            return self.simulate(selected, probed).await;
        }
        self.probe(selected.iter().filter(|one| one.misfit.is_none()), probed).await;
        let preflight = Arc::new(probed.clone());
        let reaper = self.environment.reaper.with_spares();
        let environment = RunEnvironment { reaper: reaper.clone(), ..self.environment.clone() };
        let runner = self.runner(environment, preflight);
        let mut finished = self.run_all(selected, &runner).await;
        reaper.end_spares(SPARES_LIMIT).await;
        // A plan that runs again runs alone, below a supervisor of its own.
        let alone = PlanRunner { environment: self.environment.clone(), ..runner };
        for (index, one) in finished.iter_mut().enumerate() {
            if one.is_doubtful && !self.environment.is_interrupted() {
                *one = alone.run(&selected[index], false).await;
            }
        }
        unavailable_where_damaged(selected, &mut finished);
        finished
    }

    /// Makes the exchange with each script of these plans that had none before.
    async fn probe(&self, selected: impl Iterator<Item = &Selected>, probed: &mut Preflight) {
        let scripts =
            selected.flat_map(|one| one.scripts.values().map(move |script| (one.probe(script), script.clone())));
        let new: BTreeMap<_, _> = scripts.filter(|(probe, _)| !probed.contains_key(probe)).collect();
        if !new.is_empty() {
            probed.extend(preflight(&new, &self.environment).await);
        }
    }

    /// Runs simulated plans, one for each core at once. Only the scripts of plans with findings must pass their preflight: nobody
    /// believes the others anything.
    async fn simulate(&self, selected: &[Selected], probed: &mut Preflight) -> Vec<Finished> {
        let runner = self.runner(self.environment.clone(), Arc::default());
        let lives = selected.iter().map(|one| runner.simulate(one));
        let simulated: Vec<_> = stream::iter(lives).buffered(self.jobs.max_busy()).collect().await;
        let with_findings = selected.iter().zip(&simulated).filter(|(_, one)| one.has_findings());
        self.probe(with_findings.map(|(selected, _)| selected), probed).await;
        let runner = self.runner(self.environment.clone(), Arc::new(probed.clone()));
        let finished = selected.iter().zip(simulated).map(|(selected, one)| runner.keep(selected, one));
        finished.inspect(|one| (self.on_finished)(one)).collect()
    }

    fn runner(&self, environment: RunEnvironment, preflight: Arc<Preflight>) -> PlanRunner {
        PlanRunner { folder: Arc::clone(&self.folder), environment, preflight, repeat: self.repeat.clone() }
    }

    async fn run_all(&self, selected: &[Selected], runner: &PlanRunner) -> Vec<Finished> {
        let mut running = JoinSet::new();
        let mut finished: BTreeMap<usize, Finished> = BTreeMap::new();
        let mut waiting: VecDeque<(usize, Start)> = (0..selected.len()).map(|index| (index, Start::Any)).collect();
        let mut admission = Admission::new(self.jobs);
        let mut room = admission.floor_room(0);
        let mut warm = WarmStarts::new(selected, !self.fresh, admission.n_certain());
        loop {
            for _ in 0..room {
                let Some((index, start)) = waiting.front().copied() else { break };
                let may_start_warm = start == Start::Any && warm.may_start_warm(&selected[index]);
                if running.len() >= warm.most_at_once(&selected[index], admission.n_certain()) {
                    break;
                }
                waiting.pop_front();
                let (one, runner) = (selected[index].clone(), runner.clone());
                let n_crowded = admission.n_crowded();
                running
                    .spawn(async move { (index, may_start_warm, n_crowded, runner.run(&one, may_start_warm).await) });
                admission.starts();
            }
            let n_running = running.len();
            let wants_look = admission.wants_look(n_running, waiting.len());
            room = tokio::select! {
                biased;
                joined = running.join_next() => {
                    let (index, could_start_warm, n_crowded, mut one) = match joined {
                        Some(Ok(joined)) => joined,
                        // A panic here is a defect of ours; it must not pass for a verdict.
                        Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                        None => break,
                    };
                    one.is_doubtful |= n_crowded < admission.n_crowded() && is_quiet(&one);
                    if could_start_warm && warm.must_run_again(&selected[index], &one) {
                        waiting.push_front((index, Start::Fresh));
                    } else {
                        (self.on_finished)(&one);
                        finished.insert(index, one);
                    }
                    admission.floor_room(n_running - 1)
                }
                room = admission.room(n_running), if wants_look => room,
            };
        }
        for (loader, because) in warm.refused() {
            (self.notify)(format_args!("{loader} starts a new process for each plan: {because}"));
        }
        finished.into_values().collect()
    }
}

/// Plans whose loader never came to its hello say nothing about the loader where its stack fails its own import.
///
/// Asked after the last plan: until then, this process kills children that no plan knows.
fn unavailable_where_damaged(selected: &[Selected], finished: &mut [Finished]) {
    let mut asked: BTreeMap<&str, Option<String>> = BTreeMap::new();
    for (one, selected) in finished.iter_mut().zip(selected).filter(|(one, _)| one.is_never_ready) {
        // The packages of a checkout are the user's own.
        let Some(stack) = selected.target.stack.as_deref().filter(|_| selected.target.checkout.is_empty()) else {
            continue;
        };
        let damage = asked.entry(stack).or_insert_with(|| {
            let imported = Stack::named(stack).map(|stack| stack.import());
            imported.and_then(Result::err).map(|error| error.to_string())
        });
        if let Some(because) = damage {
            *one = Finished::without_run(&selected.plan, RunVerdict::Unavailable, because.clone());
        }
    }
}

/// How a plan may start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    Any,
    /// With a new process, because the result of its warm start does not count.
    Fresh,
}

/// Whether a plan found its loader to be quiet. In a crowd, a loader that keeps a core busy looks quiet as well.
fn is_quiet(finished: &Finished) -> bool {
    finished.verdicts.get(IDLE_WITHOUT_CPU) == Some(&Verdict::Pass)
}
