//! Subscriptions, lists that stay fresh, results without a type, and tasks, all without a handshake.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, MODERN};
use super::{POLITE, Script, Specimen, http, row, stdio};

/// Notifies a subscription that nobody opened, after some of its calls.
const STRANGE: Script = Script::Written(
    r#"about = "Notifies a subscription that nobody opened, after its fourth, sixth and eighth call."
[[rule]]
on = { request = "tools/call", nth = 4 }
do = ["answer", { notify-with = { method = "notifications/tools/list_changed", params = { _meta = { "io.modelcontextprotocol/subscriptionId" = 4242 } } } }]
[[rule]]
on = { request = "tools/call", nth = 6 }
do = ["answer", { notify-with = { method = "notifications/tools/list_changed", params = { _meta = { "io.modelcontextprotocol/subscriptionId" = 4242 } } } }]
[[rule]]
on = { request = "tools/call", nth = 8 }
do = ["answer", { notify-with = { method = "notifications/tools/list_changed", params = { _meta = { "io.modelcontextprotocol/subscriptionId" = 4242 } } } }]
"#,
);
/// Tears down each subscription soon after it has granted it.
pub(super) const TEARING: Script = Script::Written(
    r#"about = "Tears down each subscription, and has a second page of tools."
[[rule]]
on = { request = "subscriptions/listen" }
do = ["answer", "cancel-request"]
[[rule]]
on = { request = "tools/list", nth = 1 }
do = [{ alter-result = { nextCursor = "page-2" } }]
optional = true
[[rule]]
on = { request = "tools/list", nth = 2 }
do = [{ answer-result = { tools = [], ttlMs = 0, cacheScope = "private" } }]
optional = true
"#,
);
/// Cuts the stream of each subscription as soon as it has granted it.
pub(super) const CUTTING: Script = Script::Written(
    r#"about = "Cuts the stream of each subscription."
[[rule]]
on = { request = "subscriptions/listen" }
do = ["answer", "cut-stream"]
"#,
);
/// Ends each subscription in order as soon as it has granted it.
pub(super) const ENDING: Script = Script::Written(
    r#"about = "Ends each subscription gracefully."
[[rule]]
on = { request = "subscriptions/listen" }
do = ["answer", "answer-anyway"]
"#,
);
/// Its list stays fresh for a minute.
pub(super) const FRESH: Script = Script::Written(
    r#"about = "Lets its clients keep its list for a minute."
[[rule]]
on = { request = "tools/list" }
do = [{ alter-result = { ttlMs = 60000 } }]
"#,
);
/// The same, and its first list has a second page, whose cursor shows what its client has read.
const FRESH_PAGES: Script = Script::Written(
    r#"about = "Lets its clients keep its list for a minute, and has a second page at first."
[[rule]]
on = { request = "tools/list", nth = 1 }
do = [{ alter-result = { ttlMs = 60000, nextCursor = "page-2" } }]
[[rule]]
on = { request = "tools/list", nth = 2 }
do = [{ answer-result = { tools = [], ttlMs = 60000, cacheScope = "private" } }]
[[rule]]
on = { request = "tools/list", nth = 3 }
do = [{ alter-result = { ttlMs = 60000 } }]
optional = true
[[rule]]
on = { request = "tools/list", nth = 4 }
do = [{ alter-result = { ttlMs = 60000 } }]
optional = true
[[rule]]
on = { request = "tools/list", nth = 5 }
do = [{ alter-result = { ttlMs = 60000 } }]
optional = true
"#,
);
/// Its list stays fresh for a moment.
pub(super) const BRIEF: Script = Script::Written(
    r#"about = "Lets its clients keep its list for a moment."
[[rule]]
on = { request = "tools/list" }
do = [{ alter-result = { ttlMs = 400 } }]
"#,
);
const UNTYPED: Script = Script::Shipped("call-untyped");
/// A task that is done although it was to be cancelled.
const UNSTOPPED: Script = Script::Written(
    r#"about = "Acknowledges that a task should be cancelled, and completes it."
[[rule]]
on = { request = "tools/call" }
do = [{ answer-result = { resultType = "task", taskId = "t1", status = "working", createdAt = "2026-07-28T00:00:00Z", lastUpdatedAt = "2026-07-28T00:00:00Z", ttlMs = 60000, pollIntervalMs = 50 } }]
[[rule]]
on = { request = "tasks/cancel" }
do = [{ answer-result = { resultType = "complete" } }]
[[rule]]
on = { request = "tasks/get" }
do = [{ answer-result = { resultType = "complete", taskId = "t1", status = "completed", createdAt = "2026-07-28T00:00:00Z", lastUpdatedAt = "2026-07-28T00:00:00Z", ttlMs = 60000, result = { content = [] } } }]
"#,
);

