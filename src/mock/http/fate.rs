//! How an exchange and its connection end.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::time::Instant;

use crate::history::WireEnd;
use crate::mock::http::reply::Raw;
use crate::mock::http::shared::{HttpEvent, HttpShared};
use crate::server::{ExchangeNo, Input};

/// How a TCP connection ends, as its parts observe it.
#[derive(Default)]
pub(super) struct Fate {
    reset: AtomicBool,
    seen: AtomicU8,
    raw: Mutex<Option<(Raw, OpenExchange)>>,
    order: Mutex<ByteOrder>,
    /// When the first bytes of a request came, until the request is complete.
    half_since: Mutex<Option<Instant>>,
}

/// The order of what a connection read and wrote.
#[derive(Default)]
struct ByteOrder {
    /// Whether bytes were read after the last write.
    has_read: bool,
    has_written: bool,
    /// Whether bytes of the client were waiting right before the last write.
    had_waiting: bool,
}

pub(super) const SEEN_EOF: u8 = 1;
pub(super) const SEEN_ERROR: u8 = 2;

impl Fate {
    /// Notes that bytes of the client were read.
    pub(super) fn see_read(&self) {
        self.order().has_read = true;
    }

    /// Notes that bytes were written, and whether others of the client had been waiting before.
    pub(super) fn see_written(&self, had_waiting: bool) {
        *self.order() = ByteOrder { has_read: false, has_written: true, had_waiting };
    }

    /// Whether the request that just arrived had begun to arrive before the last response was written.
    pub(super) fn is_pipelined(&self) -> bool {
        let order = self.order();
        order.has_written && (order.had_waiting || !order.has_read)
    }

    fn order(&self) -> MutexGuard<'_, ByteOrder> {
        self.order.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Resets the connection when it is dropped.
    pub(super) fn reset(&self) {
        self.reset.store(true, Ordering::Relaxed);
    }

    /// Keeps bytes to write when hyper has released the connection, with their exchange.
    pub(super) fn keep_raw(&self, raw: Raw, open: OpenExchange) {
        *self.raw.lock().unwrap_or_else(PoisonError::into_inner) = Some((raw, open));
    }

    pub(super) fn take_raw(&self) -> Option<(Raw, OpenExchange)> {
        self.raw.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Who ended it, according to its bytes; by default the server.
    pub(super) fn end(&self) -> WireEnd {
        match self.seen.load(Ordering::Relaxed) {
            SEEN_EOF => WireEnd::ByClient,
            SEEN_ERROR => WireEnd::Broken,
            _ => WireEnd::ByServer,
        }
    }

    /// Bytes of a request came.
    pub(super) fn bytes_came(&self) {
        self.half_since.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_with(Instant::now);
    }

    /// A request is there to the end of its body.
    pub(super) fn request_complete(&self) {
        *self.half_since.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Whether a request has been incomplete for longer than this.
    pub(super) fn is_half_for(&self, limit: Duration) -> bool {
        let since = *self.half_since.lock().unwrap_or_else(PoisonError::into_inner);
        since.is_some_and(|since| since.elapsed() >= limit)
    }

    pub(super) fn see(&self, what: u8) {
        // The first observation counts.
        let _ = self.seen.compare_exchange(0, what, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(super) fn see_result<T>(&self, result: &Poll<io::Result<T>>) {
        if matches!(result, Poll::Ready(Err(_))) {
            self.see(SEEN_ERROR);
        }
    }

    /// Whether the connection ends by a reset.
    pub(super) fn is_reset(&self) -> bool {
        self.reset.load(Ordering::Relaxed)
    }
}

/// An exchange that is still open: if this is dropped unsettled, the client has given it up.
pub(super) struct OpenExchange {
    exchange: ExchangeNo,
    is_settled: bool,
    shared: Arc<HttpShared>,
    fate: Arc<Fate>,
}

impl OpenExchange {
    pub(super) fn new(exchange: ExchangeNo, shared: Arc<HttpShared>, fate: Arc<Fate>) -> Self {
        Self { exchange, is_settled: false, shared, fate }
    }

    /// Keeps bytes to write when hyper has released the connection.
    pub(super) fn keep_raw(self, raw: Raw) {
        Arc::clone(&self.fate).keep_raw(raw, self);
    }

    /// The machine knows the end of the exchange.
    pub(super) fn settle(&mut self) {
        self.is_settled = true;
    }

    /// Resets the socket.
    pub(super) fn reset(&self) {
        self.fate.reset();
    }
}

impl Drop for OpenExchange {
    fn drop(&mut self) {
        if !self.is_settled {
            // The mock may be over.
            let _ = self.shared.events.send(HttpEvent::Input(Input::ExchangeGone(self.exchange)));
        }
    }
}
