//! HTTP with server-sent events: the differences from streamable HTTP.
//!
//! A connection is one stream, which a GET opens. Its first event names the path for messages, and its end is the end of the
//! session. The server confirms a POST, and sends the answer on the stream.
//!
//! Source: revision 2024-11-05, basic/transports, HTTP with SSE.

use crate::history::{Impact, SessionId};
use crate::script::Action;
use crate::server::cause::Cause;
use crate::server::task::Step;

/// The name of a session in the query of the path for messages.
const SESSION: &str = "session";

/// The session that a query names.
pub(super) fn session_in(query: &str) -> Option<&str> {
    let mut parts = query.split('&').filter_map(|part| part.split_once('='));
    parts.find(|(name, _)| *name == SESSION).map(|(_, session)| session)
}

/// The first event of a stream: the path for messages.
pub(super) fn endpoint_event(messages: &str, session: &SessionId) -> Vec<u8> {
    format!("event: endpoint\ndata: {messages}?{SESSION}={session}\n\n").into_bytes()
}

/// A fault of the one stream of a connection impairs the connection.
pub(super) fn raise_impact(cause: &Cause, step: &mut Step) {
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
