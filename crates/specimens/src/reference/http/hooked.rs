//! The HTTP exchanges of one conversation, with the hook for exchanges in between.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use hyper::http::response::Parts;
use hyper::{Method, Request};
use tokio::sync::Notify;
use tokio::task::yield_now;

use super::super::hooks::{Fate, Framing, Hooks, Seen, TamperBytes, TamperHttp};
use super::error::HttpError;
use super::kept_socket::{Kept, Shelf};
use super::socket::Stream;

/// The hook for the exchanges of one conversation, if there is one.
pub(super) struct Requests {
    tampered: Option<Arc<Tampered>>,
    make_bytes: Option<fn(Framing) -> Box<dyn TamperBytes>>,
}

struct Tampered {
    tamper: Mutex<Box<dyn TamperHttp>>,
    /// More was seen.
    more: Notify,
    shelf: Shelf,
}

/// How often everything else has its turn before a request is looked at: once to learn what has come, once to read it.
const N_TURNS: usize = 2;

impl Requests {
    pub(super) fn of(hooks: &Hooks) -> Self {
        let tampered = hooks.exchanges().map(|tamper| {
            Arc::new(Tampered { tamper: Mutex::new(tamper), more: Notify::new(), shelf: Shelf::default() })
        });
        Self { tampered, make_bytes: hooks.bytes() }
    }

    /// What is sent in place of a request with this body, as soon as it may be.
    pub(super) async fn passed<B>(
        &self,
        request: Request<B>,
        bytes: impl FnOnce(&B) -> Bytes,
        body: impl Fn(&B, Bytes) -> B,
    ) -> Vec<Request<B>> {
        let Some(tampered) = &self.tampered else { return vec![request] };
        let (head, original) = request.into_parts();
        let request = Request::from_parts(head, bytes(&original));
        tampered.until_free(&request).await;
        let changed = tampered.tamper().request(request);
        changed.into_iter().map(|request| request.map(|bytes| body(&original, bytes))).collect()
    }

    /// The way of one request of this method, and of its response.
    pub(super) fn passage(&self, method: &Method) -> Passage {
        let bytes = self.make_bytes.map(|make| make(Framing::Body));
        Passage { method: method.clone(), tampered: self.tampered.clone(), bytes }
    }
}

impl Tampered {
    fn tamper(&self) -> MutexGuard<'_, Box<dyn TamperHttp>> {
        self.tamper.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn until_free(&self, request: &Request<Bytes>) {
        for _ in 0..N_TURNS {
            yield_now().await;
        }
        loop {
            let more = self.more.notified();
            let is_held = self.tamper().holds(request);
            if !is_held {
                return;
            }
            more.await;
        }
    }

    fn see(&self, method: &Method, seen: Seen<'_>) -> Fate {
        let fate = self.tamper().see(method, seen);
        self.more.notify_waiters();
        fate
    }
}

/// One exchange on its way.
pub(super) struct Passage {
    method: Method,
    tampered: Option<Arc<Tampered>>,
    bytes: Option<Box<dyn TamperBytes>>,
}

impl Passage {
    /// The socket of this exchange: a fresh one, unless one was kept.
    pub(super) async fn socket(
        &mut self,
        fresh: impl Future<Output = Result<Box<dyn Stream>, HttpError>>,
    ) -> Result<Box<dyn Stream>, HttpError> {
        let Some(tampered) = self.tampered.as_ref().filter(|one| one.tamper().keeps_socket(&self.method)) else {
            return fresh.await;
        };
        let stream = match tampered.shelf.take() {
            Some(kept) => kept,
            None => fresh.await?,
        };
        Ok(Box::new(Kept::new(stream, &tampered.shelf)))
    }

    /// Whether a response with this head is taken.
    pub(super) fn takes(&self, head: &Parts) -> bool {
        self.see(Seen::Head(head)) == Fate::Taken
    }

    /// What is read in place of a piece of the body; nothing: its end.
    pub(super) fn read(&mut self, piece: Bytes) -> Option<Bytes> {
        if self.see(Seen::Piece(&piece)) == Fate::Lost {
            return None;
        }
        match &mut self.bytes {
            None => Some(piece),
            Some(tamper) => tamper.read(&piece).map(Bytes::from),
        }
    }

    fn see(&self, seen: Seen<'_>) -> Fate {
        self.tampered.as_ref().map_or(Fate::Taken, |tampered| tampered.see(&self.method, seen))
    }
}

impl Drop for Passage {
    fn drop(&mut self) {
        self.see(Seen::Over);
    }
}
