//! What a client had read when it sent a request, as far as its sockets prove it.
//!
//! A request after a complete answer on the same socket shows that the client had read that answer. Requests on
//! different sockets race: a server may read them in any order. A request that was pipelined proves nothing: its client
//! may have written it before the answer.

use std::time::Duration;

use crate::check::host::{ServerExchange, exchange_of};
use crate::history::{Event, EventKind, ExchangeId, KeySet, Name, Seq, SocketId, Table};

/// A socket and its server: each server numbers its sockets by itself.
pub(super) type ServerSocket = (Name, SocketId);

/// The socket of an event of a server.
pub(super) fn socket_of(event: &Event, socket: &SocketId) -> ServerSocket {
    (event.source.server().unwrap_or_default().into(), socket.clone())
}

/// A socket that was opened, or had been idle, for this long after an answer shows that its next request is a later one: a
/// request that was under way reaches a free socket sooner.
const BEGUN_LATER_US: u64 = 300_000;

/// The sockets, each with its last complete answer.
#[derive(Debug, Default)]
pub(super) struct Sockets {
    carrying: Table<ServerExchange, ServerSocket>,
    answered: Table<ServerSocket, (Seq, u64)>,
    /// When each socket was opened, if that is on file.
    opened: Table<ServerSocket, (Seq, u64)>,
    /// The sockets whose newest request was pipelined.
    pipelined: KeySet<ServerSocket>,
}

impl Sockets {
    /// Takes an event, after whatever asks about the time before it.
    pub(super) fn see(&mut self, event: &Event) {
        match &event.kind {
            EventKind::SocketOpened { socket } => {
                self.opened.insert(socket_of(event, socket), (event.seq, event.at_us));
            }
            EventKind::HttpReceived { exchange, socket, pipelined, .. } => {
                let socket = socket_of(event, socket);
                if *pipelined {
                    self.pipelined.insert(socket.clone());
                } else {
                    self.pipelined.swap_remove(&socket);
                }
                self.carrying.insert(exchange_of(event, exchange), socket);
            }
            EventKind::HttpStray { exchange, socket, .. } => {
                self.carrying.insert(exchange_of(event, exchange), socket_of(event, socket));
            }
            EventKind::HttpAnswered { exchange, streams: false, .. } | EventKind::HttpEnded { exchange, .. } => {
                if let Some(socket) = self.carrying.swap_remove(&exchange_of(event, exchange)) {
                    self.answered.insert(socket, (event.seq, event.at_us));
                }
            }
            EventKind::SocketClosed { socket, .. } => {
                let socket = socket_of(event, socket);
                self.answered.swap_remove(&socket);
                self.opened.swap_remove(&socket);
                self.pipelined.swap_remove(&socket);
            }
            _ => {}
        }
    }

    /// The socket of an open exchange.
    pub(super) fn of(&self, event: &Event, exchange: &ExchangeId) -> Option<&ServerSocket> {
        self.carrying.get(&exchange_of(event, exchange))
    }

    /// Whether a socket was opened after an event.
    pub(super) fn is_opened_after(&self, socket: &ServerSocket, seq: Seq) -> bool {
        self.opened.get(socket).is_some_and(|(opened, _)| *opened > seq)
    }

    /// Whether a socket is on file as open.
    pub(super) fn is_open(&self, socket: &ServerSocket) -> bool {
        self.opened.contains_key(socket)
    }

    /// How long after a moment a socket was opened, if that is too long for a request that was under way.
    pub(super) fn opened_later(&self, socket: &ServerSocket, at_us: u64) -> Option<Duration> {
        let (_, opened_us) = self.opened.get(socket)?;
        let over_us = opened_us.checked_sub(at_us + BEGUN_LATER_US)?;
        Some(Duration::from_micros(over_us))
    }

    /// Whether the last complete answer on a socket was sent after an event.
    pub(super) fn is_answered_after(&self, socket: &ServerSocket, seq: Seq) -> bool {
        self.answered.get(socket).is_some_and(|(answered, _)| *answered > seq)
    }

    /// How long a socket was idle before the request that has just arrived, if that is too long for one that was under way.
    pub(super) fn idle(&self, event: &Event, socket: &ServerSocket) -> Option<Duration> {
        let (_, answered_us) =
            self.answered.get(socket).filter(|_| !self.carrying.values().any(|busy| busy == socket))?;
        event.at_us.checked_sub(*answered_us + BEGUN_LATER_US).map(Duration::from_micros)
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
    /// Whether it is the answer of this socket.
    pub(super) fn is_of(&self, socket: &ServerSocket) -> bool {
        self.socket.as_ref() == Some(socket)
    }

    /// The request that shows that the client has read it.
    pub(super) fn read(&self) -> Option<Seq> {
        self.read
    }

    /// Whether it may still wait in its socket, which is open and was not used since.
    pub(super) fn may_wait(&self, sockets: &Sockets) -> bool {
        self.read.is_none() && self.socket.as_ref().is_some_and(|socket| sockets.is_open(socket))
    }

    /// Whether the client had read it when it sent the request that just arrived on this socket. That is so if the request
    /// follows it on its own socket, or follows another answer that was sent after such a request.
    pub(super) fn was_read(&mut self, event: &Event, socket: &ServerSocket, sockets: &Sockets) -> bool {
        let is_pipelined = match &event.kind {
            EventKind::HttpReceived { pipelined, .. } => *pipelined,
            _ => sockets.pipelined.contains(socket),
        };
        if self.is_of(socket) {
            if !is_pipelined {
                self.read.get_or_insert(event.seq);
            }
            return self.read.is_some();
        }
        let follows = self.read.zip(sockets.answered.get(socket)).is_some_and(|(read, (answered, _))| *answered > read);
        follows && !is_pipelined
    }
}