const ROUTED: (&[&str], &str) = (&["LC-SUB-06"], "strange-notice-ignored");
const LEFT: (&[&str], &str) = (&["LC-SUB-10"], "torn-down-subscription-left");
const CALM: (&[&str], &str) = (&["LC-SUB-09"], "ended-subscription-calm");
const GRANTED: (&[&str], &str) = (&["LC-SUB-05"], "smaller-filter-accepted");
const KEPT: (&[&str], &str) = (&["LC-SUB-14"], "fresh-list-kept");
const UNPOLLED: (&[&str], &str) = (&["LC-SUB-14"], "list-not-polled");
const COMPLETE: (&[&str], &str) = (&["LC-META-12"], "untyped-result-complete");
const ACCEPTED: (&[&str], &str) = (&["LC-TASK-11"], "cancelled-task-over");

pub(super) const SPECIMENS: &[Specimen] = &[
    row(
        ("cut-and-asked-again", "Asks at once for a subscription whose stream is cut, each time."),
        http(MODERN, CUTTING),
        (&["VG-19"], "cut-subscription-calm"),
        cut,
    ),
    row(
        ("strange-notice-acted-on", "Lists again after each notification, whatever subscription it names."),
        stdio(MODERN, STRANGE),
        ROUTED,
        strange_notice,
    ),
    row(
        ("torn-down-and-cancelled", "Cancels a subscription that its server tore down long before."),
        stdio(MODERN, TEARING),
        LEFT,
        torn_down,
    ),
    row(
        ("ended-and-asked-again", "Asks again at once for a subscription that its server ends gracefully."),
        stdio(MODERN, ENDING),
        CALM,
        asked_again,
    ),
    row(
        ("ended-and-posted-again", "Posts again at once for a subscription that its server ends gracefully."),
        http(MODERN, ENDING),
        CALM,
        asked_again,
    ),
    row(
        ("smaller-filter-refused", "Ends a subscription that grants less, and asks for the same again."),
        stdio(MODERN, POLITE),
        GRANTED,
        filter_refused,
    ),
    row(
        ("fresh-list-before-each-call", "Asks for a list before each call although it is fresh."),
        stdio(MODERN, FRESH_PAGES),
        KEPT,
        fresh_list,
    ),
    row(
        ("fresh-list-posted-before-each-call", "Posts for a list before each call although it is fresh."),
        http(MODERN, FRESH_PAGES),
        KEPT,
        fresh_list,
    ),
    row(("list-polled", "Asks for a list whenever its time is over."), stdio(MODERN, BRIEF), UNPOLLED, polled),
    row(
        ("list-polled-over-http", "Posts for a list whenever its time is over."),
        http(MODERN, BRIEF),
        UNPOLLED,
        polled,
    ),
    row(
        ("untyped-result-for-a-question", "Takes a result without a type for one that asks for input."),
        stdio(MODERN, UNTYPED),
        COMPLETE,
        untyped,
    ),
    row(
        ("untyped-result-for-a-question-over-http", "Posts inputs after a result without a type."),
        http(MODERN, UNTYPED),
        COMPLETE,
        untyped,
    ),
    row(
        ("task-polled-until-cancelled", "Polls a task that is done until it is cancelled."),
        stdio(MODERN, UNSTOPPED),
        ACCEPTED,
        unstopped,
    ),
    row(
        ("task-polled-until-cancelled-over-http", "Polls a task that is done over HTTP until it is cancelled."),
        http(MODERN, UNSTOPPED),
        ACCEPTED,
        unstopped,
    ),
];

