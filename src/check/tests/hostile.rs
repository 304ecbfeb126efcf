//! Histories and traces that no recorder would write: each is refused or judged, and nothing panics.

use proptest::prelude::*;

use super::RuleHistory;
use super::invariance::for_cases;
use crate::check::judge;
use crate::history::{EventKind, event_to_line, read_history, read_journal, read_trace};

/// A history of the corpus as a file.
fn file_of(history: &RuleHistory) -> String {
    let header = serde_json::to_string(&history.header).unwrap();
    let lines = history.events.iter().map(event_to_line);
    [header].into_iter().chain(lines).map(|line| line + "\n").collect()
}

/// The messages of a history as a trace.
fn trace_of(history: &RuleHistory) -> String {
    let messages = history.events.iter().filter_map(|event| match &event.kind {
        EventKind::WireReceived { connection, message } => Some(("c2s", connection, message)),
        EventKind::WireSent { connection, message } => Some(("s2c", connection, message)),
        _ => None,
    });
    messages
        .map(|(direction, connection, message)| {
            format!(
                "{{\"direction\":\"{direction}\",\"connection\":\"{connection}\",\"message\":{}}}\n",
                message.body()
            )
        })
        .collect()
}

fn read_in_every_way(text: &str) {
    for read in [read_history, read_journal, read_trace] {
        if let Ok(history) = read("hostile", text) {
            drop(judge(&history));
        }
    }
}

#[test]
fn a_damaged_file_is_refused_or_judged() {
    let corpus = RuleHistory::all();
    let damage = prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let swaps = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..6);
    let chosen = (any::<prop::sample::Index>(), any::<bool>(), damage, swaps, any::<prop::sample::Index>());
    for_cases(300, &chosen, |(which, is_trace, damage, swaps, cut)| {
        let history = &corpus[which.index(corpus.len())];
        let text = if is_trace { trace_of(history) } else { file_of(history) };
        let mut lines: Vec<&str> = text.lines().collect();
        let swaps = if lines.is_empty() { Vec::new() } else { swaps };
        for (left, right) in &swaps {
            let (left, right) = (left.index(lines.len()), right.index(lines.len()));
            lines.swap(left, right);
        }
        let reordered: String = lines.iter().map(|line| format!("{line}\n")).collect();
        read_in_every_way(&reordered);
        let mut bytes = reordered.into_bytes();
        let damage = if bytes.is_empty() { Vec::new() } else { damage };
        for (place, byte) in &damage {
            let place = place.index(bytes.len());
            bytes[place] = *byte;
        }
        let n_left = cut.index(bytes.len() + 1);
        bytes.truncate(n_left);
        read_in_every_way(&String::from_utf8_lossy(&bytes));
        Ok(())
    });
}
