//! Tests the verifier: each rule notices mutations of a history in which it holds.
//!
//! The mutations know nothing about the rules. They delete, repeat, move, delay, alter or insert one event. An altered
//! field gets a value that it has in another history of the same rule, or none, or a new one. An inserted event is one of
//! another history of the same rule.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::RuleHistory;
use crate::check::engine::Alone;
use crate::check::{HOST_RULES, INVARIANTS, Verdict, invariant};
use crate::history::{Event, EventKind, Seq};

/// Flips that each rule must have.
const N_FLIPS: usize = 3;

/// Rules with fewer flips: how many, and why no mutation of one event gives more. The list only gets shorter.
const FEWER: &[(&str, usize, &str)] = &[
    ("cancel-prompt", 2, "only a delay breaks it, and two events can be late"),
    ("closed-stays-silent", 1, "only a delay breaks it, and one event can be late"),
    ("repeats-keep-servers", 0, "it is about a trend of many samples"),
    ("servers-reached", 1, "one message is all that it asks for"),
];

/// A damaged history, and how it was damaged.
struct Mutant {
    how: String,
    events: Vec<Event>,
}

/// Every mutation of one kind.
type Mutations = for<'a> fn(&'a RuleHistory, &'a Seen) -> Box<dyn Iterator<Item = Mutant> + 'a>;

/// The values that the fields of each kind have in the histories of a rule: by kind and path.
type Values = BTreeMap<(String, Vec<String>), BTreeSet<String>>;

/// What the histories of a rule have.
struct Seen {
    values: Values,
    events: Vec<Event>,
}

/// Fields this deep are altered as a whole.
const DEPTH_MAX: usize = 5;
/// The delay of an event and of all later ones, longer than every bound of a rule.
const DELAY_US: u64 = 120_000_000;

