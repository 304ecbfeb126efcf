//! Requests without a handshake that come back or are refused: inputs, rounds, declared features, and marked arguments.

use serde_json::{Value, json};

use super::client::{Answer, Client, MODERN};
use super::{POLITE, Script, Specimen, http, row, stdio};

/// Asks for a name before it answers its first call.
const ASKING: Script = Script::Written(
    r#"about = "Sends its first call back for a name."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ answer-result = { resultType = "input_required", requestState = "s1", inputRequests = { name = { method = "elicitation/create", params = { message = "Who?", requestedSchema = { type = "object", properties = { name = { type = "string" } } } } } } } }]
"#,
);
/// Asks for a name and an age before it answers its first call.
const ASKING_TWO: Script = Script::Written(
    r#"about = "Sends its first call back for a name and an age."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ answer-result = { resultType = "input_required", requestState = "s1", inputRequests = { age = { method = "elicitation/create", params = { message = "How old?", requestedSchema = { type = "object", properties = {} } } }, name = { method = "elicitation/create", params = { message = "Who?", requestedSchema = { type = "object", properties = {} } } } } } }]
"#,
);
/// Sends every call back.
const FOR_EVER: Script = Script::Shipped("input-required-for-ever");
/// Its tool has an argument that a header field repeats.
const MARKED: Script = Script::Written(
    r#"about = "Its tool marks an argument for a header field."
[[rule]]
on = { request = "tools/list" }
do = [{ alter-result = { tools = [{ name = "read", inputSchema = { type = "object", properties = { region = { type = "string", "x-mcp-header" = "Region" } } } }] } }]
"#,
);
/// Its tool marks a truth value.
const MARKED_TRUTH: Script = Script::Written(
    r#"about = "Its tool marks a truth value for a header field."
[[rule]]
on = { request = "tools/list" }
do = [{ alter-result = { tools = [{ name = "read", inputSchema = { type = "object", properties = { dry = { type = "boolean", "x-mcp-header" = "Dry" } } } }] } }]
"#,
);
/// Its tool has a marked argument inside another one.
const MARKED_WITHIN: Script = Script::Written(
    r#"about = "Its tool marks an argument that is in an object."
[[rule]]
on = { request = "tools/list" }
do = [{ alter-result = { tools = [{ name = "read", inputSchema = { type = "object", properties = { at = { type = "object", properties = { region = { type = "string", "x-mcp-header" = "Region" } } } } } }] } }]
"#,
);
/// Refuses every call for its header fields.
const MISMATCHED: Script = Script::Written(
    r#"about = "Refuses every call for its header fields."
[[rule]]
on = { request = "tools/call" }
do = [{ answer-error = { code = -32020, message = "Header mismatch" } }]
"#,
);

const INPUTS: (&[&str], &str) = (&["LC-MRTR-01"], "sent-back-call-has-inputs");
const FORM: (&[&str], &str) = (&["LC-MSG-01"], "input-matches-request");
const UNASKED: (&[&str], &str) = (&["LC-MRTR-04"], "sent-back-call-keeps-state");
const BOUNDED: (&[&str], &str) = (&["LC-MRTR-05"], "sent-back-call-bounded");
const DECLARED: (&[&str], &str) = (&["LC-META-06"], "modern-features-declared");
const MIRRORED: (&[&str], &str) = (&["LC-META-04"], "modern-parameters-mirrored");
const RIGHT: (&[&str], &str) = (&["LC-META-05"], "modern-parameters-mirrored");
const LISTED: (&[&str], &str) = (&["LC-META-05"], "mismatched-call-listed-again");

pub(super) const SPECIMENS: &[Specimen] = &[
    row(
        ("input-left-out", "Repeats a call that was sent back for a name without the name."),
        stdio(MODERN, ASKING),
        INPUTS,
        input_left_out,
    ),
    row(
        ("one-of-two-inputs", "Repeats a call that was sent back for two inputs with one of them."),
        http(MODERN, ASKING_TWO),
        INPUTS,
        one_of_two,
    ),
    row(
        ("input-more-than-asked", "Repeats a call that was sent back for a name with a name and an age."),
        http(MODERN, ASKING),
        INPUTS,
        more_than_asked,
    ),
    row(
        ("number-sent-back-for-a-text", "Repeats a call that was sent back for a text with a number."),
        http(MODERN, ASKING),
        FORM,
        other_type,
    ),
    row(
        ("number-sent-back-for-a-text-over-pipes", "Sends a call that was sent back for a text again with a number."),
        stdio(MODERN, ASKING),
        FORM,
        other_type,
    ),
    row(
        ("rounds-without-end", "Repeats a call as often as its server sends it back."),
        stdio(MODERN, FOR_EVER),
        BOUNDED,
        rounds_without_end,
    ),
    row(
        ("rounds-without-end-over-http", "Posts a call as often as its server sends it back."),
        http(MODERN, FOR_EVER),
        BOUNDED,
        rounds_without_end,
    ),
    row(
        ("feature-declared-once", "Declares roots in its first request alone."),
        stdio(MODERN, POLITE),
        DECLARED,
        declared_once,
    ),
    row(
        ("input-of-an-undeclared-feature", "Gives input and does not declare that it can."),
        http(MODERN, ASKING),
        DECLARED,
        served_undeclared,
    ),
    row(
        ("input-before-the-question", "Gives its first call the input of an earlier one, and nobody has asked for it."),
        http(MODERN, POLITE),
        UNASKED,
        unasked,
    ),
    row(
        ("marked-argument-not-shown", "Leaves a marked argument out of the header."),
        http(MODERN, MARKED),
        MIRRORED,
        mark_missing,
    ),
    row(
        ("marked-argument-not-encoded", "Shows a marked argument in the header as it is, with an umlaut."),
        http(MODERN, MARKED),
        MIRRORED,
        mark_not_encoded,
    ),
    row(
        ("marked-argument-of-another-header", "Shows another value of a marked argument in the header."),
        http(MODERN, MARKED),
        RIGHT,
        mark_other,
    ),
    row(
        ("marked-truth-in-a-capital", "Shows a marked truth value as Python writes it."),
        http(MODERN, MARKED_TRUTH),
        RIGHT,
        mark_capital,
    ),
    row(
        ("marked-argument-within-not-shown", "Leaves a marked argument that is in an object out of the header."),
        http(MODERN, MARKED_WITHIN),
        MIRRORED,
        mark_within,
    ),
    row(
        ("mismatched-call-repeated", "Repeats a call that was refused for its header, and never lists again."),
        http(MODERN, MISMATCHED),
        LISTED,
        mismatched,
    ),
];

