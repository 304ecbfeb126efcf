//! Calls made as tasks: answered at once with a task, whose result is asked for later.
//!
//! A task works as long as there is something left to do about its call: a script that answers the call and then holds keeps
//! the task open. A task lives and dies with its session. What is deliberately absent: tasks that need input, and expiry.
//!
//! Source: revision 2025-11-25, basic/utilities/tasks, which is experimental there and is in no revision before.

use serde_json::{Value, json};

use crate::script::interpreter::Interpreter;
use crate::script::rpc::RpcError;
use crate::script::task::{Cause, Task, Wait};
use crate::script::wire::{INVALID_PARAMS, INVALID_REQUEST};
use crate::script::{Action, Family};

/// The request for the result of a task, which is answered when there is one.
const RESULT: &str = "tasks/result";
/// What names the task in a message that is about one.
const RELATED: &str = "io.modelcontextprotocol/related-task";
/// Most tasks of a session.
const TASKS_MAX: usize = 1_024;
/// Most bytes of results that wait in a session.
const RESULT_BYTES_MAX: usize = 64 << 20;
/// How often a client is to look, in milliseconds.
const POLL_MS: u64 = 50;
/// When a task was made and changed: a mock knows no time of the day.
const TIME: &str = "2025-11-25T00:00:00Z";

/// The tasks of one session, in the order in which they were made.
#[derive(Debug, Clone, Default)]
pub(super) struct Tasks {
    all: Vec<Made>,
    n_bytes: usize,
}

#[derive(Debug, Clone)]
struct Made {
    id: String,
    /// The id of the request that made it.
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

/// What is announced of tasks among the capabilities.
pub(super) fn capability() -> Value {
    json!({ "list": {}, "cancel": {}, "requests": { "tools": { "call": {} } } })
}

/// Says of each tool that a call of it may be a task.
pub(super) fn mark_tools(mut list: Value) -> Value {
    for tool in list["tools"].as_array_mut().into_iter().flatten() {
        tool["execution"] = json!({ "taskSupport": "optional" });
    }
    list
}

impl Tasks {
    /// Makes a task of a call that has this result; the answer to the call.
    pub(super) fn make(&mut self, call: &Value, params: &Value, result: Value) -> Result<Value, RpcError> {
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
        let answer = json!({ "task": made.told() });
        self.all.push(made);
        Ok(answer)
    }

    /// Answers a request about tasks; nothing where it is about something else.
    pub(super) fn answer(&mut self, method: &str, params: &Value) -> Option<Result<Value, RpcError>> {
        match method {
            "tasks/get" => Some(self.named(params).map(|made| made.told())),
            RESULT => Some(self.named(params).and_then(|made| made.outcome())),
            "tasks/cancel" => Some(self.named(params).and_then(Made::cancel)),
            "tasks/list" if params.get("cursor").is_some() => {
                Some(Err(RpcError::new(INVALID_PARAMS, "Invalid cursor")))
            }
            "tasks/list" => Some(Ok(json!({ "tasks": self.all.iter().map(Made::told).collect::<Vec<_>>() }))),
            _ => None,
        }
    }

    /// The one that parameters name.
    fn named(&mut self, params: &Value) -> Result<&mut Made, RpcError> {
        let found = self.all.iter_mut().find(|made| params["taskId"] == made.id.as_str());
        found.ok_or_else(|| RpcError::new(INVALID_PARAMS, "Task not found"))
    }

    /// Whether the one that parameters name still works.
    fn works(&self, params: &Value) -> bool {
        let works = |made: &Made| made.status == Status::Working && params["taskId"] == made.id.as_str();
        self.all.iter().any(works)
    }

    /// All that there was to do about a call is done: the task that it made, if that still worked, is complete.
    fn complete(&mut self, call: &Value) {
        let its = |made: &&mut Made| made.status == Status::Working && made.call == *call;
        self.all.iter_mut().filter(its).for_each(|made| made.status = Status::Completed);
    }
}

impl Made {
    /// What a client is told of it.
    fn told(&self) -> Value {
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
            // Only where a mock holds as much as it can already.
            Status::Working => Err(RpcError::new(INVALID_REQUEST, "Too many wait for a result")),
        }
    }

    fn cancel(&mut self) -> Result<Value, RpcError> {
        if self.status != Status::Working {
            return Err(RpcError::new(INVALID_PARAMS, "The task is over already"));
        }
        self.status = Status::Cancelled;
        Ok(self.told())
    }
}

impl Interpreter {
    /// What an action has to wait for, or without one the honest answer: a result that is not there yet.
    pub(super) fn wait_for_work(&self, task: &Task, action: Option<&Action>) -> Option<Wait> {
        let Cause::Request { method, params, .. } = &task.cause else { return None };
        let number = task.at.connection.filter(|_| method == RESULT && !task.settled)?;
        let needs_answer = |action: &Action| match action.family() {
            Family::Answer => !matches!(action, Action::AnswerError(_)),
            Family::ForgedMessage | Family::ForgedText | Family::ForgedLine | Family::ForgedEvent => true,
            _ => false,
        };
        let works = self.talks.get(&number)?.server.tasks().is_some_and(|tasks| tasks.works(params));
        (works && action.is_none_or(needs_answer) && self.cannot_hold_more().is_none()).then_some(Wait::Work(number))
    }

    /// Nothing is left to do about an occasion; where it made a task, that is complete. Whoever waits for results looks again.
    pub(super) fn finish_work(&mut self, task: &Task) {
        let Cause::Request { id, method, .. } = &task.cause else { return };
        let Some(number) = task.at.connection.filter(|_| matches!(method.as_str(), "tools/call" | "tasks/cancel"))
        else {
            return;
        };
        let Some(tasks) = self.talks.get_mut(&number).and_then(|talk| talk.server.tasks_mut()) else { return };
        if method == "tools/call" {
            tasks.complete(id);
        }
        self.worked.push(number);
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
