//! What a client had read when it sent a request, as far as its sockets prove it.
//!
//! A request behind a complete answer on the same socket shows that the client had read that answer. Requests on different
//! sockets race: a server may read them in any order. A request that was pipelined proves nothing: its client may have
//! written it before the answer.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::host::{ServerExchange, exchange_of};
use crate::history::{Event, EventKind, ExchangeId, Seq, SocketId};

/// A socket and its server: each server numbers its sockets by itself.
pub(super) type ServerSocket = (String, SocketId);

/// The socket of an event of a server.
pub(super) fn socket_of(event: &Event, socket: &SocketId) -> ServerSocket {
    (event.source.server().unwrap_or_default().to_owned(), socket.clone())
}

/// The sockets, each with its last complete answer.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    carrying: BTreeMap<ServerExchange, ServerSocket>,
    answered: BTreeMap<ServerSocket, Seq>,
    /// The sockets whose newest request was pipelined.
    pipelined: BTreeSet<ServerSocket>,
}

impl Sockets {
    /// Takes an event, after whatever asks about the time before it.
    pub(super) fn see(&mut self, event: &Event) {
        match &event.kind {
            EventKind::HttpReceived { exchange, socket, pipelined, .. } => {
                let socket = socket_of(event, socket);
                if *pipelined {
                    self.pipelined.insert(socket.clone());
                } else {
                    self.pipelined.remove(&socket);
                }
                self.carrying.insert(exchange_of(event, exchange), socket);
            }
            EventKind::HttpStray { exchange, socket, .. } => {
                self.carrying.insert(exchange_of(event, exchange), socket_of(event, socket));
            }
            EventKind::HttpAnswered { exchange, streams: false, .. } | EventKind::HttpEnded { exchange, .. } => {
                if let Some(socket) = self.carrying.remove(&exchange_of(event, exchange)) {
                    self.answered.insert(socket, event.seq);
                }
            }
            EventKind::SocketClosed { socket, .. } => {
                self.answered.remove(&socket_of(event, socket));
                self.pipelined.remove(&socket_of(event, socket));
            }
            _ => {}
        }
    }

    /// The socket of an open exchange.
    pub(super) fn of(&self, event: &Event, exchange: &ExchangeId) -> Option<&ServerSocket> {
        self.carrying.get(&exchange_of(event, exchange))
    }

    /// An answer that its client reads from the socket of this open exchange.
    pub(super) fn lesson(&self, event: &Event, exchange: &ExchangeId) -> Lesson {
        Lesson { socket: self.of(event, exchange).cloned(), read: None }
    }
}

/// An answer from which a client learns.
#[derive(Debug, Clone)]
pub(super) struct Lesson {
    socket: Option<ServerSocket>,
    /// The request that shows that the client has read it.
    read: Option<Seq>,
}

impl Lesson {
    /// Whether the client had read it when it sent the request that just arrived on this socket. That is so if the request
    /// follows it on its own socket, or follows another answer that was sent after such a request.
    pub(super) fn was_read(&mut self, event: &Event, socket: &ServerSocket, sockets: &Sockets) -> bool {
        let is_pipelined = match &event.kind {
            EventKind::HttpReceived { pipelined, .. } => *pipelined,
            _ => sockets.pipelined.contains(socket),
        };
        if self.socket.as_ref() == Some(socket) {
            if !is_pipelined {
                self.read.get_or_insert(event.seq);
            }
            return self.read.is_some();
        }
        let follows = self.read.zip(sockets.answered.get(socket)).is_some_and(|(read, answered)| *answered > read);
        follows && !is_pipelined
    }
}
