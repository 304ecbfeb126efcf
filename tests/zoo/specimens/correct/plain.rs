//! Every revision over every transport, and the designs of connections.

use serde_json::{Value, json};

use super::super::client::{Client, MODERN, On};
use super::super::{Correct, POLITE, Script, http, sse, stdio};
use super::row;

const DYING: Script = Script::Shipped("exit-on-call");
const STUBBORN: Script = Script::Written(
    r#"about = "Ignores the end of its input."
[[rule]]
on = { eof = true }
do = ["ignore"]
"#,
);
const OTHERWISE: Script = Script::Written(
    r#"about = "Refuses its first initialize."
[[rule]]
on = { request = "initialize", nth = 1 }
do = [{ answer-error = { code = -32602, message = "Unsupported protocol version" } }]
"#,
);

pub(super) const SPECIMENS: &[Correct] = &[
    row("plain-2024-11-05", "Speaks revision 2024-11-05 over pipes.", stdio("2024-11-05", POLITE), plain),
    row("plain-2025-03-26", "Speaks revision 2025-03-26 over pipes.", stdio("2025-03-26", POLITE), plain),
    row("plain-2025-06-18", "Speaks revision 2025-06-18 over pipes.", stdio("2025-06-18", POLITE), plain),
    row("plain-2025-11-25", "Speaks revision 2025-11-25 over pipes.", stdio("2025-11-25", POLITE), plain),
    row("plain-2026-07-28", "Speaks revision 2026-07-28 over pipes.", stdio(MODERN, POLITE), plain),
    row("plain-http-2025-03-26", "Speaks revision 2025-03-26 over HTTP.", http("2025-03-26", POLITE), plain),
    row("plain-http-2025-06-18", "Speaks revision 2025-06-18 over HTTP.", http("2025-06-18", POLITE), plain),
    row("plain-http-2025-11-25", "Speaks revision 2025-11-25 over HTTP.", http("2025-11-25", POLITE), plain),
    row("plain-http-2026-07-28", "Speaks revision 2026-07-28 over HTTP.", http(MODERN, POLITE), plain),
    row("plain-sse", "Speaks revision 2024-11-05 over a stream of events.", sse("2024-11-05", POLITE), plain),
    row("older-server", "Offers its newest revision and takes an older one.", http("2025-06-18", POLITE), older_server),
    row(
        "older-server-in-a-pipe",
        "Offers its newest revision over pipes and takes the oldest.",
        stdio("2024-11-05", POLITE),
        older_server,
    ),
    row(
        "pool-of-sockets",
        "Sends the requests of one session over four sockets.",
        http("2025-11-25", POLITE),
        pool_of_sockets,
    ),
    row(
        "pool-of-processes",
        "Keeps four processes and gives each a call in turn.",
        stdio("2025-11-25", POLITE),
        pool_of_clients,
    ),
    row(
        "pool-of-sessions",
        "Keeps four sessions and gives each a call in turn.",
        http("2025-06-18", POLITE),
        pool_of_clients,
    ),
    row(
        "session-for-each-call",
        "Opens a session for each call and deletes it.",
        http("2025-11-25", POLITE),
        for_each_call,
    ),
    row(
        "process-for-each-call",
        "Starts a process for each call and ends it.",
        stdio("2025-06-18", POLITE),
        for_each_call,
    ),
    row("socket-for-each-request", "Opens a socket for each request.", http("2025-06-18", POLITE), socket_for_each),
    row(
        "socket-for-each-modern-request",
        "Opens a socket for each request without a handshake.",
        http(MODERN, POLITE),
        socket_for_each,
    ),
    row("lazy", "Initializes only for its first call, and never lists.", stdio("2025-11-25", POLITE), lazy),
    row(
        "restarts-its-server",
        "Starts its server again after that has died in a call.",
        stdio("2025-06-18", DYING),
        restarts,
    ),
    row("ladder", "Closes the input, waits, signals, and waits again.", stdio("2025-11-25", STUBBORN), ladder),
    row(
        "initialize-again",
        "Offers another revision after its first was refused.",
        stdio("2025-11-25", OTHERWISE),
        initialize_again,
    ),
    row("accepts-anything", "Accepts any kind of answer.", http("2025-11-25", POLITE), accepts_anything),
    row(
        "asks-around",
        "Asks for metadata, sends a preflight and a HEAD beside its session.",
        http("2025-06-18", POLITE),
        asks_around,
    ),
    row("calls-again", "Calls a tool again with the same number as argument.", http("2025-11-25", POLITE), calls_again),
    row("text-ids", "Counts in texts, and once in a large number.", http("2025-11-25", POLITE), text_ids),
];

