//! Which HTTP requests a conforming server admits.

use serde_json::Value;

use crate::plan::Revision;
use crate::script::Generation;
use crate::server::http_io::Request;
use crate::server::wire::{self, INVALID_REQUEST};

/// The verb of an admitted request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    Post,
    Get,
    Delete,
}

/// Why the server refuses a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::server) struct Refusal {
    pub status: u16,
    pub code: i64,
    pub message: &'static str,
}

impl Refusal {
    const fn new(status: u16, message: &'static str) -> Self {
        Self { status, code: INVALID_REQUEST, message }
    }

    pub(in crate::server) const UNKNOWN_SESSION: Self =
        // The code of the TypeScript SDK. The Python SDK has another, so no client may depend on it.
        Self { status: 404, code: -32_001, message: "Session not found" };
    pub(in crate::server) const NO_SESSION: Self = Self::new(400, "Bad Request: Missing session ID");
    pub(in crate::server) const TOO_LONG: Self = Self::new(413, "Payload Too Large");
    pub(in crate::server) const TOO_MANY: Self = Self::new(503, "Too many sessions");
    pub(in crate::server) const NO_JSON: Self = Self { status: 400, code: -32_700, message: "Parse error" };
    pub(in crate::server) const NO_OBJECT: Self = Self::new(400, "Invalid request: not an object");
    pub(in crate::server) const BATCH: Self = Self::new(400, "Invalid request: batches are not supported");
    const NO_PATH: Self = Self::new(404, "Not Found");
    const ORIGIN: Self = Self::new(403, "Forbidden: origin is not on loopback");
    const VERB: Self = Self::new(405, "Method Not Allowed");
    const NO_GET: Self = Self::new(405, "Method Not Allowed: this is a stream of events");
    const NO_POST: Self = Self::new(405, "Method Not Allowed: messages are posted here");
    const NOT_ACCEPTABLE: Self =
        Self::new(406, "Not Acceptable: client must accept both application/json and text/event-stream");
    const NO_STREAM_ACCEPTED: Self = Self::new(406, "Not Acceptable: client must accept text/event-stream");
    const MEDIA_TYPE: Self = Self::new(415, "Unsupported Media Type: Content-Type must be application/json");
    const VERSION: Self = Self::new(400, "Bad Request: Unsupported protocol version");

    /// The verbs that a server of this generation takes instead of a refused one.
    pub(super) fn allowed(&self, generation: Generation) -> &'static str {
        match (*self, generation) {
            (_, Generation::Stateless) | (Self::NO_POST, _) => "POST",
            (Self::NO_GET, _) => "GET",
            (_, Generation::Handshake | Generation::Both) => "GET, POST, DELETE",
        }
    }

    /// The body of the response.
    pub(super) fn line(&self) -> Vec<u8> {
        wire::error_line(&Value::Null, self.code, self.message, None)
    }
}

/// Admits or refuses a request before the server reads its body.
pub(super) fn admit(
    request: &Request,
    is_ours: bool,
    names_session: bool,
    session_is_known: bool,
    newest: Revision,
) -> Result<Verb, Refusal> {
    check_place(request, is_ours)?;
    let verb = match request.verb.as_str() {
        "POST" => check_post(request)?,
        "GET" if !takes(request, "text/event-stream") => return Err(Refusal::NO_STREAM_ACCEPTED),
        "GET" => Verb::Get,
        "DELETE" => Verb::Delete,
        _ => return Err(Refusal::VERB),
    };
    if names_session && !session_is_known {
        return Err(Refusal::UNKNOWN_SESSION);
    }
    if verb != Verb::Post && !names_session {
        return Err(Refusal::NO_SESSION);
    }
    // Without the field the revision is 2025-03-26. Without a session this may be `initialize`, which negotiates the revision.
    match request.header("mcp-protocol-version") {
        Some(version) if names_session && !is_supported(version, newest) => Err(Refusal::VERSION),
        _ => Ok(verb),
    }
}

/// The same for a server without sessions, which takes messages alone.
pub(super) fn admit_post(request: &Request, is_ours: bool) -> Result<Verb, Refusal> {
    check_place(request, is_ours)?;
    if request.verb == "POST" { check_post(request) } else { Err(Refusal::VERB) }
}

