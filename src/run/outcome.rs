//! A run compared with its baseline, and the exit code that follows.

use std::path::Path;

use crate::catalogue::{scenario_names, shipped_baseline};
use crate::check::{HOST_RULES, INVARIANTS, Verdict, invariant};
use crate::plan::{Baseline, BaselineEntry, InputError, did_you_mean, read_text};
use crate::report::{PlanRow, RunReport, RunVerdict};
use crate::run::select::Selected;
use crate::run::{ExitReason, RunError};

/// Reads a baseline for the selected plans.
///
/// # Errors
/// When the file is malformed or names a scenario or an invariant that does not exist.
pub fn read_baseline(file: &Path, selected: &[Selected]) -> Result<Baseline, RunError> {
    let shown = file.display().to_string();
    let baseline = Baseline::from_text(&shown, &read_text(file)?)?;
    known_baseline(&shown, &baseline, selected)?;
    Ok(baseline)
}

/// Refuses a baseline that names an unknown scenario or invariant. `shown` names the baseline in the error.
pub fn known_baseline(shown: &str, baseline: &Baseline, selected: &[Selected]) -> Result<(), RunError> {
    for entry in &baseline.entries {
        let known_scenario = selected.iter().any(|selected| selected.scenario.name == entry.scenario)
            || crate::catalogue::shipped_scenario(&entry.scenario)?.is_some();
        if !known_scenario {
            let near = did_you_mean(&entry.scenario, scenario_names());
            let message = format!(
                "found scenario {:?}, expected one that `mcp-lifecheck list scenarios` shows{near}",
                entry.scenario
            );
            return Err(InputError::whole(shown, message).into());
        }
        entry.invariant.iter().try_for_each(|id| check_invariant(shown, id))?;
    }
    Ok(())
}

/// Refuses an invariant that does not exist, in the file called `shown`.
pub(crate) fn check_invariant(shown: &str, id: &str) -> Result<(), InputError> {
    if invariant(id).is_some() {
        return Ok(());
    }
    let near = did_you_mean(id, INVARIANTS.iter().chain(HOST_RULES).map(|known| known.id));
    Err(InputError::whole(
        shown,
        format!("found invariant {id:?}, expected one that `mcp-lifecheck list invariants` shows{near}"),
    ))
}

/// The findings that baselines accept.
#[derive(Debug, Default)]
pub struct Accepted {
    entries: Vec<AcceptedEntry>,
}

#[derive(Debug)]
struct AcceptedEntry {
    /// The loader that the entry is about. `None` means every loader.
    loader: Option<String>,
    entry: BaselineEntry,
}

impl Accepted {
    /// Adds a baseline for one loader, or for every loader of the run.
    pub fn add(&mut self, loader: Option<&str>, baseline: &Baseline) {
        let own = |entry: &BaselineEntry| AcceptedEntry { loader: loader.map(str::to_owned), entry: entry.clone() };
        self.entries.extend(baseline.entries.iter().map(own));
    }

    /// Adds the shipped baseline of each selected loader.
    ///
    /// # Errors
    /// When a shipped file is malformed: a defect of this build, which a test finds.
    pub fn add_shipped(&mut self, selected: &[Selected]) -> Result<(), RunError> {
        let mut names: Vec<&str> =
            selected.iter().filter(|one| one.target.file.is_none()).map(|one| one.target.name.as_str()).collect();
        names.dedup();
        for name in names {
            if let Some((file, text)) = shipped_baseline(name) {
                let baseline = Baseline::from_text(&file, text)?;
                known_baseline(&file, &baseline, selected)?;
                self.add(Some(name), &baseline);
            }
        }
        Ok(())
    }
}

impl AcceptedEntry {
    fn is_about(&self, plan: &PlanRow) -> bool {
        self.loader.as_ref().is_none_or(|loader| *loader == plan.loader)
            && self.entry.is_about(&plan.scenario, &plan.transport, &plan.server)
    }