fn plain(client: &mut Client) {
    client.begin_life();
    client.list();
    client.call(1);
    client.call(2);
}

fn older_server(client: &mut Client) {
    client.revision = "2025-11-25".to_owned();
    plain(client);
}

fn pool_of_sockets(client: &mut Client) {
    client.open();
    let calls: Vec<Value> = (1..=4).map(|n| client.call_message(n)).collect();
    let pending: Vec<_> = calls.iter().map(|call| client.begin(call)).collect();
    pending.into_iter().rev().for_each(|pending| drop(client.finish(pending)));
}

fn pool_of_clients(client: &mut Client) {
    client.open();
    let mut others: Vec<Client> = (0..3).map(|_| client.another()).collect();
    others.iter_mut().for_each(|other| drop(other.open()));
    for round in 0..2 {
        client.call(round);
        others.iter_mut().for_each(|other| drop(other.call(round)));
    }
    others.iter_mut().for_each(Client::end);
}

fn for_each_call(client: &mut Client) {
    plain(client);
    for n in 1..=3 {
        let mut other = client.another();
        other.open();
        other.call(n);
        other.end();
    }
}

fn socket_for_each(client: &mut Client) {
    client.http().keeps_alive = false;
    plain(client);
}

fn lazy(client: &mut Client) {
    client.request("ping", json!({}));
    client.open();
    client.call(1);
}

fn restarts(client: &mut Client) {
    client.open();
    client.call(1);
    client.end();
    let mut other = client.another();
    other.open();
    other.list();
    other.end();
}

fn ladder(client: &mut Client) {
    plain(client);
    client.pipes().close_input();
    // The time that the client gives its server.
    std::thread::sleep(std::time::Duration::from_millis(300));
    client.pipes().terminate();
    client.pipes().wait();
}

fn initialize_again(client: &mut Client) {
    client.revision = "2025-06-18".to_owned();
    client.initialize();
    client.revision = "2025-11-25".to_owned();
    plain(client);
}

fn accepts_anything(client: &mut Client) {
    client.http().accept = "text/html, */*; q=0.5";
    plain(client);
}

fn asks_around(client: &mut Client) {
    for (verb, target) in [("GET", "/.well-known/oauth-protected-resource"), ("GET", "/favicon.ico")] {
        let fields = client.http().fields_of_delete();
        client.http().exchange_at(On::Main, verb, target, &fields, None);
    }
    client.open();
    let mut fields = client.http().fields_of_delete();
    fields.remove("Mcp-Session-Id");
    fields.remove("MCP-Protocol-Version");
    fields.set("Origin", "http://localhost:3000");
    fields.set("Access-Control-Request-Method", "POST");
    client.http().exchange(On::Aside, "OPTIONS", &fields, None);
    client.call(1);
}

fn text_ids(client: &mut Client) {
    client.open();
    for id in [json!("1"), json!(1_u64 << 52), json!("a b"), json!(-4), json!("")] {
        let mut call = client.call_message(1);
        call["id"] = id;
        client.exchange(&call);
    }
}

fn calls_again(client: &mut Client) {
    client.open();
    for _ in 0..2 {
        client.request("tools/call", json!({ "name": "read", "arguments": { "n": 1 } }));
    }
}
