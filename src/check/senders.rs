//! Senders: the client that a message came from.
//!
//! The journal of a server has the messages of every client that reached it. Two of them have the same sender if they came
//! over the same pipes or the same socket, or if the harness started one program and no other could have sent them.

use crate::check::metadata::CLIENT;
use crate::history::{Event, EventKind, Header, Message, Name, SocketId, Table};

/// A client of one server.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Sender {
    /// The server and its incarnation.
    pub(super) server: Name,
    /// The socket; none if the server has one client.
    socket: Option<SocketId>,
    /// The name of the client, if it sends one. A proxy carries several clients over one socket.
    name: Option<Name>,
}

impl Sender {
    /// Whether all messages to the server have this sender, so that it may send one before it has read the answer to
    /// another.
    pub(super) fn is_whole_server(&self) -> bool {
        self.socket.is_none()
    }

    /// The same, with the name in a request.
    pub(super) fn named_in(self, request: &Message) -> Self {
        let path: &[&str] =
            if request.is_request("initialize") { &["params", "clientInfo"] } else { &["params", "_meta", CLIENT] };
        Self { name: request.at(path).map(Name::of), ..self }
    }

    /// The name of the client, if it sends one.
    pub(super) fn name(&self) -> Option<&Name> {
        self.name.as_ref()
    }

    /// Whether both have said the same name.
    pub(super) fn shares_name(&self, other: &Self) -> bool {
        self.name.is_some() && self.name == other.name
    }

    /// Whether both came over the same pipes or the same socket, or from the same program.
    pub(super) fn shares_place(&self, other: &Self) -> bool {
        self.server == other.server && self.socket == other.socket
    }
}

/// Finds the sender of each message.
#[derive(Debug)]
pub(super) struct Senders {
    /// Whether the harness started one program that keeps the contract of conformance clients.
    is_client: bool,
    /// The socket of the newest HTTP request of each server, and whether that was pipelined.
    sockets: Table<Name, (SocketId, bool)>,
}

impl Senders {
    pub(super) fn new(header: &Header) -> Self {
        let is_client = header.host.as_ref().is_some_and(|host| host.application.is_none());
        Self { is_client, sockets: Table::default() }
    }

    /// Takes an event, before the rules get it.
    pub(super) fn see(&mut self, event: &Event) {
        if let EventKind::HttpReceived { socket, pipelined, .. } = &event.kind {
            self.sockets.insert(event.source.to_name(), (socket.clone(), *pipelined));
        }
    }

    /// The program that sent a message. In a history of a loader, as in one of a conformance client, one program sends everything.
    pub(super) fn program(&self, event: &Event, is_of_loader: bool) -> Sender {
        let connection = self.connection(event);
        if self.is_client || is_of_loader { Sender { socket: None, ..connection } } else { connection }
    }

    /// The pipes or the socket of the message that has just arrived.
    pub(super) fn connection(&self, event: &Event) -> Sender {
        let server = event.source.to_name();
        Sender { socket: self.sockets.get(&server).map(|(socket, _)| socket.clone()), server, name: None }
    }

    /// Whether the message that has just arrived may have been written before the answer to the one before it.
    pub(super) fn is_pipelined(&self, event: &Event) -> bool {
        self.sockets.get(&event.source.to_name()).is_some_and(|(_, is_pipelined)| *is_pipelined)
    }
}
