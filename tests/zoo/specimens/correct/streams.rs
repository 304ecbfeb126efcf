//! Streams: listening, resuming, polling, and leaving it alone.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::client::{Client, MODERN};
use super::super::{Correct, POLITE, Script, http, sse, stdio};
use super::row;

const REFUSED: Script = Script::Shipped("get-refused");
const CLOSING: Script = Script::Shipped("get-closed-at-once");
const CUT: Script = Script::Written(
    r#"about = "Keeps the answer to its first call for the stream with which the client comes back."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ event-id = "7" }, "answer-on-return"]
"#,
);
const POLLED: Script = Script::Written(
    r#"about = "Ends each stream of its session, and asks its client to come back in 300 ms."
[[rule]]
on = { get = true }
do = ["answer", { retry = 300 }, "end-stream"]
"#,
);
const OWN_PACE: Script = Script::Written(
    r#"about = "Ends the stream of its first call, and asks its client to come back in 400 ms."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ event-id = "7" }, { retry = 400 }, "answer-on-return"]
"#,
);
const TWO_POLLS: Script = Script::Written(
    r#"about = "Keeps the answers to its first two calls for the streams with which the client comes back."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ event-id = "a-7" }, "answer-on-return", "end-stream"]
[[rule]]
on = { request = "tools/call", nth = 2 }
do = [{ event-id = "b-7" }, "answer-on-return", "end-stream"]
"#,
);
const CHANGING: Script = Script::Shipped("tools-that-change");
const STREAMED: Script = Script::Shipped("sse-answers");

pub(super) const SPECIMENS: &[Correct] = &[
    row("listens", "Keeps a stream of its session beside its calls.", http("2025-11-25", POLITE), listens),
    row(
        "accepts-a-refused-stream",
        "Asks for a stream once and goes on without it.",
        http("2025-06-18", REFUSED),
        listens,
    ),
    row(
        "backs-off",
        "Asks for a stream that ends at once ever more slowly, and stops.",
        http("2025-11-25", CLOSING),
        backs_off,
    ),
    row(
        "resumes",
        "Loses the stream of its call and resumes it behind the last event.",
        http("2025-11-25", CUT),
        resumes,
    ),
    row(
        "resumes-after-its-own-loss",
        "Closes the stream of its call itself and resumes it.",
        http("2025-06-18", CUT),
        resumes_own,
    ),
    row(
        "polls",
        "Comes back to its stream six times, each time when it was told to.",
        http("2025-11-25", POLLED),
        polls,
    ),
    row(
        "polls-for-its-answer",
        "Comes back for the answer to its call when it was told to.",
        http("2025-11-25", OWN_PACE),
        polls_for_answer,
    ),
    row(
        "polls-for-two-answers",
        "Comes back for the answer to its second call, then for the answer to its first.",
        http("2025-11-25", TWO_POLLS),
        polls_for_two,
    ),
    row(
        "reads-streamed-answers",
        "Reads the answers to its requests from streams.",
        http("2025-03-26", STREAMED),
        reads_streams,
    ),
    row("hears-of-changes", "Lists again after it hears of changed tools.", stdio("2025-06-18", CHANGING), hears),
    row(
        "finds-the-old-transport",
        "Posts initialize first, is refused, and opens a stream of events.",
        sse("2024-11-05", POLITE),
        finds_old,
    ),
    row(
        "subscribes",
        "Listens for changes without a handshake, and ends that by cancelling.",
        stdio(MODERN, POLITE),
        subscribes,
    ),
    row(
        "subscribes-over-http",
        "Listens for changes over HTTP, and ends that by closing the stream.",
        http(MODERN, POLITE),
        subscribes_over_http,
    ),
];

fn listens(client: &mut Client) {
    client.open();
    let stream = client.http().listen(None);
    client.list();
    client.call(1);
    drop(stream);
}

fn backs_off(client: &mut Client) {
    client.open();
    for pause_ms in [0, 100, 250, 600] {
        sleep(Duration::from_millis(pause_ms));
        client.http().listen(None).rest();
    }
    client.call(1);
}

fn resumes(client: &mut Client) {
    client.open();
    let answer = client.call(1);
    let id = answer.events.iter().find_map(|event| event.id.clone()).unwrap();
    client.http().listen(Some(&id)).rest();
    client.call(2);
}

/// Each stream brings the answer that belongs on it, and no other.
fn polls_for_two(client: &mut Client) {
    client.open();
    let (first, second) = (client.call_message(1), client.call_message(2));
    client.exchange(&first);
    client.exchange(&second);
    for (event, call) in [("b-7", &second), ("a-7", &first)] {
        let events = client.http().listen(Some(event)).rest();
        let ids: Vec<Value> = events.iter().filter_map(|event| Some(event.message()?["id"].clone())).collect();
        assert_eq!(ids, [call["id"].clone()]);
    }
    client.call(3);
}

fn resumes_own(client: &mut Client) {
    client.open();
    let call = client.call_message(1);
    let mut pending = client.begin(&call);
    pending.head();
    let id = pending.event().unwrap().id.unwrap();
    pending.abandon();
    client.http().listen(Some(&id)).rest();
    client.call(2);
}

fn polls(client: &mut Client) {
    client.open();
    for _ in 0..6 {
        let events = client.http().listen(None).rest();
        let retry_ms = events.iter().find_map(|event| event.retry_ms).unwrap();
        sleep(Duration::from_millis(retry_ms));
    }
    client.call(1);
}

fn polls_for_answer(client: &mut Client) {
    client.open();
    let answer = client.call(1);
    let id = answer.events.iter().find_map(|event| event.id.clone()).unwrap();
    let retry_ms = answer.events.iter().find_map(|event| event.retry_ms).unwrap();
    sleep(Duration::from_millis(retry_ms));
    client.http().listen(Some(&id)).rest();
}

fn reads_streams(client: &mut Client) {
    client.open();
    client.list();
    client.call(1);
}

fn hears(client: &mut Client) {
    client.open();
    client.list();
    client.call(1);
    client.list();
    client.call(2);
}

/// The stream is open already; the attempt comes from another client of the program.
fn finds_old(client: &mut Client) {
    let about = client.about();
    let message = client.message("initialize", about);
    let target = client.http().path.clone();
    client.events().post_to(&target, &message);
    client.open();
    client.call(1);
}

fn subscribes(client: &mut Client) {
    let listen = client.message("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    client.begin(&listen);
    client.list();
    client.call(1);
    client.cancel(&listen["id"]);
    client.list();
}

fn subscribes_over_http(client: &mut Client) {
    let listen = client.message("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
    let mut pending = client.begin(&listen);
    pending.head();
    client.list();
    client.call(1);
    pending.abandon();
    client.list();
}
