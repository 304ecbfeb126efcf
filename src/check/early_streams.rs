//! Streams of a server over HTTP that a client requests before the server has answered `initialize`.
//!
//! A GET without a session does not say whose it is: a program of 2024-11-05 asks for its stream at any server, and a client that was
//! refused falls back to that transport. So a GET counts only if no POST was answered before it, and the same socket then
//! carries a message of a session.

use crate::check::parts::parts;
use crate::check::{View, Violation};
use crate::history::{Event, EventKind, ExchangeId, KeySet, Message, Name, Seq, SocketId, Table};

#[derive(Default)]
pub(super) struct EarlyStreams {
    /// Mocks that have answered anything but a GET.
    answered: KeySet<Name>,
    gets: KeySet<(Name, ExchangeId)>,
    /// The GET on each socket that has carried nothing else yet.
    early: Table<(Name, SocketId), Seq>,
}

impl EarlyStreams {
    /// Takes an event, and gives the violation that it proves.
    pub(super) fn see(&mut self, event: &Event, view: &View) -> Option<Violation> {
        if view.shows_ends() {
            return None;
        }
        let mock = event.source.to_name();
        match &event.kind {
            EventKind::HttpReceived { exchange, socket, verb, session, headers, .. } if verb == "GET" => {
                let is_stream = headers.get("accept").is_some_and(|accept| accept.contains("text/event-stream"));
                if !self.answered.contains(&mock) {
                    self.gets.insert((mock.clone(), exchange.clone()));
                    if is_stream && session.is_none() {
                        self.early.entry((mock, socket.clone())).or_insert(event.seq);
                    }
                }
                None
            }
            EventKind::HttpAnswered { exchange, .. } => {
                if !self.gets.swap_remove(&(mock.clone(), exchange.clone())) {
                    self.answered.insert(mock);
                }
                None
            }
            EventKind::WireReceived { connection, message } => {
                let carrier = view.carrier(event)?;
                let asked = self.early.swap_remove(&(carrier.mock.clone(), carrier.socket.clone()))?;
                let of_session =
                    |part: &Message| part.is_request("initialize") || part.is_notification("notifications/initialized");
                parts(message).iter().any(of_session).then(|| {
                    let because = format!(
                        "the client of connection {connection} requested a stream at {asked}, before its server had answered initialize, and used the same socket at {}",
                        event.seq
                    );
                    Violation::new("stream-before-answer", because, &[asked, event.seq]).as_warning()
                })
            }
            _ => None,
        }
    }
}
