//! Tokens: authorization in every request of a session.

use super::client::{Client, On};
use super::{POLITE, Script, Specimen, row_over_http};

/// Refuses a token that was good until then.
const EXPIRING: Script = Script::Shipped("call-unauthorized");
/// Refuses the first list, so that the client knows that it needs a token.
const ASKING: Script = Script::Written(
    r#"about = "Asks for a token at its first list."
[[rule]]
on = { request = "tools/list", nth = 1 }
do = ["unauthorized"]
"#,
);

const MISSING: (&[&str], &str) = (&["LC-AUTH-01"], "token-sent");
const REPLACED: (&[&str], &str) = (&["LC-AUTH-04"], "token-sent");

pub(super) const SPECIMENS: &[Specimen] = &[
    row_over_http(
        ("token-missing-in-a-call", "Calls without the token of its session."),
        ("2025-11-25", POLITE),
        MISSING,
        missing_in_call,
    ),
    row_over_http(
        ("token-empty-in-a-call", "Names the scheme of its token in a call, and leaves the token out."),
        ("2025-11-25", POLITE),
        MISSING,
        empty_in_call,
    ),
    row_over_http(
        ("token-missing-in-a-stream", "Asks for a stream without its token."),
        ("2025-03-26", POLITE),
        MISSING,
        missing_in_stream,
    ),
    row_over_http(
        ("token-missing-in-a-delete", "Deletes its session without its token."),
        ("2025-06-18", POLITE),
        MISSING,
        missing_in_delete,
    ),
    row_over_http(
        ("token-in-the-address", "Writes its token into the address."),
        ("2025-11-25", POLITE),
        MISSING,
        in_address,
    ),
    row_over_http(
        ("token-missing-after-a-challenge", "Answers one challenge with a token, and forgets it."),
        ("2025-06-18", ASKING),
        MISSING,
        missing_after_challenge,
    ),
    row_over_http(
        ("token-of-before", "Uses a refused token again, beside the new one."),
        ("2025-11-25", EXPIRING),
        REPLACED,
        replaced,
    ),
];

fn set(client: &mut Client, token: &str) {
    client.http().more = vec![("Authorization".to_owned(), format!("Bearer {token}"))];
}

fn open(client: &mut Client) {
    set(client, "secret");
    client.open();
    client.call(1);
}

fn missing_in_call(client: &mut Client, is_broken: bool) {
    open(client);
    if is_broken {
        client.http().more.clear();
    }
    client.call(2);
    set(client, "secret");
}

fn empty_in_call(client: &mut Client, is_broken: bool) {
    open(client);
    set(client, if is_broken { "" } else { "secret" });
    client.call(2);
    set(client, "secret");
}

/// The stream comes on the socket of the call, which shows that the client had read the answer.
fn missing_in_stream(client: &mut Client, is_broken: bool) {
    open(client);
    client.call(2);
    if is_broken {
        client.http().more.clear();
    }
    let fields = client.http().fields_of_get(None);
    let path = client.http().path.clone();
    let mut socket = client.http().take(On::Main);
    socket.send("GET", &path, &fields, None);
    socket.head();
    set(client, "secret");
    client.call(3);
}

fn missing_in_delete(client: &mut Client, is_broken: bool) {
    open(client);
    if is_broken {
        client.http().more.clear();
    }
}

fn in_address(client: &mut Client, is_broken: bool) {
    open(client);
    let call = client.call_message(2);
    if is_broken {
        let fields = client.http().fields_of(&call);
        let target = format!("{}?access_token=secret", client.http().path);
        client.http().exchange_at(On::Main, "POST", &target, &fields, Some(call.to_string().as_bytes()));
    } else {
        client.exchange(&call);
    }
}

fn missing_after_challenge(client: &mut Client, is_broken: bool) {
    client.open();
    let list = client.message("tools/list", serde_json::json!({}));
    client.exchange(&list);
    set(client, "secret");
    client.exchange(&list);
    if is_broken {
        client.http().more.clear();
    }
    client.call(1);
    set(client, "secret");
    client.call(2);
}

fn replaced(client: &mut Client, is_broken: bool) {
    set(client, "old");
    client.open();
    let call = client.call_message(1);
    client.exchange(&call);
    set(client, "new");
    client.exchange(&call);
    set(client, if is_broken { "old" } else { "new" });
    client.call(2);
    set(client, "new");
}
