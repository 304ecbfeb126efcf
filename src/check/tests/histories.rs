//! Histories of the rules: `tests/histories/RULE/{holds,violated,vacuous}[-VARIANT].txt`.

use std::collections::BTreeSet;

use super::{RuleHistory, describe};
use crate::check::{HOST_RULES, INVARIANTS, PlanVerdict, Verdict, invariant};

#[test]
fn every_history_gets_the_verdict_it_expects() {
    let mut wrong = String::new();
    for history in RuleHistory::all().iter().filter(|history| history.invariant != "whole-lives") {
        let judgement = history.judge();
        let found = describe(judgement.finding(&history.invariant).unwrap());
        if found != history.expected {
            let RuleHistory { invariant, name, expected, .. } = history;
            wrong.push_str(&format!(
                "tests/histories/{invariant}/{name}.txt\n  expect: {expected}\n  found:  {found}\n"
            ));
        }
    }
    assert!(wrong.is_empty(), "correct the rule, or the line `// expect:` of the history:\n{wrong}");
}

#[test]
fn the_name_of_a_history_gives_its_verdict_and_its_variant() {
    for history in RuleHistory::all().iter().filter(|history| history.invariant != "whole-lives") {
        let judgement = history.judge();
        let finding = judgement.finding(&history.invariant).unwrap();
        let verdicts: &[Verdict] = match history.name.split('-').next().unwrap() {
            "holds" => &[Verdict::Pass],
            "violated" => &[Verdict::Fail, Verdict::Warn],
            "vacuous" => &[Verdict::Vacuous],
            "inconclusive" => &[Verdict::Inconclusive],
            "not" => &[Verdict::NotObservable, Verdict::NotApplicable],
            other => panic!("unknown beginning {other} of {}", history.name),
        };
        assert!(verdicts.contains(&finding.verdict), "{}/{}: {finding:?}", history.invariant, history.name);
        if let Some(variant) = history.name.strip_prefix("violated-") {
            let found = finding.signature.strip_prefix(&format!("{}/", history.invariant)).unwrap();
            let is_named = variant == found || variant.starts_with(&format!("{found}-"));
            let id = format!("{}/{}", history.invariant, history.name);
            assert!(is_named, "{id}: expected a name that begins with violated-{found}, the variant of the violation");
        }
    }
}

#[test]
fn where_a_rule_holds_or_is_vacuous_no_other_rule_is_broken() {
    // Histories in which something else is broken on purpose: what is excused here is another rule's case.
    let broken_elsewhere = [
        // The harness killed a loader that hung.
        "scope-exit-explicit/vacuous-after-kill",
        "nothing-survives/vacuous-after-kill",
        "error-channels-silent/holds-after-kill",
        "call-after-load-succeeds/vacuous-held-by-script",
        // A crash is operation-completes/process-lost, and nothing else.
        "scope-open-until-cleanup/vacuous-loader-crashed",
        // A load that waits forever is operation-completes/load-overdue, and nothing else.
        "load-succeeds/vacuous-silent",
        // Its rungs are a millisecond apart, because it is written without times.
        "eof-before-signal/holds-whole-ladder",
        // Two clients without a driver, whose arguments look like the number of one operation.
        "sent-back-call-keeps-state/holds-two-clients",
        // The stream is requested again at one pace on purpose.
        "forbidden-not-repeated/holds-other-credentials",
        "unauthorized-not-repeated/holds-other-credentials",
        // The first cleanup fails on purpose.
        "repeated-cleanup-quiet/vacuous-after-failure",
    ];
    let mut wrong = String::new();
    // A history of a program that was only started and watched is an excerpt, which breaks rules about what it leaves
    // out.
    for history in RuleHistory::all().iter().filter(|history| history.header.host.is_none()) {
        let id = format!("{}/{}", history.invariant, history.name);
        let is_good = ["holds", "vacuous", "good"].iter().any(|good| history.name.starts_with(good));
        if !is_good || broken_elsewhere.contains(&id.as_str()) {
            continue;
        }
        for finding in &history.judge().findings {
            if matches!(finding.verdict, Verdict::Fail | Verdict::Warn | Verdict::Inconclusive) {
                wrong.push_str(&format!("{id}: {} {}\n", finding.signature, finding.because));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_rule_of_every_subject_has_histories_that_hold_are_violated_and_are_vacuous() {
    let names: BTreeSet<(String, String)> = RuleHistory::all()
        .iter()
        .map(|history| (history.invariant.clone(), history.name.split('-').next().unwrap().to_owned()))
        .collect();
    for invariant in INVARIANTS.iter().chain(HOST_RULES) {
        for kind in ["holds", "violated", "vacuous"] {
            assert!(
                names.contains(&(invariant.id.to_owned(), kind.to_owned())),
                "tests/histories/{}/{kind}*.txt is missing",
                invariant.id
            );
        }
    }
    for (folder, _) in names.iter().filter(|(folder, _)| folder != "whole-lives") {
        assert!(invariant(folder).is_some(), "tests/histories/{folder} is about no invariant");
    }
}

#[test]
fn a_whole_good_life_passes() {
    let lives: Vec<&RuleHistory> =
        RuleHistory::all().iter().filter(|history| history.invariant == "whole-lives").collect();
    assert!(!lives.is_empty());
    for life in lives {
        let judgement = life.judge();
        assert_eq!(judgement.verdict, PlanVerdict::Pass, "{}: {:#?}", life.name, judgement.findings);
    }
}

#[test]
fn violations_have_a_witness_that_exists_and_is_in_order() {
    for history in RuleHistory::all() {
        for finding in &history.judge().findings {
            let n_events = history.events.len() as u64;
            assert!(finding.witness.iter().all(|seq| (1..=n_events).contains(&seq.0)), "{finding:?}");
            assert!(finding.witness.is_sorted_by(|left, right| left < right), "{finding:?}");
            if matches!(finding.verdict, Verdict::Fail | Verdict::Warn) {
                assert!(!finding.witness.is_empty(), "{finding:?}");
                let names_one = finding.witness.iter().any(|seq| finding.because.contains(&seq.to_string()));
                assert!(names_one || !finding.because.contains('#'), "{finding:?}");
            }
        }
    }
}
