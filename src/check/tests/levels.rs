//! The same fault has the same level of every subject, or `explain` says why not.

use std::collections::{BTreeMap, BTreeSet};

use super::RuleHistory;
use crate::check::{HOST_RULES, INVARIANTS, Invariant, LEVEL_DIFFERENCES, Verdict};

type Pair = [&'static str; 2];

fn listed() -> BTreeSet<Pair> {
    LEVEL_DIFFERENCES.iter().map(|difference| difference.rules).collect()
}

fn only_in(table: &'static [Invariant], other: &[Invariant]) -> impl Iterator<Item = &'static Invariant> + Clone {
    let others: BTreeSet<&str> = other.iter().map(|rule| rule.id).collect();
    table.iter().filter(move |rule| !others.contains(rule.id))
}

/// Rules for loaders alone beside rules for programs, with a requirement in common and different verdicts.
///
/// A rule that judges every subject judges the fault of its rows alike. So a pair needs one rule for loaders alone and one for programs
/// alone; `session-ended` judges all, and `session-deleted` is its stricter form for loaders.
fn differing() -> BTreeSet<Pair> {
    let of_programs = only_in(HOST_RULES, INVARIANTS);
    let pairs = only_in(INVARIANTS, HOST_RULES).flat_map(|one| of_programs.clone().map(move |other| (one, other)));
    let shares =
        |(one, other): &(&Invariant, &Invariant)| one.requirement.iter().any(|id| other.requirement.contains(id));
    let differ = pairs.filter(shares).filter(|(one, other)| one.level.verdict() != other.level.verdict());
    differ.map(|(one, other)| [one.id, other.id]).collect()
}

#[test]
fn rules_about_one_requirement_have_one_verdict_or_a_reason() {
    let unexplained: Vec<_> = differing().difference(&listed()).copied().collect();
    assert!(unexplained.is_empty(), "LEVEL_DIFFERENCES says nothing of {unexplained:?}");
}

/// The verdicts of the histories that violate each rule, by signature and subject. A variant may also be a warning in a revision that
/// only recommends it, so only sets that have nothing in common differ.
fn violated() -> BTreeMap<String, BTreeMap<bool, BTreeSet<Verdict>>> {
    let mut found: BTreeMap<String, BTreeMap<bool, BTreeSet<Verdict>>> = BTreeMap::new();
    for history in RuleHistory::all().iter().filter(|one| one.name.starts_with("violated")) {
        let judgement = history.judge();
        let finding = judgement.finding(&history.invariant).unwrap();
        if matches!(finding.verdict, Verdict::Fail | Verdict::Warn) {
            let subjects = found.entry(finding.signature.to_string()).or_default();
            subjects.entry(history.header.host.is_some()).or_default().insert(finding.verdict);
        }
    }
    found
}

#[test]
fn one_violation_has_one_verdict_of_loaders_and_programs_or_a_reason() {
    let mut differing = BTreeSet::new();
    for (signature, subjects) in violated() {
        let sets: Vec<&BTreeSet<Verdict>> = subjects.values().collect();
        if let [one, other] = sets.as_slice()
            && one.is_disjoint(other)
        {
            differing.insert(signature.split('/').next().unwrap_or_default().to_owned());
        }
    }
    let itself = |pair: &Pair| (pair[0] == pair[1]).then(|| pair[0].to_owned());
    let explained: BTreeSet<String> = listed().iter().filter_map(itself).collect();
    assert_eq!(differing, explained, "a rule whose verdict depends on the subject must say why");
}

#[test]
fn every_reason_is_about_two_rules_that_differ() {
    let level =
        |id: &str| INVARIANTS.iter().chain(HOST_RULES).find(|rule| rule.id == id).map(|rule| rule.level.verdict());
    for [one, other] in listed().into_iter().filter(|[one, other]| one != other) {
        let levels = (level(one), level(other));
        assert!(levels.0.is_some() && levels.1.is_some() && levels.0 != levels.1, "{one} and {other}: {levels:?}");
    }
}
