//! Removes secrets from events before the recorder writes them.

use crate::foreign::{Redacted, Secrets, words_without_secrets};
use crate::history::{Event, EventKind, Outcome, event_to_line};

/// Removes the secrets from an event. Returns its line, and the number of secrets.
///
/// Text of other programs loses all that has the form of a secret. A message of the protocol loses only values that are known to be
/// secret: whatever else it holds is data of the experiment.
pub(super) fn without_secrets(event: &mut Event, secrets: &Secrets) -> (String, usize) {
    let mut n_secrets = free_texts(&mut event.kind).into_iter().map(|text| redact(text, secrets)).sum();
    n_secrets += commands(&mut event.kind).map_or(0, redact_command);
    let line = event_to_line(event);
    if !secrets.may_be_in(&line) {
        return (line, n_secrets);
    }
    let written = serde_json::to_value(&event.kind).ok();
    let read = written.and_then(|mut value| {
        n_secrets += secrets.redact_strings(&mut value);
        serde_json::from_value::<EventKind>(value).ok()
    });
    if let Some(kind) = read {
        event.kind = kind;
    }
    (event_to_line(event), n_secrets)
}

/// The texts of an event that another program wrote, or that may quote one.
fn free_texts(kind: &mut EventKind) -> Vec<&mut String> {
    match kind {
        EventKind::ErrorReported { text, .. } | EventKind::StacksTaken { text, .. } => vec![text],
        EventKind::ExperimentFailed { because }
        | EventKind::EvidenceTruncated { because, .. }
        | EventKind::LinkRefused { because }
        | EventKind::LimitHit { because, .. }
        | EventKind::StepUnmet { because, .. } => vec![because],
        EventKind::StepMet { saw, .. } => vec![saw],
        EventKind::WireNoise { head, .. } => vec![head],
        EventKind::WireRepeated { name, .. } => vec![name],
        EventKind::OperationCompleted { outcome: Outcome::Failed(failure), .. } => vec![&mut failure.message],
        EventKind::OperationCompleted { outcome: Outcome::Ok { errors, .. }, .. } => errors.values_mut().collect(),
        // Messages of the protocol, and facts that mcp-lifecheck writes itself.
        _ => Vec::new(),
    }
}

/// The command line in an event.
fn commands(kind: &mut EventKind) -> Option<&mut String> {
    match kind {
        EventKind::ProcessStarted { command, .. } | EventKind::ProcessOrphan { command, .. } => command.as_mut(),
        _ => None,
    }
}

fn redact(text: &mut String, secrets: &Secrets) -> usize {
    let Redacted { text: without, n_secrets } = secrets.redact(text);
    if n_secrets > 0 {
        *text = without.into_owned();
    }
    n_secrets
}

fn redact_command(command: &mut String) -> usize {
    let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
    // The token of a mock is of no use when its run is over.
    if words.get(1).is_some_and(|word| word == "__mock") {
        return 0;
    }
    let without = words_without_secrets(&words);
    let n_secrets = words.iter().zip(&without).filter(|(word, without)| word != without).count();
    *command = without.join(" ");
    n_secrets
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::history::{Channel, ConnectionId, Message, ProcessId, Seq, Source};

    #[test]
    fn texts_and_commands_lose_forms_and_messages_lose_values() {
        let secrets = Secrets::default().and_of_text("API_KEY=blue-horse");
        let command = Some("agent --token abc x".to_owned());
        let message = |key: &str| Message::new(json!({ "method": "x", "params": { "password": "p", "key": key } }));
        let sent = |key| EventKind::WireReceived { connection: ConnectionId::from("c1"), message: message(key) };
        let reported =
            |text: &str| EventKind::ErrorReported { channel: Channel::Stderr, text: text.to_owned(), code: Vec::new() };
        let started = |command| EventKind::ProcessStarted {
            process: ProcessId::from("p1"),
            role: "loader".to_owned(),
            pid: None,
            command,
        };
        for (kind, expected, n_expected) in [
            (reported("password=p, blue-horse"), reported("password=[redacted], [redacted]"), 2),
            (started(command), started(Some("agent --token [redacted] x".to_owned())), 1),
            (sent("a blue-horse"), sent("a [redacted]"), 1),
            (sent("other"), sent("other"), 0),
        ] {
            let mut event = Event { seq: Seq(1), at_us: 0, source: Source::Driver, kind };
            let (line, n_secrets) = without_secrets(&mut event, &secrets);
            assert_eq!((&event.kind, n_secrets), (&expected, n_expected));
            assert_eq!(line, event_to_line(&event));
        }
    }
}
