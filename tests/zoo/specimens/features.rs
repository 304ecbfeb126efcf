//! Features of clients: what a client serves and announces, and what it declared.

use serde_json::{Value, json};

use super::client::{Client, failure, proper, result};
use super::{Life, POLITE, Script, Specimen, http, sse, stdio};

const ROOTS: Script = Script::Shipped("roots-asked-in-call");
/// The same over HTTP, where the request needs a stream.
const ROOTS_STREAM: Script = Script::Written(
    r#"about = "Asks for roots on the stream of its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask = "roots/list" }, "answer"]
"#,
);
const SAMPLING: Script = Script::Shipped("sampling-asked-in-call");
/// Asks for input on the stream of a call.
const ELICITATION: Script = Script::Written(
    r#"about = "Asks for input on the stream of its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask-with = { method = "elicitation/create", params = { message = "Who?", requestedSchema = { type = "object", properties = {} } } } }, "answer"]
"#,
);
/// Asks for input at an address, which a client declares on its own.
const AT_ADDRESS: Script = Script::Written(
    r#"about = "Asks for input at an address in its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ ask-with = { method = "elicitation/create", params = { mode = "url", message = "Sign in", url = "http://127.0.0.1/sign-in", elicitationId = "e1" } } }, "answer"]
"#,
);
/// Asks at an address on the stream of a call.
const AT_ADDRESS_STREAM: Script = Script::Written(
    r#"about = "Asks for input at an address on the stream of its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask-with = { method = "elicitation/create", params = { mode = "url", message = "Sign in", url = "http://127.0.0.1/sign-in", elicitationId = "e1" } } }, "answer"]
"#,
);
/// Asks for a completion with tools, which a client declares on its own.
const WITH_TOOLS: Script = Script::Written(
    r#"about = "Asks for a completion with tools on the stream of its first call."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", { ask-with = { method = "sampling/createMessage", params = { messages = [], maxTokens = 1, tools = [] } } }, "answer"]
"#,
);

const fn row(
    name: &'static str,
    about: &'static str,
    breaks: &'static [&'static str],
    life: fn(&mut Client, bool),
) -> Specimen {
    let caught_by = "features-declared";
    Specimen { name, about, breaks, caught_by, stage: stdio("2025-11-25", POLITE), life: Life::Wire(life) }
}

pub(super) const SPECIMENS: &[Specimen] = &[
    Specimen {
        stage: stdio("2025-06-18", ROOTS),
        ..row("roots-served-undeclared", "Hands out roots that it did not declare.", &["LC-S2C-01"], roots_served)
    },
    Specimen {
        stage: http("2025-11-25", ROOTS_STREAM),
        ..row("roots-posted-undeclared", "Posts roots that it did not declare.", &["LC-S2C-01"], roots_served)
    },
    Specimen {
        stage: stdio("2025-11-25", SAMPLING),
        ..row(
            "sample-served-undeclared",
            "Samples a model for its server, and did not declare that.",
            &["LC-INIT-12"],
            sample_served,
        )
    },
    Specimen {
        stage: sse("2024-11-05", SAMPLING),
        ..row(
            "sample-served-on-a-stream",
            "Samples a model over a stream, and did not declare that.",
            &["LC-INIT-12"],
            sample_served,
        )
    },
    Specimen {
        stage: http("2025-06-18", ELICITATION),
        ..row("input-given-undeclared", "Gives input that it did not declare.", &["LC-INIT-12"], input_given)
    },
    Specimen {
        stage: http("2025-11-25", WITH_TOOLS),
        ..row(
            "sample-with-tools-undeclared",
            "Samples with tools, and declared sampling alone.",
            &["LC-INIT-11"],
            sample_with_tools,
        )
    },
    Specimen {
        stage: stdio("2025-11-25", AT_ADDRESS),
        ..row(
            "address-refused-wrongly",
            "Refuses input at an address with another error than is due.",
            &["LC-S2C-02"],
            address_refused,
        )
    },
    Specimen {
        stage: http("2025-11-25", AT_ADDRESS_STREAM),
        ..row(
            "address-accepted",
            "Accepts input at an address, and declared forms alone.",
            &["LC-S2C-02"],
            address_accepted,
        )
    },
    row(
        "roots-changed-undeclared",
        "Announces changed roots, and declared roots that never change.",
        &["LC-SUB-02"],
        roots_changed,
    ),
    Specimen {
        stage: http("2025-03-26", POLITE),
        ..row(
            "roots-changed-without-roots",
            "Announces changed roots, and declared none.",
            &["LC-SUB-02"],
            roots_changed_without,
        )
    },
    row(
        "task-status-undeclared",
        "Announces the status of a task, and declared no tasks.",
        &["LC-INIT-11"],
        task_status,
    ),
];

/// A life that responds to a request of the server in this way, or as it should.
fn serving(client: &mut Client, is_broken: bool, declared: Value, response: fn(&Value) -> Value) {
    client.capabilities = declared.clone();
    client.open();
    if is_broken {
        client.serve = Some(Box::new(move |request| vec![response(request)]));
    }
    client.call(1);
}

fn roots_served(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, json!({}), |request| proper(request, &json!({ "roots": {} })));
}

fn sample_served(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, json!({}), |request| proper(request, &json!({ "sampling": {} })));
}

fn input_given(client: &mut Client, is_broken: bool) {
    let accept = |request: &Value| result(request, json!({ "action": "accept", "content": {} }));
    serving(client, is_broken, json!({}), accept);
}

/// The twin declares what both lives serve.
fn sample_with_tools(client: &mut Client, is_broken: bool) {
    client.capabilities = json!({ "sampling": if is_broken { json!({}) } else { json!({ "tools": {} }) } });
    client.open();
    client.call(1);
}

fn address_refused(client: &mut Client, is_broken: bool) {
    serving(client, is_broken, json!({ "elicitation": { "form": {} } }), |request| failure(request, -32_603));
}

fn address_accepted(client: &mut Client, is_broken: bool) {
    let accept = |request: &Value| result(request, json!({ "action": "accept" }));
    serving(client, is_broken, json!({ "elicitation": { "form": {} } }), accept);
}

/// Announces what the twin has declared.
fn announcing(
    client: &mut Client,
    (declared, undeclared): (Value, Value),
    is_broken: bool,
    method: &str,
    params: Value,
) {
    client.capabilities = if is_broken { undeclared } else { declared };
    client.open();
    client.notify(method, params);
    client.list();
}

fn roots_changed(client: &mut Client, is_broken: bool) {
    let declared = (json!({ "roots": { "listChanged": true } }), json!({ "roots": {} }));
    announcing(client, declared, is_broken, "notifications/roots/list_changed", json!({}));
}

fn roots_changed_without(client: &mut Client, is_broken: bool) {
    let declared = (json!({ "roots": { "listChanged": true } }), json!({}));
    announcing(client, declared, is_broken, "notifications/roots/list_changed", json!({}));
}

fn task_status(client: &mut Client, is_broken: bool) {
    let time = "2025-11-25T00:00:00Z";
    let task = json!({ "taskId": "t1", "status": "working", "createdAt": time, "lastUpdatedAt": time, "ttl": null });
    let declared = (json!({ "tasks": { "requests": { "sampling": { "createMessage": {} } } } }), json!({}));
    announcing(client, declared, is_broken, "notifications/tasks/status", task);
}
