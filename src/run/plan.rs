//! One plan of a run: its folder, its life, and its row of the report.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalogue::write_whole;
use crate::check::{LifetimeTally, PlanVerdict, Verdict};
use crate::drive::PlanInput;
use crate::history::Kind;
use crate::life::{Preflight, RunEnvironment};
use crate::plan::Plan;
use crate::report::{PlanRow, RunVerdict, VerdictReport, verdicts_of};
use crate::run::folder::RunFolder;
use crate::run::judge::{JudgedHistory, JudgedLife, live_and_judge, write_verdict};
use crate::run::repeat::Repeat;
use crate::run::select::Selected;
use crate::supervise::StartKind;

/// A plan that is over. Its history stays on disk only, so that memory does not grow with it.
pub struct Finished {
    /// The row of the report.
    pub row: PlanRow,
    /// The inferred session lifetime, if the plan ran.
    pub mode: Option<SeenMode>,
    /// The verdict of every invariant, if the plan ran.
    pub verdicts: BTreeMap<&'static str, Verdict>,
    /// Whether the machine was too loaded for a verdict. The pool runs the plan once more, alone.
    pub is_doubtful: bool,
    /// How its loader was started; `None` if it was not.
    pub start: Option<StartKind>,
}

/// The session lifetime that one plan shows.
pub struct SeenMode {
    /// The connections and calls of the plan.
    pub tally: LifetimeTally,
    /// Whether the loader's description promises a session lifetime.
    pub is_declared: bool,
}

/// Runs plans, each in its own folder. Cheap to clone.
#[derive(Clone)]
pub struct PlanRunner {
    pub folder: Arc<RunFolder>,
    pub environment: RunEnvironment,
    pub preflight: Arc<Preflight>,
    pub repeat: Repeat,
}

impl PlanRunner {
    /// Runs one plan and judges it. An error in its folder concerns this plan alone.
    pub async fn run(&self, selected: &Selected, may_start_warm: bool) -> Finished {
        let plan = &selected.plan;
        // Always, because files of an earlier run must not pass for those of this one.
        let directory = self.fresh_folder(plan);
        if let Err(because) = &selected.target.launch {
            return Finished::without_run(plan, RunVerdict::Unavailable, because.clone());
        }
        if let Some(misfit) = &selected.misfit {
            let report = VerdictReport::not_applicable(&plan.id, &plan.scenario, misfit);
            return match directory.and_then(|directory| write_verdict(&directory, &report)) {
                Ok(()) => Finished::without_run(plan, RunVerdict::NotApplicable, misfit.clone()),
                Err(error) => Finished::without_run(plan, RunVerdict::Inconclusive, NotRun::Folder(error).to_string()),
            };
        }
        let began = Instant::now();
        match self.life(selected, directory, may_start_warm).await {
            Ok(life) => {
                let target = &selected.target;
                let transport = plan.transport.to_string();
                let is_declared = target.descriptor.declares_session(target.stack.as_deref(), &transport);
                let mode = Some(SeenMode { tally: LifetimeTally::of(&life.judged.history), is_declared });
                Finished { mode, ..self.finish(plan, &life, began.elapsed()) }
            }
            Err(because) => Finished::without_run(plan, RunVerdict::Inconclusive, because.to_string()),
        }
    }

    async fn life(
        &self,
        selected: &Selected,
        directory: io::Result<PathBuf>,
        may_start_warm: bool,
    ) -> Result<JudgedLife, NotRun> {
        if self.environment.is_interrupted() {
            return Err(NotRun::Interrupted);
        }
        let probed_over = selected.probed_over();
        let broken = selected.scripts.values().find_map(|script| {
            let because = self.preflight.get(&(probed_over, script.name().to_owned()))?.clone()?;
            Some(NotRun::BrokenMock { script: script.name().to_owned(), because })
        });
        broken.map_or(Ok(()), Err)?;
        let directory = directory.map_err(NotRun::Folder)?;
        let input = selected.input(&self.environment.executable, directory).ok_or(NotRun::NoLaunch)?;
        let input = PlanInput { may_start_warm, ..input };
        let repeat = self.repeat.line(self.folder.path(), &selected.plan);
        live_and_judge(&input, &self.environment, repeat).await.map_err(NotRun::Folder)
    }

