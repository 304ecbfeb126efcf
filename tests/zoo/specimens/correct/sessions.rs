//! Sessions over HTTP: loss, refusals, tokens, and several clients on one origin.

use serde_json::json;

use super::super::client::Client;
use super::super::{Correct, POLITE, Script, http};
use super::row;

const FORGETFUL: Script = Script::Written(
    r#"about = "Forgets each of its first two sessions when it hears of changed roots there."
[[rule]]
on = { notification = "notifications/roots/list_changed", connection = 1 }
do = ["expire-session"]
[[rule]]
on = { notification = "notifications/roots/list_changed", connection = 2 }
do = ["expire-session"]
"#,
);
const FORGETFUL_IN_CALL: Script = Script::Written(
    r#"about = "Forgets its first session at the second call."
[[rule]]
on = { request = "tools/call", nth = 2, connection = 1 }
do = ["expire-session"]
"#,
);
const UNAUTHORIZED: Script = Script::Shipped("call-unauthorized");
const TOO_MANY: Script = Script::Shipped("call-too-many");
const KEPT: Script = Script::Shipped("delete-refused");
const REDIRECTED: Script = Script::Shipped("call-redirected");
const AT_INITIALIZE: Script = Script::Written(
    r#"about = "Asks for a token at initialize."
[[rule]]
on = { request = "initialize", nth = 1, connection = 1 }
do = ["unauthorized"]
"#,
);

pub(super) const SPECIMENS: &[Correct] = &[
    row("renews", "Opens a new session after a 404, and calls there.", http("2025-11-25", FORGETFUL_IN_CALL), renews),
    row(
        "renews-on-a-new-socket",
        "Opens a new session after a 404, with a socket for each request.",
        http("2025-06-18", FORGETFUL_IN_CALL),
        renews_on_new_sockets,
    ),
    row(
        "two-clients-renew",
        "Two clients of one server lose their sessions and open one each.",
        http("2025-11-25", FORGETFUL),
        two_renew,
    ),
    row(
        "two-clients",
        "Two clients of one origin use the same ids in two sessions.",
        http("2025-06-18", POLITE),
        two_clients,
    ),
    row(
        "authorises",
        "Sends the same message again with a token after a 401.",
        http("2025-11-25", UNAUTHORIZED),
        authorises,
    ),
    row(
        "renews-its-token",
        "Replaces its token after a 401 for everything that follows.",
        http("2025-06-18", UNAUTHORIZED),
        renews_token,
    ),
    row(
        "authorises-initialize",
        "Initializes again with a token after a 401.",
        http("2025-11-25", AT_INITIALIZE),
        authorises_initialize,
    ),
    row(
        "two-clients-with-tokens",
        "Two clients of one origin have a token each, and one has none at first.",
        http("2025-03-26", POLITE),
        two_with_tokens,
    ),
    row(
        "waits-when-told",
        "Sends the same message again after the time that a 429 names.",
        http("2025-11-25", TOO_MANY),
        waits,
    ),
    row(
        "keeps-a-session-that-is-kept",
        "Uses its session after the server refused to delete it.",
        http("2025-11-25", KEPT),
        kept,
    ),
    row(
        "follows-a-redirect",
        "Posts its message to the address that a 307 names.",
        http("2025-06-18", REDIRECTED),
        follows,
    ),
];

fn renew(client: &mut Client) {
    (client.http().session, client.http().agreed) = (None, None);
    client.open();
}

fn renews(client: &mut Client) {
    client.open();
    client.call(1);
    client.call(2);
    renew(client);
    client.call(2);
    client.list();
}

fn renews_on_new_sockets(client: &mut Client) {
    client.http().keeps_alive = false;
    renews(client);
}

/// Both learn of the loss before either opens a new session.
fn two_renew(client: &mut Client) {
    client.capabilities = json!({ "roots": { "listChanged": true } });
    let mut other = client.another();
    for each in [&mut *client, &mut other] {
        each.open();
        each.call(1);
        each.notify("notifications/roots/list_changed", json!({}));
    }
    client.call(2);
    other.call(2);
    for each in [&mut *client, &mut other] {
        renew(each);
        each.call(3);
    }
    other.end();
}

fn two_clients(client: &mut Client) {
    client.open();
    let mut other = client.another();
    other.open();
    for n in 1..=3 {
        let (one, second) = (client.call_message(n), other.call_message(n));
        let pending = (client.begin(&one), other.begin(&second));
        other.finish(pending.1);
        client.finish(pending.0);
    }
    other.end();
    client.call(4);
}

fn set(client: &mut Client, token: &str) {
    client.http().more = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
}

fn authorises(client: &mut Client) {
    client.open();
    let call = client.call_message(1);
    client.exchange(&call);
    set(client, "first");
    client.exchange(&call);
    client.call(2);
}

fn renews_token(client: &mut Client) {
    set(client, "first");
    client.open();
    client.list();
    let call = client.call_message(1);
    client.exchange(&call);
    set(client, "second");
    client.exchange(&call);
    let stream = client.http().listen(None);
    client.call(2);
    drop(stream);
}

fn authorises_initialize(client: &mut Client) {
    client.initialize();
    set(client, "first");
    client.open();
    client.call(1);
}

fn two_with_tokens(client: &mut Client) {
    let mut other = client.another();
    set(client, "one");
    client.open();
    other.open();
    client.call(1);
    other.call(1);
    set(&mut other, "two");
    other.call(2);
    client.call(2);
    other.end();
}

fn waits(client: &mut Client) {
    client.open();
    let call = client.call_message(1);
    let answer = client.exchange(&call);
    let seconds = answer.fields.get("retry-after").and_then(|seconds| seconds.parse().ok()).unwrap_or(1);
    std::thread::sleep(std::time::Duration::from_secs(seconds));
    client.exchange(&call);
}

fn kept(client: &mut Client) {
    client.open();
    client.call(1);
    client.http().delete();
    client.call(2);
}

fn follows(client: &mut Client) {
    client.open();
    let call = client.call_message(1);
    let answer = client.exchange(&call);
    let target = answer.fields.get("location").unwrap_or("/").to_owned();
    let target = target
        .strip_prefix("http://")
        .and_then(|rest| rest.find('/').map(|at| rest[at..].to_owned()))
        .unwrap_or(target);
    let fields = client.http().fields_of(&call);
    client.http().exchange_at(
        super::super::client::On::Main,
        "POST",
        &target,
        &fields,
        Some(call.to_string().as_bytes()),
    );
    client.request("tools/list", json!({}));
}
