//! Refused credentials: what a client makes of 401 and 403.

use serde_json::json;

use super::client::Client;
use super::{Script, Specimen, row_over_http};

/// Asks for a token at its first list.
const ASKING: Script = Script::Written(
    r#"about = "Asks for a token at its first list."
[[rule]]
on = { request = "tools/list", nth = 1 }
do = ["unauthorized"]
"#,
);
/// Takes no token for a call.
const UNAUTHORIZED: Script = Script::Written(
    r#"about = "Answers every call with 401."
[[rule]]
on = { request = "tools/call" }
do = ["unauthorized"]
"#,
);
/// Forbids every call.
const FORBIDDEN: Script = Script::Written(
    r#"about = "Answers every call with 403."
[[rule]]
on = { request = "tools/call" }
do = [{ status = 403 }]
"#,
);

const BEARER: (&[&str], &str) = (&["LC-AUTH-01"], "bearer-token-used");
const CHALLENGED: (&[&str], &str) = (&["LC-AUTH-02"], "bearer-token-used");
const ONCE: (&[&str], &str) = (&["LC-AUTH-02"], "unauthorized-not-repeated");
const LIMITED: (&[&str], &str) = (&["LC-AUTH-03"], "forbidden-not-repeated");
const ORIGIN: (&[&str], &str) = (&["LC-HTTP-16"], "forbidden-not-repeated");

pub(super) const SPECIMENS: &[Specimen] = &[
    row_over_http(
        ("scheme-changed", "Sends a token of another scheme than before in one call."),
        ("2025-11-25", ASKING),
        BEARER,
        scheme_changed,
    ),
    row_over_http(
        ("challenge-answered-without-a-scheme", "Answers a challenge with a bare token."),
        ("2025-06-18", ASKING),
        CHALLENGED,
        without_scheme,
    ),
    row_over_http(
        ("refused-token-repeated", "Makes a call with a refused token over and over."),
        ("2025-11-25", UNAUTHORIZED),
        ONCE,
        refused_token,
    ),
    row_over_http(
        ("forbidden-call-repeated", "Makes a forbidden call with the same token over and over."),
        ("2025-11-25", FORBIDDEN),
        LIMITED,
        forbidden_token,
    ),
    row_over_http(
        ("forbidden-origin-repeated", "Makes a call from a forbidden origin over and over."),
        ("2025-06-18", FORBIDDEN),
        ORIGIN,
        forbidden_origin,
    ),
];

fn authorize(client: &mut Client, credentials: &str) {
    client.http().more = vec![("Authorization".to_owned(), credentials.to_owned())];
}

/// Opens a session whose first list is answered with a challenge.
fn challenged(client: &mut Client) {
    client.open();
    client.list();
}

fn scheme_changed(client: &mut Client, is_broken: bool) {
    challenged(client);
    authorize(client, "Bearer secret");
    client.list();
    authorize(client, if is_broken { "Basic c2VjcmV0" } else { "Bearer secret" });
    client.call(1);
    authorize(client, "Bearer secret");
}

fn without_scheme(client: &mut Client, is_broken: bool) {
    challenged(client);
    authorize(client, if is_broken { "secret" } else { "Bearer secret" });
    client.list();
    authorize(client, "Bearer secret");
}

/// Makes the same call often, or twice.
fn repeat(client: &mut Client, is_broken: bool) {
    client.open();
    (0..if is_broken { 8 } else { 2 }).for_each(|_| drop(client.call(1)));
    client.request("tools/list", json!({}));
}

fn refused_token(client: &mut Client, is_broken: bool) {
    authorize(client, "Bearer secret");
    repeat(client, is_broken);
}

fn forbidden_token(client: &mut Client, is_broken: bool) {
    authorize(client, "Bearer secret");
    repeat(client, is_broken);
}

fn forbidden_origin(client: &mut Client, is_broken: bool) {
    client.http().more = vec![("Origin".to_owned(), "http://localhost:3000".to_owned())];
    repeat(client, is_broken);
}
