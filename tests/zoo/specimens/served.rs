//! Requests of the server: pings, responses that match, and progress.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, MODERN, failure, proper, result};
use super::{POLITE, Script, Specimen, http, row, sse, stdio};

const PING: Script = Script::Shipped("ping-in-call");
/// Sends a ping on the stream of a call.
const PING_STREAM: Script = Script::Written(
    r#"about = "Sends a ping on the stream of its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask = "ping" }, "answer"]
"#,
);
const EARLY_PING: Script = Script::Shipped("ping-before-initialized");
const ROOTS: Script = Script::Shipped("roots-asked-in-call");
/// Asks for roots on the stream of a call.
const ROOTS_STREAM: Script = Script::Written(
    r#"about = "Asks for roots on the stream of its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask = "roots/list" }, "answer"]
"#,
);
/// Asks for a completion on the stream of a call, and for its progress.
const PROGRESS_STREAM: Script = Script::Written(
    r#"about = "Asks for a completion on the stream of its first call, and for its progress."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask-with = { method = "sampling/createMessage", params = { messages = [], maxTokens = 1, _meta = { progressToken = "p1" } } } }, "await-response", "answer"]
"#,
);
/// Asks for roots on the stream of a call, and answers the second call late.
const STREAM_THEN_SLOW: Script = Script::Written(
    r#"about = "Asks for roots on the stream of its first call, and answers the second after a while."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask = "roots/list" }, "answer"]
[[rule]]
on = { request = "tools/call", nth = 2 }
do = [{ delay = "1200ms" }]
"#,
);
/// Asks for a completion, and for its progress.
const PROGRESS: Script = Script::Written(
    r#"about = "Asks for a completion, and for its progress, in its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ ask-with = { method = "sampling/createMessage", params = { messages = [], maxTokens = 1, _meta = { progressToken = "p1" } } } }, "await-response", "answer"]
"#,
);
/// Asks for roots and sends a ping during a call, and answers the call at once. It answers later calls late.
const THEN_SLOW: Script = Script::Written(
    r#"about = "Asks for roots and pings in its first call, and answers the second after a while."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ ask = "roots/list" }, { ask = "ping" }, "answer"]
[[rule]]
on = { request = "tools/call", nth = 2 }
do = [{ delay = "1200ms" }]
"#,
);
/// Sends a ping and asks for roots in a call, and answers the next call late.
const PING_THEN_SLOW: Script = Script::Written(
    r#"about = "Sends a ping and asks for roots in its first call, and answers the second after a while."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ ask = "ping" }, { ask = "roots/list" }, "answer"]
[[rule]]
on = { request = "tools/call", nth = 2 }
do = [{ delay = "1200ms" }]
"#,
);
/// Sends a ping before it answers initialize, and answers the second call late.
const EARLY_PING_THEN_SLOW: Script = Script::Written(
    r#"about = "Sends a ping before it answers initialize, and answers the second call after a while."
[[rule]]
on = { request = "initialize" }
do = [{ ask = "ping" }, "answer"]
[[rule]]
on = { request = "tools/call", nth = 2 }
do = [{ delay = "1200ms" }]
"#,
);

const PINGED: (&[&str], &str) = (&["LC-PING-01"], "ping-answered");
const EARLY: (&[&str], &str) = (&["LC-PING-02"], "ping-answered");
const MATCHED: (&[&str], &str) = (&["LC-MSG-06"], "responses-match-requests");
const NONE_SENT: (&[&str], &str) = (&["LC-MSG-11"], "responses-match-requests");
const ONCE: (&[&str], &str) = (&["LC-MSG-01"], "responses-match-requests");
const ANSWERED: (&[&str], &str) = (&["LC-S2C-01"], "server-requests-answered");
const REPORTED: (&[&str], &str) = (&["LC-PROG-02"], "progress-tokens-valid");

