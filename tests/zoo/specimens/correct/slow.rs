//! Clients that read late, and pairs of clients that look like one.
//!
//! The pauses are what these clients do: a timer sends while no code reads. Nothing here waits for another process by them.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::super::client::{Client, MODERN, Pending};
use super::super::subscribers::{CUTTING, FRESH, TEARING, hear, listen_message};
use super::super::tasks::WORKING;
use super::super::{Correct, POLITE, Script, http, sse, started, stdio};
use super::row;

const DUAL: Script = Script::Shipped("dual");
const CHANGING: Script = Script::Written(
    r#"about = "Has one more tool after the first call, and pings behind that."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["answer", { tools = ["read", "write"] }, { notify = "notifications/tools/list_changed" }, { ask = "ping" }]
"#,
);
const TAKEN_BACK: Script = Script::Written(
    r#"about = "Asks for roots in its first call, takes that back, and pings."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ ask = "roots/list" }, { notify-with = { method = "notifications/cancelled", params = { requestId = 0 } } }, { ask = "ping" }, "answer"]
"#,
);
const PING: Script = Script::Shipped("ping-in-call");
const LOST: Script = Script::Written(
    r#"about = "Knows the session of no call."
[[rule]]
on = { request = "tools/call" }
do = [{ status = 404 }]
"#,
);
const ROOTS: Script = Script::Shipped("roots-asked-in-call");

pub(super) const SPECIMENS: &[Correct] = &[
    row(
        "cancels-what-it-has-not-read",
        "Stands still for two seconds while a timer calls, and cancels a call whose answer it has not read.",
        stdio("2025-11-25", POLITE),
        cancels_unread,
    ),
    row(
        "cancels-what-it-has-not-read-on-its-stream",
        "Posts calls on one socket and reads its stream late, and cancels a call whose answer it has not read.",
        sse("2024-11-05", POLITE),
        cancels_unread,
    ),
    row(
        "gives-up-each-call-unread",
        "Gives each of five calls up by its own timeout, because it reads their answers too late.",
        stdio("2025-06-18", POLITE),
        gives_up_each,
    ),
    row(
        "cancels-a-subscription-before-it-reads",
        "Stands still while a timer calls, and cancels a subscription before it reads that its server was first.",
        stdio(MODERN, TEARING),
        cancels_subscription,
    ),
    row(
        "gathers-changes",
        "Gathers changes of tools for some seconds, and ends before it lists them.",
        stdio("2025-06-18", CHANGING),
        gathers,
    ),
    row(
        "answers-before-it-reads-on",
        "Stands still for a while, and answers a request before it reads that it was taken back.",
        stdio("2025-06-18", TAKEN_BACK),
        answers_late,
    ),
    row(
        "ends-before-it-reads",
        "Makes two calls with a pause, and ends before it reads a request of its server.",
        stdio("2025-11-25", ROOTS),
        ends_unread,
    ),
    row(
        "calls-on-before-it-reads-a-404",
        "Calls by a timer over several sockets, and has not read that its session is lost.",
        http("2025-11-25", LOST),
        calls_on_unread,
    ),
    row(
        "asks-for-a-stream-before-it-reads-a-405",
        "Asks for its stream by a timer, and has not read that there is none.",
        http("2025-11-25", Script::Shipped("get-refused")),
        asks_again_unread,
    ),
    row(
        "ends-before-it-reads-a-ping",
        "Stands still for a moment before its end, and has not read the ping of its server.",
        stdio("2025-03-26", PING),
        ends_before_ping,
    ),
    row(
        "lists-before-it-reads",
        "Asks for tools by a timer, and has not read that it may keep the list.",
        stdio(MODERN, FRESH),
        lists_unread,
    ),
    row(
        "sends-a-revision-before-it-reads",
        "Asks for tools by a timer, and has not read that its revision is refused.",
        stdio(MODERN, POLITE),
        revision_unread,
    ),
    row(
        "lists-before-it-reads-of-its-task",
        "Asks for tools by a timer, and has not read that its call became a task.",
        stdio("2025-11-25", WORKING),
        task_unread,
    ),
    row(
        "eight-subscribe-once",
        "Has eight instances of one name, and each asks once for a subscription that is cut.",
        http(MODERN, CUTTING),
        eight_subscribe,
    ),
    row(
        "probed-by-another-instance",
        "Initializes a server that another instance of the program has only probed.",
        http(MODERN, DUAL),
        probed_by_another,
    ),
    row(
        "silent-beside-a-named-client",
        "Has two clients of one server, and only one of them says its name.",
        started(MODERN, "request-metadata"),
        one_is_silent,
    ),
];

