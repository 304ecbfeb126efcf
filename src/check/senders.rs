//! Senders: the client that a message came from.
//!
//! The journal of a server has the messages of every client that reached it. Two of them have the same sender if they came
//! over the same pipes or the same socket, or if the harness started one program and no other could have sent them.

use std::collections::BTreeMap;

use crate::check::View;
use crate::history::{Event, EventKind, Header, SocketId};

/// A client of one server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Sender {
    /// The server and its incarnation.
    pub(super) server: String,
    /// The socket; none if the server has one client.
    socket: Option<SocketId>,
}

impl Sender {
    /// Whether all messages to the server have this sender, so that it may send one before it has read the answer to
    /// another.
    pub(super) fn is_whole_server(&self) -> bool {
        self.socket.is_none()
    }
}

/// Finds the sender of each message.
#[derive(Debug)]
pub(super) struct Senders {
    /// Whether the harness started one program that keeps the contract of conformance clients.
    is_client: bool,
    /// The socket of the newest HTTP request of each server.
    sockets: BTreeMap<String, SocketId>,
}

impl Senders {
    pub(super) fn new(header: &Header) -> Self {
        let is_client = header.host.as_ref().is_some_and(|host| host.application.is_none());
        Self { is_client, sockets: BTreeMap::new() }
    }

    /// Takes an event; must get every `http.received`.
    pub(super) fn see(&mut self, event: &Event) {
        if let EventKind::HttpReceived { socket, .. } = &event.kind {
            self.sockets.insert(event.source.to_string(), socket.clone());
        }
    }

    /// The program that sent a message: everything that a loader or a conformance client sends comes from one.
    pub(super) fn program(&self, event: &Event, view: &View) -> Sender {
        let connection = self.connection(event);
        if self.is_client || view.is_ready() { Sender { socket: None, ..connection } } else { connection }
    }

    /// The pipes or the socket of the message that has just arrived.
    pub(super) fn connection(&self, event: &Event) -> Sender {
        let server = event.source.to_string();
        Sender { socket: self.sockets.get(&server).cloned(), server }
    }
}
