//! Runs plans, a few at once, and stops in order when it is interrupted.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::PathBuf;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::catalogue::write_whole;
use crate::check::{PlanVerdict, Verdict};
use crate::cli::args::OutputArgs;
use crate::cli::outcome::CliError;
use crate::cli::run::folder::RunFolder;
use crate::cli::select::Selected;
use crate::drive::{PlanOutput, Preflight, RunEnvironment, fresh_token, preflight, run_plan};
use crate::plan::Plan;
use crate::report::VerdictReport;
use crate::supervise::Warden;

/// What came of one selected plan.
pub(super) enum Finished {
    /// It was run and judged.
    Run(Box<PlanOutput>),
    /// Its loader can not be run here.
    Unavailable { plan: Plan, because: String },
    /// The experiment could not even begin.
    NotRun { plan: Plan, because: String },
}

impl Finished {
    pub(super) fn plan(&self) -> &Plan {
        match self {
            Self::Run(output) => &output.plan,
            Self::Unavailable { plan, .. } | Self::NotRun { plan, .. } => plan,
        }
    }

    /// Whether the machine was too loaded to tell: worth one more try, alone.
    fn is_doubtful(&self) -> bool {
        let Self::Run(output) = self else { return false };
        let delayed =
            || output.history.events().iter().any(|event| event.kind.kind() == crate::history::Kind::SchedulingDelayed);
        output.judgement.verdict == PlanVerdict::Inconclusive
            && output
                .judgement
                .findings
                .iter()
                .all(|finding| finding.invariant != "experiment" || finding.verdict != Verdict::Inconclusive)
            && delayed()
    }
}

/// How a run's plans are run.
pub(super) struct Pool<'a> {
    pub folder: &'a RunFolder,
    pub output: &'a OutputArgs,
    pub jobs: usize,
}

impl Pool<'_> {
    /// Runs every plan; tells whether the run was interrupted.
    pub(super) async fn run(&self, selected: Vec<Selected>) -> Result<(Vec<Finished>, bool), CliError> {
        let (interrupt, interrupted) = watch::channel(false);
        watch_signals(interrupt).map_err(CliError::system("signals can not be caught"))?;
        let environment = RunEnvironment {
            executable: executable()?,
            run_id: fresh_token()[..12].to_owned(),
            warden: Warden::appoint().map_err(CliError::system("orphans can not be adopted"))?,
            interrupted,
        };
        let scripts = selected
            .iter()
            .flat_map(|one| one.scripts.values())
            .map(|script| (script.name().to_owned(), script.clone()));
        let preflight = Arc::new(preflight(&scripts.collect::<BTreeMap<_, _>>(), &environment).await);
        let mut finished = self.run_all(&selected, &environment, &preflight).await?;
        for (index, one) in finished.iter_mut().enumerate() {
            if one.is_doubtful() && !environment.is_interrupted() {
                let directory = self.plan_folder(&selected[index])?;
                *one = run_one(selected[index].clone(), directory, environment.clone(), Arc::clone(&preflight)).await;
                self.write(one)?;
            }
        }
        let interrupted = environment.is_interrupted();
        Ok((finished, interrupted))
    }

    async fn run_all(
        &self,
        selected: &[Selected],
        environment: &RunEnvironment,
        preflight: &Arc<Preflight>,
    ) -> Result<Vec<Finished>, CliError> {
        let places = Arc::new(Semaphore::new(self.jobs));
        let progress = self.progress(selected.len());
        let mut tasks = JoinSet::new();
        for (index, one) in selected.iter().enumerate() {
            let directory = self.plan_folder(one)?;
            let (one, environment, preflight) = (one.clone(), environment.clone(), Arc::clone(preflight));
            let places = Arc::clone(&places);
            tasks.spawn(async move {
                // The semaphore is never closed.
                let _place = places.acquire_owned().await;
                (index, run_one(one, directory, environment, preflight).await)
            });
        }
        let mut finished: BTreeMap<usize, Finished> = BTreeMap::new();
        while let Some(joined) = tasks.join_next().await {
            let (index, one) = match joined {
                Ok(joined) => joined,
                // A panic here is a defect of ours; it must not pass for a verdict.
                Err(error) => std::panic::resume_unwind(error.into_panic()),
            };
            self.write(&one)?;
            progress.set_message(one.plan().id.clone());
            progress.inc(1);
            finished.insert(index, one);
        }
        progress.finish_and_clear();
        Ok(finished.into_values().collect())
    }

    fn plan_folder(&self, selected: &Selected) -> Result<PathBuf, CliError> {
        let id = &selected.plan.id;
        let path = self.folder.plan_folder(id).map_err(CliError::system(id.clone()))?;
        let text = toml::to_string(&selected.plan).expect("a plan is a table of plain values");
        write_whole(&path.join("plan.toml"), text.as_bytes()).map_err(CliError::system(id.clone()))?;
        Ok(path)
    }

    fn write(&self, finished: &Finished) -> Result<(), CliError> {
        let Finished::Run(output) = finished else { return Ok(()) };
        let id = &output.plan.id;
        let report = VerdictReport::new(output.history.header(), &output.judgement, &self.folder.repeat_line(id));
        let text = serde_json::to_string(&report).expect("a report has string keys only");
        let path = self.folder.path().join(id).join("verdict.json");
        write_whole(&path, format!("{text}\n").as_bytes()).map_err(CliError::system(path.display().to_string()))
    }

    fn progress(&self, n_plans: usize) -> ProgressBar {
        if self.output.quiet || !std::io::stderr().is_terminal() {
            return ProgressBar::hidden();
        }
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
        ProgressBar::new(n_plans as u64).with_style(style.expect("the template is well formed"))
    }
}

async fn run_one(
    selected: Selected,
    directory: PathBuf,
    environment: RunEnvironment,
    preflight: Arc<Preflight>,
) -> Finished {
    let plan = selected.plan.clone();
    if let Err(because) = &selected.target.launch {
        return Finished::Unavailable { plan, because: because.clone() };
    }
    if environment.is_interrupted() {
        return Finished::NotRun { plan, because: "the run was interrupted".to_owned() };
    }
    let broken = selected.scripts.values().find_map(|script| {
        let error = preflight.get(script.name())?.as_ref()?;
        Some(format!("mock script {} failed its own exchange: {error}", script.name()))
    });
    if let Some(because) = broken {
        return Finished::NotRun { plan, because };
    }
    let Some(input) = selected.input(&environment.executable, directory) else {
        return Finished::NotRun { plan, because: "the loader can not be started".to_owned() };
    };
    match run_plan(&input, &environment).await {
        Ok(output) => Finished::Run(Box::new(output)),
        Err(error) => Finished::NotRun { plan, because: error.to_string() },
    }
}

fn executable() -> Result<PathBuf, CliError> {
    std::env::current_exe().map_err(CliError::system("the path of this executable"))
}

/// The first signal stops the run in order; another one ends this process at once, and supervisors see to the rest.
fn watch_signals(interrupt: watch::Sender<bool>) -> std::io::Result<()> {
    let mut interrupts = signal(SignalKind::interrupt())?;
    let mut terminates = signal(SignalKind::terminate())?;
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = interrupts.recv() => {}
                _ = terminates.recv() => {}
                _ = hangups.recv() => {}
            }
            if interrupt.send_replace(true) {
                std::process::exit(3);
            }
        }
    });
    Ok(())
}
