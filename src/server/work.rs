//! MCP tasks and the machine: which requests wait for the end of a task, and when a task ends.

use crate::script::Action;
use crate::script::family::{Answer, Family};
use crate::server::cause::Cause;
use crate::server::clients::Clients;
use crate::server::conforming::RESULT;
use crate::server::task::{Task, Wait};

/// The wait of an action that needs the result of an MCP task that still works. Without an action: the same for the
/// conforming answer.
pub(super) fn pending(task: &Task, action: Option<&Action>, clients: &Clients) -> Option<Wait> {
    let Cause::Request { method, params, .. } = &task.cause else { return None };
    let number = task.place.connection.filter(|_| method == RESULT && !task.settled)?;
    let works = clients.state.connections.get(number)?.server.tasks().is_some_and(|tasks| tasks.works(params));
    (works && action.is_none_or(needs_result)).then_some(Wait::Work(number))
}

/// Whether an action is made from the conforming answer.
fn needs_result(action: &Action) -> bool {
    match action.family() {
        Family::Answer(Answer::AnswerError(_)) => false,
        Family::Answer(Answer::Answer | Answer::Duplicate | Answer::AnswerAnyway) => true,
        Family::MalformedMessage(_) | Family::LongMessage(_) => true,
        Family::MalformedLine(_) | Family::MalformedEvent(_) => true,
        Family::Pause(_) | Family::Silence(_) | Family::Endless(_) | Family::Message(_) | Family::Line(_) => false,
        Family::Response(_) | Family::Raw(_) | Family::Event(_) | Family::Session(_) | Family::Process(_) => false,
    }
}

/// The script has finished with a cause: the MCP task of a call is complete, and requests for results look again.
pub(super) fn finish(task: &Task, clients: &mut Clients) {
    let Cause::Request { id, method, .. } = &task.cause else { return };
    let is_about_tasks = matches!(method.as_str(), "tools/call" | "tasks/cancel");
    let Some(number) = task.place.connection.filter(|_| is_about_tasks) else { return };
    let connection = clients.state.connections.get_mut(number);
    let Some(tasks) = connection.and_then(|connection| connection.server.tasks_mut()) else { return };
    if method == "tools/call" {
        tasks.complete(id);
    }
    clients.state.wakeups.note_work(number);
}
