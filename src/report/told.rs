//! The findings of a run as text: each appears once, with every plan in which it occurs.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::check::Verdict;
use crate::report::plan_row::{PlanRow, RunVerdict};
use crate::report::verdict_json::FindingRow;

/// Most scenarios that one cause names.
const SCENARIOS_MAX: usize = 4;

/// One finding, in every plan of one loader that has it.
struct Told<'a> {
    /// Position of the plan that is shown: of those that have it, the one with the shortest history.
    shown: usize,
    finding: &'a FindingRow,
    /// Positions of all plans that have it, in their order.
    plans: Vec<usize>,
}

/// The findings of these plans, each once: in full from the plan with the shortest history, with the names of the other
/// plans. Plans without a finding have a note if necessary, one line for all plans with the same reason.
#[must_use]
pub fn told_once(plans: &[&PlanRow]) -> String {
    let told = told(plans);
    let mut text = String::new();
    for (index, plan) in plans.iter().enumerate() {
        let here: Vec<&Told<'_>> = told.iter().filter(|told| told.shown == index).collect();
        for Told { finding, plans: with, .. } in &here {
            text.push_str(&finding.text);
            if let Some(others) = others(plans, with, index) {
                line(&mut text, format_args!("  also in: {others}"));
            }
        }
        if let Some(last) = here.last() {
            text.push_str(&plan.stacks);
            line(&mut text, format_args!("  repeat:  {}", last.finding.repeat));
        }
    }
    text.push_str(&notes(plans));
    text
}

/// The findings of several plans, grouped by the plans in which they occur: findings of the same plans usually have one
/// cause. Empty if every full finding is above.
#[must_use]
pub fn causes_text(plans: &[&PlanRow]) -> String {
    let told = told(plans);
    if told.iter().all(|told| told.plans.len() == 1) {
        return String::new();
    }
    let mut causes: Vec<(&[usize], Vec<&Told<'_>>)> = Vec::new();
    for one in &told {
        match causes.iter_mut().find(|(with, _)| *with == one.plans) {
            Some((_, found)) => found.push(one),
            None => causes.push((&one.plans, vec![one])),
        }
    }
    causes.sort_by_key(|(with, _)| std::cmp::Reverse(with.len()));
    let mut text = "findings, grouped by the plans in which they occur:\n".to_owned();
    for (with, found) in causes {
        let mut scenarios: Vec<&str> = with.iter().map(|index| plans[*index].scenario.as_str()).collect();
        scenarios.dedup();
        let loader = plans[with[0]].loader.as_str();
        let n_more = scenarios.len().saturating_sub(SCENARIOS_MAX);
        let more = if n_more > 0 { format!(" and {n_more} more") } else { String::new() };
        let named = scenarios.iter().take(SCENARIOS_MAX).copied().collect::<Vec<_>>().join(", ");
        let noun = if with.len() == 1 { "plan" } else { "plans" };
        line(&mut text, format_args!("  {} {noun} of {loader} ({named}{more}):", with.len()));
        for Told { finding, .. } in found {
            line(&mut text, format_args!("    {} {}", word(finding.verdict), finding.signature));
        }
    }
    text
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Fail => "FAIL",
        Verdict::Warn => "WARN",
        _ => "INCONCLUSIVE",
    }
}

fn told<'a>(plans: &[&'a PlanRow]) -> Vec<Told<'a>> {
    let mut told: Vec<Told<'a>> = Vec::new();
    let mut known: BTreeMap<(&str, &str, Verdict, &str), usize> = BTreeMap::new();
    for (index, plan) in plans.iter().enumerate().filter(|(_, plan)| !plan.is_interrupted) {
        for finding in &plan.findings {
            // Failures of an experiment have many causes and few signatures.
            let because = if finding.verdict == Verdict::Inconclusive { finding.because.as_str() } else { "" };
            let key = (plan.loader.as_str(), finding.signature.as_str(), finding.verdict, because);
            let at = *known.entry(key).or_insert(told.len());
            match told.get_mut(at) {
                None => told.push(Told { shown: index, finding, plans: vec![index] }),
                Some(one) => {
                    one.plans.push(index);
                    if plan.n_events < plans[one.shown].n_events {
                        (one.shown, one.finding) = (index, finding);
                    }
                }
            }
        }
    }
    told
}

