//! Properties of the engine over every history of the rules.

use proptest::prelude::*;

use super::RuleHistory;
use crate::check::{Engine, Finding, Judgement, PlanVerdict, Verdict, invariant, judge};
use crate::history::{Event, EventKind, History, Kind, Seq, Source, event_from_text};

#[test]
fn a_history_that_is_cut_anywhere_is_judged_and_never_worse_than_the_whole() {
    for history in RuleHistory::all() {
        let whole = history.judge();
        let mut engine = Engine::new(&history.header);
        for (n, event) in history.events.iter().enumerate() {
            let part = engine.so_far();
            engine.see(event);
            assert_eq!(
                part.findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count() > 0,
                part.verdict == PlanVerdict::Fail
            );
            let of_both = of_rules(&part).zip(of_rules(whole));
            for (cut, full) in
                of_both.filter(|(cut, full)| cut.verdict == Verdict::Fail && full.verdict != Verdict::Fail)
            {
                // A later event may make a bound or a link doubtful.
                let is_doubted = full.verdict == Verdict::Inconclusive;
                // And it may show the cause, which fails then.
                let is_cause = |other: &&Finding| full.because.ends_with(&format!(": see {}", other.invariant));
                let cause = whole.findings.iter().find(is_cause);
                let is_explained =
                    full.verdict == Verdict::NotObservable && cause.is_some_and(|cause| cause.verdict == Verdict::Fail);
                assert!(is_doubted || is_explained, "{}/{} at {n}: {cut:?}", history.invariant, history.name);
            }
            assert_ne!(part.verdict, PlanVerdict::Pass, "a history without its end is never green");
        }
    }
}

fn of_rules(judgement: &Judgement) -> impl Iterator<Item = &Finding> {
    judgement.findings.iter().filter(|finding| finding.invariant != "experiment")
}

#[test]
fn a_whole_history_has_no_finding_about_a_cut() {
    for history in RuleHistory::all().iter().filter(|history| !history.name.contains("cut-off")) {
        let judgement = history.judge();
        assert!(
            judgement.findings.iter().all(|finding| !finding.signature.ends_with("/cut-off")),
            "{}/{}",
            history.invariant,
            history.name
        );
    }
}

#[test]
fn the_engine_gives_the_same_judgement_event_by_event() {
    for history in RuleHistory::all() {
        let mut engine = Engine::new(&history.header);
        // One cut of each history, at another place of each.
        let cut = history.name.len() % history.events.len().max(1);
        for (n, event) in history.events.iter().enumerate() {
            if n == cut {
                assert_eq!(engine.so_far(), history.judge_first(n), "{}/{} at {n}", history.invariant, history.name);
            }
            engine.see(event);
        }
        assert_eq!(&engine.end(), history.judge(), "{}/{}", history.invariant, history.name);
    }
}

/// Events of strangers: another server, gates, samples and steps.
fn strangers() -> Vec<EventKind> {
    [
        r#"mock:stranger#1 mock.started script=polite"#,
        r#"mock:stranger#1 connection.opened connection=x1"#,
        r#"mock:stranger#1 wire.received connection=x1 message={"jsonrpc":"2.0","method":"notifications/progress"}"#,
        r#"mock:stranger#1 gate.reached gate=before-answer"#,
        r#"mock:stranger#1 fault.delivered fault=slow impairs=timing"#,
        r#"driver gate.opened gate=before-answer"#,
        r#"driver step.began step=9 about=wait"#,
        r#"driver step.skipped step=9 because="not offered""#,
        r#"driver idle.began"#,
        r#"system sample.taken label=loaded window_us=0 cpu_us=0 threads=1 rss_kib=1"#,
        r#"system scheduling.delayed delay_us=1000"#,
        r#"system process.started process=p99 role=other"#,
        r#"system process.exited process=p99 role=other code=0"#,
        r#"recorder link.refused because="no token""#,
    ]
    .into_iter()
    .map(|line| event_from_text("stranger", 1, line, Seq(1), 0).unwrap().kind)
    .collect()
}

/// The history with strangers inserted at these places; times do not change.
///
/// A message shows that its program lives, which matters after a signal to the program: there no stranger sends one.
fn with_strangers(history: &RuleHistory, places: &[(prop::sample::Index, prop::sample::Index)]) -> History {
    let mut strangers = strangers();
    let is_signal = |event: &Event| matches!(&event.kind, EventKind::SignalSent { target, .. } if target == "loader");
    if history.events.iter().any(is_signal) {
        strangers.retain(|kind| !matches!(kind, EventKind::WireReceived { .. }));
    }
    let mut events = history.events.clone();
    for (place, which) in places {
        let kind = strangers[which.index(strangers.len())].clone();
        // A message of a stranger is judged as a handshake of its own; what is compared below is the history's
        // invariant.
        let at = place.index(events.len());
        let at_us = events[at].at_us;
        let source = Source::Mock { server: "stranger".to_owned(), incarnation: 1 };
        events.insert(at, Event { seq: Seq(0), at_us, source, kind });
    }
    for (index, event) in events.iter_mut().enumerate() {
        event.seq = Seq(index as u64 + 1);
    }
    History::from_events(history.header.clone(), events).unwrap()
}

/// Verdict and signature of the history's own invariant.
fn essence(judgement: &Judgement, invariant: &str) -> (Verdict, String) {
    let finding = judgement.finding(invariant).unwrap();
    (finding.verdict, finding.signature.to_string())
}

#[test]
fn unrelated_events_change_no_verdict() {
    let histories: Vec<&RuleHistory> = RuleHistory::all()
        .iter()
        .filter(|history| history.invariant != "whole-lives")
        // Rules about programs that are only started and watched judge every server, so a stranger is not unrelated
        // there.
        .filter(|history| history.header.host.is_none())
        // These are vacuous because no client sent anything; a stranger that sends something is not unrelated there.
        .filter(|history| !(history.name == "vacuous" && speaks_for_itself(&history.invariant)))
        // A stranger's message without a handshake before it is a violation.
        .filter(|history| history.invariant != "handshake-order")
        // Without a handshake, a client reports no progress.
        .filter(|history| history.invariant != "methods-known")
        .filter(|history| !judges_every_server(&history.invariant))
        .collect();
    let places = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..12);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 400, ..ProptestConfig::default() });
    let chosen = (any::<prop::sample::Index>(), places);
    runner
        .run(&chosen, |(which, places)| {
            let history = histories[which.index(histories.len())];
            let before = essence(history.judge(), &history.invariant);
            let after = essence(&judge(&with_strangers(history, &places)), &history.invariant);
            prop_assert_eq!(before, after, "{}/{}", history.invariant, history.name);
            Ok(())
        })
        .unwrap();
}

/// Whether a stranger that starts, connects or sends a message at the wrong moment breaks the rule by itself.
fn judges_every_server(id: &str) -> bool {
    let kinds = invariant(id).unwrap().kinds;
    kinds.contains(&Kind::ConnectionOpened) || kinds.contains(&Kind::MockStarted) || id == "closed-stays-silent"
}

fn speaks_for_itself(id: &str) -> bool {
    invariant(id).unwrap().kinds.contains(&Kind::WireReceived)
}
