//! Requests that HTTP itself refused: their server never served them, so the same message may be sent again.

use serde_json::Value;

use crate::check::carriers::Carriers;
use crate::check::metadata::{STATELESS_ERRORS, UNKNOWN_METHOD};
use crate::check::parts::parts;
use crate::history::{ConnectionId, Event, EventKind, ExchangeId, Message, Name, Table, WireEnd};

/// A request: its connection, and its id as JSON text.
pub(super) type Carried = (ConnectionId, Name);

/// The requests of open exchanges, and those that the current event refuses.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    carried: Table<(Name, ExchangeId), Vec<Carried>>,
    now: Vec<Carried>,
    failed: Vec<Carried>,
    dropped: Vec<Carried>,
}

impl Refusals {
    pub(super) fn see(&mut self, event: &Event, carriers: &Carriers) {
        self.now.clear();
        self.failed.clear();
        self.dropped.clear();
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                let Some(carrier) = carriers.of(event) else { return };
                let parts = parts(message);
                let requests = parts.iter().filter(|part| part.is_any_request());
                let ids = requests.filter_map(|part| Some((connection.clone(), part.id().map(|_| part.id_text())?)));
                self.carried.insert((carrier.mock.clone(), carrier.exchange.clone()), ids.collect());
            }
            EventKind::HttpAnswered { exchange, status, .. } => {
                if *status < 300 {
                    return;
                }
                let carried = self.carried.swap_remove(&(event.source.to_name(), exchange.clone())).unwrap_or_default();
                if *status >= 400 {
                    self.failed.clone_from(&carried);
                }
                if refuses(*status) {
                    self.now = carried;
                }
            }
            EventKind::HttpEnded { exchange, how } => {
                let carried = self.carried.swap_remove(&(event.source.to_name(), exchange.clone())).unwrap_or_default();
                if *how == WireEnd::ByClient {
                    self.dropped = carried;
                }
            }
            _ => {}
        }
    }

    /// The requests that the current event answers with an error of HTTP: their server is done with them.
    pub(super) fn failed(&self) -> &[Carried] {
        &self.failed
    }

    /// The requests whose response the client has closed with the current event. Without sessions, that cancels them.
    pub(super) fn dropped(&self) -> &[Carried] {
        &self.dropped
    }

    /// The requests that the current event refuses.
    pub(super) fn now(&self) -> &[Carried] {
        &self.now
    }
}

/// Whether this status says that the request was not served: it goes elsewhere, lacks a token or a session, or comes too
/// early. With another error the server may have done some of the work.
pub(super) fn refuses(status: u16) -> bool {
    matches!(status, 300..=399 | 401 | 403 | 404 | 407 | 408 | 421 | 425 | 429 | 503)
}

/// Whether this status says that no tool was called: HTTP refused the request, or a proxy reached no server.
pub(super) fn is_unserved(status: u16) -> bool {
    matches!(status, 300..=499 | 502 | 503)
}

/// Codes of errors with which a server declines a request before it does anything: it could not read the request, does not
/// know the method, finds the parameters wrong, or wants an address visited first.
const DECLINED: [i64; 5] = [-32_700, -32_600, UNKNOWN_METHOD, -32_602, -32_042];

/// Whether an answer says that its server has done nothing.
pub(super) fn declines(answer: &Message) -> bool {
    let code = answer.at(&["error", "code"]).and_then(Value::as_i64);
    code.is_some_and(|code| DECLINED.contains(&code) || STATELESS_ERRORS.contains(&code))
}
