//! Tasks: how a client follows them, and what belongs to them.

use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::{Client, result};
use super::{Script, Specimen, http, row, stdio};

/// Takes the first call as a task that goes on, and pings behind that.
pub(super) const WORKING: Script = Script::Written(
    r#"about = "Takes its first call as a task that goes on, and sends a ping behind that."
tasks = true
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["answer", { ask = "ping" }, { hold = "before-result" }]
"#,
);
/// Takes calls as tasks, which are done at once.
const DONE: Script = Script::Shipped("tasks-served");
/// Asks for few polls of a task that goes on.
const SLOW: Script = Script::Written(
    r#"about = "Takes its first call as a task that goes on, and asks for a poll each second."
tasks = true
[[rule]]
on = { request = "tools/call", nth = 1 }
do = [{ answer-result = { task = { taskId = "t1", status = "working", createdAt = "2025-11-25T00:00:00Z", lastUpdatedAt = "2025-11-25T00:00:00Z", ttl = 60000, pollInterval = 1000 } } }]
[[rule]]
on = { request = "tasks/get" }
do = [{ answer-result = { taskId = "t1", status = "working", createdAt = "2025-11-25T00:00:00Z", lastUpdatedAt = "2025-11-25T00:00:00Z", ttl = 60000, pollInterval = 1000 } }]
[[rule]]
on = { request = "tasks/cancel" }
do = [{ answer-result = { taskId = "t1", status = "cancelled", createdAt = "2025-11-25T00:00:00Z", lastUpdatedAt = "2025-11-25T00:00:00Z", ttl = 60000 } }]
"#,
);
/// A task that needs input.
const NEEDY: Script = Script::Written(
    r#"about = "Takes its first call as a task that needs input."
tasks = true
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["answer", { hold = "before-result" }]
[[rule]]
on = { request = "tasks/get" }
do = [{ alter-result = { status = "input_required" } }]
"#,
);
/// Asks for input on behalf of a task.
const ASKING: Script = Script::Written(
    r#"about = "Takes its first call as a task, and asks for input on its behalf."
tasks = true
[[rule]]
on = { request = "tools/call", nth = 1 }
do = ["answer", { ask-with = { method = "elicitation/create", params = { message = "Who?", requestedSchema = { type = "object", properties = {} }, _meta = { "io.modelcontextprotocol/related-task" = { taskId = "task-1" } } } } }, "await-response"]
"#,
);

/// The key of the metadata that names a task.
const RELATED: &str = "io.modelcontextprotocol/related-task";

const FOLLOWED: (&[&str], &str) = (&["LC-TASK-03"], "tasks-followed");
const AWAITED: (&[&str], &str) = (&["LC-TASK-05"], "task-input-awaited");
const NAMED: (&[&str], &str) = (&["LC-TASK-07"], "task-answers-related");

pub(super) const SPECIMENS: &[Specimen] = &[
    row(
        ("task-forgotten", "Makes a call as a task, and never asks for it."),
        stdio("2025-11-25", WORKING),
        FOLLOWED,
        forgotten,
    ),
    row(
        ("task-polled-after-its-end", "Polls a task on and on although it is done."),
        http("2025-11-25", DONE),
        FOLLOWED,
        polled_after_end,
    ),
    row(
        ("task-polled-without-a-pause", "Polls a task without any pause."),
        stdio("2025-11-25", SLOW),
        FOLLOWED,
        polled_at_once,
    ),
    row(
        ("task-input-ignored", "Polls a task on and on that needs input."),
        stdio("2025-11-25", NEEDY),
        AWAITED,
        input_ignored,
    ),
    row(
        ("task-input-ignored-over-http", "Polls a task on and on over HTTP that needs input."),
        http("2025-11-25", NEEDY),
        AWAITED,
        input_ignored,
    ),
    row(
        ("answer-without-its-task", "Gives input for a task and does not name the task."),
        stdio("2025-11-25", ASKING),
        NAMED,
        answer_without_task,
    ),
    row(
        ("answer-for-another-task", "Gives input for a task and names another one."),
        stdio("2025-11-25", ASKING),
        NAMED,
        answer_for_other,
    ),
];

/// Makes a call as a task; gives the parameters that name it.
fn make(client: &mut Client) -> Value {
    client.open();
    let mut call = client.call_message(1);
    call["params"]["task"] = json!({ "ttl": 60_000 });
    let answer = client.exchange(&call);
    json!({ "taskId": answer.message["result"]["task"]["taskId"] })
}

/// Polls a task some times, with a pause before each.
fn poll(client: &mut Client, task: &Value, n_times: usize, pause_ms: u64) {
    for _ in 0..n_times {
        sleep(Duration::from_millis(pause_ms));
        client.request("tasks/get", task.clone());
    }
}

fn forgotten(client: &mut Client, is_broken: bool) {
    let task = make(client);
    if !is_broken {
        poll(client, &task, 1, 100);
    }
    // The first answer comes behind the ping, whose answer shows that the client has read of the task.
    for _ in 0..5 {
        sleep(Duration::from_millis(400));
        client.list();
    }
    if !is_broken {
        client.request("tasks/cancel", task);
    }
}

fn polled_after_end(client: &mut Client, is_broken: bool) {
    let task = make(client);
    poll(client, &task, if is_broken { 5 } else { 1 }, 100);
    client.request("tasks/result", task);
}

fn polled_at_once(client: &mut Client, is_broken: bool) {
    let task = make(client);
    if is_broken {
        poll(client, &task, 8, 0);
    } else {
        poll(client, &task, 3, 700);
    }
    client.request("tasks/cancel", task);
}

/// The twin asks for the result, and cancels the task because the input never comes.
fn input_ignored(client: &mut Client, is_broken: bool) {
    let task = make(client);
    poll(client, &task, if is_broken { 4 } else { 1 }, 100);
    if is_broken {
        client.request("tasks/cancel", task);
    } else {
        let message = client.message("tasks/result", task.clone());
        let pending = client.begin(&message);
        client.request("tasks/cancel", task);
        client.finish(pending);
    }
}

/// Gives input for a task, with this name of it in the broken life.
fn answering(client: &mut Client, is_broken: bool, named: Option<&'static str>) {
    client.capabilities = json!({ "elicitation": {} });
    client.serve = Some(Box::new(move |request| {
        let own = &request["params"]["_meta"][RELATED]["taskId"];
        let task = if is_broken { named.map_or(Value::Null, Value::from) } else { own.clone() };
        let mut answer = result(request, json!({ "action": "decline" }));
        if !task.is_null() {
            answer["result"]["_meta"] = json!({ RELATED: { "taskId": task } });
        }
        vec![answer]
    }));
    let task = make(client);
    client.request("tasks/result", task);
}

fn answer_without_task(client: &mut Client, is_broken: bool) {
    answering(client, is_broken, None);
}

fn answer_for_other(client: &mut Client, is_broken: bool) {
    answering(client, is_broken, Some("task-2"));
}
