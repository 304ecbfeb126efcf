//! `mcp-lifecheck check`: the same verdict later, without the loader.

use std::path::{Path, PathBuf};

use mcp_lifecheck::check::{Judgement, PlanVerdict, judge};
use mcp_lifecheck::history::{History, read_history};
use mcp_lifecheck::plan::read_text;
use mcp_lifecheck::report::VerdictReport;
use mcp_lifecheck::report::findings_text;
use mcp_lifecheck::run::{ExitReason, RunError};

use crate::args::CheckArgs;
use crate::print::say;

/// Judges recorded histories.
pub(crate) fn check(arguments: &CheckArgs) -> Result<ExitReason, RunError> {
    // Both kinds have one shape; the flag says that a journal of a mock alone is meant, without a loader's view.
    let _ = arguments.from;
    let mut judged = Vec::new();
    for path in &arguments.histories {
        let path = history_path(path);
        let history = read_history(&path.display().to_string(), &read_text(&path)?)?;
        let judgement = judge(&history);
        judged.push((path, history, judgement));
    }
    say(&text_of(arguments, &judged))?;
    Ok(reason(judged.iter().map(|(_, _, judgement)| judgement.verdict), arguments.strict))
}

fn history_path(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("history.jsonl") } else { path.to_path_buf() }
}

fn text_of(arguments: &CheckArgs, judged: &[(PathBuf, History, Judgement)]) -> String {
    let repeat = |path: &Path| format!("mcp-lifecheck check {}", path.display());
    if arguments.format.is_some() {
        let reports: Vec<_> = judged
            .iter()
            .map(|(path, history, judgement)| VerdictReport::new(history.header(), judgement, &repeat(path)))
            .collect();
        return serde_json::to_string(&reports).expect("a report has string keys only");
    }
    let mut text = String::new();
    for (path, history, judgement) in judged {
        text.push_str(&findings_text(history, judgement, &repeat(path)));
        let word = mcp_lifecheck::report::RunVerdict::from(judgement.verdict).word();
        text.push_str(&format!("{}: {word}\n", path.display()));
    }
    text
}

/// The exit reason that verdicts lead to, without a baseline.
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
