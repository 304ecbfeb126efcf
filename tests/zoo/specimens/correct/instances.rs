//! Several clients, sessions and streams of one program, and servers that end in between.

use std::thread::sleep;
use std::time::Duration;

use serde_json::json;

use super::super::client::{Client, MODERN};
use super::super::{Correct, POLITE, Script, http, started, stdio};
use super::row;

const DUAL: Script = Script::Shipped("dual");
const FORGETTING: Script = Script::Written(
    r#"about = "Requires input for the first call of each process."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ answer-result = { resultType = "input_required", requestState = "state", inputRequests = { name = { method = "elicitation/create", params = { mode = "form", message = "Who?", requestedSchema = { type = "object", properties = {} } } } } } }]
"#,
);
const SLOW_STREAM: Script = Script::Written(
    r#"about = "Answers its first call late, on a stream that begins at once."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { delay = "250ms" }]
"#,
);
const ENDING: Script = Script::Written(
    r#"about = "Ends each stream of its session, and asks its client to come back in 300 ms."
[[rule]]
on = { get = true }
do = ["answer", { retry = 300 }, "end-stream"]
"#,
);

pub(super) const SPECIMENS: &[Correct] = &[
    row(
        "looks-in-on-its-server",
        "Opens a session beside its own to ping its server, and deletes it.",
        started("2025-11-25", "tools_call"),
        looks_in,
    ),
    row(
        "calls-on-purpose",
        "Makes its call twice, because its user wants it.",
        started("2025-11-25", "tools_call"),
        calls_twice,
    ),
    row(
        "two-streams-at-once",
        "Opens two streams of its session at once, and comes back with each when told to.",
        http("2025-11-25", ENDING),
        two_streams,
    ),
    row(
        "repeats-on-a-new-process",
        "Starts its server again between the rounds of a call.",
        stdio(MODERN, FORGETTING),
        repeats_on_new,
    ),
    row(
        "two-instances",
        "Two instances of one program, of both generations, on one server.",
        http(MODERN, DUAL),
        two_instances,
    ),
    row(
        "two-instances-in-turn",
        "Two instances of one program, of both generations, with a socket for each request.",
        http(MODERN, DUAL),
        two_instances_in_turn,
    ),
    row(
        "two-instances-of-one-id",
        "Two instances of one program use the same ids at once.",
        http(MODERN, POLITE),
        same_ids,
    ),
    row(
        "two-instances-with-one-call-open",
        "An instance of a program lists under the id of a call of the other one, which is not answered.",
        http(MODERN, SLOW_STREAM),
        same_id_of_open_call,
    ),
    row(
        "two-instances-on-one-socket",
        "Two instances of one program, of which one has elicitation, share a socket, each with its own ids.",
        http(MODERN, POLITE),
        shared_socket,
    ),
    row(
        "instances-fall-back-on-one-socket",
        "Three instances of one program share a socket; each asks for the generation, falls back, and goes on.",
        http(MODERN, Script::Shipped("legacy-only")),
        fall_back_together,
    ),
];

fn add(client: &mut Client) {
    client.request("tools/call", json!({ "name": "add_numbers", "arguments": { "a": 5, "b": 3 } }));
}

fn looks_in(client: &mut Client) {
    client.open();
    let mut other = client.another();
    other.open();
    other.request("ping", json!({}));
    other.end();
    client.list();
    add(client);
}

fn calls_twice(client: &mut Client) {
    client.open();
    client.list();
    add(client);
    add(client);
}

fn two_streams(client: &mut Client) {
    client.open();
    for _ in 0..3 {
        let (one, other) = (client.http().listen(None), client.http().listen(None));
        one.rest();
        other.rest();
        sleep(Duration::from_millis(300));
    }
    client.call(1);
}

fn repeats_on_new(client: &mut Client) {
    client.capabilities = json!({ "elicitation": {} });
    let answer = client.call(1);
    client.end();
    let mut other = client.another();
    let mut call = other.call_message(1);
    call["params"]["requestState"] = answer.message["result"]["requestState"].clone();
    call["params"]["inputResponses"] = json!({ "name": { "action": "accept", "content": {} } });
    other.exchange(&call);
    other.end();
}

fn two_instances(client: &mut Client) {
    let mut older = client.another();
    older.revision = "2025-11-25".to_owned();
    client.request("server/discover", json!({}));
    client.list();
    older.open();
    client.call(1);
    older.call(1);
    older.end();
}

fn two_instances_in_turn(client: &mut Client) {
    client.http().keeps_alive = false;
    let mut older = client.another();
    older.http().keeps_alive = false;
    older.revision = "2025-11-25".to_owned();
    client.request("server/discover", json!({}));
    client.list();
    older.open();
    client.call(1);
    older.call(1);
    older.end();
}

fn same_id_of_open_call(client: &mut Client) {
    let mut other = client.another();
    let call = client.call_message(1);
    let mut pending = client.begin(&call);
    pending.head();
    other.list();
    client.finish_stream(pending);
    other.end();
}

fn shared_socket(client: &mut Client) {
    for n in 1..=3 {
        let before = client.last_id;
        client.capabilities = json!({ "elicitation": {} });
        client.call(n);
        client.last_id = before;
        client.capabilities = json!({});
        client.call(n);
    }
}

fn fall_back_together(client: &mut Client) {
    let mut sessions = Vec::new();
    for _ in 0..3 {
        client.revision = MODERN.to_owned();
        client.request("server/discover", json!({}));
        client.revision = "2025-11-25".to_owned();
        client.open();
        let http = client.http();
        sessions.push((http.session.take(), http.agreed.take()));
    }
    for (session, agreed) in sessions {
        (client.http().session, client.http().agreed) = (session, agreed);
        client.list();
        client.call(1);
        client.http().delete();
        (client.http().session, client.http().agreed) = (None, None);
    }
}

fn same_ids(client: &mut Client) {
    let mut other = client.another();
    for n in 1..=3 {
        let (one, second) = (client.call_message(n), other.call_message(n));
        let pending = (client.begin(&one), other.begin(&second));
        client.finish(pending.0);
        other.finish(pending.1);
    }
    other.end();
}
