//! The HTTP exchange that carries each message.

use std::collections::BTreeMap;

use crate::history::{Event, EventKind, ExchangeId, SocketId};

/// The exchange of each mock whose messages come next.
#[derive(Debug, Default)]
pub(super) struct Carriers {
    newest: BTreeMap<String, Carrier>,
}

/// An exchange and its socket, with the mock that numbers them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Carrier {
    pub mock: String,
    pub exchange: ExchangeId,
    pub socket: SocketId,
}

impl Carriers {
    /// Takes an event. A mock reports a request before its messages, and its response after them.
    pub(super) fn see(&mut self, event: &Event) {
        match &event.kind {
            EventKind::HttpReceived { exchange, socket, .. } => {
                let mock = event.source.to_string();
                let carrier = Carrier { mock: mock.clone(), exchange: exchange.clone(), socket: socket.clone() };
                self.newest.insert(mock, carrier);
            }
            EventKind::HttpAnswered { exchange, .. } | EventKind::HttpEnded { exchange, .. } => {
                let mock = event.source.to_string();
                if self.newest.get(&mock).is_some_and(|carrier| carrier.exchange == *exchange) {
                    self.newest.remove(&mock);
                }
            }
            _ => {}
        }
    }

    /// The exchange that carries the messages of an event; none over lines.
    pub(super) fn of(&self, event: &Event) -> Option<&Carrier> {
        if self.newest.is_empty() { None } else { self.newest.get(&event.source.to_string()) }
    }
}
