//! Histories to judge: recorded ones, and one of them repeated many times.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use mcp_lifecheck::history::{Action, Event, EventKind, Header, History, Seq, Source, read_history};
use serde_json::{Map, Value};

/// A history as it stands on file, and as it is read.
pub struct Recorded {
    pub text: String,
    pub history: History,
}

/// Runs a suite with the reference loader and reads every history of it.
pub fn record(suite: &str) -> Vec<Recorded> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = Command::new(env!("CARGO_BIN_EXE_mcp-lifecheck"));
    command.args(["run", suite, "--quiet", "--out"]).arg(folder.path()).stdout(Stdio::null());
    let status = command.status().expect("mcp-lifecheck starts");
    assert!(status.success(), "mcp-lifecheck run {suite} ended with {status}");
    let mut plans: Vec<PathBuf> = entries(folder.path());
    plans.sort();
    plans.iter().map(|plan| plan.join("history.jsonl")).filter(|path| path.exists()).map(|path| read(&path)).collect()
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).expect("it was just written").flatten().map(|entry| entry.path()).collect()
}

fn read(path: &Path) -> Recorded {
    let text = fs::read_to_string(path).expect("it is there");
    let history = read_history("recorded", &text).expect("we wrote it");
    Recorded { text, history }
}

/// A history with a part that can be repeated, between what comes before it and what comes after it.
pub struct Life {
    pub header: Header,
    before: Vec<Event>,
    body: Vec<Event>,
    after: Vec<Event>,
    /// What gets a new name in each turn.
    renames: &'static [&'static str],
    n_operations: u64,
    n_incarnations: u64,
}

impl Life {
    /// Repeats everything from the first load to the exit.
    pub fn of(history: &History) -> Self {
        let events = history.events();
        let begins = |event: &Event| matches!(event.kind, EventKind::StepBegan { .. });
        let ends = |event: &Event| matches!(event.kind, EventKind::ExitRequested {});
        let first = events.iter().position(begins).expect("a scenario has steps");
        let last = events.iter().position(ends).expect("the program was asked to end");
        let operations = events.iter().filter(|event| matches!(event.kind, EventKind::OperationInvoked { .. }));
        let incarnation = |event: &Event| match event.source {
            Source::Mock { incarnation, .. } => u64::from(incarnation),
            _ => 0,
        };
        Self {
            header: history.header().clone(),
            before: events[..first].to_vec(),
            body: events[first..last].to_vec(),
            after: events[last..].to_vec(),
            n_operations: operations.count() as u64,
            renames: &["connection", "scope", "parent", "process", "session", "socket", "exchange"],
            n_incarnations: events.iter().map(incarnation).max().unwrap_or(0),
        }
    }

    /// Repeats the first call, all in one session.
    pub fn of_one_session(history: &History) -> Self {
        let events = history.events();
        let is_call = |event: &Event| matches!(event.kind, EventKind::OperationInvoked { action: Action::Call, .. });
        let ends = |event: &Event| matches!(event.kind, EventKind::OperationCompleted { .. });
        let first = events.iter().position(is_call).expect("the scenario has calls");
        let last = first + events[first..].iter().position(ends).expect("the call completed") + 1;
        let whole = Self::of(history);
        Self {
            before: events[..first].to_vec(),
            body: events[first..last].to_vec(),
            after: events[last..].to_vec(),
            renames: &["socket", "exchange"],
            n_incarnations: 0,
            ..whole
        }
    }

    /// Gives at least `n_events` events in order, some at once; how many there were.
    pub fn lived_over_and_over(&self, n_events: u64, mut give: impl FnMut(&[Event])) -> u64 {
        let mut n_given = 0;
        let mut numbered = |events: &mut [Event]| {
            for event in events.iter_mut() {
                n_given += 1;
                event.seq = Seq(n_given);
            }
            give(events);
            n_given
        };
        numbered(&mut self.before.clone());
        for turn in 0.. {
            let mut events: Vec<Event> = self.body.iter().map(|event| self.in_turn(event, turn)).collect();
            if numbered(&mut events) >= n_events {
                break;
            }
        }
        numbered(&mut self.after.clone())
    }

    /// An event of the n-th turn: with names of its own for whatever was new in it.
    fn in_turn(&self, event: &Event, turn: u64) -> Event {
        let Ok(Value::Object(fields)) = serde_json::to_value(&event.kind) else {
            unreachable!("an event kind is written as an object");
        };
        let kind = serde_json::from_value(Value::Object(self.renamed(fields, turn))).expect("only names changed");
        let source = match &event.source {
            Source::Mock { server, incarnation } => {
                let incarnation = u32::try_from(u64::from(*incarnation) + turn * self.n_incarnations);
                Source::Mock { server: server.clone(), incarnation: incarnation.expect("fewer than 2^32 turns") }
            }
            other => other.clone(),
        };
        Event { source, kind, ..event.clone() }
    }

    fn renamed(&self, fields: Map<String, Value>, turn: u64) -> Map<String, Value> {
        let rename = |(name, value): (String, Value)| {
            let value = match (name.as_str(), value) {
                // In one session each request needs an id of its own, and each call names its operation.
                ("message", mut message) if !self.renames.contains(&"session") => {
                    if let Some(id) = message.get_mut("id") {
                        *id = Value::from(format!("{id}.{turn}"));
                    }
                    if let Some(n) = message.pointer_mut("/params/arguments/n") {
                        *n = Value::from(n.as_u64().unwrap_or(0) + turn * self.n_operations);
                    }
                    message
                }
                ("message", message) => message,
                (name, Value::String(text)) if self.renames.contains(&name) && text != "p1" => {
                    Value::from(format!("{text}.{turn}"))
                }
                ("operation", Value::Number(number)) => {
                    Value::from(number.as_u64().unwrap_or(0) + turn * self.n_operations)
                }
                ("incarnation", Value::Number(number)) => {
                    Value::from(number.as_u64().unwrap_or(0) + turn * self.n_incarnations)
                }
                (_, Value::Object(inner)) => Value::Object(self.renamed(inner, turn)),
                (_, other) => other,
            };
            (name, value)
        };
        fields.into_iter().map(rename).collect()
    }
}
