//! Requests of the client: how they are cancelled, given up, tracked, made as tasks, and continued.

use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, MODERN};
use super::{POLITE, Script, Specimen, http, row, sse, stdio};

/// Answers `initialize` late.
const LATE: Script = Script::Written(
    r#"about = "Answers initialize late."
[[rule]]
on = { request = "initialize" }
do = [{ delay = "250ms" }]
"#,
);
/// Answers every call late.
const SLOW: Script = Script::Written(
    r#"about = "Answers every call late."
[[rule]]
on = { request = "tools/call" }
do = [{ delay = "200ms" }]
"#,
);
/// Never answers the first call, whose stream begins at once.
const SILENT: Script = Script::Written(
    r#"about = "Begins a stream for its first call, and never answers there."
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["sse", "drop"]
"#,
);
/// Its tool must be called as a task.
const REQUIRED: Script = Script::Written(
    r#"about = "Its tool must be called as a task."
tasks = true
[[rule]]
on = { request = "tools/list" }
do = [{ alter-result = { tools = [{ name = "read", inputSchema = { type = "object" }, execution = { taskSupport = "required" } }] } }]
"#,
);
/// Serves tasks, and its tool has none.
const FORBIDDEN: Script = Script::Written(
    r#"about = "Serves tasks, and its tool has none."
tasks = true
[[rule]]
on = { request = "tools/list" }
do = [{ alter-result = { tools = [{ name = "read", inputSchema = { type = "object" } }] } }]
"#,
);
/// Takes the first call as a task that goes on.
const WORKING: Script = Script::Shipped("task-held");
/// Has a second page of tools.
const PAGES: Script = Script::Written(
    r#"about = "Has a second page of tools."
[[rule]]
on = { request = "tools/list", nth = 1 }
do = [{ alter-result = { nextCursor = "page-2" } }]
"#,
);
/// Has a second page of tools, with another cursor in each session.
const PAGES_OF_TWO: Script = Script::Written(
    r#"about = "Has a second page of tools, with another cursor in each session."
[[rule]]
on = { request = "tools/list", nth = 1, connection = 1 }
do = [{ alter-result = { nextCursor = "first-2" } }]
[[rule]]
on = { request = "tools/list", nth = 1, connection = 2 }
do = [{ alter-result = { nextCursor = "second-2" } }]
"#,
);
/// Lists prompts and tools, and only the tools have a second page.
const TWO_LISTS: Script = Script::Written(
    r#"about = "Lists prompts and tools, of which only the tools have a second page."
[[rule]]
on = { request = "initialize" }
do = [{ alter-result = { capabilities = { tools = {}, prompts = {} } } }]
[[rule]]
on = { request = "tools/list", nth = 1 }
do = [{ alter-result = { nextCursor = "page-2" } }]
"#,
);

const OPEN_ONE: (&[&str], &str) = (&["LC-CAN-01"], "cancel-only-open-requests");
const NOT_INITIALIZE: (&[&str], &str) = (&["LC-CAN-02"], "cancel-only-open-requests");
const NO_TASK: (&[&str], &str) = (&["LC-CAN-14"], "cancel-only-open-requests");
const TOLD: (&[&str], &str) = (&["LC-CAN-03"], "abandoned-call-cancelled");
const TIMED_OUT: (&[&str], &str) = (&["LC-TMO-02"], "abandoned-call-cancelled");
const TOKEN: (&[&str], &str) = (&["LC-PROG-01"], "progress-tokens-valid");
const SUPPORT: (&[&str], &str) = (&["LC-TASK-02"], "task-support-followed");
const CURSOR: (&[&str], &str) = (&["LC-SESS-10"], "cursor-of-session");

