//! Plans of the simulated tier: most are over before a folder for them would be made.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::check::{LifetimeTally, Verdict};
use crate::report::{PlanRow, RunVerdict, verdicts_of};
use crate::run::judge::{JudgedHistory, JudgedLife, judge_lived};
use crate::run::plan::{Finished, NotRun, PlanRunner, SeenMode};
use crate::run::select::Selected;
use crate::simulate;

/// Name of the file with the history.
const HISTORY: &str = "history.jsonl";

/// A simulated plan that is over and has no folder yet.
pub(super) enum Simulated {
    /// It had no life.
    Without(Box<Finished>),
    /// Its life, and its row of the report.
    Lived(Box<JudgedLife>, Box<PlanRow>),
}

impl Simulated {
    pub(super) fn has_findings(&self) -> bool {
        match self {
            Self::Without(_) => false,
            Self::Lived(_, row) => has_findings(row),
        }
    }
}

/// Whether a rule found something. An experiment that failed, such as a fault that was never due, shows nothing about the loader.
fn has_findings(row: &PlanRow) -> bool {
    row.findings.iter().any(|finding| match finding.verdict {
        Verdict::Fail | Verdict::Warn => true,
        Verdict::Pass | Verdict::Vacuous | Verdict::NotObservable | Verdict::NotApplicable | Verdict::Inconclusive => {
            false
        }
    })
}

impl PlanRunner {
    /// A life in the simulated tier. Its history is written when it is over.
    pub(super) async fn simulated_life(
        &self,
        selected: &Selected,
        directory: &Path,
        repeat: String,
    ) -> Result<JudgedLife, NotRun> {
        let mut life = without_secrets(self.judged_life(selected, repeat.clone()).await?, repeat);
        life.unwritten = write_history(directory, &life);
        Ok(life)
    }

    /// Runs a simulated plan and judges it, without a folder.
    pub(super) async fn simulate(&self, selected: &Selected) -> Simulated {
        let plan = &selected.plan;
        let without =
            |verdict, because: String| Simulated::Without(Box::new(Finished::without_run(plan, verdict, because)));
        if let Err(because) = &selected.target.launch {
            return without(RunVerdict::Unavailable, because.clone());
        }
        if let Some(misfit) = &selected.misfit {
            return without(RunVerdict::NotApplicable, misfit.clone());
        }
        if self.environment.is_interrupted() {
            return Simulated::Without(Box::new(Finished::interrupted(plan)));
        }
        let began = Instant::now();
        match self.judged_life(selected, self.repeat.line(self.folder.path(), plan)).await {
            Ok(life) => {
                let row = self.told(plan, &life, began.elapsed());
                Simulated::Lived(Box::new(life), Box::new(row))
            }
            Err(because) => without(RunVerdict::Inconclusive, because.to_string()),
        }
    }

    /// Makes the folder of a simulated plan, if it has findings.
    pub(super) fn keep(&self, selected: &Selected, simulated: Simulated) -> Finished {
        let (life, mut row) = match simulated {
            Simulated::Without(finished) => return *finished,
            Simulated::Lived(life, row) => (life, *row),
        };
        let plan = &selected.plan;
        if has_findings(&row) {
            if let Some(because) = self.broken_mock(selected) {
                return Finished::without_run(plan, RunVerdict::Inconclusive, because.to_string());
            }
            match self.fresh_folder(plan) {
                Ok(folder) => {
                    let mut life = without_secrets(*life, self.repeat.line(self.folder.path(), plan));
                    life.unwritten = write_history(&folder.path, &life);
                    let wall = Duration::from_millis(row.wall_ms.unwrap_or_default());
                    return self.finish(plan, &life, folder, wall);
                }
                Err(error) => drop(row.unwritten.insert(plan.id.clone(), error.to_string())),
            }
        }
        let target = &selected.target;
        let is_declared = target.descriptor.declares_session(target.stack.as_deref(), plan.transport.as_str());
        let mode = Some(SeenMode { tally: LifetimeTally::of(&life.judged.history), is_declared });
        let verdicts = verdicts_of(&life.judged.judgement);
        Finished { row, mode, verdicts, is_doubtful: false, start: life.start, is_never_ready: false }
    }

    async fn judged_life(&self, selected: &Selected, repeat: String) -> Result<JudgedLife, NotRun> {
        let life = selected.simulated().ok_or(NotRun::NoLaunch)?;
        Ok(judge_lived(simulate::live(life, &self.environment).await?, repeat))
    }
}

/// A life without its secrets. If it had any, it is judged again, because its findings may quote them.
fn without_secrets(mut life: JudgedLife, repeat: String) -> JudgedLife {
    let (history, n_secrets) = simulate::without_secrets(life.judged.history.clone());
    if n_secrets > 0 {
        life.judged = JudgedHistory::new(history, repeat);
        life.redacted.insert(HISTORY.to_owned(), n_secrets);
    }
    life
}

/// Writes the history of a life. Returns why it is not whole, if it is not.
fn write_history(folder: &Path, life: &JudgedLife) -> Option<std::io::Error> {
    fs::write(folder.join(HISTORY), life.judged.history.to_jsonl()).err()
}
