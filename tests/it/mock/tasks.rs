//! Calls made as tasks: made, looked at, waited for, cancelled, and left behind; and every message as its schema says.

use std::cell::RefCell;
use std::fs;

use mcp_lifecheck::plan::ShutdownBehaviour::Polite;
use mcp_lifecheck::script::shipped;
use serde_json::{Value, json};

use crate::mock::client::{Client, INITIALIZE, INITIALIZED, LIST, answered, call};
use crate::mock::home::Home;
use crate::mock::http_client::Mock;
use crate::rig::root;

/// A client over pipes that holds each answer against the schema.
struct Talk {
    home: Home,
    client: Client,
    n_asked: RefCell<u32>,
    schema: Value,
}

fn schema() -> Value {
    let file = root().join("tests/schemas/2025-11-25.json");
    serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap()
}

fn assert_is(schema: &Value, kind: &str, value: &Value) {
    let mut of_kind = schema.clone();
    of_kind["$ref"] = json!(format!("#/$defs/{kind}"));
    let validator = jsonschema::validator_for(&of_kind).unwrap();
    let errors: Vec<String> = validator.iter_errors(value).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{kind}: {errors:?}: {value}");
}

fn request(id: u32, method: &str, params: &Value) -> String {
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }).to_string()
}

fn named(task: &str) -> Value {
    json!({ "taskId": task })
}

impl Talk {
    fn open(script: &str, revision: &str) -> (Self, Value) {
        let home = Home::new(&shipped(script).unwrap(), Polite);
        let mut client = Client::linked(&home);
        client.send(&INITIALIZE.replace("2025-11-25", revision));
        let opened = client.answer()["result"].clone();
        client.send(INITIALIZED);
        (Self { home, client, n_asked: RefCell::new(10), schema: schema() }, opened)
    }

    fn send(&mut self, method: &str, params: &Value) -> u32 {
        let id = self.n_asked.replace_with(|id| *id + 1);
        self.client.send(&request(id, method, params));
        id
    }

    /// The result of a request, which is to be of this kind.
    fn ask(&mut self, method: &str, params: &Value, kind: &str) -> Value {
        let id = self.send(method, params);
        self.result(id, kind)
    }

    fn result(&mut self, id: u32, kind: &str) -> Value {
        let answer = self.client.answer();
        assert_eq!(answer["id"], id, "{answer}");
        assert_is(&self.schema, "JSONRPCResultResponse", &answer);
        assert_is(&self.schema, kind, &answer["result"]);
        assert_is(&self.schema, "ServerResult", &answer["result"]);
        answer["result"].clone()
    }

    /// The code of the error that a request is answered with.
    fn refused(&mut self, method: &str, params: &Value) -> Value {
        self.send(method, params);
        let answer = self.client.answer();
        assert_is(&self.schema, "JSONRPCErrorResponse", &answer);
        answer["error"]["code"].clone()
    }

    fn make(&mut self, ttl: &Value) -> Value {
        let params = json!({ "name": "read", "arguments": { "path": "/a" }, "task": { "ttl": ttl } });
        self.ask("tools/call", &params, "CreateTaskResult")["task"].clone()
    }

    /// Whether the next answer is that to a ping: nothing else came before.
    fn is_silent(&mut self) -> bool {
        let id = self.send("ping", &json!({}));
        self.client.answer()["id"] == id
    }
}

fn result_of(task: &str) -> Value {
    let mut result = answered(3)["result"].clone();
    result["_meta"] = json!({ "io.modelcontextprotocol/related-task": { "taskId": task } });
    result
}

