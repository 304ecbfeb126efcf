//! A finding as text: invariant, claim, reason, witness, stacks, and the command that repeats it.

use std::fmt::Write as _;

use crate::check::{Finding, Judgement, Verdict, invariant};
use crate::history::{Event, EventKind, Failure, History, Outcome, event_to_text};

/// Most witness events of a finding.
const WITNESS_MAX: usize = 8;
/// Longest line of a witness, in characters.
const LINE_CHARS_MAX: usize = 240;
/// Most lines of each stack dump.
const STACK_LINES_MAX: usize = 30;

/// Every finding of a plan that is not green. `repeat` is the command line that repeats the plan.
#[must_use]
pub fn findings_text(history: &History, judgement: &Judgement, repeat: &str) -> String {
    let shown = |finding: &&Finding| matches!(finding.verdict, Verdict::Fail | Verdict::Warn | Verdict::Inconclusive);
    let mut text: String =
        judgement.findings.iter().filter(shown).map(|finding| finding_text(history, finding)).collect();
    if !text.is_empty() {
        text.push_str(&stacks_text(history));
        line(&mut text, format_args!("  repeat:  {repeat}\n"));
    }
    text
}

/// One finding without the stacks of its plan and the command that repeats it. Empty for a finding that is green.
#[must_use]
pub fn finding_text(history: &History, finding: &Finding) -> String {
    let mut text = String::new();
    let word = match finding.verdict {
        Verdict::Fail => "FAIL",
        Verdict::Warn => "WARN",
        Verdict::Inconclusive => "INCONCLUSIVE",
        Verdict::Pass | Verdict::Vacuous | Verdict::NotObservable | Verdict::NotApplicable => return text,
    };
    line(&mut text, format_args!("{word} {} ({})\n", finding.invariant, history.header().plan));
    if let Some(invariant) = invariant(finding.invariant) {
        line(&mut text, format_args!("  claim:   {}\n", invariant.claim));
    }
    line(&mut text, format_args!("  because: {}\n", finding.because));
    for shown in witness_texts(history, finding) {
        line(&mut text, format_args!("    {shown}\n"));
    }
    text
}

/// The events that show a finding, each as a line of text.
pub(super) fn witness_texts(history: &History, finding: &Finding) -> Vec<String> {
    let events = finding.witness.iter().take(WITNESS_MAX).filter_map(|seq| history.event(*seq));
    events.map(witness_text).collect()
}

/// One event as a line of text. In JSON, the lines of the loader's code are among its fields; here they are written as
/// words.
fn witness_text(event: &Event) -> String {
    let mut kind = event.kind.clone();
    let code = match &mut kind {
        EventKind::ScopeEntered { code, .. }
        | EventKind::ScopeLeft { code, .. }
        | EventKind::ErrorReported { code, .. }
        | EventKind::OperationCompleted { outcome: Outcome::Failed(Failure { code, .. }), .. } => std::mem::take(code),
        _ => Vec::new(),
    };
    let text = if code.is_empty() { event_to_text(event) } else { event_to_text(&Event { kind, ..event.clone() }) };
    let lines: Vec<String> = code.iter().map(ToString::to_string).collect();
    let at = if lines.is_empty() { String::new() } else { format!(" (at {})", lines.join(", called at ")) };
    text.chars().take(LINE_CHARS_MAX).collect::<String>() + &at
}

/// The stacks of a plan that hung: those of the loader's own language, or else those of the kernel.
#[must_use]
pub fn stacks_text(history: &History) -> String {
    let mut text = String::new();
    let is_of_loader = |event: &Event| matches!(&event.kind, EventKind::StacksTaken { of, .. } if of == "loader");
    let has_own = history.events().iter().any(is_of_loader);
    for event in history.events() {
        if let EventKind::StacksTaken { of, text: stacks, .. } = &event.kind {
            if has_own && of == "system" {
                line(
                    &mut text,
                    format_args!("  stacks of the kernel, of every thread: {} in history.jsonl\n", event.seq),
                );
                continue;
            }
            line(&mut text, format_args!("  stacks of {of}, taken before the end ({}):\n", event.seq));
            for shown in stacks.lines().take(STACK_LINES_MAX) {
                line(&mut text, format_args!("    {shown}\n"));
            }
            let n_more = stacks.lines().count().saturating_sub(STACK_LINES_MAX);
            if n_more > 0 {
                line(&mut text, format_args!("    … {n_more} more lines in history.jsonl\n"));
            }
        }
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    text.write_fmt(arguments).expect("writing to a string cannot fail");
}
