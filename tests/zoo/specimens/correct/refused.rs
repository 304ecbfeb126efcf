//! Requests that a server refuses, and what follows.

use serde_json::json;

use super::super::client::{Client, MODERN};
use super::super::{Correct, POLITE, Script, http};
use super::row;

const MISMATCH: Script = Script::Written(
    r#"about = "Finds a header wrong in the first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ answer-error = { code = -32020, message = "Header mismatch" } }]
"#,
);
const UNREACHED: Script = Script::Written(
    r#"about = "A proxy reaches no server with the first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ status = 502 }]
"#,
);
const LACKING: Script = Script::Written(
    r#"about = "Refuses the first call, because it does not declare elicitation."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ answer-error = { code = -32021, message = "elicitation is required", data = { requiredCapabilities = { elicitation = {} } } } }]
"#,
);
const FAILING: Script = Script::Written(
    r#"about = "Finds the parameters of three calls wrong."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ answer-error = { code = -32602, message = "no" } }]
[[rule]]
on = { request = "tools/call", nth = 2 }
do = [{ answer-error = { code = -32602, message = "no" } }]
[[rule]]
on = { request = "tools/call", nth = 3 }
do = [{ answer-error = { code = -32602, message = "no" } }]
"#,
);

pub(super) const SPECIMENS: &[Correct] = &[
    row(
        "asks-for-optional-methods",
        "Asks a server for what it does not have before it calls.",
        http(MODERN, POLITE),
        asks_for_optional,
    ),
    row(
        "corrects-its-calls",
        "Calls until its parameters are right, without a question first.",
        http(MODERN, FAILING),
        corrects,
    ),
    row(
        "repeats-a-declined-call",
        "Lists again and repeats its call, because a header was wrong.",
        http(MODERN, MISMATCH),
        repeats_declined,
    ),
    row(
        "turns-a-feature-on",
        "Repeats its call with a feature that the call lacked, and declares it from then on.",
        http(MODERN, LACKING),
        turns_on,
    ),
    row(
        "repeats-an-unserved-call",
        "Repeats its call, because a proxy reached no server.",
        http("2025-11-25", UNREACHED),
        repeats_unserved,
    ),
];

fn asks_for_optional(client: &mut Client) {
    for method in ["prompts/list", "resources/list", "resources/templates/list", "prompts/list", "resources/list"] {
        client.request(method, json!({}));
    }
    client.list();
    client.call(1);
}

fn corrects(client: &mut Client) {
    for n in 1..=5 {
        client.call(n);
    }
}

fn repeats_declined(client: &mut Client) {
    client.list();
    client.call(1);
    client.list();
    client.call(1);
}

fn repeats_unserved(client: &mut Client) {
    client.open();
    client.list();
    client.call(1);
    client.call(1);
}

fn turns_on(client: &mut Client) {
    client.list();
    client.call(1);
    client.capabilities = json!({ "elicitation": {} });
    client.call(1);
    client.list();
}
