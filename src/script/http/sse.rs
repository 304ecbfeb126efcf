//! HTTP with server-sent events: what a mock does in another way there than over streamable HTTP.
//!
//! A connection is one stream, which a GET opens: its first event says where messages are posted, and its end is the end of
//! the session. A POST is accepted, and what answers it comes on the stream.
//!
//! Source: revision 2024-11-05, basic/transports, HTTP with SSE.

use crate::history::{Impact, SessionId};
use crate::script::http::admit::Refusal;
use crate::script::http::{ExchangeNo, HttpSetup, HttpStyle};
use crate::script::interpreter::Interpreter;
use crate::script::task::{At, Cause, Step, Task};
use crate::script::{Action, Effect, Medium};

/// The name of a session in the query of the path that messages are posted to.
const SESSION: &str = "session";

/// The session that a query names.
pub(super) fn session_in(query: &str) -> Option<&str> {
    let mut parts = query.split('&').filter_map(|part| part.split_once('='));
    parts.find(|(name, _)| *name == SESSION).map(|(_, session)| session)
}

impl Interpreter {
    /// Whether it speaks HTTP with server-sent events.
    pub(in crate::script) fn is_sse(&self) -> bool {
        matches!(&self.setup.medium, Medium::Http(HttpSetup { style: HttpStyle::Sse { .. }, .. }))
    }

    /// A connection begins with its stream.
    pub(super) fn begin_sse(&mut self, no: ExchangeNo) {
        match self.open_connection(no) {
            Some(number) => self.begin(Cause::Get, At { connection: Some(number), exchange: Some(no), seat: None }),
            None => self.refuse(no, &Refusal::TOO_MANY),
        }
    }

    /// Says where messages are posted: the first event of a stream.
    pub(super) fn tell_endpoint(&mut self, no: ExchangeNo, session: &SessionId) {
        let Medium::Http(HttpSetup { style: HttpStyle::Sse { messages }, .. }) = &self.setup.medium else { return };
        let bytes = format!("event: endpoint\ndata: {messages}?{SESSION}={session}\n\n").into_bytes();
        self.push(Effect::StreamPart { exchange: no, bytes });
    }

    /// Accepts what was posted before anything else is done about it, unless a rule decides about the response.
    pub(in crate::script) fn accept_at_once(&mut self, task: &mut Task) {
        if !self.is_sse() {
            return;
        }
        task.steps.iter_mut().for_each(|step| impair(&task.cause, step));
        let decides = |step: &Step| step.action.is_of_exchange();
        if !task.steps.iter().any(decides) {
            self.accept_posted(task);
        }
    }

    /// Accepts what was posted, where that was not answered yet.
    pub(in crate::script) fn accept_posted(&mut self, task: &Task) {
        let is_posted = matches!(task.cause, Cause::Request { .. } | Cause::Notification(_) | Cause::Response);
        if is_posted && self.is_sse() {
            self.accept(task.at);
        }
    }

    /// Whether the stream of a connection can bring an answer.
    pub(in crate::script) fn has_stream(&self, at: At) -> bool {
        let talk = at.connection.and_then(|number| self.talks.get(&number));
        talk.is_some_and(|talk| !talk.streams.is_empty())
    }

    /// Sends an answer: the POST is accepted, and the stream brings it.
    pub(super) fn answer_on_stream(&mut self, at: At, line: &[u8]) {
        self.accept(at);
        let talk = at.connection.and_then(|number| self.talks.get(&number));
        if let Some(stream) = talk.and_then(|talk| talk.streams.last().copied()) {
            self.stream_message(stream, at, line);
        }
    }
}

/// What happens to the one stream of a connection happens to the connection.
fn impair(cause: &Cause, step: &mut Step) {
    let Some((_, impairs)) = &mut step.fault else { return };
    let ends_stream = matches!(step.action, Action::EndStream | Action::CutStream);
    let is_of_get = (step.action == Action::Drop || step.action.is_of_exchange()) && *cause == Cause::Get;
    if ends_stream || is_of_get {
        *impairs = Impact::Connection;
    }
}

#[cfg(test)]
mod tests {
    use super::session_in;

    #[test]
    fn a_session_is_found_in_a_query_by_its_name() {
        assert_eq!(session_in("a=1&session=x-1&b"), Some("x-1"));
        for none in ["", "session", "a=session", "sessions=x"] {
            assert_eq!(session_in(none), None, "{none}");
        }
    }
}
