//! Requests of both sides: batches, cancellations, progress, tasks, pages, and what a client serves.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::super::client::{Client, MODERN, On, proper};
use super::super::{Correct, POLITE, Script, http, stdio};
use super::row;

const SLOW: Script = Script::Written(
    r#"about = "Answers every call late."
[[rule]]
on = { request = "tools/call" }
do = [{ delay = "200ms" }]
"#,
);
const PATIENT: Script = Script::Written(
    r#"about = "Asks for roots in its first call, and answers that more than a second later."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ ask = "roots/list" }, { delay = "1200ms" }, "answer"]
"#,
);
const SILENT: Script = Script::Written(
    r#"about = "Begins a stream for its first call, and never answers there."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", "drop"]
"#,
);
const ASKING: Script = Script::Written(
    r#"about = "Asks for roots, a completion, input and a ping in its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [
  { ask = "roots/list" },
  { ask-with = { method = "sampling/createMessage", params = { messages = [], maxTokens = 1, _meta = { progressToken = "p1" } } } },
  { ask-with = { method = "elicitation/create", params = { message = "Who are you?", requestedSchema = { type = "object", properties = {} } } } },
  { ask = "ping" },
  "answer",
]
"#,
);
/// The same on the stream of the call.
const ASKING_STREAM: Script = Script::Written(
    r#"about = "Asks for roots, a completion, input and a ping on the stream of its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [
  "sse",
  { ask = "roots/list" },
  { ask-with = { method = "sampling/createMessage", params = { messages = [], maxTokens = 1, _meta = { progressToken = "p1" } } } },
  { ask-with = { method = "elicitation/create", params = { message = "Who are you?", requestedSchema = { type = "object", properties = {} } } } },
  { ask = "ping" },
  "answer",
]
"#,
);
const PAGES: Script = Script::Written(
    r#"about = "Has three pages of tools."
[[rule]]
on = { request = "tools/list", nth = 1 }
do = [{ alter-result = { nextCursor = "page-2" } }]
[[rule]]
on = { request = "tools/list", nth = 2 }
do = [{ answer-result = { tools = [], nextCursor = "page-3" } }]
[[rule]]
on = { request = "tools/list", nth = 3 }
do = [{ answer-result = { tools = [] } }]
"#,
);
const TASKS: Script = Script::Shipped("tasks-served");
const PROGRESS: Script = Script::Shipped("call-with-progress");

pub(super) const SPECIMENS: &[Correct] = &[
    row("batches", "Posts its calls in batches, as one revision lets it.", http("2025-03-26", POLITE), batches),
    row(
        "batches-in-a-pipe",
        "Writes its calls in a batch, as one revision lets it.",
        stdio("2025-03-26", POLITE),
        batches_in_pipe,
    ),
    row(
        "cancels-at-its-timeout",
        "Cancels a call at its own time-out and closes the socket.",
        http("2025-11-25", SILENT),
        cancels,
    ),
    row(
        "cancels-at-its-timeout-in-a-pipe",
        "Cancels a call at its own time-out over pipes.",
        stdio("2025-06-18", SLOW),
        cancels_in_pipe,
    ),
    row(
        "cancels-on-another-socket",
        "Cancels a call on another socket than the one that carries it.",
        http("2025-06-18", SLOW),
        cancels_aside,
    ),
    row(
        "cancels-by-closing",
        "Without a handshake, closes the socket of a call to cancel it.",
        http(MODERN, SILENT),
        cancels_by_closing,
    ),
    row(
        "cancels-without-handshake",
        "Without a handshake, cancels a call over pipes by a notification.",
        stdio(MODERN, SLOW),
        cancels_without_handshake,
    ),
    row(
        "serves-everything",
        "Serves roots, completions and input, and reports progress.",
        stdio("2025-06-18", ASKING),
        serves,
    ),
    row(
        "serves-everything-over-http",
        "Serves roots, completions and input over HTTP.",
        http("2025-11-25", ASKING_STREAM),
        serves,
    ),
    row(
        "serves-nothing",
        "Refuses everything that it did not declare, but answers a ping.",
        http("2025-06-18", ASKING_STREAM),
        serves_nothing,
    ),
    row(
        "serves-nothing-in-a-pipe",
        "Refuses everything that it did not declare, over pipes.",
        stdio("2025-11-25", ASKING),
        serves_nothing,
    ),
    row("turns-pages", "Follows the cursors of a list to its end.", http("2025-11-25", PAGES), turns_pages),
    row("turns-pages-twice", "Asks for the second page twice.", stdio("2025-03-26", PAGES), turns_pages_twice),
    row(
        "tracks-progress",
        "Gives each call a token and uses one again when its call is done.",
        stdio("2025-11-25", PROGRESS),
        tracks,
    ),
    row(
        "works-in-tasks",
        "Makes its calls as tasks, polls them and cancels one.",
        http("2025-11-25", TASKS),
        works_in_tasks,
    ),
    row(
        "answers-in-its-own-time",
        "Takes longer for its roots than its server waits for them.",
        stdio("2025-11-25", PATIENT),
        answers_in_its_own_time,
    ),
    row(
        "ids-again-without-handshake",
        "Uses one id again once it is answered, as the newest revision lets it.",
        http(MODERN, POLITE),
        ids_again,
    ),
];

