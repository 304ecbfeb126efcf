//! Shapes: what the parameters of requests and the results of responses hold.

use serde_json::{Value, json};

use super::client::{Client, MODERN, proper, result, sample};
use super::{POLITE, Script, Specimen, http, row, sse, stdio};

const ROOTS: Script = Script::Shipped("roots-asked-in-call");
const SAMPLING: Script = Script::Shipped("sampling-asked-in-call");
/// Asks for roots on the stream of a call.
const ROOTS_STREAM: Script = Script::Written(
    r#"about = "Asks for roots on the stream of its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask = "roots/list" }, "answer"]
"#,
);
/// Sends logs, so it takes a level for them.
const LOGS: Script = Script::Shipped("logs-in-call");
/// Completes arguments.
const COMPLETING: Script = Script::Written(
    r#"about = "Completes arguments."
[[rule]]
on = { request = "initialize" }
do = [{ alter-result = { capabilities = { tools = {}, completions = {} } } }]
[[rule]]
on = { request = "completion/complete" }
do = [{ answer-result = { completion = { values = [] } } }]
"#,
);
/// Asks for a completion, and for its progress.
const PROGRESS: Script = Script::Written(
    r#"about = "Asks for a completion, and for its progress, in its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ ask-with = { method = "sampling/createMessage", params = { messages = [], maxTokens = 1, _meta = { progressToken = "p1" } } } }, "await-response", "answer"]
"#,
);
/// Asks for a form with a required number.
const FORM: Script = Script::Written(
    r#"about = "Asks for a form with a required number in its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ ask-with = { method = "elicitation/create", params = { message = "How old?", requestedSchema = { type = "object", properties = { age = { type = "integer", minimum = 0 } }, required = ["age"] } } } }, "await-response", "answer"]
"#,
);
/// The same on the stream of the call.
const FORM_STREAM: Script = Script::Written(
    r#"about = "Asks for a form with a required number on the stream of its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask-with = { method = "elicitation/create", params = { message = "How old?", requestedSchema = { type = "object", properties = { age = { type = "integer", minimum = 0 } }, required = ["age"] } } } }, "await-response", "answer"]
"#,
);

const PARAMS: (&[&str], &str) = (&["LC-MSG-01"], "params-match-schema");
const OPENING: (&[&str], &str) = (&["LC-INIT-02"], "params-match-schema");
const DECLARED: (&[&str], &str) = (&["LC-INIT-12"], "params-match-schema");
const LEVEL: (&[&str], &str) = (&["LC-LOG-01"], "params-match-schema");
const RESULTS: (&[&str], &str) = (&["LC-MSG-01"], "results-match-schema");
const RESPONSE: (&[&str], &str) = (&["LC-MSG-06"], "results-match-schema");
const SERVED: (&[&str], &str) = (&["LC-S2C-01"], "results-match-schema");
const AGREED: (&[&str], &str) = (&["LC-INIT-10"], "fields-of-revision");
const REMOVED: (&[&str], &str) = (&["LC-ERA-17"], "fields-of-revision");
const INPUT: (&[&str], &str) = (&["LC-MSG-01"], "input-matches-request");
const ASKED: (&[&str], &str) = (&["LC-S2C-02"], "input-matches-request");

pub(super) const SPECIMENS: &[Specimen] = &[
    row(
        ("arguments-a-list", "Passes the arguments of a call as a list."),
        stdio("2025-06-18", POLITE),
        PARAMS,
        arguments_list,
    ),
    row(
        ("arguments-a-text", "Passes the arguments of a call as a text, without a handshake."),
        http(MODERN, POLITE),
        PARAMS,
        arguments_text,
    ),
    row(
        ("title-a-number", "Says in initialize that its title is a number."),
        http("2025-11-25", POLITE),
        OPENING,
        title_number,
    ),
    row(("capability-a-flag", "Declares roots as true."), stdio("2025-03-26", POLITE), DECLARED, capability_flag),
    row(
        ("level-of-its-own-in-each-request", "Asks in its metadata for logs of a level that is none."),
        http(MODERN, POLITE),
        PARAMS,
        level_in_metadata,
    ),
    row(("client-a-text", "Names itself by a text in its metadata."), http(MODERN, POLITE), PARAMS, client_as_text),
    row(
        ("capability-a-flag-in-each-request", "Declares elicitation as true in its metadata."),
        stdio(MODERN, POLITE),
        PARAMS,
        flag_in_metadata,
    ),
    row(("level-of-its-own", "Asks for logs of a level that is none."), stdio("2025-11-25", LOGS), LEVEL, level),
    row(
        ("sample-without-a-model", "Gives a completion and does not say of which model."),
        stdio("2024-11-05", SAMPLING),
        RESULTS,
        sample_without_model,
    ),
    row(
        ("roots-result-empty", "Answers a request for roots with an empty result."),
        sse("2024-11-05", ROOTS),
        RESPONSE,
        roots_empty,
    ),
    row(
        ("root-at-an-address", "Gives a root that is not a file."),
        http("2025-11-25", ROOTS_STREAM),
        SERVED,
        root_at_address,
    ),
    row(
        ("completion-with-context", "Completes with a context, which its revision does not have."),
        stdio("2025-03-26", COMPLETING),
        AGREED,
        completion_with_context,
    ),
    row(
        ("progress-with-a-text", "Reports progress with a text, which its revision does not have."),
        stdio("2024-11-05", PROGRESS),
        AGREED,
        progress_with_text,
    ),
    row(
        ("task-before-its-time", "Calls as a task, which its revision does not have."),
        stdio("2025-06-18", POLITE),
        AGREED,
        task_before_its_time,
    ),
    row(
        ("task-behind-its-time", "Calls as a task without a handshake, where no such parameter is left."),
        stdio(MODERN, POLITE),
        REMOVED,
        task_behind_its_time,
    ),
    row(
        ("input-of-another-type", "Gives a text where a number was asked for."),
        stdio("2025-06-18", FORM),
        INPUT,
        input_of_other_type,
    ),
    row(
        ("input-missing", "Accepts a form without its required field."),
        http("2025-11-25", FORM_STREAM),
        INPUT,
        input_missing,
    ),
    row(
        ("input-with-a-refusal", "Declines a form and still sends its content."),
        stdio("2025-11-25", FORM),
        ASKED,
        input_with_refusal,
    ),
];