pub(super) const SPECIMENS: &[Specimen] = &[
    row(
        ("cancel-of-nothing", "Cancels a request that it never made."),
        stdio("2025-11-25", POLITE),
        OPEN_ONE,
        cancel_of_nothing,
    ),
    row(
        ("cancel-without-handshake", "Cancels a request that it never made, without a handshake."),
        stdio(MODERN, POLITE),
        OPEN_ONE,
        cancel_of_nothing,
    ),
    row(
        ("cancel-under-a-text", "Cancels its call under the id as a text."),
        stdio("2025-06-18", SLOW),
        OPEN_ONE,
        cancel_under_text,
    ),
    row(
        ("cancel-after-the-answer", "Cancels a call whose answer it has read."),
        http("2025-11-25", POLITE),
        OPEN_ONE,
        cancel_after_answer,
    ),
    row(
        ("cancel-of-another-session", "Cancels a request that it made on another session."),
        http("2025-03-26", POLITE),
        OPEN_ONE,
        cancel_of_other_session,
    ),
    row(
        ("cancel-without-a-request", "Cancels without saying what."),
        sse("2024-11-05", POLITE),
        OPEN_ONE,
        cancel_without_request,
    ),
    row(
        ("cancel-of-initialize", "Cancels initialize."),
        stdio("2025-11-25", LATE),
        NOT_INITIALIZE,
        cancel_of_initialize,
    ),
    row(
        ("cancel-of-initialize-done", "Cancels initialize, long after its answer."),
        http("2025-06-18", POLITE),
        NOT_INITIALIZE,
        cancel_of_initialize_done,
    ),
    row(
        ("cancel-of-a-task", "Cancels a task by a notification for its call."),
        stdio("2025-11-25", WORKING),
        NO_TASK,
        cancel_of_task,
    ),
    row(
        ("cancel-of-a-task-posted", "Posts a notification to cancel a task."),
        http("2025-11-25", WORKING),
        NO_TASK,
        cancel_of_task,
    ),
    row(
        ("disconnect-for-a-cancel", "Closes the socket of its call in place of a cancellation."),
        http("2025-11-25", SILENT),
        TOLD,
        disconnect,
    ),
    row(
        ("timeout-without-a-cancel", "Gives a call up after a while, and tells its server nothing."),
        http("2025-06-18", SILENT),
        TIMED_OUT,
        timeout,
    ),
    row(
        ("token-of-two-calls", "Gives two open calls the same progress token."),
        stdio("2025-11-25", SLOW),
        TOKEN,
        token_of_two,
    ),
    row(
        ("token-of-two-calls-without-handshake", "Gives two open calls one progress token, without a handshake."),
        stdio(MODERN, SLOW),
        TOKEN,
        token_of_two,
    ),
    row(
        ("token-an-object", "Gives a call an object as progress token."),
        http("2025-03-26", POLITE),
        TOKEN,
        token_object,
    ),
    row(
        ("token-a-fraction", "Gives a call a fraction as progress token."),
        sse("2024-11-05", POLITE),
        TOKEN,
        token_fraction,
    ),
    row(
        ("task-required-and-not-made", "Calls a tool plainly that must be called as a task."),
        stdio("2025-11-25", REQUIRED),
        SUPPORT,
        task_required,
    ),
    row(
        ("task-forbidden-and-made", "Calls a tool as a task that has none."),
        http("2025-11-25", FORBIDDEN),
        SUPPORT,
        task_forbidden,
    ),
    row(("cursor-counted-up", "Makes the next cursor itself."), stdio("2025-06-18", PAGES), CURSOR, cursor_made),
    row(
        ("cursor-of-another-session", "Goes on with the cursor of another session."),
        http("2025-11-25", PAGES_OF_TWO),
        CURSOR,
        cursor_of_other_session,
    ),
    row(
        ("cursor-of-another-list", "Continues prompts with the cursor of tools."),
        stdio("2024-11-05", TWO_LISTS),
        CURSOR,
        cursor_of_other_list,
    ),
];

fn cancel_of_nothing(client: &mut Client, is_broken: bool) {
    client.begin_life();
    if is_broken {
        client.cancel(&json!(99));
    }
    client.list();
}

fn cancel_under_text(client: &mut Client, is_broken: bool) {
    client.open();
    let call = client.call_message(1);
    client.begin(&call);
    let id = if is_broken { json!(call["id"].to_string()) } else { call["id"].clone() };
    client.cancel(&id);
    client.list();
}

fn cancel_after_answer(client: &mut Client, is_broken: bool) {
    client.open();
    client.call(1);
    if is_broken {
        client.cancel(&json!(client.last_id));
    }
    client.call(2);
}

fn cancel_of_other_session(client: &mut Client, is_broken: bool) {
    client.open();
    let mut other = client.another();
    other.open();
    other.last_id = 40;
    other.call(1);
    client.call(1);
    if is_broken {
        client.cancel(&json!(41));
    }
    other.end();
    client.call(2);
}

fn cancel_without_request(client: &mut Client, is_broken: bool) {
    client.open();
    if is_broken {
        client.notify("notifications/cancelled", json!({ "reason": "all of them" }));
    }
    client.call(1);
}

