//! Compares what a mock received with the expectations of a test.

use std::fmt::Write as _;

use crate::history::{Event, EventKind, History, Seq, Source};
use crate::run::JudgedHistory;
use crate::script::Script;
use crate::testing::mock::Times;

/// The differences between the expectations and the behaviour of the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the client of mock {script} is not as expected\n{text}")]
pub struct Unmet {
    script: String,
    text: String,
}

/// Compares a history with the expectations, the protocol and the script.
pub(super) fn verify(history: &History, script: &Script, expected: &[(String, Times)]) -> Result<(), Unmet> {
    let mut text = String::new();
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        writeln!(text, "{arguments}").expect("writing to a string cannot fail");
    };
    for (method, times) in expected {
        let n_received = n_received(history, method);
        if !times.allows(n_received) {
            line(format_args!("found {n_received} messages {method}, expected {times}"));
        }
    }
    for fault in missing_faults(history, script) {
        line(format_args!("fault {fault} of the script was never delivered: nothing was tested"));
    }
    text.push_str(&broken_invariants(history));
    if text.is_empty() { Ok(()) } else { Err(Unmet { script: script.name().to_owned(), text }) }
}

fn n_received(history: &History, wanted: &str) -> usize {
    let is_wanted = |event: &&Event| match &event.kind {
        EventKind::WireReceived { message, .. } => message.method() == Some(wanted),
        _ => false,
    };
    history.events().iter().filter(is_wanted).count()
}

fn missing_faults(history: &History, script: &Script) -> Vec<String> {
    let is_delivered = |name: &String| {
        let is_it = |event: &Event| matches!(&event.kind, EventKind::FaultDelivered { fault, .. } if fault == name);
        history.events().iter().any(is_it)
    };
    script.required_faults().into_iter().filter(|name| !is_delivered(name)).collect()
}

/// The failures of protocol rules, as text. A mock sees messages and connections only, so rules that need more stay silent.
fn broken_invariants(history: &History) -> String {
    // Failures alone: a script that impairs a connection on purpose is not a reason to doubt the rest of a test.
    JudgedHistory::new(ended(history), "run this test again".to_owned()).failures_text()
}

/// The history with an end after its last event.
fn ended(history: &History) -> History {
    let mut events = history.events().to_vec();
    let at_us = events.last().map_or(0, |event| event.at_us);
    let seq = Seq(events.len() as u64 + 1);
    events.push(Event { seq, at_us, source: Source::Recorder, kind: EventKind::PlanEnded {} });
    History::from_events(history.header().clone(), events).expect("the last event has the next number")
}