/// Calls four times with pauses, and reads nothing.
fn calls_by_timer(client: &mut Client) -> Vec<Pending> {
    let calls = (1..=4).map(|n| {
        let call = client.call_message(n);
        let pending = client.begin(&call);
        sleep(Duration::from_millis(500));
        pending
    });
    calls.collect()
}

fn cancels_unread(client: &mut Client) {
    client.open();
    let first = client.last_id + 1;
    let calls = calls_by_timer(client);
    client.cancel(&json!(first));
    calls.into_iter().for_each(|call| drop(client.finish(call)));
}

fn gives_up_each(client: &mut Client) {
    client.open();
    let calls: Vec<Pending> = (1..=5)
        .map(|n| {
            let call = client.call_message(n);
            let pending = client.begin(&call);
            sleep(Duration::from_millis(300));
            client.cancel(&call["id"]);
            pending
        })
        .collect();
    calls.into_iter().for_each(|call| drop(client.finish(call)));
}

fn cancels_subscription(client: &mut Client) {
    let message = listen_message(client, &["toolsListChanged"]);
    client.send(&message);
    hear(client, "notifications/subscriptions/acknowledged");
    let calls = calls_by_timer(client);
    client.cancel(&message["id"]);
    calls.into_iter().for_each(|call| drop(client.finish(call)));
}

fn gathers(client: &mut Client) {
    client.open();
    client.list();
    for n in 1..=5 {
        client.call(n);
        sleep(Duration::from_millis(400));
    }
}

fn answers_late(client: &mut Client) {
    client.capabilities = json!({ "roots": {} });
    client.open();
    let call = client.call_message(1);
    let pending = client.begin(&call);
    sleep(Duration::from_millis(700));
    client.finish(pending);
    client.call(2);
}

fn ends_unread(client: &mut Client) {
    client.open();
    for n in 1..=3 {
        let call = client.call_message(n);
        client.begin(&call);
        sleep(Duration::from_millis(600));
    }
}

fn calls_on_unread(client: &mut Client) {
    client.open();
    let calls = calls_by_timer(client);
    calls.into_iter().for_each(|call| drop(client.finish(call)));
    client.vanish();
}

fn asks_again_unread(client: &mut Client) {
    client.open();
    let fields = client.http().fields_of_get(None);
    let path = client.http().path.clone();
    let sockets: Vec<_> = (0..3)
        .map(|_| {
            let mut socket = client.http().fresh();
            socket.send("GET", &path, &fields, None);
            sleep(Duration::from_millis(500));
            socket
        })
        .collect();
    sockets.into_iter().for_each(|mut socket| drop(socket.head()));
    client.call(1);
}

fn ends_before_ping(client: &mut Client) {
    client.open();
    let call = client.call_message(1);
    client.begin(&call);
    sleep(Duration::from_millis(1_200));
}

fn lists_unread(client: &mut Client) {
    let lists: Vec<Pending> = (0..5)
        .map(|_| {
            let list = client.message("tools/list", json!({}));
            client.begin(&list)
        })
        .collect();
    lists.into_iter().for_each(|list| drop(client.finish(list)));
    client.call(1);
}

fn revision_unread(client: &mut Client) {
    let lists: Vec<Pending> = (0..6)
        .map(|_| {
            let mut list = client.message("tools/list", json!({}));
            list["params"]["_meta"]["io.modelcontextprotocol/protocolVersion"] = json!("2099-01-01");
            sleep(Duration::from_millis(100));
            client.begin(&list)
        })
        .collect();
    lists.into_iter().for_each(|list| drop(client.finish(list)));
    client.list();
}

fn task_unread(client: &mut Client) {
    client.open();
    let mut call = client.call_message(1);
    call["params"]["task"] = json!({ "ttl": 60_000 });
    client.begin(&call);
    for _ in 0..4 {
        sleep(Duration::from_millis(400));
        let list = client.message("tools/list", json!({}));
        client.begin(&list);
    }
}

fn eight_subscribe(client: &mut Client) {
    for n in 1..=8 {
        let mut one = client.another();
        one.last_id = 2 * n;
        let message = listen_message(&mut one, &["toolsListChanged"]);
        let pending = one.begin(&message);
        one.finish(pending);
        one.end();
    }
}

fn probed_by_another(client: &mut Client) {
    client.request("server/discover", json!({}));
    let mut other = client.another();
    client.end();
    other.revision = "2025-11-25".to_owned();
    other.open();
    other.call(1);
    other.end();
}

fn one_is_silent(client: &mut Client) {
    let mut silent = client.another();
    client.list();
    let mut list = silent.message("tools/list", json!({}));
    if let Some(meta) = list["params"]["_meta"].as_object_mut() {
        meta.remove("io.modelcontextprotocol/clientInfo");
    }
    silent.exchange(&list);
    client.list();
    silent.end();
}
