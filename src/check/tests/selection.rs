//! The selection of events by their topics decides no verdict: without it, each judgement is the same.

use std::collections::BTreeSet;

use super::RuleHistory;
use crate::check::{Engine, Finding, HOST_RULES, INVARIANTS, Tally, View};
use crate::history::{Event, Header, Seq};

/// Transports and revisions under which a history is judged, too.
const TRANSPORTS: [&str; 4] = ["stdio", "http", "sse", "memory"];
const REVISIONS: [&str; 2] = ["2025-11-25", "2026-07-28"];

#[test]
fn a_judgement_is_the_same_without_the_selection() {
    for (n, history) in RuleHistory::all().iter().enumerate() {
        for (how, header, events) in variants(n, history) {
            let of = |engine| findings(engine, &events);
            let (with, without) = (of(Engine::new(&header)), of(Engine::without_selection(&header)));
            let mut pairs = with.iter().zip(&without);
            let other = pairs.find(|(with, without)| with != without);
            assert_eq!(other, None, "{}/{} {how}", history.invariant, history.name);
        }
    }
}

fn findings(mut engine: Engine, events: &[Event]) -> Vec<Finding> {
    events.iter().for_each(|event| engine.see(event));
    engine.end().findings
}

/// The history, and what is like it: the header of another plan, one event less, one event twice.
fn variants(n: usize, history: &RuleHistory) -> Vec<(String, Header, Vec<Event>)> {
    let events = |events: Vec<Event>| {
        let numbered = events.into_iter().enumerate();
        numbered.map(|(index, event)| Event { seq: Seq(index as u64 + 1), ..event }).collect::<Vec<_>>()
    };
    let header = history.header.clone();
    let (transport, revision) = (TRANSPORTS[n % TRANSPORTS.len()], REVISIONS[n / 4 % REVISIONS.len()]);
    let of_other_plan = Header { transport: transport.to_owned(), revision: revision.to_owned(), ..header.clone() };
    let mut all = vec![
        ("as it is".to_owned(), header.clone(), history.events.clone()),
        (format!("over {transport} in {revision}"), of_other_plan, history.events.clone()),
    ];
    if !history.events.is_empty() {
        // Another place in each history.
        let place = (n * 7 + history.name.len()) % history.events.len();
        let (mut less, mut more) = (history.events.clone(), history.events.clone());
        less.remove(place);
        more.push(more[place].clone());
        more.rotate_right(1);
        all.push((format!("without event {}", place + 1), header.clone(), events(less)));
        all.push((format!("with event {} at the beginning, too", place + 1), header, events(more)));
    }
    all
}

#[test]
fn only_a_rule_that_says_so_finds_something_where_it_heard_nothing() {
    let mut found = BTreeSet::new();
    for history in RuleHistory::all() {
        let mut view = View::new(&history.header);
        for event in &history.events {
            view.see(event);
            view.forget(event);
        }
        let table = if history.header.host.is_some() { HOST_RULES } else { INVARIANTS };
        for invariant in table {
            let mut tally = Tally::default();
            (invariant.start)(&history.header).end(&view, &mut tally);
            if !tally.is_empty() {
                found.insert(invariant.id);
            }
        }
    }
    let all = INVARIANTS.iter().chain(HOST_RULES);
    let judging: BTreeSet<&str> =
        all.filter(|invariant| invariant.hears.judges_silence()).map(|invariant| invariant.id).collect();
    assert_eq!(found, judging);
}
