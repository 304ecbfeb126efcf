//! Unusual responses to an HTTP request.

use serde_json::Value;

use crate::history::{EventKind, WireEnd};
use crate::script::family::Response;
use crate::server::cause::Place;
use crate::server::clients::Clients;
use crate::server::effect::Effect;
use crate::server::http::{Http, JSON, Refusal, SESSION};
use crate::server::http_io::{self, ExchangeNo};
use crate::server::state::ServerState;
use crate::server::task::Task;
use crate::server::wire;

/// Status code of a request that the client should repeat later.
const TOO_MANY_REQUESTS: u16 = 429;

/// Answers the HTTP request of a task.
pub(super) fn deliver(response: Response<'_>, task: &Task, clients: &mut Clients) {
    let Some(no) = task.place.exchange else { return };
    match response {
        Response::Status(status) => respond_with_error(no, *status, clients),
        Response::BareStatus(status) => respond(no, *status, &[], Vec::new(), clients),
        Response::Unauthorized => {
            respond(no, 401, &[("www-authenticate", "Bearer realm=\"mcp-mock\"")], Vec::new(), clients);
        }
        Response::RetryAfter(seconds) => {
            respond(no, TOO_MANY_REQUESTS, &[("retry-after", &seconds.to_string())], Vec::new(), clients);
        }
        Response::Redirect(status) => redirect(no, *status, "/moved", clients),
        Response::RedirectLoop(status) => redirect(no, *status, "", clients),
        Response::EmptyBody => respond(no, 200, &[JSON], Vec::new(), clients),
        Response::Accepted => clients.accept(task.place),
        Response::AcceptedBody => respond(no, 202, &[JSON], b"{}".to_vec(), clients),
        Response::Reset => {
            if let Some((http, state)) = clients.http() {
                http.end_socket(no, WireEnd::Broken, Effect::Reset(no), state);
            }
        }
        Response::ContentType(kind) => with_answer(task, clients, |line, http, state| {
            let mut answers = task.place.seat.map(|seat| state.batches.take_kept(seat)).unwrap_or_default();
            answers.push(line);
            http.answer_typed(no, task.place, &answers, kind, state);
        }),
        Response::Trickle => {
            with_answer(task, clients, |line, http, state| trickle(no, task.place, &line, http, state));
        }
        Response::WrongStream => with_answer(task, clients, |line, http, state| {
            http.accept(task.place, state);
            if let Some(number) = task.place.connection {
                http.notify(number, &line, state);
            }
        }),
    }
}

/// Does something with the conforming answer to the request of a task, if a client waits for it.
fn with_answer(task: &Task, clients: &mut Clients, act: impl FnOnce(Vec<u8>, &mut Http, &mut ServerState)) {
    let Some(line) = clients.conforming_answer(&task.cause, task.place) else { return };
    if let Some((http, state)) = clients.http() {
        act(line, http, state);
    }
}

fn respond(no: ExchangeNo, status: u16, headers: &[(&'static str, &str)], body: Vec<u8>, clients: &mut Clients) {
    if let Some((http, state)) = clients.http() {
        http.respond(no, status, headers, body, state);
    }
}

fn respond_with_error(no: ExchangeNo, status: u16, clients: &mut Clients) {
    let Some((http, state)) = clients.http() else { return };
    if status == 404 {
        return http.refuse(no, &Refusal::UNKNOWN_SESSION, state);
    }
    let line = wire::error_line(&Value::Null, wire::INVALID_REQUEST, "Refused by the script", None);
    let mut headers = vec![JSON];
    if status == 405 {
        headers.push(("allow", "POST"));
    }
    http.respond(no, status, &headers, line, state);
}

/// Redirects a request to the server's own path with this suffix.
fn redirect(no: ExchangeNo, status: u16, suffix: &str, clients: &mut Clients) {
    let Some((http, state)) = clients.http() else { return };
    let location = format!("{}{suffix}", http.path());
    http.respond(no, status, &[("location", &location)], Vec::new(), state);
}

/// Sends an answer as a body of chunks of one byte each.
fn trickle(no: ExchangeNo, place: Place, line: &[u8], http: &mut Http, state: &mut ServerState) {
    let session = http.session_of_answer(no, place, state);
    let connection = http.connection_of(place, state);
    let mut headers = vec![(JSON.0, JSON.1.to_owned())];
    headers.extend(session.map(|session| (SESSION, session.to_string())));
    headers.extend(http.take_named_session(no));
    state.wakeups.note_answer(place);
    state.outbox.journal(EventKind::HttpAnswered { exchange: no.id(), status: 200, streams: false });
    state.outbox.sent(connection, line);
    let response = http_io::Response { status: 200, headers, body: Vec::new() };
    state.outbox.push(Effect::BeginStream { exchange: no, response });
    for byte in line {
        state.outbox.push(Effect::StreamPart { exchange: no, bytes: vec![*byte] });
    }
    http.end_stream(no, state);
}
