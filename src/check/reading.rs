//! What a client has read: evidence, not time.
//!
//! A response reaches its client through pipes, sockets and threads, so a sent response is not necessarily read. The
//! following events prove that the client has read it: an answer to a request that the server sent later in the same
//! order; a request that uses a cursor, a task or a state of the response; a call that ended with the response; over
//! HTTP/1.1, a further request on the socket of a complete response. Lines, and the stream of events of the oldest
//! transport, have one order for all messages of a server. Over streamable HTTP each response has its own order.

use serde_json::Value;

use crate::check::View;
use crate::check::carriers::Carrier;
use crate::check::parts::parts;
use crate::history::{
    ConnectionId, Event, EventKind, ExchangeId, KeySet, Kind, Message, Name, Outcome, Seq, SocketId, Table, WireEnd,
};

/// The events of a rule that asks what a client has read, and gets the messages of both sides.
pub(super) const KINDS: &[Kind] = &[
    Kind::HttpReceived,
    Kind::HttpEnded,
    Kind::WireSent,
    Kind::WireReceived,
    Kind::WireEof,
    Kind::ConnectionClosed,
    Kind::OperationCompleted,
];

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
    /// Cursors, tasks and states, by connection, with the request whose response had them first.
    handed_out: Table<(ConnectionId, Name), RequestKey>,
    /// The initialize request of each connection.
    opening: Table<ConnectionId, RequestKey>,
    /// Open exchanges with requests, and what is complete on a socket.
    carried: Table<Carrier, Carried>,
    complete: Table<(Name, SocketId), Carried>,
    /// Open streams of sessions. While there is one, it may carry any message that is no response.
    streams: KeySet<(Name, ExchangeId)>,
    /// Messages of servers over HTTP that are no responses, with the evidence that they were read.
    told: Table<Seq, Seq>,
    /// Whether the answers of now prove nothing that will be asked.
    rests: bool,
}

/// What one HTTP response carries.
#[derive(Default)]
struct Carried {
    requests: Vec<RequestKey>,
    /// Messages that are no responses.
    told: Vec<Seq>,
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

    /// The event that shows that the client has read a message of its server that is no response.
    pub(super) fn has_read(&self, connection: &ConnectionId, sent: Seq) -> Option<Seq> {
        let in_order = self.read_to.get(connection).filter(|(to, _)| sent <= *to).map(|(_, evidence)| *evidence);
        in_order.or_else(|| self.told.get(&sent).copied())
    }

    /// Whether a request was answered with a task.
    pub(super) fn is_task(&self, key: &RequestKey) -> bool {
        self.answered.get(key).is_some_and(|answered| answered.is_task)
    }

    /// Forgets the response to a request: nobody will ask whether it was read.
    pub(super) fn forget(&mut self, key: &RequestKey) {
        self.answered.swap_remove(key);
    }

    /// Takes an event. While nothing `is_asked` about which evidence matters, no response needs to be kept: evidence that a
    /// response was read says nothing about what is sent later.
    pub(super) fn see_while(&mut self, is_asked: bool, event: &Event, view: &View) {
        self.rests = !is_asked;
        if self.rests && !self.answered.is_empty() {
            self.answered.clear();
        }
        self.see(event, view);
    }