/// Repeats a call that was sent back, with these inputs.
fn repeat(client: &mut Client, back: &Answer, inputs: Value) -> Answer {
    let mut call = client.call_message(1);
    let state = &back.message["result"]["requestState"];
    if !state.is_null() {
        call["params"]["requestState"] = state.clone();
    }
    call["params"]["inputResponses"] = inputs;
    client.exchange(&call)
}

fn accepted(content: Value) -> Value {
    json!({ "action": "accept", "content": content })
}

fn input_left_out(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "elicitation": {} });
    let back = client.call(1);
    let inputs = if is_broken { json!({}) } else { json!({ "name": accepted(json!({ "name": "Ada" })) }) };
    repeat(client, &back, inputs);
}

fn one_of_two(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "elicitation": {} });
    let back = client.call(1);
    let mut inputs = json!({ "name": accepted(json!({})) });
    if !is_broken {
        inputs["age"] = json!({ "action": "decline" });
    }
    repeat(client, &back, inputs);
}

fn more_than_asked(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "elicitation": {} });
    let back = client.call(1);
    let mut inputs = json!({ "name": accepted(json!({ "name": "Ada" })) });
    if is_broken {
        inputs["age"] = json!({ "action": "decline" });
    }
    repeat(client, &back, inputs);
}

fn other_type(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "elicitation": {} });
    let back = client.call(1);
    let name = if is_broken { json!(7) } else { json!("7") };
    repeat(client, &back, json!({ "name": accepted(json!({ "name": name })) }));
}

fn rounds_without_end(client: &mut Client, is_broken: bool) {
    let mut back = client.call(1);
    for _ in 0..if is_broken { 60 } else { 10 } {
        back = repeat(client, &back, json!({}));
    }
}

fn declared_once(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "roots": {} });
    client.list();
    if is_broken {
        client.capabilities = json!({});
    }
    client.call(1);
}

/// The twin declares elicitation in every request.
/// Declares forms in each request; the broken one fills in a form that it has not got.
fn unasked(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "elicitation": {} });
    client.list();
    let mut call = client.call_message(1);
    if is_broken {
        call["params"]["inputResponses"] = json!({ "name": accepted(json!({ "name": "x" })) });
    }
    client.exchange(&call);
}

fn served_undeclared(client: &mut Client, is_broken: bool) {
    client.capabilities = if is_broken { json!({}) } else { json!({ "elicitation": {} }) };
    let back = client.call(1);
    repeat(client, &back, json!({ "name": accepted(json!({ "name": "Ada" })) }));
}

/// Lists the tools and calls one with these arguments, and with this header if there is one.
fn marked(client: &mut Client, arguments: Value, header: Option<(&'static str, &str)>) {
    client.list();
    let call = client.message("tools/call", json!({ "name": "read", "arguments": arguments }));
    let mut fields = client.http().fields_of(&call);
    if let Some((name, shown)) = header {
        fields.set(name, shown);
    }
    client.exchange_with(&fields, &call);
}

fn mark_missing(client: &mut Client, is_broken: bool) {
    marked(client, json!({ "region": "north" }), (!is_broken).then_some(("Mcp-Param-Region", "north")));
}

fn mark_other(client: &mut Client, is_broken: bool) {
    let shown = if is_broken { "south" } else { "north" };
    marked(client, json!({ "region": "north" }), Some(("Mcp-Param-Region", shown)));
}

fn mark_not_encoded(client: &mut Client, is_broken: bool) {
    let shown = if is_broken { "K\u{f6}ln" } else { "=?base64?S8O2bG4=?=" };
    marked(client, json!({ "region": "K\u{f6}ln" }), Some(("Mcp-Param-Region", shown)));
}

fn mark_capital(client: &mut Client, is_broken: bool) {
    let shown = if is_broken { "True" } else { "true" };
    marked(client, json!({ "dry": true }), Some(("Mcp-Param-Dry", shown)));
}

fn mark_within(client: &mut Client, is_broken: bool) {
    let shown = (!is_broken).then_some(("Mcp-Param-Region", "north"));
    marked(client, json!({ "at": { "region": "north" } }), shown);
}

fn mismatched(client: &mut Client, is_broken: bool) {
    client.list();
    for _ in 0..6 {
        client.call(1);
        if !is_broken {
            client.list();
        }
    }
}
