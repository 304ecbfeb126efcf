//! `junit.xml`: a run as test reports show it.
//!
//! Each loader and transport is a suite, and each plan a case. A Fail is a failure; a plan without a verdict is an error. A plan in
//! which no rule was triggered is skipped, not passed.

use std::io;
use std::time::Duration;

use indexmap::IndexMap;
use quick_junit::{NonSuccessKind, Property, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use crate::check::Verdict;
use crate::report::format::{Detail, Format};
use crate::report::{FindingRow, PlanRow, RunReport, RunVerdict};

/// The format `junit`.
pub static JUNIT: Format = Format {
    name: "junit",
    file: "junit.xml",
    needs: Detail::Plans,
    render: |report: &RunReport| junit_xml(report).map_err(io::Error::other),
    render_verdicts: None,
};

/// The report as JUnit XML. Control characters and terminal escapes are left out, because XML cannot hold them.
fn junit_xml(report: &RunReport) -> Result<String, SerializeError> {
    let mut suites: IndexMap<String, TestSuite> = IndexMap::new();
    for plan in &report.plans {
        let name = format!("{} {}", plan.loader, plan.transport);
        let suite = suites.entry(name).or_insert_with_key(|name| TestSuite::new(name.as_str()));
        suite.add_test_case(case(plan));
    }
    let mut junit = Report::new(report.tool.as_str());
    junit.add_test_suites(suites.into_values());
    junit.to_string()
}

fn case(plan: &PlanRow) -> TestCase {
    let mut case = TestCase::new(case_name(plan), status(plan));
    case.set_classname(plan.loader.as_str());
    if let Some(ms) = plan.wall_ms {
        case.set_time(Duration::from_millis(ms));
    }
    case.add_property(Property::new("plan", plan.id.as_str()));
    case.add_property(Property::new("revision", plan.revision.as_str()));
    if plan.verdict == RunVerdict::Warn {
        case.set_system_out(characters(&plan.text));
    }
    case
}

/// Scenario, shutdown behaviour and repeat. Unique within a loader and a transport.
fn case_name(plan: &PlanRow) -> String {
    let PlanRow { id, scenario, loader, transport, revision, server, .. } = plan;
    let first = format!("{scenario}.{loader}.{transport}.{revision}.{server}");
    let repeat = id.strip_prefix(&first).and_then(|rest| rest.strip_prefix('.'));
    repeat.map_or_else(|| format!("{scenario} {server}"), |repeat| format!("{scenario} {server} {repeat}"))
}

fn status(plan: &PlanRow) -> TestCaseStatus {
    let text = &plan.text;
    let message = |default: &str| plan.because.clone().unwrap_or_else(|| default.to_owned());
    match plan.verdict {
        RunVerdict::Pass | RunVerdict::Warn => TestCaseStatus::success(),
        RunVerdict::Fail => non_success(NonSuccessKind::Failure, finding(plan, Verdict::Fail), text),
        RunVerdict::Inconclusive => {
            let found = finding(plan, Verdict::Inconclusive);
            let because = message("it could not be judged");
            non_success(NonSuccessKind::Error, found.or(Some(("inconclusive", &because))), text)
        }
        RunVerdict::Unavailable => {
            let because = message("the loader cannot be run here");
            non_success(NonSuccessKind::Error, Some(("unavailable", &because)), text)
        }
        RunVerdict::Vacuous => skipped(&message("nothing happened that could be judged")),
        RunVerdict::NotApplicable => skipped(&message("nothing applies")),
    }
}

/// The first finding with that verdict: its invariant and its reason.
fn finding(plan: &PlanRow, verdict: Verdict) -> Option<(&str, &str)> {
    let first = plan.findings.iter().find(|finding| finding.verdict == verdict);
    first.map(|FindingRow { invariant, because, .. }| (invariant.as_str(), because.as_str()))
}

fn non_success(kind: NonSuccessKind, found: Option<(&str, &str)>, text: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::non_success(kind);
    if let Some((invariant, because)) = found {
        status.set_type(invariant).set_message(characters(because));
    }
    if !text.is_empty() {
        status.set_description(characters(text));
    }
    status
}

fn skipped(because: &str) -> TestCaseStatus {
    let mut status = TestCaseStatus::skipped();
    status.set_message(characters(because));
    status
}

/// The text without two code points that XML 1.0 excludes. The writer removes the other ones.
fn characters(text: &str) -> String {
    text.replace(['\u{fffe}', '\u{ffff}'], "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(id: &str, verdict: RunVerdict, because: &str) -> PlanRow {
        let finding = FindingRow {
            invariant: "nothing-survives".to_owned(),
            verdict: Verdict::Fail,
            claim: None,
            because: because.to_owned(),
            witness: Vec::new(),
            events: Vec::new(),
            requirement: Vec::new(),
            signature: "nothing-survives".to_owned(),
            repeat: "mcp-lifecheck replay x".to_owned(),
            text: String::new(),
        };
        PlanRow {
            id: id.to_owned(),
            scenario: "x".to_owned(),
            loader: "l".to_owned(),
            transport: "stdio".to_owned(),
            revision: "2025-11-25".to_owned(),
            server: "polite".to_owned(),
            wall_ms: Some(1_500),
            findings: if verdict == RunVerdict::Fail { vec![finding] } else { Vec::new() },
            ..PlanRow::of(verdict)
        }
    }

    fn read_back(plans: Vec<PlanRow>, text: &str) -> Report {
        let mut report = RunReport::of(plans, false);
        report.plans.iter_mut().for_each(|plan| text.clone_into(&mut plan.text));
        Report::deserialize_from_str(&junit_xml(&report).unwrap()).unwrap()
    }

    #[test]
    fn every_verdict_is_counted_as_what_it_is() {
        use RunVerdict::{Fail, Inconclusive, NotApplicable, Pass, Unavailable, Vacuous, Warn};
        let all = [Pass, Fail, Warn, Vacuous, NotApplicable, Inconclusive, Unavailable];
        let plans = all.map(|verdict| plan("x.l.stdio.2025-11-25.polite.r2", verdict, "a child is left"));
        let junit = read_back(plans.to_vec(), "a text");
        assert_eq!((junit.tests, junit.failures, junit.errors), (7, 1, 2));
        let suite = &junit.test_suites[0];
        assert_eq!((suite.name.as_str(), suite.skipped_count()), ("l stdio", 2));
        assert_eq!(suite.test_cases[0].name.as_str(), "x polite r2");
        assert_eq!(suite.test_cases[2].system_out.as_ref().unwrap().as_str(), "a text");
    }

    trait SkippedCount {
        fn skipped_count(&self) -> usize;
    }

    impl SkippedCount for TestSuite {
        fn skipped_count(&self) -> usize {
            let is_skipped = |case: &&TestCase| matches!(case.status, TestCaseStatus::Skipped { .. });
            self.test_cases.iter().filter(is_skipped).count()
        }
    }

    #[test]
    fn text_that_xml_cannot_hold_does_no_harm() {
        let hostile = "\u{1b}[31mred\u{1b}[0m \u{0}\u{8}\u{ffff} <a href='b'> ]]> & \"q\"";
        let plans = vec![plan("x.l.stdio.2025-11-25.polite", RunVerdict::Fail, hostile)];
        let junit = read_back(plans, &format!("before\n{hostile}\nafter"));
        let TestCaseStatus::NonSuccess { message, ty, description, .. } = &junit.test_suites[0].test_cases[0].status
        else {
            panic!("a Fail is no success");
        };
        let kept = "red  <a href='b'> ]]> & \"q\"";
        assert_eq!(ty.as_ref().unwrap().as_str(), "nothing-survives");
        assert_eq!(message.as_ref().unwrap().as_str(), kept);
        assert_eq!(description.as_ref().unwrap().as_str(), format!("before\n{kept}\nafter"));
    }
}
