//! `mcp-lifecheck check`: judges recorded histories without their programs.

use std::path::{Path, PathBuf};

use mcp_lifecheck::check::PlanVerdict;
use mcp_lifecheck::history::read_history;
use mcp_lifecheck::plan::read_text;
use mcp_lifecheck::run::{ExitReason, JudgedHistory, RunError};

use crate::args::CheckArgs;
use crate::print::say;

/// Judges recorded histories.
pub(crate) fn check(arguments: &CheckArgs) -> Result<ExitReason, RunError> {
    // A journal has the shape of a history, so the flag changes nothing. It says that the history has no loader's view.
    let _ = arguments.from;
    let mut judged = Vec::new();
    for path in &arguments.histories {
        let path = history_path(path);
        let history = read_history(&path.display().to_string(), &read_text(&path)?)?;
        let repeat = format!("mcp-lifecheck check {}", path.display());
        judged.push((path, JudgedHistory::new(history, repeat)));
    }
    say(&text_of(arguments, &judged))?;
    Ok(reason(judged.iter().map(|(_, judged)| judged.verdict()), arguments.strict))
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
