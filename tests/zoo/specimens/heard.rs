//! What a client hears of its server, and what it makes of it: notifications, requests that are taken back or meet a wait,
//! and silence.

use std::cell::Cell;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, failure, proper, result};
use super::{POLITE, Script, Specimen, http, row, sse, stdio};

const LOGS: Script = Script::Shipped("logs-in-call");
/// Has another tool than before after the first call. Pings show what its client has read.
const CHANGING: Script = Script::Written(
    r#"about = "Has another tool after the first call, and pings in the later ones."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["answer", { tools = ["write"] }, { notify = "notifications/tools/list_changed" }]
[[rule]]
on = { request = "tools/call", nth = 3 }
do = [{ ask = "ping" }]
"#,
);
/// Takes a request for roots back at once, and sends a ping after that.
const TAKEN_BACK: Script = Script::Written(
    r#"about = "Asks for roots in its first call, takes that back, and pings."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ ask = "roots/list" }, { notify-with = { method = "notifications/cancelled", params = { requestId = 0 } } }, { ask = "ping" }, "await-response", "answer"]
"#,
);
/// Waits long for the roots that it asks for in two calls, and not for the same time.
const PATIENT: Script = Script::Written(
    r#"about = "Asks for roots in its first two calls, and answers the one after a second and the other after two."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ ask = "roots/list" }, { delay = "1200ms" }, "answer"]
[[rule]]
on = { request = "tools/call", nth = 2 }
do = [{ ask = "roots/list" }, { delay = "2s" }, "answer"]
"#,
);
/// The same on the streams of the calls.
const PATIENT_STREAM: Script = Script::Written(
    r#"about = "Asks for roots on the streams of its first two calls, and answers the one after a second and the other after two."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask = "roots/list" }, { delay = "1200ms" }, "answer"]
[[rule]]
on = { request = "tools/call", nth = 2 }
do = ["sse", { ask = "roots/list" }, { delay = "2s" }, "answer"]
"#,
);
const ROOTS: Script = Script::Shipped("roots-asked-in-call");
/// Asks for a completion on the stream of a call.
const SAMPLING_STREAM: Script = Script::Written(
    r#"about = "Asks for a completion on the stream of its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask-with = { method = "sampling/createMessage", params = { messages = [], maxTokens = 1 } } }, "answer"]
"#,
);
/// Asks for roots in each call.
const ROOTS_EACH_TIME: Script = Script::Written(
    r#"about = "Asks for roots in each call."
[[rule]]
on = { request = "tools/call" }
do = [{ ask = "roots/list" }, "await-response", "answer"]
"#,
);
/// The same on the stream of the call.
const ROOTS_EACH_TIME_STREAM: Script = Script::Written(
    r#"about = "Asks for roots on the stream of each call."
[[rule]]
on = { request = "tools/call" }
do = ["sse", { ask = "roots/list" }, "await-response", "answer"]
"#,
);
/// Answers no ping.
const SILENT: Script = Script::Written(
    r#"about = "Answers no ping."
[[rule]]
on = { request = "ping" }
do = ["drop"]
"#,
);

const UNANSWERED: (&[&str], &str) = (&["LC-MSG-08"], "notifications-unanswered");
const OVER: (&[&str], &str) = (&["LC-CAN-10"], "taken-back-request-unanswered");
const MEANWHILE: (&[&str], &str) = (&["LC-S2C-03"], "requests-served-meanwhile");
const KNOWN: (&[&str], &str) = (&["LC-INIT-12"], "declared-features-served");
const TOLD: (&[&str], &str) = (&["LC-SUB-02"], "changed-roots-told");
const FETCHED: (&[&str], &str) = (&["LC-SUB-01"], "changed-list-fetched");
const MODEST: (&[&str], &str) = (&["LC-PING-04"], "pings-modest");
const LEFT: (&[&str], &str) = (&["LC-PING-03"], "silent-connection-left");

