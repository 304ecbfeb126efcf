//! One plan of a run: its folder, its life, and its row of the report.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalogue::write_whole;
use crate::check::{LifetimeTally, PlanVerdict, Verdict};
use crate::drive::PlanInput;
use crate::foreign::words_without_secrets;
use crate::history::Kind;
use crate::life::{Preflight, RunEnvironment};
use crate::plan::{Plan, Tier};
use crate::report::{PlanRow, RunVerdict, VerdictReport, verdicts_of};
use crate::run::folder::RunFolder;
use crate::run::judge::{JudgedHistory, JudgedLife, live_and_judge, write_verdict};
use crate::run::repeat::Repeat;
use crate::run::select::Selected;
use crate::run::spare::{SpareFolder, is_full};
use crate::simulate::SimulateError;
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
    /// Whether its loader never came to its hello, and nothing else was judged. Its stack may be damaged.
    pub is_never_ready: bool,
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
            return match directory.and_then(|folder| write_verdict(&folder.path, &report)) {
                Err(error) if !is_full(&error) => {
                    let because = NotRun::Folder(error.to_string()).to_string();
                    Finished::without_run(plan, RunVerdict::Inconclusive, because)
                }
                // If the disk is full, only the report has the reason.
                Ok(()) | Err(_) => Finished::without_run(plan, RunVerdict::NotApplicable, misfit.clone()),
            };
        }
        let began = Instant::now();
        match self.life(selected, &directory, may_start_warm).await {
            Ok(life) => {
                let target = &selected.target;
                let transport = plan.transport.to_string();
                let is_declared = target.descriptor.declares_session(target.stack.as_deref(), &transport);
                let mode = Some(SeenMode { tally: LifetimeTally::of(&life.judged.history), is_declared });
                let folder = directory.expect("without a folder no plan has a life");
                Finished { mode, ..self.finish(plan, &life, folder, began.elapsed()) }
            }
            Err(NotRun::Interrupted) => Finished::interrupted(plan),
            Err(because) => Finished::without_run(plan, RunVerdict::Inconclusive, because.to_string()),
        }
    }

    async fn life(
        &self,
        selected: &Selected,
        directory: &io::Result<PlanFolder>,
        may_start_warm: bool,
    ) -> Result<JudgedLife, NotRun> {
        if self.environment.is_interrupted() {
            return Err(NotRun::Interrupted);
        }
        self.broken_mock(selected).map_or(Ok(()), Err)?;
        let directory = directory.as_ref().map_err(|error| NotRun::Folder(error.to_string()))?.path.clone();
        let repeat = self.repeat.line(self.folder.path(), &selected.plan);
        if selected.plan.tier == Tier::Simulated {
            return self.simulated_life(selected, &directory, repeat).await;
        }
        let input = selected.input(&self.environment.executable, directory).ok_or(NotRun::NoLaunch)?;
        let input = PlanInput { may_start_warm, ..input };
        Ok(live_and_judge(&input, &self.environment, repeat).await)
    }

    /// The script of a plan that failed its preflight.
    pub(super) fn broken_mock(&self, selected: &Selected) -> Option<NotRun> {
        selected.scripts.values().find_map(|script| {
            let because = self.preflight.get(&selected.probe(script))?.clone()?;
            Some(NotRun::BrokenMock { script: script.name().to_owned(), because })
        })
    }

    /// An empty folder for the files of a plan. Where the disk is full, it is among the temporary files: the program under test must not
    /// meet the full disk, because it could be blamed for what follows.
    pub(super) fn fresh_folder(&self, plan: &Plan) -> io::Result<PlanFolder> {
        let shown = Plan { checkout: words_without_secrets(&plan.checkout), ..plan.clone() };
        let text = toml::to_string(&shown).expect("a plan is a table of plain values");
        let made = self.folder.plan_folder(&plan.id).and_then(|path| {
            write_whole(&path.join("plan.toml"), text.as_bytes())?;
            File::create(path.join("stderr.txt"))?;
            Ok(path)
        });
        let error = match made {
            Ok(path) => return Ok(PlanFolder { path, full: None, _spare: None }),
            Err(error) if is_full(&error) => error,
            Err(error) => return Err(error),
        };
        let full = Some(error.to_string());
        if let Ok(spare) = SpareFolder::new() {
            return Ok(PlanFolder { path: fs::canonicalize(spare.path())?, full, _spare: Some(spare) });
        }
        let path = fs::canonicalize(self.folder.path().join(&plan.id)).map_err(|_| error)?;
        Ok(PlanFolder { path, full, _spare: None })
    }

    /// The row of a plan that is over, as far as it does not depend on its folder.
    pub(super) fn told(&self, plan: &Plan, life: &JudgedLife, wall: Duration) -> PlanRow {
        let JudgedLife { judged, cpu, redacted, .. } = life;
        let mut row = row(plan, judged.verdict().into());
        row.cpu_ms = cpu.map(ms);
        row.wall_ms = Some(ms(wall));
        judged.tell(&mut row);
        row.because = judged.judgement.not_applicable_because().map(str::to_owned);
        row.is_interrupted = row.verdict == RunVerdict::Inconclusive && self.environment.is_interrupted();
        if row.is_interrupted {
            row.text.clear();
        }
        row.redacted.clone_from(redacted);
        row
    }

    pub(super) fn finish(&self, plan: &Plan, life: &JudgedLife, folder: PlanFolder, wall: Duration) -> Finished {
        let JudgedLife { judged, start, unwritten, .. } = life;
        let mut row = self.told(plan, life, wall);
        row.unwritten = folder.unwritten(unwritten.as_ref());
        let mut is_doubtful = is_doubtful(judged);
        match judged.write(&folder.path) {
            Ok(()) => {}
            Err(error) if is_full(&error) => drop(row.unwritten.insert("verdict.json".to_owned(), error.to_string())),
            Err(error) => {
                // Another process removed the folder, and the evidence with it. A recorded failure stays a failure.
                if row.verdict != RunVerdict::Fail {
                    row.verdict = RunVerdict::Inconclusive;
                }
                let because = format!("its verdict.json cannot be written: {error}");
                row.note = format!("INCONCLUSIVE {}: {because}", plan.id);
                row.text.push_str(&format!("{}\n", row.note));
                row.because = Some(because);
                is_doubtful = false;
            }
        }
        let is_ready = || judged.history.events().iter().any(|event| event.kind.kind() == Kind::LoaderReady);
        let is_never_ready = row.verdict == RunVerdict::Inconclusive && !row.is_interrupted && !is_ready();
        let (verdicts, start) = (verdicts_of(&judged.judgement), start.clone());
        Finished { row, mode: None, verdicts, is_doubtful, start, is_never_ready }
    }
}

