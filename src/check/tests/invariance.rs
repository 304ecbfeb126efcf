//! Changes of a history that do not concern a rule do not change its verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use proptest::prelude::*;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};
use serde_json::Value;

use super::RuleHistory;
use crate::check::{Engine, Judgement, Property, Verdict, View, invariant, judge};
use crate::history::{Event, EventKind, Header, History, Kind, Origin, Seq, Source, event_from_text};

/// Kinds that change the view, and so the verdict of rules that do not subscribe to them.
const OF_VIEW: &[Kind] = &[
    Kind::LoaderReady,
    Kind::OperationInvoked,
    Kind::OperationStarted,
    Kind::OperationCompleted,
    Kind::OperationAbandoned,
    Kind::OperationOverdue,
    Kind::CancelRequested,
    Kind::ContextEnded,
    Kind::SignalSent,
    Kind::ExitRequested,
    Kind::ConnectionOpened,
    Kind::ConnectionClosed,
    Kind::WireReceived,
    Kind::WireSent,
    Kind::WireEof,
    Kind::HttpReceived,
    Kind::HttpAnswered,
    Kind::HttpEnded,
    Kind::MockStarted,
    Kind::SocketOpened,
    Kind::SocketClosed,
    Kind::SessionOpened,
    Kind::FaultDelivered,
    Kind::MockEnding,
    Kind::LinkClosed,
    Kind::ProcessExited,
    Kind::LimitHit,
    Kind::ExperimentFailed,
    Kind::SchedulingDelayed,
    Kind::PlanNotApplicable,
    Kind::PlanEnded,
];

/// The seed of every run, so that each tries the same; `MCP_LIFECHECK_SEED=N` tries others.
const SEED: u64 = 20_251_125;

/// Tries a property. A failure gives the seed with which it comes again.
pub(super) fn for_cases<S: Strategy>(cases: u32, of: &S, holds: impl Fn(S::Value) -> TestCaseResult) {
    let given = std::env::var("MCP_LIFECHECK_SEED").ok().map(|seed| seed.parse().unwrap());
    let seed = given.unwrap_or(SEED);
    let config = Config {
        cases,
        max_shrink_time: 20_000,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    if let Err(error) = TestRunner::new(config).run(of, holds) {
        panic!("MCP_LIFECHECK_SEED={seed} repeats this: {error}");
    }
}

fn corpus() -> Vec<&'static RuleHistory> {
    RuleHistory::all().iter().filter(|history| history.invariant != "whole-lives").collect()
}

fn numbered(header: &Header, mut events: Vec<Event>) -> History {
    for (index, event) in events.iter_mut().enumerate() {
        event.seq = Seq(index as u64 + 1);
    }
    History::from_events(header.clone(), events).unwrap()
}

/// Verdict and signature of one rule.
fn essence(judgement: &Judgement, id: &str) -> (Verdict, String) {
    let finding = judgement.finding(id).unwrap();
    (finding.verdict, finding.signature.to_string())
}

fn all_essences(judgement: &Judgement) -> Vec<(String, Verdict)> {
    judgement.findings.iter().map(|finding| (finding.signature.to_string(), finding.verdict)).collect()
}

fn is_violation(verdict: Verdict) -> bool {
    matches!(verdict, Verdict::Fail | Verdict::Warn)
}

#[test]
fn the_view_is_changed_only_by_the_kinds_that_are_listed() {
    let mut unlisted = BTreeSet::new();
    for history in RuleHistory::all() {
        let mut view = View::new(&history.header);
        for event in &history.events {
            let before = (!OF_VIEW.contains(&event.kind.kind())).then(|| format!("{view:?}"));
            view.see(event);
            if before.is_some_and(|before| before != format!("{view:?}")) {
                unlisted.insert(event.kind.kind());
            }
            view.forget(event);
        }
    }
    assert!(unlisted.is_empty(), "these kinds change the view and are not listed: {unlisted:?}");
}

