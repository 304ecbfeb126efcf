//! `mcp-lifecheck check`: judges recorded histories without their programs.

use std::collections::BTreeMap;
use std::io::{BufRead, Read};
use std::path::{Path, PathBuf};

use mcp_lifecheck::check::{PlanVerdict, Verdict};
use mcp_lifecheck::history::{HistoryReader, is_trace, read_trace};
use mcp_lifecheck::plan::{InputError, TEXT_BYTES_MAX, open_text, read_text};
use mcp_lifecheck::run::{ExitReason, JudgedHistory, RunError};

use crate::args::{CheckArgs, FromArg};
use crate::print::say;

/// Longest line of ids.
const IDS_WIDTH: usize = 100;

/// Judges recorded histories.
pub(crate) fn check(arguments: &CheckArgs) -> Result<ExitReason, RunError> {
    let mut judged = Vec::new();
    for path in &arguments.histories {
        let path = history_path(path)?;
        let read = judge(&path, arguments.from)?;
        judged.push((path, read));
    }
    say(&text_of(arguments, &judged))?;
    Ok(reason(judged.iter().map(|(_, judged)| judged.verdict()), arguments.strict))
}

fn judge(path: &Path, from: Option<FromArg>) -> Result<JudgedHistory, InputError> {
    let (file, repeat) = (path.display().to_string(), format!("mcp-lifecheck check {}", path.display()));
    let is_of_messages = match from {
        Some(FromArg::Journal) => false,
        Some(FromArg::Trace) => true,
        None => is_trace(&first_line(path)?),
    };
    match from {
        _ if is_of_messages => Ok(JudgedHistory::new(read_trace(&file, &read_text(path)?)?, repeat)),
        Some(FromArg::Journal) => JudgedHistory::read(|| HistoryReader::of_journal(&file, open_text(path)?), repeat),
        Some(FromArg::Trace) | None => {
            JudgedHistory::read(|| HistoryReader::of_history(&file, open_text(path)?), repeat)
        }
    }
}

/// The first line of a file that is not blank; empty if there is none that is text and of some length.
fn first_line(path: &Path) -> Result<String, InputError> {
    let lines = open_text(path)?.take(TEXT_BYTES_MAX).lines().map_while(Result::ok);
    Ok(lines.into_iter().find(|line| !line.trim().is_empty()).unwrap_or_default())
}

fn history_path(path: &Path) -> Result<PathBuf, InputError> {
    if !path.is_dir() {
        return Ok(path.to_path_buf());
    }
    let history = path.join("history.jsonl");
    if history.exists() {
        return Ok(history);
    }
    let message = "found a folder without history.jsonl, expected the folder of one plan, such as \
                   target/mcp-lifecheck/last/PLAN";
    Err(InputError::whole(&path.display().to_string(), message))
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
        text.push_str(&format!("  not observable: {because}:\n{}", wrapped(&ids)));
    }
    text
}

/// Ids in lines of readable length, each line indented.
fn wrapped(ids: &[&str]) -> String {
    let mut lines = vec![String::new()];
    for (index, id) in ids.iter().enumerate() {
        let item = if index + 1 < ids.len() { format!("{id},") } else { (*id).to_owned() };
        match lines.last_mut() {
            Some(line) if line.is_empty() => line.push_str(&item),
            Some(line) if line.len() + 1 + item.len() <= IDS_WIDTH => line.push_str(&format!(" {item}")),
            Some(_) | None => lines.push(item),
        }
    }
    lines.iter().map(|line| format!("    {line}\n")).collect()
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
