//! Streams of sessions: when they are asked for again, and what they resume.

use std::thread::sleep;
use std::time::Duration;

use super::client::Client;
use super::{Script, Specimen, row_over_http};

const REFUSING: Script = Script::Shipped("get-refused");
const CLOSING: Script = Script::Shipped("get-closed-at-once");
const RETRY_ZERO: Script = Script::Shipped("get-retry-zero");
/// Ends the stream of its first call and asks its client to come back later.
const LATER: Script = Script::Written(
    r#"about = "Ends the stream of its first call, and asks its client to come back in 600 ms."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ event-id = "7" }, { retry = 600 }, "answer-on-return"]
"#,
);
/// Ends the first stream of a session and asks its client to come back later.
const GET_LATER: Script = Script::Written(
    r#"about = "Ends the first two streams of its session, and asks its client to come back in 600 ms."
[[rule]]
on = { get = true, nth = 1 }
do = ["answer", { retry = 600 }, "end-stream"]
[[rule]]
on = { get = true, nth = 2 }
do = ["answer", { retry = 600 }, "end-stream"]
"#,
);
/// Cuts the stream of the first call behind an event with an id.
const CUT: Script = Script::Written(
    r#"about = "Keeps the answer to its first call for the stream with which the client comes back."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ event-id = "7" }, "answer-on-return"]
"#,
);
/// The same, with the ids of two sessions.
const CUT_OF_TWO: Script = Script::Written(
    r#"about = "Keeps the answer to the first call of each session for the stream with which the client comes back."
[[rule]]
on = { request = "tools/call", nth = 1, connection = 1 }
do = [{ event-id = "a-7" }, "answer-on-return"]
[[rule]]
on = { request = "tools/call", nth = 1, connection = 2 }
do = [{ event-id = "b-7" }, "answer-on-return"]
"#,
);
/// Has no streams, and ends that of the first call behind an event with an id.
const CUT_AND_REFUSED: Script = Script::Written(
    r#"about = "Ends the stream of its first call behind an event with an id, and refuses to go on with it."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ event-id = "7" }, "end-stream"]
[[rule]]
on = { get = true }
do = [{ status = 405 }]
"#,
);

const SLOWLY: (&[&str], &str) = (&["VG-19"], "stream-reopened-slowly");
const REFUSED: (&[&str], &str) = (&["LC-HTTP-06"], "refused-stream-accepted");
const RETRY: (&[&str], &str) = (&["LC-RES-04"], "retry-honoured");
const EVENT: (&[&str], &str) = (&["LC-RES-01"], "event-id-known");

pub(super) const SPECIMENS: &[Specimen] = &[
    row_over_http(
        ("stream-storm", "Asks for its stream again at once, each time."),
        ("2025-11-25", CLOSING),
        SLOWLY,
        storm,
    ),
    Specimen {
        breaks: &["LC-HTTP-06"],
        ..row_over_http(
            ("stream-storm-without-retry", "Takes a retry of 0 for a reason to never wait."),
            ("2025-06-18", RETRY_ZERO),
            SLOWLY,
            storm,
        )
    },
    Specimen {
        breaks: &["LC-HTTP-11"],
        ..row_over_http(
            ("stream-without-backoff", "Asks for its stream again with the same pause each time."),
            ("2025-03-26", CLOSING),
            SLOWLY,
            steady,
        )
    },
    row_over_http(
        ("refused-stream-polled", "Asks for a stream again and again, although it was refused."),
        ("2025-11-25", REFUSING),
        REFUSED,
        polled,
    ),
    Specimen {
        breaks: &["VG-19"],
        ..row_over_http(
            ("refused-stream-with-each-call", "Asks for the refused stream with each call."),
            ("2025-06-18", REFUSING),
            REFUSED,
            polled_with_calls,
        )
    },
    Specimen {
        breaks: &["LC-RES-07"],
        ..row_over_http(
            ("refused-stream-resumed", "Tries to resume a stream although that was refused."),
            ("2025-03-26", CUT_AND_REFUSED),
            REFUSED,
            resumed_refused,
        )
    },
    row_over_http(
        ("retry-ignored-by-a-call", "Resumes the stream of its call at once, although it was asked to wait."),
        ("2025-11-25", LATER),
        RETRY,
        retry_of_call,
    ),
    Specimen {
        breaks: &["VG-19"],
        ..row_over_http(
            ("retry-ignored-by-a-stream", "Opens its stream again at once, although it was asked to wait."),
            ("2025-06-18", GET_LATER),
            RETRY,
            retry_of_stream,
        )
    },
    row_over_http(
        ("event-id-made-up", "Resumes from an event that it counted itself."),
        ("2025-11-25", CUT),
        EVENT,
        event_made_up,
    ),
    Specimen {
        breaks: &["LC-RES-05"],
        ..row_over_http(
            ("event-id-of-another-session", "Resumes from an event of another session."),
            ("2025-06-18", CUT_OF_TWO),
            EVENT,
            event_of_other,
        )
    },
];

