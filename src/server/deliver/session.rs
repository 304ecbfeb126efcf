//! Changes of an HTTP session and its streams.

use crate::history::WireEnd;
use crate::script::family::Session;
use crate::server::clients::Clients;
use crate::server::effect::Effect;
use crate::server::task::Task;

/// Changes the session of a task, or its streams.
pub(super) fn deliver(session: Session<'_>, task: &mut Task, clients: &mut Clients) {
    let place = task.place;
    let Some((http, state)) = clients.http() else { return };
    match session {
        Session::Sse => place.exchange.into_iter().for_each(|no| http.begin_stream(no, state)),
        Session::NameSession(id) => place.exchange.into_iter().for_each(|no| http.name_session(no, id)),
        Session::SameSession => {
            if let Some(connection) = state.connections.at_mut(place) {
                connection.repeats_session = true;
            }
        }
        Session::ExpireSession => {
            for number in state.connections.numbers_at(place) {
                http.close_connection(number, WireEnd::ByServer, None, state);
            }
            task.settled = true;
        }
        Session::EndStream => {
            let streams = http.streams_at(place, &state.connections);
            streams.into_iter().for_each(|no| http.end_stream(no, state));
        }
        Session::CutStream => {
            let streams = http.streams_at(place, &state.connections);
            streams.into_iter().for_each(|no| http.end_socket(no, WireEnd::ByServer, Effect::Cut(no), state));
        }
        Session::AnswerOnReturn => keep_answer(task, clients),
    }
}

/// Keeps the conforming answer until the client resumes its stream.
fn keep_answer(task: &Task, clients: &mut Clients) {
    let Some(line) = clients.conforming_answer(&task.cause, task.place) else { return };
    if let Some(connection) = clients.state.connections.at_mut(task.place) {
        connection.kept_answers.keep(task.place.exchange, line);
    }
}
