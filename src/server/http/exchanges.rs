//! The open HTTP exchanges.

use std::collections::BTreeMap;

use crate::server::http::metadata::Metadata;
use crate::server::http_io::{ExchangeNo, Request, SocketNo};

/// The open exchanges by number.
#[derive(Debug, Default)]
pub(super) struct Exchanges(BTreeMap<ExchangeNo, Exchange>);

/// An HTTP request whose response is not complete.
#[derive(Debug)]
pub(super) struct Exchange {
    pub socket: SocketNo,
    /// The number of its connection; none for requests without a session.
    pub connection: Option<u64>,
    /// Whether it opens its connection: as `initialize`, or with server-sent events as GET.
    pub opens: bool,
    /// Whether its response has begun as a stream.
    pub streams: bool,
    /// The event id after which it resumes a stream that ended.
    pub resumes: Option<String>,
    pub metadata: Metadata,
    /// The status code of its answer.
    pub status: u16,
    /// A session that its response names although the server never opened it.
    pub names_session: Option<String>,
}

impl Exchange {
    /// A request of this connection that has no response yet.
    pub(super) fn new(request: &Request, connection: Option<u64>) -> Self {
        Self {
            socket: request.socket,
            connection,
            opens: false,
            streams: false,
            resumes: request.header("last-event-id").map(str::to_owned),
            metadata: Metadata::of(request),
            status: 200,
            names_session: None,
        }
    }
}

impl Exchanges {
    pub(super) fn insert(&mut self, no: ExchangeNo, exchange: Exchange) {
        self.0.insert(no, exchange);
    }

    pub(super) fn get(&self, no: ExchangeNo) -> Option<&Exchange> {
        self.0.get(&no)
    }

    pub(super) fn get_mut(&mut self, no: ExchangeNo) -> Option<&mut Exchange> {
        self.0.get_mut(&no)
    }

    pub(super) fn remove(&mut self, no: ExchangeNo) -> Option<Exchange> {
        self.0.remove(&no)
    }

    pub(super) fn is_open(&self, no: ExchangeNo) -> bool {
        self.0.contains_key(&no)
    }

    /// Whether the response of an exchange has begun as a stream.
    pub(super) fn streams(&self, no: ExchangeNo) -> bool {
        self.get(no).is_some_and(|exchange| exchange.streams)
    }

    /// Whether an exchange is open and its response has not begun.
    pub(super) fn is_waiting(&self, no: ExchangeNo) -> bool {
        self.get(no).is_some_and(|exchange| !exchange.streams)
    }

    /// The exchanges of a connection, each with whether it streams.
    pub(super) fn of_connection(&self, number: u64) -> Vec<(ExchangeNo, bool)> {
        let its = self.0.iter().filter(|(_, exchange)| exchange.connection == Some(number));
        its.map(|(no, exchange)| (*no, exchange.streams)).collect()
    }
}
