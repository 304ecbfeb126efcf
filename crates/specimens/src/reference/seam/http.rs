//! What somebody does to the HTTP exchanges of one conversation.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use hyper::http::response::Parts;
use hyper::{Method, Request};
use tokio::sync::Notify;
use tokio::task::yield_now;

use super::super::http::{HttpError, Stream};
use super::sockets::{Kept, Shelf};
use super::{Framing, Seam, TamperBytes};

/// Changes the HTTP exchanges of one conversation. What it does not say stays as it is.
pub(crate) trait TamperHttp: Send {
    /// Whether a request must wait for further messages. Messages that arrived earlier are handled before this call.
    fn holds(&mut self, _request: &Request<Bytes>) -> bool {
        false
    }

    /// What is sent in place of a request, one after the other. The response to the last of them is the response to it;
    /// where nothing is sent, there is none.
    fn request(&mut self, request: Request<Bytes>) -> Vec<Request<Bytes>> {
        vec![request]
    }

    /// Learns how the exchange of a request of this method goes on, and says what becomes of it.
    fn see(&mut self, _method: &Method, _seen: Seen<'_>) -> Fate {
        Fate::Taken
    }

    /// Whether the socket of such a request is used for the next one, without a look at it.
    fn keeps_socket(&self, _method: &Method) -> bool {
        false
    }
}

/// How an exchange goes on.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Seen<'a> {
    /// The head of its response.
    Head(&'a Parts),
    /// A piece of the body.
    Piece(&'a [u8]),
    /// It is over, in whatever way.
    Over,
}

/// What becomes of a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is taken for what it is.
    Taken,
    /// It is taken for broken at its head, and for ended at a piece of it.
    Lost,
}

/// What somebody does to the exchanges of one conversation, if anything.
pub(in super::super) struct Requests {
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
    pub(in super::super) fn of(seam: &Seam) -> Self {
        let tampered = seam.make_http.map(|make| {
            Arc::new(Tampered { tamper: Mutex::new(make()), more: Notify::new(), shelf: Shelf::default() })
        });
        Self { tampered, make_bytes: seam.make_bytes }
    }

    /// What is sent in place of a request with this body, as soon as it may be.
    pub(in super::super) async fn passed<B>(
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
    pub(in super::super) fn passage(&self, method: &Method) -> Passage {
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
pub(in super::super) struct Passage {
    method: Method,
    tampered: Option<Arc<Tampered>>,
    bytes: Option<Box<dyn TamperBytes>>,
}

impl Passage {
    /// The socket of this exchange: a fresh one, unless one was kept.
    pub(in super::super) async fn socket(
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
    pub(in super::super) fn takes(&self, head: &Parts) -> bool {
        self.see(Seen::Head(head)) == Fate::Taken
    }

    /// What is read in place of a piece of the body; nothing: its end.
    pub(in super::super) fn read(&mut self, piece: Bytes) -> Option<Bytes> {
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