/// The folder of one plan.
pub(super) struct PlanFolder {
    pub(super) path: PathBuf,
    /// Why the results folder takes no files, if it does not.
    full: Option<String>,
    /// The folder among the temporary files that takes them instead, and that goes when the plan is judged.
    _spare: Option<SpareFolder>,
}

impl PlanFolder {
    /// The files that are lost or not whole.
    fn unwritten(&self, history: Option<&io::Error>) -> BTreeMap<String, String> {
        let lost = self
            .full
            .iter()
            .flat_map(|because| ["plan.toml", "history.jsonl", "verdict.json"].map(|name| (name, because.clone())));
        let cut = history.map(|error| ("history.jsonl", error.to_string()));
        lost.chain(cut).map(|(name, because)| (name.to_owned(), because)).collect()
    }
}

/// Why a plan did not run.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRun {
    #[error("the run was interrupted")]
    Interrupted,
    #[error("mock script {script} failed its own exchange: {because}")]
    BrokenMock { script: String, because: String },
    #[error("the plan's folder cannot be written: {0}")]
    Folder(String),
    #[error("the loader cannot be started")]
    NoLaunch,
    #[error(transparent)]
    Simulated(#[from] SimulateError),
}

impl Finished {
    /// A plan that did not start because of an interruption. One line reports all such plans.
    pub(super) fn interrupted(plan: &Plan) -> Self {
        let mut finished = Self::without_run(plan, RunVerdict::Inconclusive, NotRun::Interrupted.to_string());
        finished.row.text.clear();
        finished.row.is_interrupted = true;
        finished
    }

    pub(super) fn without_run(plan: &Plan, verdict: RunVerdict, because: String) -> Self {
        let note = match verdict {
            // The command prints each unavailable loader and each reason once, not for every plan.
            RunVerdict::Unavailable | RunVerdict::NotApplicable => String::new(),
            RunVerdict::Pass | RunVerdict::Fail | RunVerdict::Warn | RunVerdict::Vacuous | RunVerdict::Inconclusive => {
                format!("INCONCLUSIVE {}: {because}", plan.id)
            }
        };
        let text = if note.is_empty() { String::new() } else { format!("{note}\n") };
        let row = PlanRow { because: Some(because), note, text, ..row(plan, verdict) };
        let verdicts = BTreeMap::new();
        Self { row, mode: None, verdicts, is_doubtful: false, start: None, is_never_ready: false }
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