#[test]
fn a_rule_does_not_depend_on_kinds_to_which_it_does_not_subscribe() {
    let corpus = corpus();
    let mut donors: BTreeMap<Kind, Vec<Event>> = BTreeMap::new();
    // No history of a rule has gates.
    let gates = ["driver gate.opened gate=g", "mock:files#1 gate.reached gate=g"];
    let gates = gates.into_iter().map(|line| event_from_text("gate", 1, line, Seq(1), 0).unwrap());
    for event in RuleHistory::all().iter().flat_map(|history| history.events.iter().cloned()).chain(gates) {
        donors.entry(event.kind.kind()).or_default().push(event);
    }
    let is_inert = |id: &str, kind: Kind| !invariant(id).unwrap().kinds.contains(&kind) && !OF_VIEW.contains(&kind);
    for history in &corpus {
        let id = history.invariant.as_str();
        let kept: Vec<Event> =
            history.events.iter().filter(|event| !is_inert(id, event.kind.kind())).cloned().collect();
        if kept.len() == history.events.len() {
            continue;
        }
        let without = judge(&numbered(&history.header, kept));
        assert_eq!(essence(&without, id), essence(history.judge(), id), "{id}/{}", history.name);
    }
    let insertion = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>());
    let insertions = prop::collection::vec(insertion, 1..8);
    for_cases(300, &(any::<prop::sample::Index>(), insertions), |(which, insertions)| {
        let history = &corpus[which.index(corpus.len())];
        let id = history.invariant.as_str();
        let inert: Vec<&Vec<Event>> =
            donors.iter().filter(|(kind, _)| is_inert(id, **kind)).map(|(_, events)| events).collect();
        let mut events = history.events.clone();
        for (place, kind, donor) in insertions {
            let at = place.index(events.len());
            let at_us = events[at].at_us;
            let of_kind = inert[kind.index(inert.len())];
            events.insert(at, Event { at_us, ..of_kind[donor.index(of_kind.len())].clone() });
        }
        let with = judge(&numbered(&history.header, events));
        prop_assert_eq!(essence(&with, id), essence(history.judge(), id), "{}/{}", id, history.name);
        Ok(())
    });
}

/// Kinds after which a bound or the loss of a link proves less, or nothing is judged at all.
const DOUBTING: &[Kind] =
    &[Kind::SchedulingDelayed, Kind::ExperimentFailed, Kind::LimitHit, Kind::PlanNotApplicable, Kind::PlanEnded];

/// Rules about a trend of samples, to which a later sample belongs. The list only gets shorter.
const TRENDS: &[&str] =
    &["repeats-keep-descriptors", "repeats-keep-threads", "repeats-keep-memory", "repeats-keep-servers"];

#[test]
fn a_safety_violation_of_a_prefix_stays_in_every_extension() {
    let is_safety = |history: &&&RuleHistory| {
        let id = history.invariant.as_str();
        invariant(id).unwrap().property == Property::Safety && !TRENDS.contains(&id)
    };
    let histories = corpus();
    let violated: Vec<(&RuleHistory, usize)> = histories
        .iter()
        .filter(is_safety)
        .filter_map(|history| {
            let id = history.invariant.as_str();
            let mut engine = Engine::new(&history.header);
            let is_violated = |n: &usize| {
                engine.see(&history.events[n - 1]);
                // What another finding explains is withdrawn; nothing becomes a violation by that.
                is_violation(engine.own_finding(id).verdict) && is_violation(essence(&engine.so_far(), id).0)
            };
            Some((*history, (1..=history.events.len()).find(is_violated)?))
        })
        .collect();
    let loaders: Vec<&Event> = donors(&histories, |history| history.header.host.is_none());
    let hosts: Vec<&Event> = donors(&histories, |history| history.header.host.is_some());
    let suffix = prop::collection::vec(any::<prop::sample::Index>(), 1..12);
    for_cases(300, &(any::<prop::sample::Index>(), suffix), |(which, suffix)| {
        let (history, n) = violated[which.index(violated.len())];
        let donors = if history.header.host.is_none() { &loaders } else { &hosts };
        let mut events = history.events[..n].to_vec();
        let at_us = events[n - 1].at_us;
        events.extend(suffix.iter().map(|donor| Event { at_us, ..donors[donor.index(donors.len())].clone() }));
        let id = history.invariant.as_str();
        let mut engine = Engine::new(&history.header);
        numbered(&history.header, events).events().iter().for_each(|event| engine.see(event));
        let own = engine.own_finding(id);
        prop_assert!(is_violation(own.verdict), "{}/{}: {:?}", id, history.name, own);
        // The further events may show a cause, for which the finding is withdrawn.
        let found = essence(&engine.so_far(), id);
        let is_withdrawn = found.0 == Verdict::NotObservable;
        prop_assert!(is_violation(found.0) || is_withdrawn, "{}/{}: {:?}", id, history.name, found);
        Ok(())
    });
}

