//! Sessions with more requests than a rule keeps whole.

use super::RuleHistory;
use crate::check::{Finding, Verdict, judge};
use crate::history::{Event, EventKind, History, Message, Seq};

/// Requests between what a history says of a request and its cancellation.
const N_REQUESTS: u64 = 5_000;

/// The finding of a history, with that many pings of its client, each answered, before the last cancellation.
fn found_after_pings(name: &str) -> (&'static RuleHistory, Finding) {
    let is_it = |history: &&RuleHistory| history.invariant == "cancel-only-open-requests" && history.name == name;
    let history = RuleHistory::all().iter().find(is_it).unwrap();
    let cancels = |event: &Event| match &event.kind {
        EventKind::WireReceived { message, .. } => message.is_notification("notifications/cancelled"),
        _ => false,
    };
    let place = history.events.iter().rposition(cancels).unwrap();
    let cancellation = &history.events[place];
    let EventKind::WireReceived { connection, .. } = &cancellation.kind else { unreachable!("found above") };
    let mut events = history.events.clone();
    let pings = (0..N_REQUESTS).flat_map(|n| {
        let id = 1_000_000 + n;
        let ping = Message::new(serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": "ping" }));
        let answer = Message::new(serde_json::json!({ "jsonrpc": "2.0", "id": id, "result": {} }));
        [
            EventKind::WireReceived { connection: connection.clone(), message: ping },
            EventKind::WireSent { connection: connection.clone(), message: answer },
        ]
    });
    events.splice(place..place, pings.map(|kind| Event { kind, ..cancellation.clone() }));
    for (index, event) in events.iter_mut().enumerate() {
        event.seq = Seq(index as u64 + 1);
    }
    let judgement = judge(&History::from_events(history.header.clone(), events).unwrap());
    (history, judgement.finding(&history.invariant).unwrap().clone())
}

#[test]
fn a_cancellation_is_judged_alike_after_thousands_of_other_requests() {
    for name in [
        "violated-already-answered-acknowledged",
        "violated-already-answered-late-cancel",
        "violated-already-answered-next-page",
        "violated-initialize",
        "violated-task",
        "violated-twice",
        "holds-answer-unread",
    ] {
        let (history, found) = found_after_pings(name);
        let before = history.judge().finding(&history.invariant).unwrap();
        assert_eq!((found.verdict, &found.signature), (before.verdict, &before.signature), "{name}: {}", found.because);
    }
}

#[test]
fn of_a_request_that_is_over_the_evidence_that_its_answer_was_read_remains() {
    let (_, found) = found_after_pings("violated-already-answered-acknowledged");
    let because = "request 2 was cancelled at #10014, after its answer had been read at #13";
    assert_eq!((found.verdict, found.because.as_ref()), (Verdict::Fail, because));
}