    fn accepts(&self, plan: &PlanRow, invariant: &str) -> bool {
        self.is_about(plan) && self.entry.accepts(invariant)
    }

    fn shown(&self) -> String {
        let loader = self.loader.as_ref().map(|loader| format!(" of {loader}")).unwrap_or_default();
        format!("{}{loader}", self.entry)
    }
}

/// A run compared with the accepted findings.
pub struct RunOutcome {
    /// Whether a Fail is not accepted.
    new_fail: bool,
    /// Whether a Warn is not accepted.
    new_warn: bool,
    /// Number of accepted findings.
    n_accepted: usize,
    /// For each plan of the report: whether it has findings and all are accepted.
    is_accepted: Vec<bool>,
    /// Entries without a finding, as text.
    stale: Vec<String>,
}

impl RunOutcome {
    /// Compares a run. The findings of the loader of `--against` do not count.
    pub fn of(report: &RunReport, accepted: &Accepted) -> Self {
        let mut outcome =
            Self { new_fail: false, new_warn: false, n_accepted: 0, is_accepted: Vec::new(), stale: Vec::new() };
        let mut found = vec![false; accepted.entries.len()];
        let against = report.comparison.as_ref().map(|comparison| comparison.against.as_str());
        for plan in &report.plans {
            let mut n_open = 0;
            for finding in &plan.findings {
                let entry = accepted.entries.iter().position(|entry| entry.accepts(plan, &finding.invariant));
                match (entry, finding.verdict) {
                    (_, Verdict::Inconclusive) => n_open += 1,
                    (Some(index), _) => {
                        found[index] = true;
                        outcome.n_accepted += 1;
                    }
                    (None, verdict) => {
                        n_open += 1;
                        let is_judged = against != Some(plan.loader.as_str());
                        outcome.new_fail |= is_judged && verdict == Verdict::Fail;
                        outcome.new_warn |= is_judged && verdict == Verdict::Warn;
                    }
                }
            }
            outcome.is_accepted.push(!plan.findings.is_empty() && n_open == 0);
        }
        let stale = accepted.entries.iter().zip(found).filter(|(entry, found)| !found && is_settled(report, entry));
        outcome.stale = stale.map(|(entry, _)| entry.shown()).collect();
        outcome
    }

    /// Whether the plan at this position of the report has findings and all are accepted.
    pub fn is_accepted(&self, index: usize) -> bool {
        self.is_accepted.get(index).copied().unwrap_or(false)
    }

    /// The number of accepted findings and the stale entries, as text.
    pub fn text(&self) -> String {
        let mut text = match self.n_accepted {
            0 => String::new(),
            1 => "1 finding is accepted by a baseline\n".to_owned(),
            n => format!("{n} findings are accepted by a baseline\n"),
        };
        for entry in &self.stale {
            text.push_str(&format!("STALE baseline entry {entry}: listed and not found\n"));
        }
        text
    }

    pub fn reason(&self, report: &RunReport, strict: bool) -> ExitReason {
        if self.new_fail || !self.stale.is_empty() || strict && self.new_warn {
            return ExitReason::Violations;
        }
        let counts = &report.counts;
        // A plan whose findings are all accepted has been judged as well.
        let n_judged = counts.pass + counts.warn + counts.fail;
        let nothing_judged = n_judged == 0 && counts.not_applicable < counts.plans || counts.plans == 0;
        if report.interrupted || counts.inconclusive > 0 || counts.unavailable > 0 || nothing_judged {
            return ExitReason::Inconclusive;
        }
        ExitReason::Conforms
    }
}

