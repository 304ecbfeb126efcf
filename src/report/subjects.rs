//! The sessions, connections, requests and paths in a finding, by name.

use crate::check::{Judgement, Verdict};
use crate::history::{Event, EventKind, History, Message};

/// Most names that are added to one finding.
const NAMES_MAX: usize = 4;

/// Adds to the reason of each finding the names in its witness that the reason does not have: the session, the connection, the
/// request and the path. A reader with several sessions then knows which one it is.
pub fn name_subjects(history: &History, judgement: &mut Judgement) {
    for finding in &mut judgement.findings {
        let is_told = matches!(finding.verdict, Verdict::Fail | Verdict::Warn | Verdict::Inconclusive);
        if !is_told || finding.invariant == "experiment" {
            continue;
        }
        let mut names: Vec<String> = Vec::new();
        for event in finding.witness.iter().filter_map(|seq| history.event(*seq)) {
            for (key, name) in names_of(event) {
                if !has_word(&finding.because, &key) && !names.contains(&name) && names.len() < NAMES_MAX {
                    names.push(name);
                }
            }
        }
        if !names.is_empty() {
            finding.because.to_mut().push_str(&format!(" [{}]", names.join(", ")));
        }
    }
}

/// Each name in an event: what a reason that has it contains, and how it is added to one that has not.
fn names_of(event: &Event) -> Vec<(String, String)> {
    let session = |session: &dyn ToString| (session.to_string(), format!("session {}", session.to_string()));
    let connection = |id: &dyn ToString| (id.to_string(), format!("connection {}", id.to_string()));
    match &event.kind {
        EventKind::SessionOpened { connection: id, session: named }
        | EventKind::SessionClosed { connection: id, session: named, .. } => vec![session(named), connection(id)],
        EventKind::HttpReceived { session: named, connection: id, .. } => {
            let named = named.iter().map(|named| session(named));
            named.chain(id.iter().map(|id| connection(id))).collect()
        }
        EventKind::HttpStray { session: named, path, .. } => {
            let named = named.iter().map(|named| session(named));
            named.chain([(path.clone(), format!("path {path}"))]).collect()
        }
        EventKind::WireReceived { connection: id, message } | EventKind::WireSent { connection: id, message } => {
            std::iter::once(connection(id)).chain(request(message)).collect()
        }
        EventKind::ConnectionOpened { connection: id } | EventKind::ConnectionClosed { connection: id, .. } => {
            vec![connection(id)]
        }
        // The reasons of other events name what they are about.
        _ => Vec::new(),
    }
}

fn request(message: &Message) -> Option<(String, String)> {
    let id = message.id()?.to_string();
    Some(match message.method() {
        Some(method) => (id.clone(), format!("request {id} ({method})")),
        None => (id.clone(), format!("request {id}")),
    })
}

/// Whether a text has a word that is not part of a longer word.
fn has_word(text: &str, word: &str) -> bool {
    let is_of_word = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | '#');
    text.match_indices(word).any(|(at, _)| {
        let rest = text[at + word.len()..].trim_start_matches('.');
        !text[..at].ends_with(is_of_word) && !rest.starts_with(is_of_word)
    })
}

#[cfg(test)]
mod tests {
    use super::has_word;

    #[test]
    fn a_name_counts_only_as_a_whole_word() {
        assert!(has_word("request 3 of c1 at #5", "3") && has_word("of session s-1.", "s-1"));
        assert!(!has_word("at #3 of c1.2", "3") && !has_word("at #3 of c1.2", "c1") && !has_word("s-12", "s-1"));
    }
}
