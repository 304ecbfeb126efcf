//! Mutations of what the loader does with a response.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};

use hyper::body::Bytes;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, StatusCode};

use crate::mutation::http::{SESSION_ID, is_of};
use crate::reference::{Fate, Seen, TamperHttp};

/// How many requests were refused with 404 so far, in this process.
pub(super) static N_SESSIONS_LOST: AtomicUsize = AtomicUsize::new(0);

/// Counts the responses that tell of a lost session.
struct LossesCounted;

impl TamperHttp for LossesCounted {
    fn see(&mut self, method: &Method, seen: Seen<'_>) -> Fate {
        if let Seen::Head(head) = seen
            && method == Method::POST
            && head.status == StatusCode::NOT_FOUND
        {
            N_SESSIONS_LOST.fetch_add(1, Ordering::Relaxed);
        }
        Fate::Taken
    }
}

pub(super) fn losses_counted() -> Box<dyn TamperHttp> {
    Box::new(LossesCounted)
}

/// Loses a response with status 202 and a content type.
struct AcceptedEmpty;

impl TamperHttp for AcceptedEmpty {
    fn see(&mut self, _: &Method, seen: Seen<'_>) -> Fate {
        match seen {
            Seen::Head(head) if head.status == StatusCode::ACCEPTED && head.headers.contains_key(CONTENT_TYPE) => {
                Fate::Lost
            }
            Seen::Head(_) | Seen::Piece(_) | Seen::Over => Fate::Taken,
        }
    }
}

pub(super) fn accepted_empty() -> Box<dyn TamperHttp> {
    Box::new(AcceptedEmpty)
}

/// Sends no request that names a session after a 404 to it. It expects one exchange at a time.
#[derive(Default)]
struct DeadIdsRemembered {
    named: Option<Vec<u8>>,
    dead: BTreeSet<Vec<u8>>,
}

impl TamperHttp for DeadIdsRemembered {
    fn request(&mut self, request: Request<Bytes>) -> Vec<Request<Bytes>> {
        let named = request.headers().get(SESSION_ID).map(|id| id.as_bytes().to_vec());
        if named.as_ref().is_some_and(|id| self.dead.contains(id)) {
            return Vec::new();
        }
        if request.method() == Method::POST {
            self.named = named;
        }
        vec![request]
    }

    fn see(&mut self, method: &Method, seen: Seen<'_>) -> Fate {
        if let Seen::Head(head) = seen
            && method == Method::POST
            && head.status == StatusCode::NOT_FOUND
        {
            self.dead.extend(self.named.take());
        }
        Fate::Taken
    }
}

pub(super) fn dead_ids_remembered() -> Box<dyn TamperHttp> {
    Box::new(DeadIdsRemembered::default())
}

/// Sends no call unless the stream of the session is open.
struct StreamNeeded(Stream);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stream {
    Awaited,
    Open,
    Lost,
}

impl TamperHttp for StreamNeeded {
    fn holds(&mut self, request: &Request<Bytes>) -> bool {
        self.0 == Stream::Awaited && is_of(request, "tools/call")
    }

    fn request(&mut self, request: Request<Bytes>) -> Vec<Request<Bytes>> {
        if self.0 == Stream::Lost && is_of(&request, "tools/call") { Vec::new() } else { vec![request] }
    }

    fn see(&mut self, method: &Method, seen: Seen<'_>) -> Fate {
        let is_open = match seen {
            Seen::Head(head) => head.status.is_success(),
            Seen::Piece(bytes) => !bytes.starts_with(b":"),
            Seen::Over => false,
        };
        if method == Method::GET && self.0 != Stream::Lost {
            self.0 = if is_open { Stream::Open } else { Stream::Lost };
        }
        Fate::Taken
    }
}

pub(super) fn stream_needed() -> Box<dyn TamperHttp> {
    Box::new(StreamNeeded(Stream::Awaited))
}

/// Sends the messages of a conversation on one socket, without `Connection: close`.
struct SocketKept;

impl TamperHttp for SocketKept {
    fn request(&mut self, mut request: Request<Bytes>) -> Vec<Request<Bytes>> {
        request.headers_mut().remove(CONNECTION);
        vec![request]
    }

    fn keeps_socket(&self, method: &Method) -> bool {
        method == Method::POST
    }
}

pub(super) fn socket_kept() -> Box<dyn TamperHttp> {
    Box::new(SocketKept)
}

/// Names the session of the newest response that named one.
#[derive(Default)]
struct NamesTheNewest(Option<HeaderValue>);

impl TamperHttp for NamesTheNewest {
    fn request(&mut self, mut request: Request<Bytes>) -> Vec<Request<Bytes>> {
        if let Some(session) = &self.0 {
            request.headers_mut().insert(SESSION_ID, session.clone());
        }
        vec![request]
    }

    fn see(&mut self, _: &Method, seen: Seen<'_>) -> Fate {
        if let Seen::Head(head) = seen {
            self.0 = head.headers.get(SESSION_ID).cloned().or(self.0.take());
        }
        Fate::Taken
    }
}

pub(super) fn session_believed() -> Box<dyn TamperHttp> {
    Box::new(NamesTheNewest::default())
}
