//! Records lives and judges their histories. Every verdict of this program comes from here.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufRead};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::catalogue::write_whole;
use crate::check::{Engine, Judgement, PlanVerdict, Verdict, judge};
use crate::history::{History, HistoryReader, Kind};
use crate::life::{Lived, RunEnvironment, Subject, record_life};
use crate::plan::InputError;
use crate::report::{
    CheckRow, FindingRow, PlanRow, VerdictReport, check_rows, finding_rows, finding_text, findings_text, name_subjects,
    stacks_text, tell_hangs,
};
use crate::supervise::StartKind;

/// A history with its judgement.
pub struct JudgedHistory {
    /// The history; if it was judged while it was read, only the events that its findings show.
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
    judge_lived(record_life(subject, environment).await, repeat)
}

/// Judges the history of a life that is over.
pub(crate) fn judge_lived(lived: Lived, repeat: String) -> JudgedLife {
    let Lived { history, cpu, start, redacted, unwritten } = lived;
    JudgedLife { judged: JudgedHistory::new(history, repeat), cpu, start, redacted, unwritten }
}

impl JudgedHistory {
    /// Judges a history.
    #[must_use]
    pub fn new(history: History, repeat: String) -> Self {
        let mut judgement = judge(&history);
        tell_hangs(&history, &mut judgement);
        name_subjects(&history, &mut judgement);
        Self { history, judgement, repeat }
    }

    /// Judges a history while it is read, and keeps only the events that its findings show. So its length is no matter of
    /// memory. `open` begins to read it, a second time if there are such events.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read<R: BufRead>(
        open: impl Fn() -> Result<HistoryReader<R>, InputError>,
        repeat: String,
    ) -> Result<Self, InputError> {
        let mut reader = open()?;
        let mut engine = Engine::new(reader.header());
        let mut shown = BTreeSet::new();
        for event in &mut reader {
            let event = event?;
            engine.see(&event);
            if event.kind.kind() == Kind::StacksTaken {
                shown.insert(event.seq);
            }
        }
        let mut judgement = engine.end();
        shown.extend(judgement.findings.iter().flat_map(|finding| &finding.witness));
        let events = if shown.is_empty() { Vec::new() } else { open()?.only(&shown)? };
        let history = History::excerpt(reader.header().clone(), events);
        name_subjects(&history, &mut judgement);
        Ok(Self { history, judgement, repeat })
    }

    /// The verdict on the whole plan.
    #[must_use]
    pub fn verdict(&self) -> PlanVerdict {
        self.judgement.verdict
    }

    /// The content of `verdict.json`.
    #[must_use]
    pub fn report(&self) -> VerdictReport {
        VerdictReport::new(&self.history, &self.judgement, &self.repeat)
    }

    /// The findings that are not green.
    #[must_use]
    pub fn finding_rows(&self) -> Vec<FindingRow> {
        let mut rows = finding_rows(&self.history, &self.judgement, &self.repeat);
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
            row.note = format!("VACUOUS {}: nothing happened that could be judged", self.history.header().plan);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::{Event, EventKind, Header, Seq, Source, event_to_line, read_history};

    /// A history of a plan that hung, with a failure of the experiment.
    fn text() -> String {
        let kinds = [
            EventKind::IdleBegan {},
            EventKind::StacksTaken { of: "loader".to_owned(), text: "main.rs:1".to_owned(), operations: Vec::new() },
            EventKind::IdleBegan {},
            EventKind::ExperimentFailed { because: "a link was lost".to_owned() },
            EventKind::PlanEnded {},
        ];
        let header = serde_json::to_string(&Header::new("test")).unwrap();
        let events = (1..)
            .zip(kinds)
            .map(|(seq, kind)| event_to_line(&Event { seq: Seq(seq), at_us: seq, source: Source::System, kind }));
        std::iter::once(header).chain(events).map(|line| line + "\n").collect()
    }

    #[test]
    fn a_history_that_is_judged_while_it_is_read_gives_the_same_findings_and_keeps_what_they_show() {
        let text = text();
        let at_once = JudgedHistory::new(read_history("test", &text).unwrap(), "again".to_owned());
        let open = || HistoryReader::of_history("test", text.as_bytes());
        let read = JudgedHistory::read(open, "again".to_owned()).unwrap();
        assert_eq!(read.judgement, at_once.judgement);
        assert_eq!(read.findings_text(), at_once.findings_text());
        for shown in ["#4", "stacks of loader", "repeat:  again"] {
            assert!(read.findings_text().contains(shown), "{}", read.findings_text());
        }
        let kept: Vec<Seq> = read.history.events().iter().map(|event| event.seq).collect();
        assert_eq!(kept, [Seq(2), Seq(4)]);
        let cut = || HistoryReader::of_history("test", &text.as_bytes()[..text.len() - 1]);
        assert!(JudgedHistory::read(cut, "again".to_owned()).is_err());
    }
}
