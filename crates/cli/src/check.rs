//! `mcp-lifecheck check`: judges recorded histories without their programs.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use mcp_lifecheck::check::{PlanVerdict, Verdict};
use mcp_lifecheck::history::{History, is_trace, read_history, read_journal, read_trace};
use mcp_lifecheck::plan::{InputError, read_text};
use mcp_lifecheck::run::{ExitReason, JudgedHistory, RunError};

use crate::args::{CheckArgs, FromArg};
use crate::print::say;

/// Judges recorded histories.
pub(crate) fn check(arguments: &CheckArgs) -> Result<ExitReason, RunError> {
    let mut judged = Vec::new();
    for path in &arguments.histories {
        let path = history_path(path);
        let history = read(&path, arguments.from)?;
        let repeat = format!("mcp-lifecheck check {}", path.display());
        judged.push((path, JudgedHistory::new(history, repeat)));
    }
    say(&text_of(arguments, &judged))?;
    Ok(reason(judged.iter().map(|(_, judged)| judged.verdict()), arguments.strict))
}

fn read(path: &Path, from: Option<FromArg>) -> Result<History, InputError> {
    let (file, text) = (path.display().to_string(), read_text(path)?);
    match from {
        Some(FromArg::Journal) => read_journal(&file, &text),
        Some(FromArg::Trace) => read_trace(&file, &text),
        None if is_trace(&text) => read_trace(&file, &text),
        None => read_history(&file, &text),
    }
}

fn history_path(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("history.jsonl") } else { path.to_path_buf() }
}

fn text_of(arguments: &CheckArgs, judged: &[(PathBuf, JudgedHistory)]) -> String {
    if let Some(render) = arguments.format.and_then(|format| format.render_verdicts) {
        let verdicts: Vec<_> = judged.iter().map(|(_, judged)| judged.report()).collect();
        return render(&verdicts);
    }
    let mut text = String::new();
    for (path, judged) in judged {
        text.push_str(&judged.findings_text());
        let word = mcp_lifecheck::report::RunVerdict::from(judged.verdict()).word();
        text.push_str(&format!("{}: {word}\n", path.display()));
        text.push_str(&not_observable_text(judged));
    }
    text
}

/// The rules that cannot be judged because of what recorded the history, by reason. Empty for a history of the harness.
fn not_observable_text(judged: &JudgedHistory) -> String {
    let origin = judged.history.header().origin;
    if origin.is_harness() {
        return String::new();
    }
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    let findings = &judged.judgement.findings;
    for finding in findings.iter().filter(|finding| finding.verdict == Verdict::NotObservable) {
        by_reason.entry(&finding.because).or_default().push(finding.invariant);
    }
    let rules = |n: usize| if n == 1 { "1 rule".to_owned() } else { format!("{n} rules") };
    let n_passed = findings.iter().filter(|finding| finding.verdict == Verdict::Pass).count();
    let n_hidden = by_reason.values().map(Vec::len).sum();
    let mut text = format!("  {} held, {} not observable in {}\n", rules(n_passed), rules(n_hidden), origin.name());
    for (because, ids) in by_reason {
        text.push_str(&format!("  not observable: {because}: {}\n", ids.join(", ")));
    }
    text
}

/// The exit reason of these verdicts, without a baseline.
fn reason(verdicts: impl Iterator<Item = PlanVerdict>, strict: bool) -> ExitReason {
    let verdicts: Vec<_> = verdicts.collect();
    let any = |wanted: PlanVerdict| verdicts.contains(&wanted);
    if any(PlanVerdict::Fail) || strict && any(PlanVerdict::Warn) {
        return ExitReason::Violations;
    }
    if any(PlanVerdict::Inconclusive) || !(any(PlanVerdict::Pass) || any(PlanVerdict::Warn)) {
        return ExitReason::Inconclusive;
    }
    ExitReason::Conforms
}
