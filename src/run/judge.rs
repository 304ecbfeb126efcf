//! Records lives and judges their histories. Every verdict of this program comes from here.

use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::catalogue::write_whole;
use crate::check::{Judgement, PlanVerdict, Verdict, judge};
use crate::history::History;
use crate::life::{Lived, RunEnvironment, Subject, record_life};
use crate::report::{CheckRow, FindingRow, VerdictReport, check_rows, finding_rows, findings_text};
use crate::supervise::StartKind;

/// A history with its judgement.
pub struct JudgedHistory {
    /// What happened.
    pub history: History,
    /// The findings of every rule that applies.
    pub judgement: Judgement,
    /// The command line that repeats the life or the judgement.
    repeat: String,
}

/// A life that is over and judged.
pub(crate) struct JudgedLife {
    pub judged: JudgedHistory,
    /// CPU time of the subject's process tree, as far as it is known.
    pub cpu: Option<Duration>,
    /// How the subject was started; `None` if it was not.
    pub start: Option<StartKind>,
}

/// Lets a subject live, and judges its history. `repeat` is the command line that does the same again.
///
/// # Errors
/// When the history cannot be written. Then there is nothing to judge.
pub(crate) async fn live_and_judge(
    subject: &impl Subject,
    environment: &RunEnvironment,
    repeat: String,
) -> io::Result<JudgedLife> {
    let Lived { history, cpu, start } = record_life(subject, environment).await?;
    Ok(JudgedLife { judged: JudgedHistory::new(history, repeat), cpu, start })
}

impl JudgedHistory {
    /// Judges a history.
    #[must_use]
    pub fn new(history: History, repeat: String) -> Self {
        let judgement = judge(&history);
        Self { history, judgement, repeat }
    }

    /// The verdict on the whole plan.
    #[must_use]
    pub fn verdict(&self) -> PlanVerdict {
        self.judgement.verdict
    }

    /// The content of `verdict.json`.
    #[must_use]
    pub fn report(&self) -> VerdictReport {
        VerdictReport::new(self.history.header(), &self.judgement, &self.repeat)
    }

    /// The findings that are not green.
    #[must_use]
    pub fn finding_rows(&self) -> Vec<FindingRow> {
        finding_rows(&self.judgement, &self.repeat)
    }

    /// One row for each rule that was judged. `at` is the time of the judgement.
    #[must_use]
    pub fn check_rows(&self, at: SystemTime) -> Vec<CheckRow> {
        check_rows(&self.history, &self.judgement, at)
    }

    /// The findings that are not green, for a person to read.
    #[must_use]
    pub fn findings_text(&self) -> String {
        findings_text(&self.history, &self.judgement, &self.repeat)
    }

    /// The failures alone, for a person to read.
    #[must_use]
    pub fn failures_text(mut self) -> String {
        self.judgement.findings.retain(|finding| finding.verdict == Verdict::Fail);
        self.findings_text()
    }

    /// The findings that are not green, or one line for a plan in which no rule was triggered.
    pub(crate) fn plan_text(&self) -> String {
        let mut text = self.findings_text();
        if self.verdict() == PlanVerdict::Vacuous {
            let plan = &self.history.header().plan;
            text.push_str(&format!("VACUOUS {plan}: nothing came about that could be judged\n"));
        }
        text
    }

    /// Writes `verdict.json` into a folder.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        write_verdict(folder, &self.report())
    }
}

/// Writes a report as `verdict.json` into a folder.
pub(crate) fn write_verdict(folder: &Path, report: &VerdictReport) -> io::Result<()> {
    let text = serde_json::to_string(report).expect("a report has string keys only");
    write_whole(&folder.join("verdict.json"), format!("{text}\n").as_bytes())
}
