//! Clients and servers that agree on another generation than that of the plan: its rules judge them.

use serde_json::{Value, json};

use super::client::{Client, MODERN, failure};
use super::{Script, Specimen, http, row, stdio};

/// A server with sessions, whatever the revision of the plan.
const LEGACY: Script = Script::Shipped("legacy-only");
const DUAL: Script = Script::Shipped("dual");
/// The same, which pings when it is initialized.
const PINGING: Script = Script::Written(
    r#"about = "Handshake generation, whatever the revision of the plan; pings its client before it answers a call."
era = "legacy"
[[rule]]
on = { request = "tools/call" }
do = [{ ask = "ping" }, "answer"]
"#,
);
/// The newest revision with a handshake.
const OLDER: &str = "2025-11-25";

const COMPLETE: (&[&str], &str) = (&["LC-INIT-02"], "initialize-complete");
const ORDER: (&[&str], &str) = (&["LC-INIT-05"], "handshake-order");
const TWICE: (&[&str], &str) = (&["LC-INIT-03"], "handshake-order");
const ID: (&[&str], &str) = (&["LC-SESS-02"], "session-id-sent");
const VERSION: (&[&str], &str) = (&["LC-HTTP-13"], "protocol-version-sent");
const ENDED: (&[&str], &str) = (&["LC-SESS-07"], "session-ended");
const PINGED: (&[&str], &str) = (&["LC-PING-01"], "ping-answered");
const SAYS: (&[&str], &str) = (&["LC-META-01"], "modern-metadata-sent");
const SHOWS: (&[&str], &str) = (&["LC-META-04"], "modern-metadata-sent");
const NAMED: (&[&str], &str) = (&["LC-META-02"], "modern-client-named");

pub(super) const SPECIMENS: &[Specimen] = &[
    row(
        ("fallback-without-a-name", "Falls back to a handshake in which it does not say its name."),
        stdio(MODERN, LEGACY),
        COMPLETE,
        without_name,
    ),
    row(
        ("fallback-initialized-twice", "Falls back to a handshake, and says twice that it is initialized."),
        stdio(MODERN, LEGACY),
        TWICE,
        initialized_twice,
    ),
    row(
        ("fallback-in-a-hurry", "Falls back to a handshake, and lists before that was answered."),
        stdio(MODERN, LEGACY),
        ORDER,
        in_a_hurry,
    ),
    row(
        ("fallback-loses-its-session", "Falls back to a session, and calls without its id."),
        http(MODERN, LEGACY),
        ID,
        without_session,
    ),
    row(
        ("fallback-without-the-header", "Falls back to a session, and does not repeat the revision of it."),
        http(MODERN, LEGACY),
        VERSION,
        without_version,
    ),
    row(
        ("fallback-leaves-its-session", "Falls back to a session, and never ends it."),
        http(MODERN, LEGACY),
        ENDED,
        left_open,
    ),
    row(
        ("fallback-refuses-a-ping", "Falls back to a handshake, and refuses a ping."),
        stdio(MODERN, PINGING),
        PINGED,
        ping_refused,
    ),
    row(
        (
            "chosen-without-capabilities",
            "Chooses the generation without a handshake, and forgets its capabilities once.",
        ),
        stdio(OLDER, DUAL),
        SAYS,
        |client, is_broken| lone_call(client, is_broken, "io.modelcontextprotocol/clientCapabilities"),
    ),
    row(
        ("chosen-without-a-name", "Chooses the generation without a handshake, and says its name at first only."),
        stdio(OLDER, DUAL),
        NAMED,
        |client, is_broken| lone_call(client, is_broken, "io.modelcontextprotocol/clientInfo"),
    ),
    row(
        ("chosen-without-the-method", "Posts without a handshake, and does not repeat the method of a call."),
        http(OLDER, DUAL),
        SHOWS,
        without_method,
    ),
];

/// Asks without a handshake, is refused, and goes on with one.
fn fall_back(client: &mut Client) {
    client.request("server/discover", json!({}));
    client.revision = OLDER.to_owned();
}

fn without_name(client: &mut Client, is_broken: bool) {
    fall_back(client);
    let mut about = client.about();
    if is_broken {
        about["clientInfo"].as_object_mut().unwrap().remove("name");
    }
    let initialize = client.message("initialize", about);
    client.exchange(&initialize);
    client.initialized();
    client.list();
}

fn initialized_twice(client: &mut Client, is_broken: bool) {
    fall_back(client);
    client.open();
    if is_broken {
        client.initialized();
    }
    client.list();
}

fn in_a_hurry(client: &mut Client, is_broken: bool) {
    fall_back(client);
    if !is_broken {
        client.open();
        client.list();
        return;
    }
    let about = client.about();
    let initialize = client.message("initialize", about);
    let list = client.message("tools/list", json!({}));
    client.send(&initialize);
    client.send(&list);
    client.answer(&initialize["id"]);
    client.initialized();
}

fn without_session(client: &mut Client, is_broken: bool) {
    fall_back(client);
    client.open();
    client.list();
    let session = client.http().session.clone();
    if is_broken {
        client.http().session = None;
    }
    client.call(1);
    client.http().session = session;
}

fn without_version(client: &mut Client, is_broken: bool) {
    fall_back(client);
    client.open();
    let agreed = client.http().agreed.clone();
    if is_broken {
        client.http().agreed = None;
    }
    client.call(1);
    client.http().agreed = agreed;
}

fn left_open(client: &mut Client, is_broken: bool) {
    fall_back(client);
    client.open();
    client.call(1);
    if is_broken {
        client.http().close();
    }
}

fn ping_refused(client: &mut Client, is_broken: bool) {
    if is_broken {
        client.serve = Some(Box::new(|ping: &Value| vec![failure(ping, -32_601)]));
    }
    fall_back(client);
    client.open();
    client.call(1);
}

/// Chooses the generation without a handshake, and calls once without a member of the metadata.
fn lone_call(client: &mut Client, is_broken: bool, forgotten: &str) {
    client.revision = MODERN.to_owned();
    client.request("server/discover", json!({}));
    let mut call = client.call_message(1);
    if is_broken {
        call["params"]["_meta"].as_object_mut().unwrap().remove(forgotten);
    }
    client.exchange(&call);
    client.call(2);
}

fn without_method(client: &mut Client, is_broken: bool) {
    client.revision = MODERN.to_owned();
    client.request("server/discover", json!({}));
    let call = client.call_message(1);
    let mut fields = client.http().fields_of(&call);
    if is_broken {
        fields.remove("Mcp-Method");
    }
    client.exchange_with(&fields, &call);
}