#[test]
fn each_rule_flips_by_three_mutations_of_a_history_in_which_it_holds() {
    let histories = RuleHistory::all();
    let ids: BTreeSet<&str> = INVARIANTS.iter().chain(HOST_RULES).map(|invariant| invariant.id).collect();
    let mut wrong = String::new();
    for id in ids {
        let of_rule: Vec<&RuleHistory> = histories.iter().filter(|history| history.invariant == id).collect();
        let flips = flips(id, &of_rule);
        let expected = FEWER.iter().find(|(known, _, _)| *known == id).map_or(N_FLIPS, |(_, n, _)| *n);
        if flips.len() != expected {
            wrong.push_str(&format!("{id}: {} flips, expected {expected}: {flips:#?}\n", flips.len()));
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

/// The first mutations after which a rule is violated that held before.
fn flips(id: &str, histories: &[&RuleHistory]) -> Vec<String> {
    let seen = seen(histories);
    let rule = Alone::new(invariant(id).unwrap());
    let holds = || histories.iter().filter(|history| history.name.starts_with("holds"));
    let mut found = Vec::new();
    // Repeats and moves come last: every pair of events gives one of them, so there are far more of them than of the others.
    let kinds: [Mutations; 6] = [deletions, delays, alterations, insertions, repeats, moves];
    for mutants_of in kinds {
        for history in holds() {
            for mutant in mutants_of(history, &seen) {
                let Mutant { how, mut events } = mutant;
                for (index, event) in events.iter_mut().enumerate() {
                    event.seq = Seq(index as u64 + 1);
                }
                let finding = rule.judge(&history.header, &events);
                if matches!(finding.verdict, Verdict::Fail | Verdict::Warn) {
                    found.push(format!("{}: {how}", history.name));
                    if found.len() == N_FLIPS {
                        return found;
                    }
                }
            }
        }
    }
    found
}

fn deletions<'a>(history: &'a RuleHistory, _: &'a Seen) -> Box<dyn Iterator<Item = Mutant> + 'a> {
    let events = history.events.clone();
    Box::new((0..events.len()).map(move |index| {
        let mut events = events.clone();
        let event = events.remove(index);
        Mutant { how: format!("{} of {} is deleted", event.kind.kind().name(), event.seq), events }
    }))
}

fn delays<'a>(history: &'a RuleHistory, _: &'a Seen) -> Box<dyn Iterator<Item = Mutant> + 'a> {
    let events = history.events.clone();
    Box::new((0..events.len()).map(move |index| {
        let mut events = events.clone();
        events[index..].iter_mut().for_each(|event| event.at_us += DELAY_US);
        Mutant { how: format!("everything from {} on is late", events[index].seq), events }
    }))
}

fn repeats<'a>(history: &'a RuleHistory, _: &'a Seen) -> Box<dyn Iterator<Item = Mutant> + 'a> {
    let events = history.events.clone();
    let places = (0..events.len()).flat_map({
        let n = events.len();
        move |from| (from + 1..n).map(move |to| (from, to))
    });
    Box::new(places.map(move |(from, to)| {
        let mut events = events.clone();
        let again = Event { at_us: events[to].at_us, ..events[from].clone() };
        let how = format!("{} of {} is repeated before {}", again.kind.kind().name(), again.seq, events[to].seq);
        events.insert(to, again);
        Mutant { how, events }
    }))
}

fn insertions<'a>(history: &'a RuleHistory, seen: &'a Seen) -> Box<dyn Iterator<Item = Mutant> + 'a> {
    let events = history.events.clone();
    let (n, others) = (events.len(), seen.events.clone());
    let chosen = others.into_iter().flat_map(move |other| (1..n).map(move |place| (place, other.clone())));
    Box::new(chosen.map(move |(place, other)| {
        let mut events = events.clone();
        let how = format!("{:?} is inserted at place {}", other.kind, place + 1);
        events.insert(place, Event { at_us: events[place].at_us, ..other });
        Mutant { how, events }
    }))
}

fn moves<'a>(history: &'a RuleHistory, _: &'a Seen) -> Box<dyn Iterator<Item = Mutant> + 'a> {
    let events = history.events.clone();
    let n = events.len();
    let places = (0..n).flat_map(move |from| (0..n).filter(move |to| *to != from).map(move |to| (from, to)));
    Box::new(places.map(move |(from, to)| {
        let mut events = events.clone();
        let at_us = events[to].at_us;
        let moved = Event { at_us, ..events.remove(from) };
        let how = format!("{} of {} is moved to place {}", moved.kind.kind().name(), moved.seq, to + 1);
        events.insert(to, moved);
        Mutant { how, events }
    }))
}

fn alterations<'a>(history: &'a RuleHistory, seen: &'a Seen) -> Box<dyn Iterator<Item = Mutant> + 'a> {
    let kinds = history.events.iter().enumerate();
    let mutants = kinds.flat_map(|(index, event)| {
        altered_kinds(&event.kind, seen).into_iter().map(move |(path, kind)| (index, path, kind))
    });
    let events = &history.events;
    Box::new(mutants.map(move |(index, path, kind)| {
        let mut events = events.clone();
        let how = format!("{path} of {} is altered: {kind:?}", events[index].seq);
        events[index].kind = kind;
        Mutant { how, events }
    }))
}

/// The kind with one field altered, each with the path of that field.
fn altered_kinds(kind: &EventKind, seen: &Seen) -> Vec<(String, EventKind)> {
    let value = serde_json::to_value(kind).unwrap();
    let name = kind.kind().name().to_owned();
    let mut found = Vec::new();
    for path in paths(&value) {
        let others = seen.values.get(&(name.clone(), path.clone())).into_iter().flatten();
        let others = others.map(|text| Some(serde_json::from_str(text).unwrap()));
        let new = at(&value, &path).and_then(renewed).map(Some);
        for other in others.chain(new).chain([None]) {
            let mut altered = value.clone();
            set(&mut altered, &path, other);
            let Ok(altered) = serde_json::from_value::<EventKind>(altered) else { continue };
            let is_new = found.iter().all(|(_, known): &(String, EventKind)| *known != altered);
            if altered != *kind && is_new {
                found.push((path.join("."), altered));
            }
        }
    }
    found
}

/// A value of the same type that is not in any history.
fn renewed(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(Value::from(format!("{text}-other"))),
        Value::Number(number) => number.as_u64().map(|number| Value::from(number + 1)),
        Value::Bool(flag) => Some(Value::from(!flag)),
        Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}

fn seen(histories: &[&RuleHistory]) -> Seen {
    let mut seen = Seen { values: Values::new(), events: Vec::new() };
    let mut known = BTreeSet::new();
    for event in histories.iter().flat_map(|history| &history.events) {
        let value = serde_json::to_value(&event.kind).unwrap();
        let name = event.kind.kind().name().to_owned();
        if known.insert(format!("{} {value}", event.source)) {
            seen.events.push(event.clone());
        }
        for path in paths(&value) {
            let found = at(&value, &path).unwrap().to_string();
            seen.values.entry((name.clone(), path)).or_default().insert(found);
        }
    }
    seen
}

/// The path of each field, outermost first, without the name of the kind.
fn paths(value: &Value) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![Vec::new()];
    while let Some(path) = open.pop() {
        let names: Vec<String> = match at(value, &path) {
            Some(Value::Object(fields)) => fields.keys().cloned().collect(),
            Some(Value::Array(items)) => (0..items.len()).map(|index| index.to_string()).collect(),
            _ => Vec::new(),
        };
        for name in names.into_iter().filter(|name| !path.is_empty() || name != "kind") {
            let inner: Vec<String> = path.iter().cloned().chain([name]).collect();
            if inner.len() < DEPTH_MAX {
                open.push(inner.clone());
            }
            found.push(inner);
        }
    }
    found.sort();
    found
}

fn at<'a>(value: &'a Value, path: &[String]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, name| match value {
        Value::Array(items) => items.get(name.parse::<usize>().ok()?),
        other => other.get(name),
    })
}

/// Gives the field at a path another value, or removes it.
fn set(value: &mut Value, path: &[String], other: Option<Value>) {
    let Some((name, rest)) = path.split_first() else { return };
    match value {
        Value::Object(fields) if rest.is_empty() => match other {
            Some(other) => drop(fields.insert(name.clone(), other)),
            None => drop(fields.remove(name)),
        },
        Value::Array(items) if rest.is_empty() => {
            let Ok(index) = name.parse::<usize>() else { return };
            match other {
                Some(other) => items[index] = other,
                None => drop(items.remove(index)),
            }
        }
        Value::Object(fields) => fields.get_mut(name).into_iter().for_each(|inner| set(inner, rest, other.clone())),
        Value::Array(items) => {
            let inner = name.parse::<usize>().ok().and_then(|index| items.get_mut(index));
            inner.into_iter().for_each(|inner| set(inner, rest, other.clone()));
        }
        _ => {}
    }
}
