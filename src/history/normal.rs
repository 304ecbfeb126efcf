//! The normal form of a history: what must be equal when the same plan is run again.
//!
//! One lane per context and connection, since only the order within a lane is the loader's doing: two servers are
//! opened at the same time in any order. Names take the place of numbers that are given in order of appearance; pids, times,
//! samples and delays are left out.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::history::jsonl::kind_fields;
use crate::history::{Context, EventKind, History, LinkPeer, OpId, Source};

/// The lanes of a history, by name, each with its events as text. Scopes of one name, which may be opened at the same
/// time in any order, are numbered by what happened to them.
#[must_use]
pub fn normal_lanes(history: &History) -> BTreeMap<String, Vec<String>> {
    let mut names = Names::default();
    let mut lanes: BTreeMap<(String, String), Vec<String>> = BTreeMap::new();
    for event in history.events() {
        names.learn(&event.source, &event.kind);
        if let Some(text) = names.text(&event.kind) {
            lanes.entry(names.lane(&event.source, &event.kind)).or_default().push(text);
        }
    }
    let mut alike: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    for ((lane, _), events) in lanes {
        alike.entry(lane).or_default().push(events);
    }
    let mut numbered = BTreeMap::new();
    for (lane, mut all) in alike {
        all.sort();
        let is_one = all.len() == 1;
        for (index, events) in all.into_iter().enumerate() {
            let name = if is_one { lane.clone() } else { format!("{lane} {}", index + 1) };
            numbered.insert(name, events);
        }
    }
    numbered
}

/// The normal form as one text: lanes by name.
#[must_use]
pub fn normal_text(history: &History) -> String {
    let lanes = normal_lanes(history);
    let mut text = String::new();
    for (lane, events) in lanes {
        text.push_str(&format!("[{lane}]\n"));
        for event in events {
            text.push_str(&format!("{event}\n"));
        }
    }
    text
}

/// What is known so far of the numbers in events.
#[derive(Default)]
struct Names {
    /// The context each operation was asked for in.
    places: BTreeMap<OpId, String>,
    /// Name of each scope, and where it was entered.
    scopes: BTreeMap<String, (String, Context)>,
}

impl Names {
    fn learn(&mut self, source: &Source, kind: &EventKind) {
        match kind {
            EventKind::OperationInvoked { operation, place, .. } if *source == Source::Driver => {
                self.places.insert(*operation, place.clone().unwrap_or_default());
            }
            EventKind::ScopeEntered { scope, name, context, .. } => {
                self.scopes.insert(scope.0.clone(), (name.clone(), *context));
            }
            _ => {}
        }
    }

    /// Name of the lane, and what tells lanes of one name apart.
    fn lane(&self, source: &Source, kind: &EventKind) -> (String, String) {
        if let EventKind::ScopeEntered { scope, .. } | EventKind::ScopeLeft { scope, .. } = kind {
            let name = self.scopes.get(&scope.0).map_or("?", |(name, _)| name);
            return (format!("scope {name}"), scope.0.clone());
        }
        (self.plain_lane(source, kind), String::new())
    }

    fn plain_lane(&self, source: &Source, kind: &EventKind) -> String {
        let place = |operation: &OpId| format!("loader {}", self.places.get(operation).map_or("?", String::as_str));
        match kind {
            EventKind::OperationStarted { operation, .. } | EventKind::OperationCompleted { operation, .. } => {
                place(operation)
            }
            EventKind::LinkOpened { peer } | EventKind::LinkClosed { peer, .. } => match peer {
                LinkPeer::Adapter => "link adapter".to_owned(),
                LinkPeer::Mock { server, incarnation } => format!("link {server}#{incarnation}"),
            },
            EventKind::ProcessStarted { role, .. }
            | EventKind::ProcessExited { role, .. }
            | EventKind::ProcessOrphan { role, .. }
            | EventKind::ProcessLeft { role, .. }
            | EventKind::ProcessZombie { role, .. } => format!("process {role}"),
            _ => source.to_string(),
        }
    }

    /// The event without what differs between equal runs; nothing for an event that is left out.
    fn text(&self, kind: &EventKind) -> Option<String> {
        if matches!(
            kind,
            EventKind::SampleTaken { .. } | EventKind::SchedulingDelayed { .. } | EventKind::StacksTaken { .. }
        ) {
            return None;
        }
        let mut fields = kind_fields(kind);
        let name = fields.remove("kind").and_then(|kind| kind.as_str().map(str::to_owned)).unwrap_or_default();
        // Texts are for readers: they hold addresses and counters.
        let volatile = ["pid", "command", "connection", "process", "scope", "parent", "context", "text"];
        for volatile in volatile.into_iter().chain(["url", "session", "socket", "exchange"]) {
            fields.remove(volatile);
        }
        if let EventKind::ScopeLeft { scope, context, .. } = kind {
            let entered = self.scopes.get(&scope.0).map(|(_, entered)| *entered);
            fields.insert("where".to_owned(), Value::from(whereabouts(entered, *context)));
        }
        Some(fields.into_iter().fold(name, |text, (name, value)| format!("{text} {name}={}", settled(value))))
    }
}

/// Where a scope was left, seen from where it was entered.
fn whereabouts(entered: Option<Context>, left: Context) -> &'static str {
    match entered {
        None => "unknown",
        Some(entered) if entered.task.is_some() && (entered.runtime, entered.task) == (left.runtime, left.task) => {
            "same-task"
        }
        Some(entered) if entered == left => "same-thread",
        Some(entered) if entered.runtime == left.runtime => "other-task",
        Some(_) => "elsewhere",
    }
}

/// A text in which every `0x…` is the same.
fn without_addresses(text: &str) -> String {
    let mut parts = text.split("0x");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |text, part| text + "0x…" + part.trim_start_matches(|c: char| c.is_ascii_hexdigit()))
}

/// A value without the parts that name this run.
fn settled(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let kept = fields.into_iter().filter(|(name, _)| !["progressToken", "version"].contains(&name.as_str()));
            Value::Object(Map::from_iter(kept.map(|(name, value)| (name, settled(value)))))
        }
        Value::String(text) => Value::String(without_addresses(&text)),
        Value::Array(values) => Value::Array(values.into_iter().map(settled).collect()),
        other => other,
    }
}
