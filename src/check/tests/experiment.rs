//! The experiment itself, the load guard, promises, and the tables.

use std::collections::BTreeSet;

use super::{check, describe};
use crate::check::{EXPERIMENT, HOST_RULES, INVARIANTS, Judgement, PlanVerdict, Verdict, invariant, judge};
use crate::history::{Header, history_from_text};

fn judged(text: &str) -> Judgement {
    judge(&history_from_text("test", Header::new("test"), text).unwrap())
}

fn experiments(text: &str) -> Vec<String> {
    let findings = judged(text).findings;
    findings
        .iter()
        .filter(|finding| finding.invariant == "experiment")
        .map(|finding| finding.signature.to_string())
        .collect()
}

const READY: &str = "loader loader.ready adapter=test language=test operations=[] observes=[\"scopes\"]\n";

#[test]
fn every_cause_makes_a_plan_inconclusive() {
    let causes = [
        ("driver experiment.failed because=\"no port\"\ndriver plan.ended", "experiment/failed"),
        ("driver evidence.truncated what=stderr because=limit\ndriver plan.ended", "experiment/evidence-truncated"),
        ("driver fault.undelivered server=files fault=die\ndriver plan.ended", "experiment/fault-undelivered"),
        ("system limit.hit limit=tree because=\"400 processes\"\ndriver plan.ended", "experiment/limit-hit"),
        ("", "experiment/cut-off"),
    ];
    assert_eq!(causes.len(), EXPERIMENT.len());
    for (text, signature) in causes {
        let text = format!("{READY}{text}");
        assert_eq!(experiments(&text), [signature]);
        assert_eq!(judged(&text).verdict, PlanVerdict::Inconclusive);
    }
}

#[test]
fn a_plan_that_ended_well_has_no_finding_about_the_experiment() {
    let text = format!("{READY}driver plan.ended");
    assert_eq!(experiments(&text), Vec::<String>::new());
    assert_eq!(judged(&text).verdict, PlanVerdict::Pass);
}

#[test]
fn the_exit_limit_is_the_loaders_and_not_the_experiments() {
    assert_eq!(experiments("driver limit.hit limit=exit because=alive\ndriver plan.ended"), Vec::<String>::new());
}

#[test]
fn nothing_at_all_is_vacuous_and_never_green() {
    assert_eq!(judged("driver plan.ended").verdict, PlanVerdict::Vacuous);
}

#[test]
fn the_worst_finding_decides() {
    let fail = "loader error.reported channel=panic text=x\n";
    let warn = "system sample.taken label=idle window_us=1000000 cpu_us=990000 threads=1 rss_kib=1\n";
    let doubt = "driver experiment.failed because=x\n";
    let end = "driver plan.ended";
    assert_eq!(judged(&format!("{READY}{warn}{end}")).verdict, PlanVerdict::Warn);
    assert_eq!(judged(&format!("{READY}{warn}{doubt}{end}")).verdict, PlanVerdict::Inconclusive);
    assert_eq!(judged(&format!("{READY}{warn}{fail}{doubt}{end}")).verdict, PlanVerdict::Fail);
    // A killed supervisor takes its tree with it: the loader does not cause the EOFs and errors after that.
    assert_eq!(judged(&format!("{READY}{warn}{doubt}{fail}{end}")).verdict, PlanVerdict::Inconclusive);
}

#[test]
fn what_comes_to_light_behind_a_message_that_a_mock_could_not_read_is_no_fault() {
    let fail = "loader error.reported channel=panic text=x\n";
    let unread = "mock:files#1 evidence.truncated what=message because=long\n";
    let other = "mock:files#1 evidence.truncated what=answers because=long\n";
    let end = "driver plan.ended";
    let verdict = |text: &str| judged(text).finding("error-channels-silent").unwrap().verdict;
    assert_eq!(verdict(&format!("{READY}{unread}{fail}{end}")), Verdict::Inconclusive);
    assert_eq!(verdict(&format!("{READY}{fail}{unread}{end}")), Verdict::Fail);
    assert_eq!(verdict(&format!("{READY}{other}{fail}{end}")), Verdict::Fail);
}

#[test]
fn several_violations_are_one_finding_with_the_first_witness() {
    let report = "loader error.reported channel=panic text=x\n";
    let text = format!("{READY}{report}{report}{report}driver plan.ended");
    insta::assert_snapshot!(
        check(invariant("error-channels-silent").unwrap(), &text),
        @"fail an uncaught error came out of panic at #2 (and 2 more)"
    );
}

#[test]
fn the_load_guard_begins_above_a_fifth_of_the_bound() {
    let at = |delay_us: u64| {
        let text = format!(
            "{READY}system scheduling.delayed delay_us={delay_us}\n\
             driver operation.invoked operation=1 action=list in=task:main\n\
             driver operation.overdue operation=1 limit=operation bound_ms=10000\ndriver plan.ended"
        );
        judged(&text).finding("operation-completes").unwrap().verdict
    };
    // A fifth of 10 s is 2 s.
    assert_eq!(at(2_000_000), Verdict::Fail);
    assert_eq!(at(2_000_001), Verdict::Inconclusive);
}

#[test]
fn a_recorded_violation_counts_although_the_adapter_records_no_scopes() {
    let text = "loader loader.ready adapter=test language=test operations=[] observes=[]\n\
                loader scope.exit scope=s1 context={\"thread\":1} how=finaliser\ndriver plan.ended";
    let judgement = judged(text);
    insta::assert_snapshot!(
        describe(judgement.finding("scope-exit-explicit").unwrap()),
        @"fail scope s1 was left by a finaliser, in no loop on thread 1"
    );
}

#[test]
fn findings_come_in_the_order_of_the_table() {
    let judgement = judged("driver plan.ended");
    let ids: Vec<&str> = judgement.findings.iter().map(|finding| finding.invariant).collect();
    assert_eq!(ids, INVARIANTS.iter().map(|invariant| invariant.id).collect::<Vec<_>>());
}

#[test]
fn rows_of_the_tables_are_complete_and_unique() {
    for table in [INVARIANTS, HOST_RULES] {
        let ids: BTreeSet<&str> = table.iter().map(|invariant| invariant.id).collect();
        assert_eq!(ids.len(), table.len());
    }
    for invariant in INVARIANTS.iter().chain(HOST_RULES) {
        let is_kebab = invariant.id.chars().all(|c| c.is_ascii_lowercase() || c == '-');
        assert!(is_kebab, "{}", invariant.id);
        assert!(invariant.explain.len() > 200, "{}", invariant.id);
        assert!(!invariant.claim.ends_with('.') && !invariant.requirement.is_empty(), "{}", invariant.id);
        let kinds: BTreeSet<_> = invariant.kinds.iter().collect();
        assert_eq!(kinds.len(), invariant.kinds.len(), "{} subscribes twice to a kind", invariant.id);
    }
}