fn cancel_of_initialize(client: &mut Client, is_broken: bool) {
    let about = client.about();
    let message = client.message("initialize", about);
    let pending = client.begin(&message);
    if is_broken {
        client.cancel(&message["id"]);
    } else {
        client.finish(pending);
        client.initialized();
    }
}

fn cancel_of_initialize_done(client: &mut Client, is_broken: bool) {
    client.open();
    if is_broken {
        client.cancel(&json!(1));
    }
    client.list();
}

/// Makes a call as a task, and cancels it while it works.
fn cancel_of_task(client: &mut Client, is_broken: bool) {
    client.open();
    let mut call = client.call_message(1);
    call["params"]["task"] = json!({ "ttl": 60_000 });
    let answer = client.exchange(&call);
    let task = answer.message["result"]["task"]["taskId"].clone();
    client.request("tasks/get", json!({ "taskId": task }));
    if is_broken {
        client.cancel(&call["id"]);
    } else {
        client.request("tasks/cancel", json!({ "taskId": task }));
    }
    client.list();
}

/// Begins a call and leaves it, with a cancellation or without one.
fn leave(client: &mut Client, is_broken: bool) {
    let call = client.call_message(1);
    let mut pending = client.begin(&call);
    pending.head();
    if !is_broken {
        client.cancel(&call["id"]);
    }
    pending.abandon();
}

fn disconnect(client: &mut Client, is_broken: bool) {
    client.open();
    leave(client, is_broken);
    client.list();
    client.call(2);
}

/// Its own time-out passes, and it makes the call once more.
fn timeout(client: &mut Client, is_broken: bool) {
    client.open();
    let call = client.call_message(1);
    let mut pending = client.begin(&call);
    pending.head();
    std::thread::sleep(Duration::from_millis(200));
    if !is_broken {
        client.cancel(&call["id"]);
    }
    pending.abandon();
    client.call(1);
}

fn with_token(mut call: Value, token: Value) -> Value {
    call["params"]["_meta"]["progressToken"] = token;
    call
}

fn token_of_two(client: &mut Client, is_broken: bool) {
    if client.revision != MODERN {
        client.open();
    }
    let tokens = if is_broken { [json!("p"), json!("p")] } else { [json!("p"), json!("q")] };
    let calls: Vec<_> = tokens.into_iter().map(|token| with_token(client.call_message(1), token)).collect();
    let pending: Vec<_> = calls.iter().map(|call| client.begin(call)).collect();
    pending.into_iter().for_each(|pending| drop(client.finish(pending)));
}

fn tokened(client: &mut Client, token: Value) {
    client.open();
    let call = with_token(client.call_message(1), token);
    client.exchange(&call);
}

fn token_object(client: &mut Client, is_broken: bool) {
    tokened(client, if is_broken { json!({ "n": 1 }) } else { json!(1) });
}

fn token_fraction(client: &mut Client, is_broken: bool) {
    tokened(client, if is_broken { json!(0.5) } else { json!("half") });
}

/// Lists the tools and calls one, as a task or plainly.
fn call_as(client: &mut Client, is_task: bool) {
    client.open();
    client.list();
    let mut call = client.call_message(1);
    if is_task {
        call["params"]["task"] = json!({ "ttl": 60_000 });
    }
    client.exchange(&call);
}

fn task_required(client: &mut Client, is_broken: bool) {
    call_as(client, !is_broken);
}

fn task_forbidden(client: &mut Client, is_broken: bool) {
    call_as(client, is_broken);
}

fn page(client: &mut Client, method: &str, cursor: &str) {
    client.request(method, json!({ "cursor": cursor }));
}

fn cursor_made(client: &mut Client, is_broken: bool) {
    client.open();
    client.list();
    page(client, "tools/list", if is_broken { "page-3" } else { "page-2" });
}

fn cursor_of_other_session(client: &mut Client, is_broken: bool) {
    client.open();
    client.list();
    let mut other = client.another();
    other.open();
    other.list();
    page(&mut other, "tools/list", if is_broken { "first-2" } else { "second-2" });
    other.end();
}

fn cursor_of_other_list(client: &mut Client, is_broken: bool) {
    client.open();
    client.list();
    client.request("prompts/list", json!({}));
    page(client, if is_broken { "prompts/list" } else { "tools/list" }, "page-2");
}