pub(super) const SPECIMENS: &[Specimen] = &[
    row(("ping-refused", "Refuses a ping."), stdio("2025-11-25", PING), PINGED, ping_refused),
    row(
        ("ping-refused-on-a-post", "Refuses a ping that came with a call."),
        http("2025-03-26", PING_STREAM),
        PINGED,
        ping_refused,
    ),
    row(
        ("ping-answered-with-more", "Answers a ping with a result that has a member."),
        sse("2024-11-05", PING),
        PINGED,
        ping_with_more,
    ),
    row(
        ("ping-ignored", "Never answers a ping, and goes on for a second."),
        stdio("2025-06-18", PING_THEN_SLOW),
        PINGED,
        ping_ignored,
    ),
    row(
        ("early-ping-refused", "Refuses a ping before the answer to initialize."),
        stdio("2025-11-25", EARLY_PING),
        EARLY,
        ping_refused,
    ),
    row(
        ("early-ping-ignored", "Answers no ping before it is initialized."),
        stdio("2024-11-05", EARLY_PING_THEN_SLOW),
        EARLY,
        ignored,
    ),
    row(
        ("response-under-a-text", "Responds under the id as a text."),
        stdio("2025-11-25", ROOTS),
        MATCHED,
        response_under_text,
    ),
    row(
        ("response-under-another-id", "Posts a response under an id of its own."),
        http("2025-06-18", ROOTS_STREAM),
        MATCHED,
        response_under_other,
    ),
    row(
        ("response-unasked", "Responds although it was not asked."),
        stdio("2024-11-05", POLITE),
        MATCHED,
        response_unasked,
    ),
    row(("response-twice", "Responds twice to one request."), stdio("2025-06-18", ROOTS), ONCE, response_twice),
    row(
        ("response-posted-twice", "Posts its response twice on one socket."),
        http("2025-11-25", ROOTS_STREAM),
        ONCE,
        response_twice,
    ),
    row(
        ("response-without-handshake", "Sends a response without a handshake."),
        stdio(MODERN, POLITE),
        NONE_SENT,
        response_unasked,
    ),
    row(
        ("response-posted-without-handshake", "Posts a response without a handshake."),
        http(MODERN, POLITE),
        NONE_SENT,
        response_unasked,
    ),
    row(
        ("roots-request-ignored", "Ignores a request for roots, and goes on."),
        stdio("2025-11-25", THEN_SLOW),
        ANSWERED,
        roots_ignored,
    ),
    row(
        ("all-requests-ignored", "Reads nothing but the answers to its own requests, and goes on for long."),
        stdio("2024-11-05", ROOTS),
        ANSWERED,
        all_ignored,
    ),
    Specimen {
        breaks: &["LC-S2C-03"],
        ..row(
            (
                "roots-request-dropped-in-a-call",
                "Drops a request for the roots that it declared, because it waits for its call.",
            ),
            http("2025-06-18", STREAM_THEN_SLOW),
            ANSWERED,
            dropped_in_call,
        )
    },
    row(
        ("progress-of-no-request", "Reports progress under a token of its own."),
        stdio("2025-11-25", PROGRESS),
        REPORTED,
        progress_of_none,
    ),
    row(
        ("progress-going-back", "Reports less progress than before."),
        stdio("2025-06-18", PROGRESS),
        REPORTED,
        progress_back,
    ),
    row(
        ("progress-after-the-response", "Reports progress after its response."),
        http("2025-11-25", PROGRESS_STREAM),
        REPORTED,
        progress_late,
    ),
    row(
        ("progress-without-a-number", "Reports progress as a text."),
        http("2025-03-26", PROGRESS_STREAM),
        REPORTED,
        progress_text,
    ),
];

/// A life that serves its server in this way, or as it should.
fn serving(client: &mut Client, is_broken: bool, messages: fn(&Value) -> Vec<Value>) {
    if is_broken {
        client.serve = Some(Box::new(messages));
    }
    client.open();
    client.call(1);
    client.call(2);
}

fn ping_refused(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, |request| vec![failure(request, -32_601)]);
}

fn ping_with_more(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, |request| vec![result(request, json!({ "status": "alive" }))]);
}

/// The second call takes longer than an answer may, and two more follow.
fn ignored(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, |_| Vec::new());
    client.call(3);
}

/// Answers pings, and ignores the request for roots.
fn roots_ignored(client: &mut Client, is_broken: bool) {
    serving(
        client,
        is_broken,
        |request| {
            if request["method"] == "ping" { vec![result(request, json!({}))] } else { Vec::new() }
        },
    );
    client.call(3);
}

/// Refuses the request for roots, and ignores the ping.
fn ping_ignored(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, |request| {
        if request["method"] == "ping" { Vec::new() } else { vec![proper(request, &json!({}))] }
    });
    client.call(3);
}

/// Ignores every request of its server for as long as a client without evidence of reading must, before that counts.
fn all_ignored(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, |_| Vec::new());
    for n in 3..=7 {
        sleep(Duration::from_millis(500));
        client.call(n);
    }
}

fn dropped_in_call(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "roots": {} });
    ignored(client, is_broken);
}

fn response_under_text(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, |request| {
        let mut response = proper(request, &json!({}));
        response["id"] = json!(request["id"].to_string());
        vec![response]
    });
}

fn response_under_other(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, |request| {
        let mut response = proper(request, &json!({}));
        response["id"] = json!(4_711);
        vec![response]
    });
}

fn response_unasked(client: &mut Client, is_broken: bool) {
    client.begin_life();
    if is_broken {
        client.send(&json!({ "jsonrpc": "2.0", "id": "s9", "result": {} }));
    }
    client.call(1);
}

fn response_twice(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, |request| vec![proper(request, &json!({})); 2]);
}

fn progress(token: &str, progress: Value) -> Value {
    let params = json!({ "progressToken": token, "progress": progress });
    json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
}

/// A life that reports progress before it responds; the broken one gets the response and says in what order what is sent.
fn reporting(client: &mut Client, is_broken: bool, order: fn(Value) -> Vec<Value>) {
    client.capabilities = json!({ "sampling": {} });
    let capabilities = client.capabilities.clone();
    client.serve = Some(Box::new(move |request| {
        let response = proper(request, &capabilities);
        if is_broken { order(response) } else { vec![progress("p1", json!(1)), progress("p1", json!(2)), response] }
    }));
    client.open();
    client.call(1);
    client.call(2);
}

fn progress_of_none(client: &mut Client, is_broken: bool) {
    reporting(client, is_broken, |response| vec![progress("mine", json!(1)), response]);
}

fn progress_back(client: &mut Client, is_broken: bool) {
    reporting(client, is_broken, |response| vec![progress("p1", json!(2)), progress("p1", json!(1)), response]);
}

fn progress_late(client: &mut Client, is_broken: bool) {
    reporting(client, is_broken, |response| vec![progress("p1", json!(1)), response, progress("p1", json!(2))]);
}

fn progress_text(client: &mut Client, is_broken: bool) {
    reporting(client, is_broken, |response| vec![progress("p1", json!("half")), response]);
}