fn donors<'a>(histories: &[&'a RuleHistory], fits: fn(&RuleHistory) -> bool) -> Vec<&'a Event> {
    let events = histories.iter().filter(|history| fits(history)).flat_map(|history| &history.events);
    events.filter(|event| !DOUBTING.contains(&event.kind.kind())).collect()
}

/// Other names for everything that the recorder, a mock or a client names.
struct Renaming {
    salt: u64,
    /// Servers keep their names where their configuration is part of the header.
    servers: bool,
}

impl Renaming {
    /// A name whose place in an order has nothing to do with that of the old one.
    fn name(&self, of: &str, old: &str) -> String {
        let mut hasher = DefaultHasher::new();
        (self.salt, of, old).hash(&mut hasher);
        format!("{:x}-{old}", hasher.finish() % 0xffff)
    }

    /// Another id. One of random bits keeps its form, by which a rule knows it.
    fn text_of_id(&self, old: &str) -> String {
        let groups: Vec<&str> = old.split('-').collect();
        if !groups.iter().map(|group| group.len()).eq([8, 4, 4, 4, 12]) {
            return self.name("id", old);
        }
        let mut hasher = DefaultHasher::new();
        (self.salt, old).hash(&mut hasher);
        format!("{:08x}-{}", hasher.finish() & 0xffff_ffff, groups[1..].join("-"))
    }

    fn server(&self, old: &str) -> String {
        if self.servers { self.name("server", old) } else { old.to_owned() }
    }

    fn event(&self, event: &Event) -> Event {
        let source = match &event.source {
            Source::Mock { server, incarnation } => {
                Source::Mock { server: self.server(server), incarnation: *incarnation }
            }
            other => other.clone(),
        };
        let mut kind = serde_json::to_value(&event.kind).unwrap();
        self.fields(&mut kind);
        let kind = serde_json::from_value(kind).unwrap();
        Event { source, kind, ..event.clone() }
    }

    fn header(&self, header: &Header) -> Header {
        let mut header = header.clone();
        header.servers.iter_mut().for_each(|server| server.name = self.server(&server.name));
        header
    }

