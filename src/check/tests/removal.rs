//! A removal is a cleanup: what breaks behind it is told by the invariants about cleanup and siblings, not by those about loads.

use super::Fixture;
use crate::check::Verdict;

#[test]
fn what_breaks_at_a_removal_is_not_told_as_a_failed_load_or_call() {
    for (name, untouched) in
        [("violated-reload-failed", "load-succeeds"), ("violated-sibling-call-failed", "call-after-load-succeeds")]
    {
        let fixtures = Fixture::all();
        let fixture = fixtures.iter().find(|fixture| fixture.name == name).unwrap();
        let judgement = fixture.judge();
        assert_eq!(judgement.finding("removal-spares-siblings").unwrap().verdict, Verdict::Fail, "{name}");
        let finding = judgement.finding(untouched).unwrap();
        assert!(matches!(finding.verdict, Verdict::Pass | Verdict::Vacuous), "{name}: {finding:?}");
    }
}
