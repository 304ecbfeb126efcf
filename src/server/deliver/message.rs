//! Messages that are not answers: notifications, and requests of the server's own.

use serde_json::{Value, json};

use crate::script::family::Message;
use crate::script::{Many, OwnMessage};
use crate::server::cause::Cause;
use crate::server::clients::Clients;
use crate::server::task::Task;
use crate::server::{notifications, wire};

/// Sends a message.
pub(super) fn deliver(message: Message<'_>, task: &Task, clients: &mut Clients) {
    let place = task.place;
    match message {
        Message::Notify(method) => notifications::send(place, method, None, clients),
        Message::NotifyWith(OwnMessage { method, params }) => {
            notifications::send(place, method, Some(&Value::Object(params.clone())), clients);
        }
        Message::NotifyMany(Many { method, params, times }) => {
            let params = params.clone().map(Value::Object);
            (0..*times).for_each(|_| notifications::send(place, method, params.as_ref(), clients));
        }
        Message::Ask(method) => clients.request(place, method, None, true),
        Message::AskWith(OwnMessage { method, params }) => {
            clients.request(place, method, Some(&Value::Object(params.clone())), true);
        }
        Message::AskAgain(method) => clients.request(place, method, None, false),
        Message::Progress(times) => (1..=*times).for_each(|done| report_progress(task, u64::from(done), clients)),
        Message::CancelRequest => {
            if let Cause::Request { id, .. } = &task.cause {
                let params = json!({ "requestId": id, "reason": "the script says so" });
                clients.notify(place, &wire::notification_line("notifications/cancelled", Some(&params)));
                notifications::tear_down(&task.cause, place, clients);
            }
        }
        Message::StrayAnswer(id) => clients.notify(place, &wire::result_line(&Value::from(*id), &json!({}))),
        Message::StrayError => {
            clients.notify(place, &wire::error_line(&Value::Null, wire::PARSE_ERROR, "Parse error", None));
        }
    }
}

/// Reports progress of the request of a task.
pub(super) fn report_progress(task: &Task, done: u64, clients: &mut Clients) {
    let Cause::Request { id, params, .. } = &task.cause else { return };
    // A client that did not ask for progress still gets it, under the id.
    let token = params.pointer("/_meta/progressToken").unwrap_or(id);
    let params = json!({ "progressToken": token, "progress": done });
    clients.notify_about(task.place, &wire::notification_line("notifications/progress", Some(&params)));
}
