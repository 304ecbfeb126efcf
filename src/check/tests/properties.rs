//! Properties of the engine over every history of the fixtures.

use proptest::prelude::*;

use super::Fixture;
use crate::check::{Engine, INVARIANTS, Judgement, PlanVerdict, Verdict, invariant, judge};
use crate::history::{Event, EventKind, History, Kind, Seq, Source, event_from_text};

#[test]
fn a_history_that_is_cut_anywhere_is_judged_and_never_worse_than_the_whole() {
    for fixture in Fixture::all() {
        let whole = fixture.judge();
        for n in 0..fixture.events.len() {
            let part = fixture.judge_first(n);
            assert_eq!(
                part.findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count() > 0,
                part.verdict == PlanVerdict::Fail
            );
            for (cut, full) in part.findings.iter().zip(&whole.findings).take(INVARIANTS.len()) {
                let is_worse = cut.verdict == Verdict::Fail && full.verdict != Verdict::Fail;
                // Only a later event can make a bound or a link doubtful.
                let is_doubted = full.verdict == Verdict::Inconclusive;
                assert!(!is_worse || is_doubted, "{}/{} at {n}: {cut:?}", fixture.invariant, fixture.name);
            }
            assert_ne!(part.verdict, PlanVerdict::Pass, "a history without its end is never green");
        }
    }
}

#[test]
fn a_whole_history_has_no_finding_about_a_cut() {
    for fixture in Fixture::all().iter().filter(|fixture| !fixture.name.contains("cut-off")) {
        let judgement = fixture.judge();
        assert!(
            judgement.findings.iter().all(|finding| !finding.signature.ends_with("/cut-off")),
            "{}/{}",
            fixture.invariant,
            fixture.name
        );
    }
}

#[test]
fn the_engine_gives_the_same_judgement_event_by_event() {
    for fixture in Fixture::all() {
        let mut engine = Engine::new(&fixture.header);
        fixture.events.iter().for_each(|event| engine.see(event));
        assert_eq!(engine.end(), fixture.judge(), "{}/{}", fixture.invariant, fixture.name);
    }
}

/// Events of strangers: another server with a life of its own, gates, samples, steps.
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

/// The history with strangers put in at these places; times stay as they are.
fn with_strangers(fixture: &Fixture, places: &[(prop::sample::Index, prop::sample::Index)]) -> History {
    let strangers = strangers();
    let mut events = fixture.events.clone();
    for (place, which) in places {
        let kind = strangers[which.index(strangers.len())].clone();
        // A message of a stranger is judged as a handshake of its own; what is compared below is the fixture's invariant.
        let at = place.index(events.len());
        let at_us = events[at].at_us;
        let source = Source::Mock { server: "stranger".to_owned(), incarnation: 1 };
        events.insert(at, Event { seq: Seq(0), at_us, source, kind });
    }
    for (index, event) in events.iter_mut().enumerate() {
        event.seq = Seq(index as u64 + 1);
    }
    History::from_events(fixture.header.clone(), events).unwrap()
}

/// Verdict and signature of the fixture's own invariant.
fn essence(judgement: &Judgement, invariant: &str) -> (Verdict, String) {
    let finding = judgement.finding(invariant).unwrap();
    (finding.verdict, finding.signature.clone())
}

#[test]
fn unrelated_events_change_no_verdict() {
    let fixtures: Vec<Fixture> = Fixture::all()
        .into_iter()
        .filter(|fixture| fixture.invariant != "whole-lives")
        // These are vacuous because nobody spoke; a stranger that speaks is not unrelated there.
        .filter(|fixture| !(fixture.name == "vacuous" && speaks_for_itself(&fixture.invariant)))
        // A stranger's message with no handshake before it is a violation of its own.
        .filter(|fixture| fixture.invariant != "handshake-order")
        .filter(|fixture| !judges_every_server(&fixture.invariant))
        .collect();
    let places = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..12);
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 400, ..ProptestConfig::default() });
    let chosen = (any::<prop::sample::Index>(), places);
    runner
        .run(&chosen, |(which, places)| {
            let fixture = &fixtures[which.index(fixtures.len())];
            let before = essence(&fixture.judge(), &fixture.invariant);
            let after = essence(&judge(&with_strangers(fixture, &places)), &fixture.invariant);
            prop_assert_eq!(before, after, "{}/{}", fixture.invariant, fixture.name);
            Ok(())
        })
        .unwrap();
}

/// Whether a stranger that starts, connects or speaks at the wrong moment breaks it by itself.
fn judges_every_server(id: &str) -> bool {
    let kinds = invariant(id).unwrap().kinds;
    kinds.contains(&Kind::ConnectionOpened) || kinds.contains(&Kind::MockStarted) || id == "closed-stays-silent"
}

fn speaks_for_itself(id: &str) -> bool {
    invariant(id).unwrap().kinds.contains(&Kind::WireReceived)
}
