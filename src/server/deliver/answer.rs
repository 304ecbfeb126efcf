//! Answers that are conforming, or errors.

use crate::script::family::Answer;
use crate::server::cause::Cause;
use crate::server::clients::Clients;
use crate::server::conforming::status_of;
use crate::server::task::{Next, Task};
use crate::server::{default, wire};

/// Answers the request of a task.
pub(super) fn deliver(answer: Answer<'_>, task: &Task, clients: &mut Clients) -> Next {
    match answer {
        Answer::Answer | Answer::AnswerAnyway => return default::handle(&task.cause, task.place, clients),
        Answer::Duplicate => {
            if let Some(line) = clients.conforming_answer(&task.cause, task.place) {
                clients.answer_twice(task.place, line);
            }
        }
        Answer::AnswerError(error) => {
            if let Cause::Request { id, .. } = &task.cause {
                let connection = clients.state.connections.at(task.place);
                if connection.is_some_and(|connection| connection.server.is_stateless()) {
                    clients.set_status(task.place, status_of(error.code));
                }
                let line = wire::error_line(id, error.code, &error.message, error.data.as_ref());
                clients.answer(task.place, line);
            }
        }
    }
    Next::Continue
}
