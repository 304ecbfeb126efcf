//! The HTTP exchange that carries each message.

use crate::check::parts::parts;
use crate::history::{ConnectionId, Event, EventKind, ExchangeId, Message, Name, Seq, SocketId, Table};

/// The exchange of each mock whose messages come next.
#[derive(Debug, Default)]
pub(super) struct Carriers {
    newest: Table<Name, Carrier>,
    /// The exchanges of open requests, by connection and id. Without sessions, two clients may use one id at once; then it
    /// is not known which of their exchanges carries an answer.
    open: Table<(ConnectionId, Name), Vec<Option<Carrier>>>,
    /// The newest answer, and the exchange of its request if that is known.
    answered: Option<(Seq, Option<Carrier>)>,
}

/// An exchange and its socket, with the mock that numbers them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Carrier {
    pub mock: Name,
    pub exchange: ExchangeId,
    pub socket: SocketId,
}

impl Carriers {
    /// Takes an event. A mock reports a request before its messages, and its response after them.
    pub(super) fn see(&mut self, event: &Event) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => self.receive(event, connection, message),
            EventKind::WireSent { connection, message } if !self.open.is_empty() => {
                for part in parts(message).iter().filter(|part| part.is_response()) {
                    let key = (connection.clone(), part.id_text());
                    let Some(carriers) = self.open.get_mut(&key) else { continue };
                    self.answered = Some((event.seq, carriers.pop().flatten()));
                    if carriers.is_empty() {
                        self.open.swap_remove(&key);
                    }
                }
            }
            EventKind::ConnectionClosed { connection, .. } if !self.open.is_empty() => {
                self.open.retain(|(of, _), _| of != connection);
            }
            EventKind::HttpReceived { exchange, socket, .. } => {
                let mock = event.source.to_name();
                let carrier = Carrier { mock: mock.clone(), exchange: exchange.clone(), socket: socket.clone() };
                self.newest.insert(mock, carrier);
            }
            EventKind::HttpAnswered { exchange, .. } | EventKind::HttpEnded { exchange, .. } => {
                let mock = event.source.to_name();
                if matches!(event.kind, EventKind::HttpEnded { .. }) {
                    self.end(&mock, exchange);
                }
                if self.newest.get(&mock).is_some_and(|carrier| carrier.exchange == *exchange) {
                    self.newest.swap_remove(&mock);
                }
            }
            _ => {}
        }
    }

    fn receive(&mut self, event: &Event, connection: &ConnectionId, message: &Message) {
        let Some(carrier) = self.of(event).cloned() else { return };
        for part in parts(message).iter().filter(|part| part.is_any_request()) {
            let key = (connection.clone(), part.id_text());
            let carriers = self.open.entry(key).or_default();
            let is_alone = carriers.is_empty();
            carriers.push(Some(carrier.clone()).filter(|_| is_alone));
            if !is_alone {
                carriers.iter_mut().for_each(|carrier| *carrier = None);
            }
        }
    }

    /// An exchange ended, maybe without an answer: its ids are free again.
    fn end(&mut self, mock: &str, exchange: &ExchangeId) {
        let is_it = |carrier: &Option<Carrier>| {
            carrier.as_ref().is_some_and(|carrier| carrier.mock == mock && carrier.exchange == *exchange)
        };
        self.open.retain(|_, carriers| {
            carriers.retain(|carrier| !is_it(carrier));
            !carriers.is_empty()
        });
    }

    /// The exchange of the request that an event answers, if that is known.
    pub(super) fn answered(&self, event: &Event) -> Option<&Carrier> {
        self.answered.as_ref().filter(|(seq, _)| *seq == event.seq)?.1.as_ref()
    }

    /// The exchange that carries the messages of a client; none over lines.
    pub(super) fn of(&self, event: &Event) -> Option<&Carrier> {
        if self.newest.is_empty() { None } else { self.newest.get(&event.source.to_name()) }
    }
}