/// The other plans that have a finding, by scenario.
fn others(plans: &[&PlanRow], with: &[usize], shown: usize) -> Option<String> {
    let mut scenarios: Vec<(&str, Vec<String>)> = Vec::new();
    for plan in with.iter().filter(|index| **index != shown).map(|index| plans[*index]) {
        let first = format!("{}.{}.{}.{}.{}", plan.scenario, plan.loader, plan.transport, plan.revision, plan.server);
        let repeat = plan.id.strip_prefix(&first).unwrap_or_default().replace('.', " ");
        let variant = format!("{} {}{repeat}", plan.transport, plan.server);
        match scenarios.iter_mut().find(|(scenario, _)| *scenario == plan.scenario) {
            Some((_, variants)) => variants.push(variant),
            None => scenarios.push((&plan.scenario, vec![variant])),
        }
    }
    let listed = scenarios.iter().map(|(scenario, variants)| format!("{scenario} ({})", variants.join(", ")));
    let listed = listed.collect::<Vec<_>>().join("; ");
    (!listed.is_empty()).then_some(listed)
}

/// The lines of plans that say something without a finding.
fn notes(plans: &[&PlanRow]) -> String {
    let mut noted: Vec<(RunVerdict, &str, &str, usize)> = Vec::new();
    for plan in plans.iter().filter(|plan| !plan.is_interrupted && !plan.note.is_empty()) {
        let because = plan.because.as_deref().unwrap_or_default();
        match noted.iter_mut().find(|(verdict, known, _, _)| (*verdict, *known) == (plan.verdict, because)) {
            Some((_, _, _, n_plans)) => *n_plans += 1,
            None => noted.push((plan.verdict, because, &plan.note, 1)),
        }
    }
    let mut text = String::new();
    for (_, _, note, n_plans) in noted {
        match n_plans {
            1 => line(&mut text, format_args!("{note}")),
            2 => line(&mut text, format_args!("{note} (and 1 more plan)")),
            n_plans => line(&mut text, format_args!("{note} (and {} more plans)", n_plans - 1)),
        }
    }
    text
}

fn line(text: &mut String, arguments: std::fmt::Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(scenario: &str, server: &str, n_events: usize, found: &[(&str, &str)]) -> PlanRow {
        let ids: Vec<(&str, Verdict)> = found.iter().map(|(id, _)| (*id, Verdict::Fail)).collect();
        let mut plan = PlanRow::of_test("l", scenario, RunVerdict::Fail, &ids);
        server.clone_into(&mut plan.server);
        plan.n_events = n_events;
        for (finding, (id, text)) in plan.findings.iter_mut().zip(found) {
            finding.signature = format!("{id}/x");
            finding.text = format!("FAIL {id}: {text}\n");
            finding.repeat = format!("repeat {scenario}");
        }
        plan
    }

    #[test]
    fn a_finding_of_many_plans_is_told_once_from_the_shortest() {
        let plans = [
            plan("long", "polite", 90, &[("a", "in long"), ("b", "only here")]),
            plan("short", "polite", 10, &[("a", "in short")]),
            plan("short", "stubborn", 11, &[("a", "in stubborn")]),
        ];
        insta::assert_snapshot!(told_once(&plans.iter().collect::<Vec<_>>()), @"
        FAIL b: only here
          repeat:  repeat long
        FAIL a: in short
          also in: long (stdio polite); short (stdio stubborn)
          repeat:  repeat short
        ");
    }

    #[test]
    fn findings_of_the_same_plans_are_summed_up_together() {
        let both = [("a", "in both"), ("b", "in both")];
        let plans = [
            plan("long", "polite", 90, &both),
            plan("short", "polite", 10, &both),
            plan("short", "stubborn", 11, &[("c", "alone")]),
        ];
        insta::assert_snapshot!(causes_text(&plans.iter().collect::<Vec<_>>()), @"
        findings, grouped by the plans in which they occur:
          2 plans of l (long, short):
            FAIL a/x
            FAIL b/x
          1 plan of l (short):
            FAIL c/x
        ");
        assert_eq!(causes_text(&[&plans[0]]), "", "each is told in full already");
    }

    #[test]
    fn plans_that_did_not_run_for_one_reason_have_one_line() {
        let note = |scenario: &str, because: &str| {
            let mut plan = PlanRow::of_test("l", scenario, RunVerdict::NotApplicable, &[]);
            plan.because = Some(because.to_owned());
            plan.note = format!("NOT APPLICABLE {scenario}: {because}");
            plan
        };
        let plans = [note("a", "no threads"), note("b", "no threads"), note("c", "no loops")];
        insta::assert_snapshot!(told_once(&plans.iter().collect::<Vec<_>>()), @"
        NOT APPLICABLE a: no threads (and 1 more plan)
        NOT APPLICABLE c: no loops
        ");
    }
}