/// Posts a batch and reads its answers, as JSON or as a stream.
fn post_batch(client: &mut Client, batch: &Value) {
    let fields = client.http().fields_of(batch);
    let path = client.http().path.clone();
    let mut socket = client.http().take(On::Main);
    socket.send("POST", &path, &fields, Some(batch.to_string().as_bytes()));
    let head = socket.head().unwrap();
    if head.is_stream() {
        while socket.event().is_some() {}
    } else {
        socket.body(&head);
    }
    client.http().give_back(On::Main, socket);
}

fn batches(client: &mut Client) {
    client.open();
    for _ in 0..2 {
        let batch = json!([client.call_message(1), client.call_message(2), client.message("ping", json!({}))]);
        post_batch(client, &batch);
    }
}

fn batches_in_pipe(client: &mut Client) {
    client.open();
    let batch = json!([client.call_message(1), client.call_message(2)]);
    client.send(&batch);
    client.pipes().receive();
    client.list();
}

fn cancels(client: &mut Client) {
    client.open();
    let call = client.call_message(1);
    let mut pending = client.begin(&call);
    pending.head();
    // The time-out of the client itself.
    std::thread::sleep(Duration::from_millis(100));
    client.cancel(&call["id"]);
    pending.abandon();
    client.call(1);
}

fn cancels_in_pipe(client: &mut Client) {
    client.open();
    let call = client.call_message(1);
    client.begin(&call);
    client.cancel(&call["id"]);
    client.call(2);
}

/// Nothing shows which of the two sockets the server reads first.
fn cancels_aside(client: &mut Client) {
    client.open();
    let call = client.call_message(1);
    let pending = client.begin(&call);
    client.cancel(&call["id"]);
    pending.abandon();
    client.list();
}

fn cancels_by_closing(client: &mut Client) {
    let call = client.call_message(1);
    let mut pending = client.begin(&call);
    pending.head();
    pending.abandon();
    client.call(2);
}

fn cancels_without_handshake(client: &mut Client) {
    client.begin_life();
    cancels_in_pipe_of(client);
}

fn cancels_in_pipe_of(client: &mut Client) {
    let call = client.call_message(1);
    client.begin(&call);
    client.cancel(&call["id"]);
    client.call(2);
}

fn serves(client: &mut Client) {
    client.capabilities = json!({ "roots": { "listChanged": true }, "sampling": {}, "elicitation": {} });
    let capabilities = client.capabilities.clone();
    client.serve = Some(Box::new(move |request| {
        let token = request["params"]["_meta"].get("progressToken");
        let report = |n: u32, token: &Value| {
            let params = json!({ "progressToken": token, "progress": n, "total": 2 });
            json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params })
        };
        let mut messages: Vec<Value> =
            token.into_iter().flat_map(|token| [report(1, token), report(2, token)]).collect();
        messages.push(proper(request, &capabilities));
        messages
    }));
    client.open();
    client.notify("notifications/roots/list_changed", json!({}));
    client.call(1);
    client.call(2);
}

fn serves_nothing(client: &mut Client) {
    client.open();
    client.call(1);
    client.call(2);
}

fn turns_pages(client: &mut Client) {
    client.open();
    let mut answer = client.list();
    while let Some(cursor) = answer.message["result"].get("nextCursor").cloned() {
        answer = client.request("tools/list", json!({ "cursor": cursor }));
    }
}

fn turns_pages_twice(client: &mut Client) {
    client.open();
    client.list();
    for _ in 0..2 {
        client.request("tools/list", json!({ "cursor": "page-2" }));
    }
}

fn tracks(client: &mut Client) {
    client.open();
    for token in [json!("a"), json!(7), json!("a")] {
        let mut call = client.call_message(1);
        call["params"]["_meta"]["progressToken"] = token;
        client.exchange(&call);
    }
}

fn works_in_tasks(client: &mut Client) {
    client.open();
    client.list();
    for n in 1..=2 {
        let mut call = client.call_message(n);
        call["params"]["task"] = json!({ "ttl": 60_000 });
        let answer = client.exchange(&call);
        let task = json!({ "taskId": answer.message["result"]["task"]["taskId"] });
        client.request("tasks/get", task.clone());
        client.request(if n == 1 { "tasks/result" } else { "tasks/cancel" }, task);
    }
    client.request("tasks/list", json!({}));
}

fn answers_in_its_own_time(client: &mut Client) {
    client.capabilities = json!({ "roots": {} });
    client.serve = Some(Box::new(|_| Vec::new()));
    client.open();
    client.call(1);
    sleep(Duration::from_millis(450));
    let roots = json!({ "id": 0, "method": "roots/list" });
    client.send(&proper(&roots, &client.capabilities.clone()));
    client.call(2);
}

fn ids_again(client: &mut Client) {
    for n in 1..=3 {
        client.last_id = 0;
        client.call(n);
    }
}