    pub(super) fn see(&mut self, event: &Event, view: &View) {
        match &event.kind {
            // A request that was pipelined may have been written before the response.
            EventKind::HttpReceived { exchange, socket, pipelined, verb, .. } => {
                let mock = event.source.to_name();
                if verb == "GET" {
                    self.streams.insert((mock.clone(), exchange.clone()));
                }
                if !pipelined {
                    let complete = self.complete.swap_remove(&(mock, socket.clone())).unwrap_or_default();
                    self.told.extend(complete.told.into_iter().map(|sent| (sent, event.seq)));
                    for key in complete.requests {
                        self.answered.entry(key).and_modify(|answered| {
                            answered.read.get_or_insert(event.seq);
                        });
                    }
                }
            }
            EventKind::HttpEnded { exchange, how } => {
                let mock = event.source.to_name();
                self.streams.swap_remove(&(mock.clone(), exchange.clone()));
                let found = self.carried.keys().find(|carrier| carrier.mock == mock && carrier.exchange == *exchange);
                if let Some(carrier) = found.cloned() {
                    let carried = self.carried.swap_remove(&carrier).unwrap_or_default();
                    if *how == WireEnd::ByServer {
                        let complete = self.complete.entry((mock, carrier.socket.clone())).or_default();
                        // An answer that comes later comes on another stream.
                        let answered = carried.requests.into_iter().filter(|key| self.answered.contains_key(key));
                        complete.requests.extend(answered);
                        complete.told.extend(carried.told);
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
                    self.send(event, view, connection, part);
                }
            }
            EventKind::OperationCompleted { operation, outcome: Outcome::Ok { .. } } => {
                let operation = view.operation(*operation).filter(|operation| !operation.is_ambiguous);
                let requests = || operation.into_iter().flat_map(|operation| &operation.requests);
                let mut answered = requests().filter(|request| request.answered.is_some());
                // Of two answered requests of one call, either may have the response that the caller got.
                if let (Some(request), None) = (answered.next(), answered.next()) {
                    self.note(event.seq, view, &(request.connection.clone(), request.id.clone()));
                }
            }
            EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. } => {
                self.answered.retain(|(of, _), _| of != connection);
                self.complete.retain(|_, carried| {
                    carried.requests.retain(|(of, _)| of != connection);
                    !carried.requests.is_empty() || !carried.told.is_empty()
                });
                self.asked.retain(|(of, _), _| of != connection);
                self.handed_out.retain(|(of, _), _| of != connection);
                self.opening.swap_remove(connection);
                self.read_to.swap_remove(connection);
            }
            _ => {}
        }
    }

    fn receive(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message) {
        if message.is_any_request() {
            let key = (connection.clone(), message.id_text());
            if message.is_request("initialize") {
                self.opening.insert(connection.clone(), key.clone());
            }
            // The answers to what is posted beside a stream of events come on that stream.
            if let Some(carrier) = view.carrier(event).filter(|_| !view.is_sse()) {
                self.carried.entry(carrier.clone()).or_default().requests.push(key);
            }
            for name in ["cursor", "taskId", "requestState"] {
                let used = message.at(&["params", name]).and_then(Value::as_str);
                let source = used.and_then(|used| self.handed_out.get(&(connection.clone(), used.into())));
                if let Some(source) = source.cloned() {
                    self.note(event.seq, view, &source);
                }
            }
        } else if message.is_response() {
            let key = (connection.clone(), message.id_text());
            let Some(sent) = self.asked.swap_remove(&key) else { return };
            if view.shows_ends() {
                self.read_to(event.seq, connection, sent);
            } else if let Some(carried) = self.carried.values().find(|carried| carried.told.contains(&sent)) {
                self.told.extend(carried.told.iter().filter(|told| **told <= sent).map(|told| (*told, event.seq)));
            }
        } else if message.is_notification("notifications/initialized") && view.shows_ends() {
            // Over HTTP without sessions another client may say it.
            if let Some(opening) = self.opening.swap_remove(connection) {
                self.note(event.seq, view, &opening);
            }
        }
    }

    fn send(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message) {
        let seq = event.seq;
        if message.method().is_some() && !view.shows_ends() {
            self.tell(event, message);
        }
        let Some(id) = message.id() else { return };
        let key = (connection.clone(), Name::from(id));
        if !message.is_response() {
            self.asked.insert(key, seq);
            return;
        }
        let result = message.at(&["result"]);
        let text = |name: &str| result.and_then(|result| result.get(name)).and_then(Value::as_str);
        let task = result.and_then(|result| result.get("task")?.get("taskId")).and_then(Value::as_str);
        let task = task.or(text("taskId").filter(|_| text("resultType") == Some("task")));
        for handed_out in [task, text("nextCursor"), text("requestState")].into_iter().flatten() {
            // Of two responses with one cursor, its use proves that the first was read.
            self.handed_out.entry((connection.clone(), handed_out.into())).or_insert_with(|| key.clone());
        }
        if !self.rests {
            self.answered.insert(key, Answered { sent: seq, read: None, is_task: task.is_some() });
        }
    }

    /// Notes a message over HTTP that is no response, where one exchange alone can carry it.
    fn tell(&mut self, event: &Event, message: &Message) {
        // There may be many of these, and no rule asks for them.
        if matches!(message.method(), Some("notifications/progress" | "notifications/message")) {
            return;
        }
        let mock = event.source.to_name();
        if self.streams.iter().any(|(of, _)| *of == mock) {
            return;
        }
        let mut open = self.carried.iter_mut().filter(|(carrier, _)| carrier.mock == mock);
        if let (Some((_, carried)), None) = (open.next(), open.next()) {
            carried.told.push(event.seq);
        }
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
