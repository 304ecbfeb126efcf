//! Which actions are still possible over HTTP.

use crate::script::Action;
use crate::script::family::{Answer, Endless, Family, Message, Response, Session};
use crate::server::cause::Place;
use crate::server::connections::Connections;
use crate::server::http::server::Http;

/// Whether an action is still possible at a place.
pub(in crate::server) fn is_possible(http: &Http, action: &Action, place: Place, connections: &Connections) -> bool {
    let is_open = place.exchange.is_some_and(|no| http.exchanges.is_open(no));
    let is_waiting = place.exchange.is_some_and(|no| http.exchanges.is_waiting(no));
    match action.family() {
        Family::Pause(_) | Family::MalformedMessage(_) | Family::LongMessage(_) => true,
        Family::Silence(_) | Family::Process(_) => true,
        Family::MalformedLine(_) | Family::Line(_) => false,
        Family::Answer(Answer::AnswerAnyway) => http.is_awaited(place, connections),
        Family::Answer(Answer::Answer | Answer::AnswerError(_) | Answer::Duplicate) => true,
        Family::Endless(Endless::ProgressForever(_)) => http.is_awaited(place, connections),
        Family::Message(Message::Progress(_)) => http.is_awaited(place, connections),
        Family::Message(Message::Ask(_) | Message::AskWith(_) | Message::AskAgain(_)) => true,
        Family::Message(Message::Notify(_) | Message::NotifyWith(_) | Message::NotifyMany(_)) => true,
        Family::Message(Message::CancelRequest | Message::StrayAnswer(_) | Message::StrayError) => true,
        Family::Response(response) => {
            if response == Response::Reset {
                is_open
            } else {
                is_waiting
            }
        }
        Family::Raw(_) => is_waiting,
        Family::MalformedEvent(_) => is_open,
        Family::Event(_) => is_open || has_streams(place, connections),
        Family::Session(session) => can_change_session(http, session, place, connections),
    }
}

fn can_change_session(http: &Http, session: Session<'_>, place: Place, connections: &Connections) -> bool {
    let exchange = place.exchange.and_then(|no| http.exchanges.get(no));
    match session {
        Session::Sse | Session::NameSession(_) => exchange.is_some_and(|exchange| !exchange.streams),
        Session::SameSession => exchange.is_some_and(|exchange| exchange.opens),
        Session::AnswerOnReturn => exchange.is_some(),
        Session::ExpireSession => {
            let numbers = connections.numbers_at(place);
            let mut open = numbers.into_iter().filter_map(|number| connections.get(number));
            open.any(|connection| connection.session.is_some())
        }
        Session::EndStream | Session::CutStream => {
            exchange.is_some_and(|exchange| exchange.streams) || has_streams(place, connections)
        }
    }
}

/// Whether a connection of a place has an open stream.
fn has_streams(place: Place, connections: &Connections) -> bool {
    let numbers = connections.numbers_at(place);
    let mut open = numbers.into_iter().filter_map(|number| connections.get(number));
    open.any(|connection| !connection.streams.is_empty())
}
