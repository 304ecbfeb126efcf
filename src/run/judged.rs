//! A run held against its baseline, and the exit code that follows.

use std::path::Path;

use crate::check::Verdict;
use crate::plan::{Baseline, BaselineEntry, InputError, read_text};
use crate::report::{RunReport, RunVerdict};
use crate::run::select::Selected;
use crate::run::{ExitReason, RunError};

/// Reads a baseline for what was selected.
///
/// # Errors
/// With what is wrong in it, names that do not exist included.
pub(crate) fn read_baseline(file: &Path, selected: &[Selected]) -> Result<Baseline, RunError> {
    let shown = file.display().to_string();
    let baseline = Baseline::from_text(&shown, &read_text(file)?)?;
    known_baseline(&shown, &baseline, selected)?;
    Ok(baseline)
}

/// Refuses a baseline that names what does not exist; `shown` is what it is called.
pub(crate) fn known_baseline(shown: &str, baseline: &Baseline, selected: &[Selected]) -> Result<(), RunError> {
    for entry in &baseline.entries {
        let known_scenario = selected.iter().any(|selected| selected.scenario.name == entry.scenario)
            || crate::catalogue::shipped_scenario(&entry.scenario)?.is_some();
        if !known_scenario {
            let message = format!("found scenario {:?}, expected one that exists", entry.scenario);
            return Err(InputError::whole(shown, message).into());
        }
        if let Some(id) = entry.invariant.as_ref().filter(|id| crate::check::invariant(id).is_none()) {
            return Err(InputError::whole(shown, format!("found invariant {id:?}, expected one that exists")).into());
        }
    }
    Ok(())
}

/// A run held against its baseline.
pub(crate) struct Judged {
    /// A Fail, or a Warn, that the baseline does not accept.
    new_fail: bool,
    new_warn: bool,
    stale: Vec<BaselineEntry>,
}

impl Judged {
    pub(crate) fn of(report: &RunReport, baseline: Option<&Baseline>) -> Self {
        let entries = baseline.map(|baseline| baseline.entries.as_slice()).unwrap_or_default();
        let accepts = |entry: &BaselineEntry, scenario: &str, invariant: &str| {
            entry.scenario == scenario && entry.invariant.as_ref().is_none_or(|id| id == invariant)
        };
        let mut judged = Self { new_fail: false, new_warn: false, stale: Vec::new() };
        let mut found = vec![false; entries.len()];
        for plan in &report.plans {
            for finding in &plan.findings {
                let accepted = entries.iter().position(|entry| accepts(entry, &plan.scenario, &finding.invariant));
                match (accepted, finding.verdict) {
                    (_, Verdict::Inconclusive) => {}
                    (Some(index), _) => found[index] = true,
                    (None, Verdict::Fail) => judged.new_fail = true,
                    (None, _) => judged.new_warn = true,
                }
            }
        }
        let stale = entries.iter().zip(found).filter(|(entry, found)| !found && is_settled(report, &entry.scenario));
        judged.stale = stale.map(|(entry, _)| entry.clone()).collect();
        judged
    }

    /// What is to be said of the baseline.
    pub(crate) fn text(&self) -> String {
        let line = |entry: &BaselineEntry| {
            let invariant = entry.invariant.as_ref().map(|id| format!(":{id}")).unwrap_or_default();
            format!("STALE baseline entry {}{invariant}: listed and not found\n", entry.scenario)
        };
        self.stale.iter().map(line).collect()
    }

    pub(crate) fn reason(&self, report: &RunReport, strict: bool) -> ExitReason {
        if self.new_fail || !self.stale.is_empty() || strict && self.new_warn {
            return ExitReason::Violations;
        }
        let counts = &report.counts;
        // What the baseline accepts has been judged as well.
        let n_judged = counts.pass + counts.warn + counts.fail;
        let nothing_judged = n_judged == 0 && counts.not_applicable < counts.plans || counts.plans == 0;
        if report.interrupted || counts.inconclusive > 0 || counts.unavailable > 0 || nothing_judged {
            return ExitReason::Inconclusive;
        }
        ExitReason::Conforms
    }
}

/// Whether a scenario was judged, and that in all of its plans. Where one could not be judged, what an entry lists may
/// be just there; and an entry for a scenario that was not run says nothing.
fn is_settled(report: &RunReport, scenario: &str) -> bool {
    let mut is_judged = false;
    for plan in report.plans.iter().filter(|plan| plan.scenario == scenario) {
        match plan.verdict {
            RunVerdict::Pass | RunVerdict::Fail | RunVerdict::Warn | RunVerdict::Vacuous => is_judged = true,
            RunVerdict::NotApplicable => {}
            RunVerdict::Inconclusive | RunVerdict::Unavailable => return false,
        }
    }
    is_judged
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Counts, PlanRow};

    fn report(verdicts: &[RunVerdict]) -> RunReport {
        let row = |verdict: &RunVerdict| PlanRow {
            id: "x".to_owned(),
            scenario: "x".to_owned(),
            loader: "l".to_owned(),
            transport: "stdio".to_owned(),
            revision: "2025-11-25".to_owned(),
            server: "polite".to_owned(),
            verdict: *verdict,
            cpu_ms: None,
            wall_ms: None,
            because: None,
            findings: Vec::new(),
        };
        let plans: Vec<_> = verdicts.iter().map(row).collect();
        let counts = Counts::of(&plans);
        let tool = "mcp-vigil".to_owned();
        RunReport { schema: 1, tool, loaders: Vec::new(), counts, plans, modes: Default::default(), interrupted: false }
    }

    #[test]
    fn an_entry_is_stale_only_where_its_scenario_was_judged_in_all_plans() {
        use RunVerdict::{Fail, Inconclusive, NotApplicable, Pass, Unavailable, Vacuous, Warn};
        let entry = BaselineEntry { scenario: "x".to_owned(), invariant: None };
        let baseline = Baseline { entries: vec![entry] };
        for (verdicts, reason) in [
            (&[Pass][..], ExitReason::Violations),
            (&[Fail], ExitReason::Violations),
            (&[Warn, NotApplicable], ExitReason::Violations),
            (&[Vacuous], ExitReason::Violations),
            (&[NotApplicable], ExitReason::Conforms),
            (&[Pass, Inconclusive], ExitReason::Inconclusive),
            (&[Pass, Unavailable], ExitReason::Inconclusive),
            (&[], ExitReason::Inconclusive),
        ] {
            let report = report(verdicts);
            assert_eq!(Judged::of(&report, Some(&baseline)).reason(&report, false), reason, "{verdicts:?}");
        }
    }
}