/// Whether all plans that an entry is about were judged, and at least one was.
///
/// In a plan without a verdict, the listed finding may still be there. An entry for a scenario that did not run says nothing.
fn is_settled(report: &RunReport, entry: &AcceptedEntry) -> bool {
    let mut is_judged = false;
    for plan in report.plans.iter().filter(|plan| entry.is_about(plan)) {
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
    use crate::plan::{ShutdownBehaviour, Transport};
    use crate::report::Comparison;

    const ENTRY: BaselineEntry =
        BaselineEntry { scenario: String::new(), invariant: None, transport: None, server: None };

    fn report(plans: Vec<PlanRow>) -> RunReport {
        RunReport::of(plans, false)
    }

    fn accepted(loader: Option<&str>, entry: BaselineEntry) -> Accepted {
        let mut accepted = Accepted::default();
        accepted.add(loader, &Baseline { entries: vec![BaselineEntry { scenario: "x".to_owned(), ..entry }] });
        accepted
    }

    #[test]
    fn an_entry_is_stale_only_where_its_scenario_was_judged_in_all_plans() {
        use RunVerdict::{Fail, Inconclusive, NotApplicable, Pass, Unavailable, Vacuous, Warn};
        let accepted = accepted(None, ENTRY);
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
            let report = report(verdicts.iter().map(|verdict| PlanRow::of_test("l", "x", *verdict, &[])).collect());
            assert_eq!(RunOutcome::of(&report, &accepted).reason(&report, false), reason, "{verdicts:?}");
        }
    }

    #[test]
    fn an_entry_accepts_what_its_loader_does_over_its_transport_and_nothing_else() {
        let report = report(vec![PlanRow::of_test("l", "x", RunVerdict::Fail, &[("a", Verdict::Fail)])]);
        let over = |transport| BaselineEntry { transport: Some(transport), ..ENTRY };
        let with = |server| BaselineEntry { server: Some(server), ..ENTRY };
        let invariant = |id: &str| BaselineEntry { invariant: Some(id.to_owned()), ..ENTRY };
        for (loader, entry, reason) in [
            (None, ENTRY, ExitReason::Conforms),
            (Some("l"), ENTRY, ExitReason::Conforms),
            (Some("other"), ENTRY, ExitReason::Violations),
            (None, over(Transport::Stdio), ExitReason::Conforms),
            (None, over(Transport::Http), ExitReason::Violations),
            (None, with(ShutdownBehaviour::Polite), ExitReason::Conforms),
            (None, with(ShutdownBehaviour::Stubborn), ExitReason::Violations),
            (None, invariant("a"), ExitReason::Conforms),
            (None, invariant("b"), ExitReason::Violations),
        ] {
            let outcome = RunOutcome::of(&report, &accepted(loader, entry.clone()));
            assert_eq!(outcome.reason(&report, false), reason, "{loader:?} {entry:?}");
            let is_accepted = reason == ExitReason::Conforms;
            assert_eq!((outcome.is_accepted(0), outcome.n_accepted), (is_accepted, usize::from(is_accepted)));
        }
        // An entry for another transport or loader is not stale, because no plan of its own ran.
        let of_http = RunOutcome::of(&report, &accepted(None, over(Transport::Http)));
        assert!(of_http.stale.is_empty(), "{:?}", of_http.stale);
        let stale = RunOutcome::of(&report, &accepted(Some("l"), invariant("b"))).text();
        assert_eq!(stale, "STALE baseline entry x:b of l: listed and not found\n");
    }

    #[test]
    fn the_loader_of_against_is_not_judged() {
        let fail = [("a", Verdict::Fail)];
        let mut report = report(vec![
            PlanRow::of_test("after", "x", RunVerdict::Pass, &[]),
            PlanRow::of_test("before", "x", RunVerdict::Fail, &fail),
        ]);
        let reason = |report: &RunReport| RunOutcome::of(report, &Accepted::default()).reason(report, false);
        assert_eq!(reason(&report), ExitReason::Violations);
        report.comparison = Some(Comparison::of("after", "before", &report.plans));
        assert_eq!(reason(&report), ExitReason::Conforms);
        report.comparison = Some(Comparison::of("before", "after", &report.plans));
        assert_eq!(reason(&report), ExitReason::Violations);
    }
}