pub(super) const SPECIMENS: &[Specimen] = &[
    row(
        ("notification-answered", "Answers notifications with an error."),
        stdio("2025-11-25", LOGS),
        UNANSWERED,
        notification_answered,
    ),
    row(
        ("notification-answered-in-a-post", "Posts an error in answer to notifications."),
        sse("2024-11-05", LOGS),
        UNANSWERED,
        notification_answered,
    ),
    row(
        ("answer-after-a-cancellation", "Answers a request long after its server took it back."),
        stdio("2025-06-18", TAKEN_BACK),
        OVER,
        answer_taken_back,
    ),
    row(
        ("answer-posted-after-a-cancellation", "Posts an answer to a request long after its server took it back."),
        sse("2024-11-05", TAKEN_BACK),
        OVER,
        answer_taken_back,
    ),
    row(
        ("answer-after-its-own", "Answers its server only when its own calls were answered."),
        stdio("2025-11-25", PATIENT),
        MEANWHILE,
        answer_afterwards,
    ),
    row(
        ("answer-posted-after-its-own", "Posts answers to its server only when its own calls were answered."),
        http("2025-06-18", PATIENT_STREAM),
        MEANWHILE,
        answer_afterwards,
    ),
    row(
        ("declared-roots-unknown", "Declares roots and does not know the request for them."),
        stdio("2025-03-26", ROOTS),
        KNOWN,
        declared_roots,
    ),
    row(
        ("declared-sampling-unknown", "Declares sampling and does not know the request for it."),
        http("2025-11-25", SAMPLING_STREAM),
        KNOWN,
        declared_sampling,
    ),
    row(
        ("changed-roots-untold", "Gives other roots than before, and never said that they had changed."),
        stdio("2025-11-25", ROOTS_EACH_TIME),
        TOLD,
        changed_roots,
    ),
    row(
        ("changed-roots-untold-over-http", "Gives other roots in a second POST, and never said that they had changed."),
        http("2025-03-26", ROOTS_EACH_TIME_STREAM),
        TOLD,
        changed_roots,
    ),
    row(
        ("changed-tools-unlisted", "Goes on calling a tool that is gone, and never lists them again."),
        stdio("2025-06-18", CHANGING),
        FETCHED,
        changed_tools,
    ),
    row(
        ("changed-tools-unlisted-on-a-stream", "Hears on its stream that tools changed, and never lists them again."),
        sse("2024-11-05", CHANGING),
        FETCHED,
        changed_tools,
    ),
    row(("ping-flood", "Sends pings in a loop without a pause."), stdio("2025-11-25", POLITE), MODEST, ping_flood),
    row(
        ("silent-server-used", "Goes on with a server that has answered none of its pings."),
        stdio("2025-06-18", SILENT),
        LEFT,
        silent_used,
    ),
];

fn notification_answered(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    if is_broken {
        let error = json!({ "code": -32_601, "message": "no such method" });
        client.send(&json!({ "jsonrpc": "2.0", "id": null, "error": error }));
    }
    client.call(2);
}

/// The answer to a request of a mock, which counts its ids from 0.
fn roots_at_last(client: &mut Client, id: u32) {
    let request = json!({ "id": id, "method": "roots/list" });
    let answer = proper(&request, &client.capabilities);
    client.send(&answer);
}

/// Answers pings, and puts everything else aside.
fn pings_alone(request: &Value) -> Vec<Value> {
    if request["method"] == "ping" { vec![result(request, json!({}))] } else { Vec::new() }
}

fn answer_taken_back(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "roots": {} });
    client.serve = Some(Box::new(pings_alone));
    client.open();
    client.call(1);
    sleep(Duration::from_millis(700));
    if is_broken {
        roots_at_last(client, 0);
    }
    client.call(2);
}

fn answer_afterwards(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "roots": {} });
    if is_broken {
        client.serve = Some(Box::new(|_| Vec::new()));
    }
    client.open();
    for id in 0..2 {
        client.call(id);
        if is_broken {
            roots_at_last(client, id);
        }
    }
    client.call(2);
}

/// A life that declares this, and serves it or calls it unknown.
fn declaring(client: &mut Client, is_broken: bool, capabilities: Value) {
    client.capabilities = capabilities;
    if is_broken {
        client.serve = Some(Box::new(|request| vec![failure(request, -32_601)]));
    }
    client.open();
    client.call(1);
    client.call(2);
}

fn declared_roots(client: &mut Client, is_broken: bool) {
    declaring(client, is_broken, json!({ "roots": {} }));
}

fn declared_sampling(client: &mut Client, is_broken: bool) {
    declaring(client, is_broken, json!({ "sampling": {} }));
}

/// One root more in each answer.
fn changed_roots(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "roots": { "listChanged": true } });
    let n_roots = Cell::new(0);
    client.serve = Some(Box::new(move |request| {
        n_roots.set(n_roots.get() + 1);
        let roots: Vec<Value> = (0..n_roots.get()).map(|n| json!({ "uri": format!("file:///folder/{n}") })).collect();
        vec![result(request, json!({ "roots": roots }))]
    }));
    client.open();
    client.call(1);
    if !is_broken {
        client.notify("notifications/roots/list_changed", json!({}));
    }
    client.call(2);
}

fn changed_tools(client: &mut Client, is_broken: bool) {
    client.open();
    client.list();
    client.call(1);
    for n in 2..=4 {
        if n == 3 && !is_broken {
            client.list();
        }
        client.call(n);
    }
}

/// All of them are on their way before the first is answered.
fn ping_flood(client: &mut Client, is_broken: bool) {
    client.open();
    let pings: Vec<Value> = (0..if is_broken { 100 } else { 5 }).map(|_| client.message("ping", json!({}))).collect();
    let pending: Vec<_> = pings.iter().map(|ping| client.begin(ping)).collect();
    pending.into_iter().for_each(|pending| drop(client.finish(pending)));
    client.call(1);
}

fn silent_used(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    for _ in 0..3 {
        let ping = client.message("ping", json!({}));
        client.begin(&ping);
    }
    sleep(Duration::from_millis(1_200));
    if is_broken {
        client.list();
    }
}