    fn fields(&self, value: &mut Value) {
        let Value::Object(fields) = value else { return };
        for (name, value) in fields.iter_mut() {
            match (name.as_str(), value) {
                ("connection" | "session" | "socket" | "exchange" | "process", Value::String(text)) => {
                    *text = self.name(name, text);
                }
                ("scope" | "parent", Value::String(text)) => *text = self.name("scope", text),
                // The address of a stream names its session.
                ("query", Value::String(text)) => {
                    if let Some(session) = text.strip_prefix("session=") {
                        *text = format!("session={}", self.name("session", session));
                    }
                }
                ("server", Value::String(text)) => *text = self.server(text),
                ("servers" | "changed", Value::Array(names)) => {
                    names.iter_mut().for_each(|name| self.value_of_server(name));
                }
                ("role" | "target", Value::String(text)) => {
                    if let Some((role @ ("server" | "child"), server)) = text.split_once(':') {
                        *text = format!("{role}:{}", self.server(server));
                    }
                }
                ("errors", Value::Object(errors)) => {
                    *errors = std::mem::take(errors).into_iter().map(|(name, why)| (self.server(&name), why)).collect();
                }
                ("tools", Value::Array(tools)) => tools.iter_mut().for_each(|tool| self.fields(tool)),
                ("message", message) => self.message(message),
                ("outcome" | "peer" | "ok" | "mock", inner) => self.fields(inner),
                _ => {}
            }
        }
    }

    fn value_of_server(&self, value: &mut Value) {
        if let Value::String(name) = value {
            *name = self.server(name);
        }
    }