/// A request for a subscription to changes of these kinds.
pub(super) fn listen_message(client: &mut Client, kinds: &[&str]) -> Value {
    let filter: serde_json::Map<String, Value> = kinds.iter().map(|kind| ((*kind).to_owned(), json!(true))).collect();
    client.message("subscriptions/listen", json!({ "notifications": filter }))
}

/// Subscribes over pipes and waits for the acknowledgement; gives the id.
pub(super) fn listen(client: &mut Client, kinds: &[&str]) -> Value {
    let message = listen_message(client, kinds);
    client.send(&message);
    hear(client, "notifications/subscriptions/acknowledged");
    message["id"].clone()
}

/// Waits for a notification over pipes.
pub(super) fn hear(client: &mut Client, method: &str) -> Value {
    loop {
        let message = client.pipes().receive().unwrap();
        if message["method"] == method {
            return message;
        }
    }
}

const TOOLS: &[&str] = &["toolsListChanged"];

fn strange_notice(client: &mut Client, is_broken: bool) {
    client.list();
    listen(client, TOOLS);
    for n in 1..=8 {
        client.call(n);
        if [4, 6, 8].contains(&n) {
            hear(client, "notifications/tools/list_changed");
            if is_broken {
                client.list();
            }
        }
    }
    client.call(9);
}

fn torn_down(client: &mut Client, is_broken: bool) {
    let id = listen(client, TOOLS);
    hear(client, "notifications/cancelled");
    // The cursor comes behind the notification, so its use shows that the client has read both.
    client.list();
    client.request("tools/list", json!({ "cursor": "page-2" }));
    for n in 1..=4 {
        sleep(Duration::from_millis(400));
        client.call(n);
    }
    if is_broken {
        client.cancel(&id);
    }
}

/// The twin waits longer each time.
fn asked_again(client: &mut Client, is_broken: bool) {
    client.list();
    for n in 0..if is_broken { 9 } else { 3 } {
        if !is_broken {
            sleep(Duration::from_millis(300 << n));
        }
        let message = listen_message(client, TOOLS);
        client.exchange(&message);
    }
    client.call(1);
}

fn filter_refused(client: &mut Client, is_broken: bool) {
    client.list();
    for _ in 0..if is_broken { 5 } else { 1 } {
        let id = listen(client, &["toolsListChanged", "promptsListChanged"]);
        client.cancel(&id);
    }
    client.call(1);
}

fn fresh_list(client: &mut Client, is_broken: bool) {
    client.list();
    client.request("tools/list", json!({ "cursor": "page-2" }));
    for n in 1..=4 {
        if is_broken {
            client.list();
        }
        client.call(n);
    }
}

fn polled(client: &mut Client, is_broken: bool) {
    for n in 0..9 {
        client.list();
        sleep(Duration::from_millis(if is_broken { 420 } else { 250 }));
        if !is_broken {
            client.call(n);
            sleep(Duration::from_millis(170));
        }
    }
}

fn untyped(client: &mut Client, is_broken: bool) {
    client.list();
    let call = client.call_message(1);
    let answer = client.exchange(&call);
    assert!(answer.message["result"].get("resultType").is_none());
    if is_broken {
        let mut again = client.call_message(1);
        again["params"]["inputResponses"] = json!({});
        client.exchange(&again);
    }
    client.call(2);
}

fn unstopped(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "extensions": { "io.modelcontextprotocol/tasks": {} } });
    client.call(1);
    ask(client, "tasks/cancel");
    for _ in 0..if is_broken { 6 } else { 1 } {
        sleep(Duration::from_millis(100));
        ask(client, "tasks/get");
    }
}

/// A request about the task; over HTTP a header field names it.
fn ask(client: &mut Client, method: &str) {
    let message = client.message(method, json!({ "taskId": "t1" }));
    if client.is_http() {
        let mut fields = client.http().fields_of(&message);
        fields.set("Mcp-Name", "t1");
        client.exchange_with(&fields, &message);
    } else {
        client.exchange(&message);
    }
}

/// The twin waits longer each time.
fn cut(client: &mut Client, is_broken: bool) {
    client.request("server/discover", json!({}));
    for n in 0..8_u32 {
        let listen = client.message("subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }));
        let pending = client.begin(&listen);
        client.finish(pending);
        if !is_broken {
            sleep(Duration::from_millis(100 * u64::from(n)));
        }
    }
    client.call(1);
}
