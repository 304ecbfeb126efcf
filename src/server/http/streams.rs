//! The streams and ends of connections over HTTP.

use crate::history::WireEnd;
use crate::server::cause::Place;
use crate::server::http::server::Http;
use crate::server::http_io::ExchangeNo;
use crate::server::state::ServerState;

impl Http {
    /// Opens the stream of a session, and sends what waited for it.
    pub(in crate::server) fn open_stream(&mut self, place: Place, state: &mut ServerState) {
        let (Some(no), Some(number)) = (place.exchange, place.connection) else { return };
        if !self.exchanges.is_open(no) || state.connections.get(number).is_none() {
            return;
        }
        self.begin_stream(no, state);
        let Some(connection) = state.connections.get_mut(number) else { return };
        connection.streams.push(no);
        for line in connection.take_waiting() {
            self.stream_message(no, place, &line, state);
        }
        self.send_kept_answers(no, place, state);
    }

    /// Sends the answers that were kept for a client that resumes a stream, and ends the new stream.
    fn send_kept_answers(&mut self, no: ExchangeNo, place: Place, state: &mut ServerState) {
        let resumed = self.exchanges.get(no).and_then(|exchange| exchange.resumes.as_deref());
        let connection = state.connections.at_mut(place);
        let lines =
            resumed.zip(connection).map(|(id, connection)| connection.kept_answers.take(id)).unwrap_or_default();
        for line in &lines {
            self.stream_message(no, place, line, state);
        }
        if !lines.is_empty() {
            self.end_stream(no, state);
        }
    }

    /// Sends a message that is not an answer on the newest stream of a connection, or keeps it until there is one.
    pub(in crate::server) fn notify(&mut self, number: u64, line: &[u8], state: &mut ServerState) {
        let Some(connection) = state.connections.get_mut(number) else { return };
        if let Some(no) = connection.streams.last().copied() {
            self.stream_message(no, Place::exchange(number, no), line, state);
        } else if !connection.keep_waiting(line.to_vec()) {
            state.outbox.truncated("notifications", "too many wait for the stream of a session");
        }
    }

    /// Ends a session at the request of its client.
    pub(in crate::server) fn delete_session(&mut self, place: Place, state: &mut ServerState) {
        let (Some(no), Some(number)) = (place.exchange, place.connection) else { return };
        self.close_connection(number, WireEnd::ByClient, Some(no), state);
        self.respond(no, 204, &[], Vec::new(), state);
    }

    /// Closes every connection, because the server ends.
    pub(in crate::server) fn close_all(&mut self, how: WireEnd, state: &mut ServerState) {
        for number in state.connections.numbers() {
            self.remove_connection(number, how, state);
        }
    }
}
