//! A removal is a cleanup: the rules about cleanup and siblings report what breaks after it, not the rules about loads.

use super::RuleHistory;
use crate::check::Verdict;

#[test]
fn a_failure_after_a_removal_is_not_reported_as_a_failed_load_or_call() {
    for (name, untouched) in
        [("violated-reload-failed", "load-succeeds"), ("violated-sibling-call-failed", "call-after-load-succeeds")]
    {
        let histories = RuleHistory::all();
        let history = histories.iter().find(|history| history.name == name).unwrap();
        let judgement = history.judge();
        assert_eq!(judgement.finding("removal-spares-siblings").unwrap().verdict, Verdict::Fail, "{name}");
        let finding = judgement.finding(untouched).unwrap();
        assert!(matches!(finding.verdict, Verdict::Pass | Verdict::Vacuous), "{name}: {finding:?}");
    }
}
