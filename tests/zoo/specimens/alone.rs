//! Requests without a handshake over several sockets of one client.

use serde_json::json;

use super::client::{Client, MODERN};
use super::{Script, Specimen, row_over_http};

/// Begins the stream of its first call, and leaves it open.
const LEFT_OPEN: Script = Script::Written(
    r#"about = "Begins the stream of its first call, and leaves it open."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { notify-with = { method = "notifications/message", params = { level = "info", data = "begun" } } }, { hold = "for-ever" }]
"#,
);

const POSTED: (&[&str], &str) = (&["LC-CAN-05"], "methods-known");
const STILL_OPEN: (&[&str], &str) = (&["LC-MSG-05"], "request-id-unique");

pub(super) const SPECIMENS: &[Specimen] = &[
    row_over_http(
        ("cancellation-posted", "Posts a notice of cancellation, and leaves the stream of the call open."),
        (MODERN, LEFT_OPEN),
        POSTED,
        cancellation_posted,
    ),
    row_over_http(
        ("random-id-twice", "Sends two requests with one random id, on two sockets."),
        (MODERN, LEFT_OPEN),
        STILL_OPEN,
        random_id_twice,
    ),
];

fn cancellation_posted(client: &mut Client, is_broken: bool) {
    client.list();
    let call = client.call_message(1);
    let pending = client.begin(&call);
    pending.await_first_byte();
    if is_broken {
        let params = json!({ "requestId": pending.id(), "_meta": client.metadata() });
        client.notify("notifications/cancelled", params);
        client.call(2);
        pending.abandon();
    } else {
        pending.abandon();
        client.call(2);
    }
}

fn random_id_twice(client: &mut Client, is_broken: bool) {
    client.list();
    let mut call = client.call_message(1);
    call["id"] = json!("6f1d0c1e-9a53-4c1b-8f0e-2b7d5a3c9e10");
    let pending = client.begin(&call);
    pending.await_first_byte();
    let mut list = client.message("tools/list", json!({}));
    list["id"] =
        json!(if is_broken { "6f1d0c1e-9a53-4c1b-8f0e-2b7d5a3c9e10" } else { "0b6f2f43-5d0e-4d7a-9c55-7de0f6a1b2c3" });
    client.exchange(&list);
    pending.abandon();
}