    /// Other ids for the requests of a message, of the same type.
    fn message(&self, message: &mut Value) {
        match message {
            Value::Array(batch) => batch.iter_mut().for_each(|part| self.message(part)),
            Value::Object(fields) => {
                for (name, value) in fields.iter_mut() {
                    match (name.as_str(), value) {
                        ("id", id) => self.id(id),
                        ("params", Value::Object(params)) => {
                            params.get_mut("requestId").into_iter().for_each(|id| self.id(id));
                            let meta = params.get_mut("_meta").and_then(Value::as_object_mut);
                            let subscription =
                                meta.and_then(|meta| meta.get_mut("io.modelcontextprotocol/subscriptionId"));
                            subscription.into_iter().for_each(|id| self.id(id));
                        }
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }

    fn id(&self, id: &mut Value) {
        match id {
            Value::String(text) => *text = self.text_of_id(text),
            Value::Number(number) => {
                let shift = u32::try_from(self.salt % 1_000).unwrap();
                if let Some(number) = number.as_u64() {
                    *id = Value::from(number + u64::from(shift));
                } else if let Some(fraction) = number.as_f64().filter(|_| number.is_f64()) {
                    *id = Value::from(fraction + f64::from(shift));
                }
            }
            _ => {}
        }
    }
}

/// The rule that looks for the id of a session in other texts, which a renaming leaves as they are.
const OF_NAMES_IN_TEXTS: &str = "session-id-in-header-only";

#[test]
fn other_names_give_the_same_verdicts() {
    let mut corpus: Vec<&RuleHistory> = RuleHistory::all().iter().collect();
    corpus.retain(|history| history.invariant != OF_NAMES_IN_TEXTS);
    for_cases(300, &(any::<prop::sample::Index>(), any::<u64>()), |(which, salt)| {
        let history = &corpus[which.index(corpus.len())];
        let renaming = Renaming { salt, servers: true };
        let events = history.events.iter().map(|event| renaming.event(event)).collect();
        let renamed = judge(&numbered(&renaming.header(&history.header), events));
        let (before, after) = (all_essences(history.judge()), all_essences(&renamed));
        prop_assert_eq!(before, after, "{}/{}", history.invariant, history.name);
        Ok(())
    });
}

/// A history, and its events as a mock on its own would have recorded them.
type MockLife = (&'static RuleHistory, Vec<Vec<Event>>);

/// The events of a history that a mock on its own would have recorded, in groups that no other event can divide: a
/// mock journals a request and its messages in one write.
fn groups_of_mock(history: &RuleHistory) -> Vec<Vec<Event>> {
    let mut groups: Vec<Vec<Event>> = Vec::new();
    let mut is_open = false;
    for event in history.events.iter().filter(|event| matches!(event.source, Source::Mock { .. })) {
        let joins = is_open && matches!(event.kind.kind(), Kind::WireReceived | Kind::WireRepeated | Kind::WireNoise);
        match groups.last_mut().filter(|_| joins) {
            Some(group) => group.push(event.clone()),
            None => groups.push(vec![event.clone()]),
        }
        is_open = matches!(event.kind, EventKind::HttpReceived { .. }) || joins;
    }
    groups
}

/// Two lives on one clock, the second one this much later.
fn interleaved(header: &Header, left: &[Vec<Event>], right: &[Vec<Event>], later_us: u64) -> History {
    let at = |group: &&Vec<Event>| group[0].at_us;
    let shifted: Vec<Vec<Event>> = right
        .iter()
        .map(|group| group.iter().map(|event| Event { at_us: event.at_us + later_us, ..event.clone() }).collect())
        .collect();
    let mut groups: Vec<&Vec<Event>> = left.iter().chain(&shifted).collect();
    groups.sort_by_key(at);
    let mut events: Vec<Event> = groups.into_iter().flatten().cloned().collect();
    let at_us = events.last().map_or(0, |event| event.at_us);
    events.push(Event { seq: Seq(0), at_us, source: Source::Recorder, kind: EventKind::PlanEnded {} });
    numbered(header, events)
}

#[test]
fn two_clients_that_have_nothing_to_do_with_each_other_get_the_verdicts_of_each() {
    // Two mocks in one journal, as two clients use them.
    let mut by_header: BTreeMap<String, Vec<MockLife>> = BTreeMap::new();
    for history in RuleHistory::all().iter().filter(|history| history.header.host.is_none()) {
        let groups = groups_of_mock(history);
        let key = format!("{} {}", history.header.transport, history.header.revision);
        by_header.entry(key).or_default().push((history, groups));
    }
    let all: Vec<Vec<MockLife>> = by_header.into_values().filter(|of| of.len() > 1).collect();
    let indexes = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<prop::sample::Index>());
    for_cases(300, &(indexes, any::<u64>(), 0u64..40_000), |((which, left, right), salt, later_us)| {
        let of = &all[which.index(all.len())];
        let ((left, left_groups), (right, right_groups)) = (&of[left.index(of.len())], &of[right.index(of.len())]);
        let renaming = Renaming { salt, servers: true };
        let renamed: Vec<Vec<Event>> =
            right_groups.iter().map(|group| group.iter().map(|event| renaming.event(event)).collect()).collect();
        let header = Header { origin: Origin::Mock, ..left.header.clone() };
        let alone = |groups: &[Vec<Event>]| judge(&interleaved(&header, groups, &[], 0));
        let (first, second) = (alone(left_groups), alone(&renamed));
        let both = judge(&interleaved(&header, left_groups, &renamed, later_us));
        for finding in &both.findings {
            let verdict = |judgement: &Judgement| {
                judgement.finding(finding.invariant).map_or(Verdict::Pass, |finding| finding.verdict)
            };
            // What follows from another violation in one life is withdrawn from both.
            let is_withdrawn = |judgement: &Judgement| {
                judgement
                    .finding(finding.invariant)
                    .is_some_and(|alone| alone.verdict == Verdict::NotObservable && alone.because == finding.because)
            };
            if finding.verdict == Verdict::NotObservable && (is_withdrawn(&first) || is_withdrawn(&second)) {
                continue;
            }
            let expected = worse(verdict(&first), verdict(&second));
            prop_assert_eq!(
                finding.verdict,
                expected,
                "{} of {}/{} next to {}/{}: {}",
                finding.invariant,
                left.invariant,
                left.name,
                right.invariant,
                right.name,
                finding.because
            );
        }
        Ok(())
    });
}

/// The verdict on two lives together.
fn worse(left: Verdict, right: Verdict) -> Verdict {
    let order = [
        Verdict::Fail,
        Verdict::Inconclusive,
        Verdict::Warn,
        Verdict::Pass,
        Verdict::Vacuous,
        Verdict::NotObservable,
        Verdict::NotApplicable,
    ];
    order.into_iter().find(|verdict| [left, right].contains(verdict)).unwrap()
}
