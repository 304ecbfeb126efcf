//! Events on a stream: events that are not messages, and the answer in an unusual event.

use crate::history::EventKind;
use crate::script::family::{Event, MalformedEvent};
use crate::server::cause::Cause;
use crate::server::clients::Clients;
use crate::server::effect::Effect;
use crate::server::http_io::ExchangeNo;
use crate::server::state::ServerState;
use crate::server::task::Task;

/// Sends an event that is not a message: on the stream of the request, which begins with it, or on that of the session.
pub(super) fn deliver(event: Event<'_>, task: &Task, clients: &mut Clients) {
    let bytes = match event {
        Event::EventId(id) => format!("id: {id}\ndata:\n\n"),
        Event::Retry(ms) => format!("retry: {ms}\n\n"),
        Event::Comments(times) => ": still here\n\n".repeat(*times as usize),
        Event::OtherEvent(kind) => format!("event: {kind}\ndata: {{\"is\":\"no message\"}}\n\n"),
    };
    let Some((http, state)) = clients.http() else { return };
    if let (Cause::Request { .. }, Some(no), false) = (&task.cause, task.place.exchange, http.is_sse()) {
        http.begin_stream(no, state);
    }
    for exchange in http.streams_at(task.place, &state.connections) {
        match event {
            Event::EventId(id) => {
                if let Some(connection) = state.connections.at_mut(task.place) {
                    connection.kept_answers.note_id(exchange, id);
                }
                journal(exchange, Some(id.clone()), None, state);
            }
            Event::Retry(ms) => journal(exchange, None, Some((*ms).into()), state),
            Event::Comments(_) | Event::OtherEvent(_) => {}
        }
        state.outbox.push(Effect::StreamPart { exchange, bytes: bytes.clone().into_bytes() });
    }
}

fn journal(exchange: ExchangeNo, id: Option<String>, retry_ms: Option<u64>, state: &mut ServerState) {
    state.outbox.journal(EventKind::StreamEvent { exchange: exchange.id(), id, retry_ms });
}

/// Answers the request of a task in an unusual event.
pub(super) fn deliver_malformed(event: MalformedEvent, task: &Task, clients: &mut Clients) {
    match event {
        MalformedEvent::DataLines => answer_in_lines(task, clients),
    }
}

/// Sends the conforming answer as an event with two lines of data. The line end between them is white space to JSON.
fn answer_in_lines(task: &Task, clients: &mut Clients) {
    let Some(no) = task.place.exchange else { return };
    let Some(line) = clients.conforming_answer(&task.cause, task.place) else { return };
    let Some((http, state)) = clients.http() else { return };
    state.wakeups.note_answer(task.place);
    http.begin_stream(no, state);
    let (brace, rest) = line.split_at(1);
    let bytes = [b"event: message\ndata: ", brace, b"\ndata: ", rest, b"\n\n"].concat();
    http.stream_event(no, task.place, &line, bytes, state);
    http.end_stream(no, state);
}
