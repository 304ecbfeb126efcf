//! What a client has read: evidence, not time.
//!
//! A response reaches its client through pipes, sockets and threads, so a sent response is not necessarily read. The
//! following events prove that the client has read it: over lines and one stream of events, an answer to a request that
//! the server sent later; everywhere, a request that uses a cursor or a task of the response; over HTTP/1.1, a further
//! request on the socket of a complete response.

use serde_json::Value;

use crate::check::View;
use crate::check::carriers::Carrier;
use crate::check::parts::parts;
use crate::history::{ConnectionId, Event, EventKind, Message, Name, Seq, SocketId, Table, WireEnd};

/// A request on the wire: its connection and its id as JSON text.
pub(super) type RequestKey = (ConnectionId, Name);

/// Responses, and the evidence that they were read.
#[derive(Default)]
pub(super) struct Reading {
    answered: Table<RequestKey, Answered>,
    /// Over lines and streams of events: up to which event each client has read, and the evidence.
    read_to: Table<ConnectionId, (Seq, Seq)>,
    /// Requests of servers, with the event that sent them.
    asked: Table<RequestKey, Seq>,
    /// Cursors and tasks, by connection, with the request whose response has them.
    handed_out: Table<(ConnectionId, Name), RequestKey>,
    /// Requests of open exchanges, and those whose response is complete on a socket.
    carried: Table<Carrier, Vec<RequestKey>>,
    complete: Table<(Name, SocketId), Vec<RequestKey>>,
}

struct Answered {
    sent: Seq,
    read: Option<Seq>,
    is_task: bool,
}

impl Reading {
    /// The event that shows that the client has read the response to a request.
    pub(super) fn read(&self, key: &RequestKey) -> Option<Seq> {
        let answered = self.answered.get(key)?;
        let in_order = self.read_to.get(&key.0).filter(|(to, _)| answered.sent <= *to).map(|(_, evidence)| *evidence);
        answered.read.or(in_order)
    }

    /// Whether a request was answered with a task.
    pub(super) fn is_task(&self, key: &RequestKey) -> bool {
        self.answered.get(key).is_some_and(|answered| answered.is_task)
    }

    pub(super) fn see(&mut self, event: &Event, view: &View) {
        match &event.kind {
            // A request that was pipelined may have been written before the response.
            EventKind::HttpReceived { socket, pipelined: false, .. } => {
                let socket = (event.source.to_name(), socket.clone());
                for key in self.complete.swap_remove(&socket).unwrap_or_default() {
                    self.answered.entry(key).and_modify(|answered| {
                        answered.read.get_or_insert(event.seq);
                    });
                }
            }
            EventKind::HttpEnded { exchange, how } => {
                let mock = event.source.to_name();
                let found = self.carried.keys().find(|carrier| carrier.mock == mock && carrier.exchange == *exchange);
                if let Some(carrier) = found.cloned() {
                    let keys = self.carried.swap_remove(&carrier).unwrap_or_default();
                    if *how == WireEnd::ByServer {
                        self.complete.entry((mock, carrier.socket.clone())).or_default().extend(keys);
                    }
                }
            }
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter() {
                    self.receive(event, view, connection, part);
                }
            }
            EventKind::WireSent { connection, message } => {
                for part in parts(message).iter() {
                    self.send(event.seq, connection, part);
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.answered.retain(|(of, _), _| of != connection);
                self.asked.retain(|(of, _), _| of != connection);
                self.handed_out.retain(|(of, _), _| of != connection);
                self.read_to.swap_remove(connection);
            }
            _ => {}
        }
    }

    fn receive(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message) {
        if message.is_any_request() {
            let key = (connection.clone(), message.id_text());
            if let Some(carrier) = view.carrier(event) {
                self.carried.entry(carrier.clone()).or_default().push(key);
            }
            for name in ["cursor", "taskId"] {
                let used = message.at(&["params", name]).and_then(Value::as_str);
                let source = used.and_then(|used| self.handed_out.get(&(connection.clone(), used.into())));
                if let Some(source) = source.cloned() {
                    self.note(event.seq, view, &source);
                }
            }
        } else if message.is_response() && view.shows_ends() {
            let key = (connection.clone(), message.id_text());
            if let Some(sent) = self.asked.swap_remove(&key) {
                self.read_to(event.seq, connection, sent);
            }
        }
    }

    fn send(&mut self, seq: Seq, connection: &ConnectionId, message: &Message) {
        let Some(id) = message.id() else { return };
        let key = (connection.clone(), Name::from(id));
        if !message.is_response() {
            self.asked.insert(key, seq);
            return;
        }
        let result = |path: &[&str]| message.at(&[&["result"], path].concat()).and_then(Value::as_str);
        let task =
            result(&["task", "taskId"]).or(result(&["taskId"]).filter(|_| result(&["resultType"]) == Some("task")));
        for handed_out in [task, result(&["nextCursor"])].into_iter().flatten() {
            self.handed_out.insert((connection.clone(), handed_out.into()), key.clone());
        }
        self.answered.insert(key, Answered { sent: seq, read: None, is_task: task.is_some() });
    }

    /// Notes that the response to a request was read, and in order all before it.
    fn note(&mut self, evidence: Seq, view: &View, key: &RequestKey) {
        let Some(answered) = self.answered.get_mut(key) else { return };
        answered.read.get_or_insert(evidence);
        let sent = answered.sent;
        if view.shows_ends() {
            self.read_to(evidence, &key.0, sent);
        }
    }

    fn read_to(&mut self, evidence: Seq, connection: &ConnectionId, to: Seq) {
        let known = self.read_to.entry(connection.clone()).or_insert((to, evidence));
        if known.0 < to {
            *known = (to, evidence);
        }
    }

    /// Notes that the caller of a request has its response.
    pub(super) fn returned(&mut self, evidence: Seq, view: &View, key: &RequestKey) {
        self.note(evidence, view, key);
    }
}