/// Calls with these arguments, or with proper ones.
fn call_with(client: &mut Client, is_broken: bool, arguments: Value) {
    client.begin_life();
    let arguments = if is_broken { arguments } else { json!({ "path": "a file" }) };
    client.request("tools/call", json!({ "name": "read", "arguments": arguments }));
    client.call(2);
}

fn arguments_list(client: &mut Client, is_broken: bool) {
    call_with(client, is_broken, json!(["a file"]));
}

fn arguments_text(client: &mut Client, is_broken: bool) {
    call_with(client, is_broken, json!(r#"{"path":"a file"}"#));
}

fn title_number(client: &mut Client, is_broken: bool) {
    let mut about = client.about();
    about["clientInfo"]["title"] = if is_broken { json!(7) } else { json!("Seven") };
    let message = client.message("initialize", about);
    let answer = client.exchange(&message);
    client.agree(&answer);
    client.initialized();
    client.call(1);
}

fn capability_flag(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "roots": if is_broken { json!(true) } else { json!({}) } });
    client.open();
    client.call(1);
}

fn level(client: &mut Client, is_broken: bool) {
    client.open();
    client.request("logging/setLevel", json!({ "level": if is_broken { "verbose" } else { "debug" } }));
    client.call(1);
}

fn level_in_metadata(client: &mut Client, is_broken: bool) {
    let level = if is_broken { "verbose" } else { "debug" };
    client.request("tools/list", json!({ "_meta": { "io.modelcontextprotocol/logLevel": level } }));
    client.call(1);
}

fn client_as_text(client: &mut Client, is_broken: bool) {
    let about = if is_broken { json!("client 1") } else { json!({ "name": "client", "version": "1" }) };
    client.request("tools/list", json!({ "_meta": { "io.modelcontextprotocol/clientInfo": about } }));
    client.call(1);
}

fn flag_in_metadata(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "elicitation": if is_broken { json!(true) } else { json!({}) } });
    client.list();
    client.call(1);
}

/// A life that declares this and serves its server in this way, or as it should.
fn serving(client: &mut Client, is_broken: bool, capabilities: Value, serve: fn(&Value) -> Vec<Value>) {
    client.capabilities = capabilities;
    if is_broken {
        client.serve = Some(Box::new(serve));
    }
    client.open();
    client.call(1);
    client.call(2);
}

fn sample_without_model(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, json!({ "sampling": {} }), |request| {
        let mut sample = sample();
        sample.as_object_mut().unwrap().remove("model");
        vec![result(request, sample)]
    });
}

fn roots_empty(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, json!({ "roots": {} }), |request| vec![result(request, json!({}))]);
}

fn root_at_address(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, json!({ "roots": {} }), |request| {
        vec![result(request, json!({ "roots": [{ "uri": "https://localhost/work", "name": "work" }] }))]
    });
}

fn completion_with_context(client: &mut Client, is_broken: bool) {
    client.open();
    let reference = json!({ "type": "ref/prompt", "name": "greet" });
    let mut params = json!({ "ref": reference, "argument": { "name": "who", "value": "w" } });
    if is_broken {
        params["context"] = json!({ "arguments": { "language": "en" } });
    }
    client.request("completion/complete", params);
}

fn task_before_its_time(client: &mut Client, is_broken: bool) {
    client.open();
    let mut params = json!({ "name": "read", "arguments": {} });
    if is_broken {
        params["task"] = json!({ "ttl": 1_000 });
    }
    client.request("tools/call", params);
}

fn task_behind_its_time(client: &mut Client, is_broken: bool) {
    client.begin_life();
    let mut call = client.call_message(1);
    if is_broken {
        call["params"]["task"] = json!({ "ttl": 1_000 });
    }
    client.exchange(&call);
}

fn progress_with_text(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "sampling": {} });
    client.serve = Some(Box::new(move |request| {
        let mut params = json!({ "progressToken": "p1", "progress": 1 });
        if is_broken {
            params["message"] = json!("half of it");
        }
        let report = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
        vec![report, proper(request, &json!({ "sampling": {} }))]
    }));
    client.open();
    client.call(1);
}

/// A life that answers a form with this, or with what was asked for.
fn filling(client: &mut Client, is_broken: bool, answer: fn() -> Value) {
    client.capabilities = json!({ "elicitation": {} });
    client.serve = Some(Box::new(move |request| {
        let right = || json!({ "action": "accept", "content": { "age": 7 } });
        vec![result(request, if is_broken { answer() } else { right() })]
    }));
    client.open();
    client.call(1);
    client.call(2);
}

fn input_of_other_type(client: &mut Client, is_broken: bool) {
    filling(client, is_broken, || json!({ "action": "accept", "content": { "age": "seven" } }));
}

fn input_missing(client: &mut Client, is_broken: bool) {
    filling(client, is_broken, || json!({ "action": "accept", "content": {} }));
}

fn input_with_refusal(client: &mut Client, is_broken: bool) {
    filling(client, is_broken, || json!({ "action": "decline", "content": { "age": 7 } }));
}
