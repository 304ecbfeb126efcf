//! Suites `standard` and, in the modern era, `eras` leave no invariant without a verdict: what is never triggered proves nothing.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::rig::Rig;

/// Every invariant passes in at least one plan of the reference loader, over the transports it speaks, the one that is only run on
/// request among them, with polite servers and with stubborn ones. One that is vacuous, not applicable or not observable everywhere would be green for any loader.
#[test]
fn every_invariant_passes_somewhere() {
    let modern = vec!["eras", "--revision", "2026-07-28", "--transport", "memory"];
    let passed: BTreeSet<_> = [vec!["standard"], vec!["core", "--transport", "sse"], modern]
        .iter()
        .flat_map(|arguments| passed(arguments))
        .collect();
    let rig = Rig::new();
    let ran = rig.finish(rig.command(&["list", "invariants", "--format", "json"]));
    let known: Vec<Value> = serde_json::from_str(&ran.stdout).unwrap();
    assert!(!known.is_empty());
    let known = known.iter().map(|row| row["id"].as_str().unwrap().to_owned());
    let never: Vec<_> = known.filter(|id| !passed.contains(id)).collect();
    assert!(never.is_empty(), "invariants that passed in no plan: {never:?}");
}

/// The invariants that passed in any plan of a run in which nothing failed.
fn passed(arguments: &[&str]) -> BTreeSet<String> {
    let rig = Rig::new();
    let ran = rig.run(arguments);
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    let mut passed = BTreeSet::new();
    for plan in ran.report()["plans"].as_array().unwrap() {
        let path = rig.out().join(plan["id"].as_str().unwrap()).join("verdict.json");
        let verdict: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        let verdicts = verdict["verdicts"].as_object().unwrap().iter();
        passed.extend(verdicts.filter(|(_, verdict)| *verdict == "pass").map(|(id, _)| id.clone()));
    }
    passed
}
