//! What stands where in an HTTP request, and when a client turns to the older transport.

use serde_json::json;

use super::client::{Client, Fields, MODERN, On};
use super::{POLITE, Script, Specimen, http, row, sse};

/// Fails the first initialize.
const FAILING: Script = Script::Written(
    r#"about = "Answers its first initialize with 500."
[[rule]]
on = { request = "initialize", connection = 1 }
do = [{ status = 500 }]
"#,
);
/// Forbids the first initialize.
const FORBIDDING: Script = Script::Written(
    r#"about = "Answers its first initialize with 403."
[[rule]]
on = { request = "initialize", connection = 1 }
do = [{ status = 403 }]
"#,
);

const JSON: (&[&str], &str) = (&["LC-HTTP-01"], "posts-say-json");
const MESSAGE: (&[&str], &str) = (&["LC-MSG-01"], "posts-say-json");
const SECRET: (&[&str], &str) = (&["LC-SESS-09"], "session-id-in-header-only");
const CLOSED: (&[&str], &str) = (&["LC-SSE-04"], "old-transport-alone");
const ALONE: (&[&str], &str) = (&["LC-SSE-07"], "old-transport-alone");
const REFUSED: (&[&str], &str) = (&["LC-SSE-05"], "fallback-after-refusal");
const MODERN_REFUSED: (&[&str], &str) = (&["LC-SSE-06"], "modern-fallback-after-refusal");

pub(super) const SPECIMENS: &[Specimen] = &[
    row(("posts-as-text", "Says that its call is plain text."), http("2025-11-25", POLITE), JSON, as_text),
    row(
        ("posts-as-a-form", "Says that its call is a form, over the older transport."),
        sse("2024-11-05", POLITE),
        MESSAGE,
        as_form,
    ),
    row(
        ("posts-as-text-without-handshake", "Says that its call is plain text, without a handshake."),
        http(MODERN, POLITE),
        MESSAGE,
        as_text,
    ),
    row(
        ("posts-as-text-json", "Gives its call a type that contains the word JSON and was never registered."),
        http("2025-06-18", POLITE),
        JSON,
        as_text_json,
    ),
    row(
        ("session-in-the-query", "Writes the id of its session into the address as well."),
        http("2025-06-18", POLITE),
        SECRET,
        in_query,
    ),
    row(
        ("session-in-the-arguments", "Gives a tool the id of its session as an argument."),
        http("2025-11-25", POLITE),
        SECRET,
        in_arguments,
    ),
    row(
        ("deleted-in-place-of-closed", "Sends a DELETE for a session that ends with its stream."),
        sse("2024-11-05", POLITE),
        CLOSED,
        deleted_at_end,
    ),
    row(
        ("posts-to-the-address-of-before", "Connects again, and goes on posting to the address of the stream before."),
        sse("2024-11-05", POLITE),
        (&["LC-SSE-02"], "closed-stream-silent"),
        address_of_before,
    ),
    row(
        ("deleted-between-calls", "Sends a DELETE to the address of its messages, and goes on."),
        sse("2024-11-05", POLITE),
        ALONE,
        deleted_between,
    ),
    row(
        ("older-transport-after-500", "Turns to the older transport because its server has failed."),
        http("2025-11-25", FAILING),
        REFUSED,
        older_transport,
    ),
    row(
        ("older-transport-after-403", "Turns to the older transport because it was forbidden."),
        http("2025-11-25", FORBIDDING),
        REFUSED,
        older_transport,
    ),
    row(
        ("older-transport-after-an-unknown-method", "Takes an unknown method for a server of the older transport."),
        http(MODERN, POLITE),
        MODERN_REFUSED,
        older_transport_modern,
    ),
];

/// A life in which one call has another content type.
fn typed(client: &mut Client, is_broken: bool, kind: &str) {
    client.begin_life();
    let call = client.call_message(1);
    let mut fields = client.http().fields_of(&call);
    if is_broken {
        fields.set("Content-Type", kind);
    }
    client.exchange_with(&fields, &call);
    client.call(2);
}

fn as_text(client: &mut Client, is_broken: bool) {
    typed(client, is_broken, "text/plain; charset=utf-8");
}

fn as_text_json(client: &mut Client, is_broken: bool) {
    typed(client, is_broken, "text/json");
}

fn as_form(client: &mut Client, is_broken: bool) {
    client.open();
    let call = client.call_message(1);
    let mut fields: Fields = client.http().fields_of(&call);
    if is_broken {
        fields.set("Content-Type", "application/x-www-form-urlencoded");
    }
    let target = client.events().target.clone();
    let body = call.to_string();
    client.http().exchange_at(On::Main, "POST", &target, &fields, Some(body.as_bytes()));
    client.call(2);
}

fn in_query(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    if is_broken {
        let session = client.http().session.clone().unwrap();
        client.http().path.push_str(&format!("?session={session}"));
    }
    client.call(2);
}

fn in_arguments(client: &mut Client, is_broken: bool) {
    client.open();
    let session = client.http().session.clone().unwrap();
    let path = if is_broken { session } else { "a file".to_owned() };
    client.request("tools/call", json!({ "name": "read", "arguments": { "path": path } }));
}

fn deleted_at_end(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    if is_broken {
        client.http().delete();
    }
}

fn deleted_between(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    if is_broken {
        let target = client.events().target.clone();
        let fields = client.http().fields_of_delete();
        client.http().exchange_at(On::Main, "DELETE", &target, &fields, None);
    }
    client.call(2);
}

/// Asks for the stream of the older transport, on the socket of the refusal.
fn turn(client: &mut Client) {
    let fields = client.http().fields_of_get(None);
    client.http().exchange(On::Main, "GET", &fields, None);
}

fn older_transport(client: &mut Client, is_broken: bool) {
    client.initialize();
    if is_broken {
        turn(client);
    } else {
        client.open();
        client.list();
    }
}

fn older_transport_modern(client: &mut Client, is_broken: bool) {
    client.request("prompts/list", json!({}));
    if is_broken {
        turn(client);
    } else {
        client.list();
    }
}

/// Two clients, one after the other; the broken first one posts on after the end of its stream, until it has been refused twice.
fn address_of_before(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    let target = client.events().target.clone();
    let mut next = client.another();
    client.end();
    next.open();
    next.call(1);
    for n in 2..=3 {
        if is_broken {
            let call = next.call_message(n);
            next.events().post_to(&target, &call);
        } else {
            next.call(n);
        }
    }
    next.end();
}