    fn fresh_folder(&self, plan: &Plan) -> io::Result<PathBuf> {
        let path = self.folder.plan_folder(&plan.id)?;
        let text = toml::to_string(plan).expect("a plan is a table of plain values");
        write_whole(&path.join("plan.toml"), text.as_bytes())?;
        Ok(path)
    }

    fn finish(&self, plan: &Plan, life: &JudgedLife, wall: Duration) -> Finished {
        let JudgedLife { judged, cpu, start } = life;
        let mut row = row(plan, judged.verdict().into());
        row.cpu_ms = cpu.map(ms);
        row.wall_ms = Some(ms(wall));
        row.findings = judged.finding_rows();
        row.text = judged.plan_text();
        row.because = judged.judgement.not_applicable_because().map(str::to_owned);
        let mut is_doubtful = is_doubtful(judged);
        if let Err(error) = judged.write(&self.folder.path().join(&plan.id)) {
            // Another process removed the folder, and the evidence with it. A recorded failure stays a failure.
            if row.verdict != RunVerdict::Fail {
                row.verdict = RunVerdict::Inconclusive;
            }
            let because = format!("its verdict.json cannot be written: {error}");
            line(&mut row.text, format_args!("INCONCLUSIVE {}: {because}", plan.id));
            row.because = Some(because);
            is_doubtful = false;
        }
        Finished { row, mode: None, verdicts: verdicts_of(&judged.judgement), is_doubtful, start: start.clone() }
    }
}

/// Why a plan did not run.
#[derive(Debug, thiserror::Error)]
enum NotRun {
    #[error("the run was interrupted")]
    Interrupted,
    #[error("mock script {script} failed its own exchange: {because}")]
    BrokenMock { script: String, because: String },
    #[error("the plan's folder cannot be written: {0}")]
    Folder(#[source] io::Error),
    #[error("the loader cannot be started")]
    NoLaunch,
}

impl Finished {
    fn without_run(plan: &Plan, verdict: RunVerdict, because: String) -> Self {
        let mut text = String::new();
        match verdict {
            // The command prints each unavailable loader and each reason once, not for every plan.
            RunVerdict::Unavailable | RunVerdict::NotApplicable => {}
            RunVerdict::Pass | RunVerdict::Fail | RunVerdict::Warn | RunVerdict::Vacuous | RunVerdict::Inconclusive => {
                line(&mut text, format_args!("INCONCLUSIVE {}: {because}", plan.id))
            }
        }
        let row = PlanRow { because: Some(because), text, ..row(plan, verdict) };
        Self { row, mode: None, verdicts: BTreeMap::new(), is_doubtful: false, start: None }
    }
}

fn row(plan: &Plan, verdict: RunVerdict) -> PlanRow {
    PlanRow {
        id: plan.id.clone(),
        scenario: plan.scenario.clone(),
        loader: plan.loader.clone(),
        transport: plan.transport.to_string(),
        revision: plan.revision.to_string(),
        server: plan.server.to_string(),
        ..PlanRow::of(verdict)
    }
}

/// Whether the machine was too loaded for a verdict, and nothing else was wrong.
fn is_doubtful(judged: &JudgedHistory) -> bool {
    let delayed = || judged.history.events().iter().any(|event| event.kind.kind() == Kind::SchedulingDelayed);
    let mut findings = judged.judgement.findings.iter();
    judged.verdict() == PlanVerdict::Inconclusive
        && findings.all(|finding| finding.invariant != "experiment" || finding.verdict != Verdict::Inconclusive)
        && delayed()
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a string cannot fail");
}
