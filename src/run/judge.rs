//! Records lives and judges their histories. Every verdict of this program comes from here.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::catalogue::write_whole;
use crate::check::{Judgement, PlanVerdict, Verdict, judge};
use crate::history::History;
use crate::life::{Lived, RunEnvironment, Subject, record_life};
use crate::report::{
    CheckRow, FindingRow, PlanRow, VerdictReport, check_rows, finding_rows, finding_text, findings_text, name_subjects,
    stacks_text,
};
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
    /// Number of secrets that each file lost, by name of the file.
    pub redacted: BTreeMap<String, usize>,
    /// Why `history.jsonl` lacks events, if it does.
    pub unwritten: Option<io::Error>,
}

/// Lets a subject live, and judges its history. `repeat` is the command line that does the same again.
pub(crate) async fn live_and_judge(subject: &impl Subject, environment: &RunEnvironment, repeat: String) -> JudgedLife {
    let Lived { history, cpu, start, redacted, unwritten } = record_life(subject, environment).await;
    JudgedLife { judged: JudgedHistory::new(history, repeat), cpu, start, redacted, unwritten }
}

impl JudgedHistory {
    /// Judges a history.
    #[must_use]
    pub fn new(history: History, repeat: String) -> Self {
        let mut judgement = judge(&history);
        name_subjects(&history, &mut judgement);
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
        let mut rows = finding_rows(&self.judgement, &self.repeat);
        let texts = self.judgement.findings.iter().map(|finding| finding_text(&self.history, finding));
        for (row, text) in rows.iter_mut().zip(texts.filter(|text| !text.is_empty())) {
            row.text = text;
        }
        rows
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

    /// Adds what was found to the row of a plan: for programs, and for people.
    pub(crate) fn tell(&self, row: &mut PlanRow) {
        row.findings = self.finding_rows();
        row.stacks = stacks_text(&self.history);
        row.n_events = self.history.events().len();
        row.text = self.findings_text();
        if self.verdict() == PlanVerdict::Vacuous {
            row.note = format!("VACUOUS {}: nothing came about that could be judged", self.history.header().plan);
            row.text.push_str(&format!("{}\n", row.note));
        }
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
