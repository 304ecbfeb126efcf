//! Parts of an HTTP request: the body, its type, and the place of the session id.

use serde_json::Value;

use crate::check::combinator::{Judged, each};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{Event, EventKind, Header, KeySet, Kind, Name, SessionId, Table};
use crate::plan::Promise;

/// Counter-examples: The type may have parameters, and may be another one that is JSON. A history of an older release does not
/// show the field, so a POST without it is not judged.
pub(super) const POSTS_SAY_JSON: Invariant = Invariant {
    id: "posts-say-json",
    property: Property::Safety,
    level: Level::Should,
    claim: "the content type of every POST is JSON",
    source: "2025-11-25, basic/transports, Sending Messages to the Server: the body is one JSON-RPC message; RFC 9110, Content-Type",
    requirement: &["LC-HTTP-01", "LC-MSG-01"],
    applies: AppliesTo::POSTED,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived],
    hears: Hears::only(&[(Kind::HttpReceived, &[Of::Post])]),
    vacuous: "no POST had a content type",
    explain: "The `content-type` of a POST said that its body is not JSON. Most servers choose the parser by the \
        content type and refuse any other with 415, so this client works only with servers that ignore the \
        header.\n\n\
        Look at the `content-type` header of the witness; many HTTP libraries set `text/plain` or a form type for a body \
        that is given as text. To fix it, send `Content-Type: application/json` with every POST.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_type) },
};

fn judge_type(event: &Event, _view: &View) -> Judged {
    let EventKind::HttpReceived { verb, headers, .. } = &event.kind else { return Judged::Unrelated };
    match headers.get("content-type").filter(|_| verb == "POST") {
        None => Judged::Unrelated,
        Some(found) if is_json(found) => Judged::Held,
        Some(found) => {
            let because = format!("POST was received at {} with content type {found}, expected JSON", event.seq);
            Judged::Broken(Violation::new("other-type", because, &[event.seq]))
        }
    }
}

/// Whether a content type names a format of JSON: `application/json` itself, an older name such as `application/json-rpc`, or a type
/// with the suffix `+json`. A type such as `text/json` was never registered.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.ends_with("+json")
        || media_type.strip_prefix("application/").is_some_and(|subtype| subtype.contains("json"))
}

/// Counter-examples: Over HTTP with server-sent events the server itself puts the id into the address. An id that is short
/// may be in a text by chance.
pub(super) const SESSION_ID_IN_HEADER_ONLY: Invariant = Invariant {
    id: "session-id-in-header-only",
    property: Property::Safety,
    level: Level::Must,
    claim: "the id of a session is only in its header, never in an address or a message",
    source: "2025-11-25, basic/transports, Session Management: clients MUST handle the session ID in a secure manner",
    requirement: &["LC-SESS-09"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SessionOpened, Kind::HttpReceived, Kind::HttpStray, Kind::WireReceived],
    hears: Hears::ALL,
    vacuous: "no request of a session was received",
    explain: "The id of a session was in the address of a request, or in the content of a message. Everybody who knows \
        the id can take over the session. Proxies and servers log addresses. The author of a tool and the transcript \
        of the model get the arguments of the tool.\n\n\
        Look at the query or the message of the witness. To fix it, send the id in `Mcp-Session-Id` alone, and keep it out \
        of everything that is logged or shown.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(SessionSecrets::default()) },
};

/// A shorter id may be in a text by chance.
const SECRET_CHARS_MIN: usize = 8;

#[derive(Default)]
struct SessionSecrets {
    given: KeySet<(Name, Name)>,
    /// The session of the POST whose message comes next, by server.
    heads: Table<String, SessionId>,
}

impl Monitor for SessionSecrets {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::SessionOpened { session, .. } if session.0.len() >= SECRET_CHARS_MIN => {
                self.given.insert((server.into(), session.0.clone()));
            }
            EventKind::HttpReceived { verb, session, path, query, .. } => {
                let is_told = self.addressed(event, server, verb, path.as_deref(), query.as_deref(), tally);
                if !is_told && session.is_some() {
                    tally.held();
                }
                match session.as_ref().filter(|session| session.0.len() >= SECRET_CHARS_MIN) {
                    Some(session) => self.heads.insert(server.into(), session.clone()),
                    None => self.heads.swap_remove(server),
                };
            }
            EventKind::HttpStray { verb, path, query, .. } => {
                self.addressed(event, server, verb, Some(path), query.as_deref(), tally);
            }
            EventKind::WireReceived { message, .. } => {
                let Some(session) = self.heads.swap_remove(server) else { return };
                let told = ["params", "result"].into_iter().filter_map(|name| message.at(&[name]));
                if told.into_iter().any(|value| has_text(value, &session.0)) {
                    let what = message.method().unwrap_or("a response");
                    let because =
                        format!("{what} was sent to {server} at {} with the id of its session in it", event.seq);
                    tally.broken(Violation::new("in-message", because, &[event.seq]).as_warning());
                }
            }
            _ => {}
        }
    }
}

impl SessionSecrets {
    /// Judges the address of a request, and returns whether a session id is in it.
    fn addressed(
        &self,
        event: &Event,
        server: &str,
        verb: &str,
        path: Option<&str>,
        query: Option<&str>,
        tally: &mut Tally,
    ) -> bool {
        let parts = [path, query].into_iter().flatten().flat_map(|part| part.split(['/', '&', '=', ';']));
        let mut long = parts.filter(|part| part.len() >= SECRET_CHARS_MIN);
        let is_told = long.any(|part| self.given.contains(&(server.into(), part.into())));
        if is_told {
            let because = format!("{verb} was sent to {server} at {} with a session id in its address", event.seq);
            tally.broken(Violation::new("in-address", because, &[event.seq]));
        }
        is_told
    }
}

/// Whether a text is in any string of a value.
fn has_text(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found.contains(text),
        Value::Array(items) => items.iter().any(|item| has_text(item, text)),
        Value::Object(fields) => fields.values().any(|field| has_text(field, text)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}