fn check_place(request: &Request, is_ours: bool) -> Result<(), Refusal> {
    if !is_ours {
        return Err(Refusal::NO_PATH);
    }
    match request.header("origin") {
        Some(origin) if !is_loopback(origin) => Err(Refusal::ORIGIN),
        _ => Ok(()),
    }
}

fn check_post(request: &Request) -> Result<Verb, Refusal> {
    if !(takes(request, "application/json") && takes(request, "text/event-stream")) {
        return Err(Refusal::NOT_ACCEPTABLE);
    }
    if !request.header("content-type").is_some_and(is_json) {
        return Err(Refusal::MEDIA_TYPE);
    }
    Ok(Verb::Post)
}

fn takes(request: &Request, wanted: &str) -> bool {
    request.header("accept").is_some_and(|accept| accepts(accept, wanted))
}

/// The same for HTTP with server-sent events.
///
/// Like real servers of that transport, it requires no `accept` header.
pub(super) fn admit_sse(
    request: &Request,
    stream: &str,
    messages: &str,
    names_session: bool,
    session_is_known: bool,
) -> Result<Verb, Refusal> {
    let is_stream = request.path == stream;
    if !is_stream && request.path != messages {
        return Err(Refusal::NO_PATH);
    }
    if request.header("origin").is_some_and(|origin| !is_loopback(origin)) {
        return Err(Refusal::ORIGIN);
    }
    match request.verb.as_str() {
        "GET" if is_stream => Ok(Verb::Get),
        _ if is_stream => Err(Refusal::NO_GET),
        "POST" if !request.header("content-type").is_some_and(is_json) => Err(Refusal::MEDIA_TYPE),
        "POST" if session_is_known => Ok(Verb::Post),
        "POST" if names_session => Err(Refusal::UNKNOWN_SESSION),
        "POST" => Err(Refusal::NO_SESSION),
        _ => Err(Refusal::NO_POST),
    }
}

/// Whether a server that speaks at most `newest` speaks this revision over HTTP.
fn is_supported(version: &str, newest: Revision) -> bool {
    let newest = newest.min(Revision::NEWEST_HANDSHAKE);
    Revision::ALL
        .into_iter()
        .any(|revision| revision.as_str() == version && revision >= Revision::R20250326 && revision <= newest)
}

fn accepts(accept: &str, wanted: &str) -> bool {
    let (family, _) = wanted.split_once('/').unwrap_or((wanted, ""));
    accept.split(',').map(media_type).any(|found| {
        let is_family = found.strip_suffix("/*").is_some_and(|found| found.eq_ignore_ascii_case(family));
        found == "*/*" || is_family || found.eq_ignore_ascii_case(wanted)
    })
}

fn is_json(content_type: &str) -> bool {
    media_type(content_type).eq_ignore_ascii_case("application/json")
}

/// A media type without its parameters.
fn media_type(text: &str) -> &str {
    text.split(';').next().unwrap_or(text).trim()
}

/// Whether an origin is on this machine. Several lines of the field are several origins.
fn is_loopback(origins: &str) -> bool {
    origins.split(',').all(|origin| is_one_on_loopback(origin.trim()))
}

fn is_one_on_loopback(origin: &str) -> bool {
    let host = origin.split_once("://").map_or("", |(_, rest)| rest);
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or("", |(name, _)| name),
        None => host.split(':').next().unwrap_or(""),
    };
    matches!(name, "localhost" | "127.0.0.1" | "::1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_on_loopback_are_taken() {
        for good in
            ["http://localhost", "http://localhost:3000", "https://127.0.0.1:1", "http://[::1]:80", "http://[::1]"]
        {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "null",
            "",
            "http://localhost:1, http://evil.example",
            "http://evil.example",
            "http://localhost.evil.example",
            "http://127.0.0.1.nip.io",
            "http://[",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn wildcards_and_parameters_of_accept_are_understood() {
        for good in ["text/event-stream", "a/b, Text/Event-Stream;q=0.5", "*/*", "text/*"] {
            assert!(accepts(good, "text/event-stream"), "{good}");
        }
        for bad in ["", "text", "application/json", "application/*", "text/event-streams"] {
            assert!(!accepts(bad, "text/event-stream"), "{bad}");
        }
    }
}