#[test]
fn a_call_is_taken_as_a_task_where_its_client_asks_for_that() {
    let (mut talk, opened) = Talk::open("tasks-served", "2025-11-25");
    assert_is(&talk.schema, "InitializeResult", &opened);
    assert_eq!(
        opened["capabilities"]["tasks"],
        json!({ "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } })
    );
    let tools = talk.ask("tools/list", &json!({}), "ListToolsResult");
    assert_eq!(tools["tools"][0]["execution"]["taskSupport"], "optional");
    // Who does not ask for one gets the answer itself.
    talk.client.call(3);
    let made = talk.make(&json!(60_000));
    assert_eq!((&made["taskId"], &made["status"], &made["ttl"]), (&json!("task-1"), &json!("working"), &json!(60_000)));
    assert_eq!(talk.make(&Value::Null)["taskId"], "task-2");
    let seen = talk.ask("tasks/get", &named("task-1"), "GetTaskResult");
    assert_eq!((&seen["taskId"], &seen["status"]), (&json!("task-1"), &json!("completed")));
    assert_eq!(talk.ask("tasks/result", &named("task-2"), "CallToolResult"), result_of("task-2"));
    let all = talk.ask("tasks/list", &json!({}), "ListTasksResult");
    assert_eq!(all["tasks"].as_array().unwrap().len(), 2);
    // Done is done, and what is not there is not found.
    assert_eq!(talk.refused("tasks/cancel", &named("task-1")), -32_602);
    for method in ["tasks/get", "tasks/result", "tasks/cancel"] {
        assert_eq!(talk.refused(method, &named("task-3")), -32_602, "{method}");
    }
    assert_eq!(talk.refused("tasks/list", &json!({ "cursor": "x" })), -32_602);
    for task in [json!(7), json!({ "ttl": "long" })] {
        assert_eq!(talk.refused("tools/call", &json!({ "name": "read", "task": task })), -32_602);
    }
    assert_eq!(talk.refused("tools/call", &json!({ "name": "nobody", "task": {} })), -32_602);
    assert_eq!(talk.ask("tasks/list", &json!({}), "ListTasksResult")["tasks"].as_array().unwrap().len(), 2);
}

#[test]
fn a_result_is_waited_for_and_other_requests_are_served_meanwhile() {
    let (mut talk, _) = Talk::open("task-held", "2025-11-25");
    let made = talk.make(&Value::Null);
    assert_eq!(made["taskId"], "task-1");
    let waiting = talk.send("tasks/result", &named("task-1"));
    assert_eq!(talk.ask("tasks/get", &named("task-1"), "GetTaskResult")["status"], "working");
    // The end of another task is not that of this one.
    let second = talk.make(&Value::Null);
    assert_eq!(talk.ask("tasks/result", &named("task-2"), "CallToolResult"), result_of("task-2"));
    assert_eq!(second["status"], "working");
    talk.home.open_gate("before-result");
    assert_eq!(talk.result(waiting, "CallToolResult"), result_of("task-1"));
    assert_eq!(talk.ask("tasks/get", &named("task-1"), "GetTaskResult")["status"], "completed");
}

#[test]
fn a_cancelled_task_stays_cancelled_and_a_waiting_client_is_answered() {
    let (mut talk, _) = Talk::open("task-held", "2025-11-25");
    talk.make(&Value::Null);
    let waiting = talk.send("tasks/result", &named("task-1"));
    let cancelled = talk.ask("tasks/cancel", &named("task-1"), "CancelTaskResult");
    assert_eq!((&cancelled["taskId"], &cancelled["status"]), (&json!("task-1"), &json!("cancelled")));
    let told = talk.client.answer();
    assert_is(&talk.schema, "JSONRPCErrorResponse", &told);
    assert_eq!((&told["id"], &told["error"]["code"]), (&json!(waiting), &json!(-32_602)));
    assert_eq!(talk.refused("tasks/cancel", &named("task-1")), -32_602);
    // That its work goes on changes nothing.
    talk.home.open_gate("before-result");
    assert_eq!(talk.ask("tasks/get", &named("task-1"), "GetTaskResult")["status"], "cancelled");
    assert_eq!(talk.refused("tasks/result", &named("task-1")), -32_602);
}

#[test]
fn a_client_that_cancels_its_wait_leaves_the_task_alone() {
    let (mut talk, _) = Talk::open("task-held", "2025-11-25");
    talk.make(&Value::Null);
    let waiting = talk.send("tasks/result", &named("task-1"));
    let params = json!({ "requestId": waiting });
    let cancelled = json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": params });
    talk.client.send(&cancelled.to_string());
    assert_eq!(talk.ask("tasks/get", &named("task-1"), "GetTaskResult")["status"], "working");
    talk.home.open_gate("before-result");
    assert!(talk.is_silent(), "the wait that was cancelled is answered");
    assert_eq!(talk.ask("tasks/result", &named("task-1"), "CallToolResult"), result_of("task-1"));
}

#[test]
fn a_session_ends_with_a_task_open_and_a_result_awaited() {
    let (mut talk, _) = Talk::open("task-held", "2025-11-25");
    talk.make(&Value::Null);
    talk.send("tasks/result", &named("task-1"));
    talk.home.wait_for_short("wire.received tasks/result");
    talk.client.close_stdin();
    assert_eq!((talk.client.rest().as_str(), talk.client.exit_code()), ("", 0));
    let journal = talk.home.journal();
    assert_eq!(journal[journal.len() - 3..], ["wire.eof", "connection.closed by-client", "mock.ending eof"]);
}

#[test]
fn without_tasks_the_wish_for_one_is_passed_over() {
    for (script, revision) in [("polite", "2025-11-25"), ("tasks-served", "2025-06-18")] {
        let (mut talk, opened) = Talk::open(script, revision);
        assert_eq!(opened["capabilities"], json!({ "tools": {} }), "{script} {revision}");
        talk.client.send(LIST);
        assert_eq!(talk.client.answer()["result"]["tools"][0].get("execution"), None);
        let params = json!({ "name": "read", "arguments": { "path": "/a" }, "task": {} });
        assert_eq!(talk.ask("tools/call", &params, "CallToolResult"), answered(3)["result"]);
        assert_eq!(talk.refused("tasks/list", &json!({})), -32_601);
    }
}

#[test]
fn a_task_that_nobody_asked_for_is_one_by_its_schema() {
    let (mut talk, _) = Talk::open("task-unasked", "2025-11-25");
    let params = json!({ "name": "read" });
    assert_eq!(talk.ask("tools/call", &params, "CreateTaskResult")["task"]["status"], "working");
    talk.client.call(3);
    assert_eq!(talk.refused("tasks/get", &named("task-1")), -32_601);
}

#[test]
fn over_http_tasks_belong_to_their_session() {
    let mock = Mock::shipped("task-held");
    let (mut socket, mut other) = (mock.session(), mock.session());
    let make = json!({ "name": "read", "arguments": { "path": "/a" }, "task": {} });
    assert_eq!(socket.post(&request(4, "tools/call", &make)).json()["result"]["task"]["taskId"], "task-1");
    assert_eq!(other.post(&request(4, "tasks/get", &named("task-1"))).json()["error"]["code"], -32_602);
    socket.ask(&request(5, "tasks/result", &named("task-1")));
    mock.home.wait_for_short("wire.received tasks/result");
    // Another session goes meanwhile, and takes none of it along.
    assert_eq!(other.post(&call(6)).json(), answered(6));
    other.delete();
    assert_eq!(other.reply().status, 204);
    mock.home.open_gate("before-result");
    assert_eq!(socket.reply().json()["result"], result_of("task-1"));
}

#[test]
fn over_http_the_end_of_a_session_ends_who_waits_for_a_result() {
    let mock = Mock::shipped("task-held");
    let mut socket = mock.session();
    let make = json!({ "name": "read", "task": {} });
    assert_eq!(socket.post(&request(4, "tools/call", &make)).status, 200);
    let mut waiting = mock.socket_of(&socket);
    waiting.ask(&request(5, "tasks/result", &named("task-1")));
    mock.home.wait_for_short("wire.received tasks/result");
    socket.delete();
    assert_eq!((socket.reply().status, waiting.reply().status), (204, 404));
}