/// Opens its stream some times, with these pauses between.
fn reopening(client: &mut Client, pauses_ms: &[u64]) {
    client.open();
    client.http().listen(None).rest();
    for pause_ms in pauses_ms {
        sleep(Duration::from_millis(*pause_ms));
        client.http().listen(None).rest();
    }
    client.call(1);
}

fn storm(client: &mut Client, is_broken: bool) {
    reopening(client, if is_broken { &[0; 6] } else { &[0, 300, 700] });
}

fn steady(client: &mut Client, is_broken: bool) {
    reopening(client, if is_broken { &[300; 6] } else { &[250, 500, 1_000] });
}

fn polled(client: &mut Client, is_broken: bool) {
    client.open();
    let n_asked = if is_broken { 3 } else { 1 };
    (0..n_asked).for_each(|_| drop(client.http().listen(None)));
    client.call(1);
}

fn polled_with_calls(client: &mut Client, is_broken: bool) {
    client.open();
    for n in 1..=3 {
        if n == 1 || is_broken {
            drop(client.http().listen(None));
        }
        client.call(n);
    }
}

/// Makes a call whose stream ends behind an event; gives the id of that event.
fn call_cut(client: &mut Client) -> String {
    let answer = client.call(1);
    answer.events.iter().find_map(|event| event.id.clone()).unwrap()
}

fn resumed_refused(client: &mut Client, is_broken: bool) {
    client.open();
    let id = call_cut(client);
    let n_asked = if is_broken { 3 } else { 1 };
    (0..n_asked).for_each(|_| drop(client.http().listen(Some(&id))));
    client.call(2);
}

fn retry_of_call(client: &mut Client, is_broken: bool) {
    client.open();
    let id = call_cut(client);
    if !is_broken {
        sleep(Duration::from_millis(700));
    }
    client.http().listen(Some(&id)).rest();
}

fn retry_of_stream(client: &mut Client, is_broken: bool) {
    client.open();
    // A single request on another socket may have been under way when the stream ended.
    for _ in 0..2 {
        client.http().listen(None).rest();
        if !is_broken {
            sleep(Duration::from_millis(700));
        }
    }
    let again = client.http().listen(None);
    client.call(1);
    drop(again);
}

fn event_made_up(client: &mut Client, is_broken: bool) {
    client.open();
    let id = call_cut(client);
    let after = if is_broken { "8".to_owned() } else { id };
    let stream = client.http().listen(Some(&after));
    client.call(2);
    drop(stream);
}

fn event_of_other(client: &mut Client, is_broken: bool) {
    client.open();
    let first = call_cut(client);
    let mut other = client.another();
    other.open();
    let second = call_cut(&mut other);
    let stream = other.http().listen(Some(if is_broken { &first } else { &second }));
    other.call(2);
    drop(stream);
    other.end();
}
