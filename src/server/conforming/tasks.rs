//! Calls made as MCP tasks: the server answers at once with a task, and the client requests its result later.
//!
//! A task works until the script has finished with its call: a script that answers the call and then holds keeps the task
//! open. A task ends with its session. Deliberately absent: tasks that need input, and expiry.
//!
//! Source: revision 2025-11-25, basic/utilities/tasks, which is experimental there and is in no revision before.

use serde_json::{Value, json};

use crate::server::rpc::RpcError;
use crate::server::wire::{INVALID_PARAMS, INVALID_REQUEST};

/// The request for the result of a task. The server answers it when the task has ended.
pub(in crate::server) const RESULT: &str = "tasks/result";
/// The member of `_meta` that names the task of a message.
const RELATED: &str = "io.modelcontextprotocol/related-task";
/// Most tasks of a session.
const TASKS_MAX: usize = 1_024;
/// Most bytes of results that a session keeps.
const RESULT_BYTES_MAX: usize = 64 << 20;
/// The poll interval that a client should use, in milliseconds.
const POLL_MS: u64 = 50;
/// The creation and update time of every task: a machine has no clock.
const TIME: &str = "2025-11-25T00:00:00Z";

/// The tasks of one session, in order of creation.
#[derive(Debug, Clone, Default)]
pub(in crate::server) struct Tasks {
    all: Vec<Made>,
    n_bytes: usize,
}

#[derive(Debug, Clone)]
struct Made {
    id: String,
    /// The id of the call that created it.
    call: Value,
    ttl: Value,
    status: Status,
    result: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Status {
    Working,
    Completed,
    Cancelled,
}

/// The capability that announces tasks.
pub(in crate::server) fn capability() -> Value {
    json!({ "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } })
}

/// Marks each tool as callable as a task.
pub(in crate::server) fn mark_tools(mut list: Value) -> Value {
    for tool in list["tools"].as_array_mut().into_iter().flatten() {
        tool["execution"] = json!({ "taskSupport": "optional" });
    }
    list
}

impl Tasks {
    /// Creates a task for a call with this result, and returns the answer to the call.
    pub(in crate::server) fn make(&mut self, call: &Value, params: &Value, result: Value) -> Result<Value, RpcError> {
        let ttl = params.pointer("/task/ttl").cloned().unwrap_or_default();
        if !params["task"].is_object() || !(ttl.is_null() || ttl.is_u64()) {
            return Err(RpcError::new(INVALID_PARAMS, "task must be an object, and its ttl a number"));
        }
        let n_bytes = self.n_bytes + result.to_string().len();
        if self.all.len() >= TASKS_MAX || n_bytes > RESULT_BYTES_MAX {
            return Err(RpcError::new(INVALID_REQUEST, "Too many tasks"));
        }
        self.n_bytes = n_bytes;
        let id = format!("task-{}", self.all.len() + 1);
        let made = Made { id, call: call.clone(), ttl, status: Status::Working, result };
        let answer = json!({ "task": made.described() });
        self.all.push(made);
        Ok(answer)
    }

    /// Answers a request about tasks; none for another method.
    pub(in crate::server) fn answer(&mut self, method: &str, params: &Value) -> Option<Result<Value, RpcError>> {
        match method {
            "tasks/get" => Some(self.named(params).map(|made| made.described())),
            RESULT => Some(self.named(params).and_then(|made| made.outcome())),
            "tasks/cancel" => Some(self.named(params).and_then(Made::cancel)),
            "tasks/list" if params.get("cursor").is_some() => {
                Some(Err(RpcError::new(INVALID_PARAMS, "Invalid cursor")))
            }
            "tasks/list" => Some(Ok(json!({ "tasks": self.all.iter().map(Made::described).collect::<Vec<_>>() }))),
            _ => None,
        }
    }

    /// The task that parameters name.
    fn named(&mut self, params: &Value) -> Result<&mut Made, RpcError> {
        let found = self.all.iter_mut().find(|made| params["taskId"] == made.id.as_str());
        found.ok_or_else(|| RpcError::new(INVALID_PARAMS, "Task not found"))
    }

    /// Whether the task that parameters name still works.
    pub(in crate::server) fn works(&self, params: &Value) -> bool {
        let works = |made: &Made| made.status == Status::Working && params["taskId"] == made.id.as_str();
        self.all.iter().any(works)
    }

    /// The script has finished with a call: a task of that call which still worked is complete.
    pub(in crate::server) fn complete(&mut self, call: &Value) {
        let its = |made: &&mut Made| made.status == Status::Working && made.call == *call;
        self.all.iter_mut().filter(its).for_each(|made| made.status = Status::Completed);
    }
}

impl Made {
    /// The task as messages describe it.
    fn described(&self) -> Value {
        let status = match self.status {
            Status::Working => "working",
            Status::Completed => "completed",
            Status::Cancelled => "cancelled",
        };
        json!({
            "taskId": self.id,
            "status": status,
            "createdAt": TIME,
            "lastUpdatedAt": TIME,
            "ttl": self.ttl,
            "pollInterval": POLL_MS,
        })
    }

    fn outcome(&self) -> Result<Value, RpcError> {
        match self.status {
            Status::Completed => {
                let mut result = self.result.clone();
                result["_meta"] = json!({ RELATED: { "taskId": self.id } });
                Ok(result)
            }
            Status::Cancelled => Err(RpcError::new(INVALID_PARAMS, "The task was cancelled: it has no result")),
            // The server cannot hold more requests.
            Status::Working => Err(RpcError::new(INVALID_REQUEST, "Too many wait for a result")),
        }
    }

    fn cancel(&mut self) -> Result<Value, RpcError> {
        if self.status != Status::Working {
            return Err(RpcError::new(INVALID_PARAMS, "The task is over already"));
        }
        self.status = Status::Cancelled;
        Ok(self.described())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{TASKS_MAX, Tasks};

    fn make(tasks: &mut Tasks, result: &Value) -> bool {
        tasks.make(&json!(1), &json!({ "task": {} }), result.clone()).is_ok()
    }

    #[test]
    fn what_a_session_keeps_is_bounded_in_tasks_and_in_bytes() {
        let (mut many, mut long) = (Tasks::default(), Tasks::default());
        assert_eq!((0..2_000).filter(|_| make(&mut many, &json!({}))).count(), TASKS_MAX);
        // 8 MiB each, and 64 MiB may be kept; what is around the text makes it seven.
        let result = json!({ "text": "x".repeat(8 << 20) });
        assert_eq!((0..10).filter(|_| make(&mut long, &result)).count(), 7);
    }
}
