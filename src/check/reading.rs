//! What a client has read: evidence, not time.
//!
//! A response reaches its client through pipes, sockets and threads, so a sent response is not necessarily read. The
//! following events prove that the client has read it: an answer to a request that the server sent later in the same
//! order; a request that uses a cursor, a task or a state of the response; a call that ended with the response; over
//! HTTP/1.1, a further request on the socket of a complete response. Lines, and the stream of events of the oldest
//! transport, have one order for all messages of a server. Over streamable HTTP each response has its own order.
//!
//! Counter-examples: A script that writes a line without an end spoils the next message too, which continues that line. A
//! client of most revisions need not read a batch.
//!
//! The view keeps this for all rules. What a rule wants to know about single responses is in
//! [`AskedAnswers`](crate::check::asked_answers::AskedAnswers).

use serde_json::Value;

use crate::check::Operation;
use crate::check::carriers::{Carrier, Carriers};
use crate::check::parts::parts;
use crate::history::{
    ConnectionId, Event, EventKind, ExchangeId, Impact, KeySet, Kind, Message, Name, Outcome, Seq, SocketId, Table,
    WireEnd,
};
use crate::plan::{Framing, Transport};

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

/// The evidence that clients have read what their servers sent.
#[derive(Debug, Default)]
pub(super) struct Reading {
    /// Whether all messages of a server reach its client in one order.
    has_one_order: bool,
    /// Whether the answers to what is posted come on one stream of events.
    is_sse: bool,
    /// Over lines and streams of events: up to which event each client has read, and the evidence.
    read_to: Table<ConnectionId, (Seq, Seq)>,
    /// Mocks whose scripts broke a connection. The next message of each may continue the bytes that did.
    broken: KeySet<Name>,
    /// Those messages, and batches: what comes after them does not show that they were read.
    spoiled: KeySet<Seq>,
    /// Requests of servers, with the event that sent them.
    asked: Table<RequestKey, Seq>,
    /// Cursors, tasks and states, by connection, with the response that had them first.
    handed_out: Table<(ConnectionId, Name), Response>,
    /// The initialize request of each connection, with its response.
    opening: Table<ConnectionId, (RequestKey, Option<Seq>)>,
    /// Open exchanges with requests, and what is complete on a socket.
    carried: Table<Carrier, Carried>,
    complete: Table<(Name, SocketId), Carried>,
    /// Requests in open exchanges that have no response.
    unanswered: KeySet<RequestKey>,
    /// Open streams of sessions. While there is one, it may carry any message that is no response.
    streams: KeySet<(Name, ExchangeId)>,
    /// Messages of servers over HTTP that are no responses, with the evidence that they were read.
    told: Table<Seq, Seq>,
    /// The requests whose responses the newest evidence shows to be read, and that event.
    proven: Vec<RequestKey>,
    proven_at: Option<Seq>,
}

/// A response: its request, and the event that sent it.
type Response = (RequestKey, Seq);

/// What one HTTP response carries.
#[derive(Debug, Default)]
struct Carried {
    requests: Vec<RequestKey>,
    /// Messages that are no responses.
    told: Vec<Seq>,
}

impl Reading {
    /// Over this transport.
    pub(super) fn of(transport: Option<Transport>) -> Self {
        let framing = transport.map(Transport::usual_framing);
        let is_sse = framing == Some(Framing::Sse);
        Self { is_sse, has_one_order: is_sse || framing == Some(Framing::Lines), ..Self::default() }
    }

    /// The event that shows that the client has read a message of its server that is no response.
    pub(super) fn has_read(&self, connection: &ConnectionId, sent: Seq) -> Option<Seq> {
        self.in_order(connection, sent).or_else(|| self.told.get(&sent).copied())
    }

    /// The event that shows that the client has read what came up to here, where all comes in one order.
    pub(super) fn in_order(&self, connection: &ConnectionId, sent: Seq) -> Option<Seq> {
        let read = self.read_to.get(connection).filter(|(to, _)| sent <= *to);
        read.filter(|_| !self.is_spoiled(sent)).map(|(_, evidence)| *evidence)
    }

    /// Whether a message may be unreadable: because of the bytes before it, or because it is in a batch.
    pub(super) fn is_spoiled(&self, sent: Seq) -> bool {
        self.spoiled.contains(&sent)
    }

    /// Whether all messages of a server reach its client in one order.
    pub(super) fn has_one_order(&self) -> bool {
        self.has_one_order
    }

    /// The requests whose responses an event shows to be read.
    pub(super) fn proven(&self, event: &Event) -> &[RequestKey] {
        if self.proven_at == Some(event.seq) { &self.proven } else { &[] }
    }

    /// Takes an event, with the operation that completes.
    pub(super) fn see(&mut self, event: &Event, carriers: &Carriers, completed: Option<&Operation>) {
        match &event.kind {
            // A request that was pipelined may have been written before the response.
            EventKind::HttpReceived { exchange, socket, pipelined, verb, .. } => {
                let mock = event.source.to_name();
                if verb == "GET" {
                    self.streams.insert((mock.clone(), exchange.clone()));
                }
                if !pipelined && let Some(complete) = self.complete.swap_remove(&(mock, socket.clone())) {
                    self.told.extend(complete.told.into_iter().map(|sent| (sent, event.seq)));
                    complete.requests.into_iter().for_each(|request| self.prove(event.seq, request));
                }
            }
            EventKind::HttpEnded { exchange, how } => self.end(event, exchange, *how),
            EventKind::SocketClosed { socket, .. } if !self.complete.is_empty() => {
                self.complete.swap_remove(&(event.source.to_name(), socket.clone()));
            }
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter() {
                    self.receive(event, carriers, connection, part);
                }
            }
            EventKind::FaultDelivered { impairs: Impact::Connection, .. } if self.has_one_order => {
                self.broken.insert(event.source.to_name());
            }
            EventKind::WireSent { connection, message } => {
                let continues_a_line = !self.broken.is_empty() && self.broken.swap_remove(&event.source.to_name());
                if self.has_one_order && (continues_a_line || message.body().is_array()) {
                    self.spoiled.insert(event.seq);
                }
                for part in parts(message).iter() {
                    self.send(event, connection, part);
                }
            }
            EventKind::OperationCompleted { outcome: Outcome::Ok { .. }, .. } => {
                let operation = completed.filter(|operation| !operation.is_ambiguous);
                let requests = operation.into_iter().flat_map(|operation| &operation.requests);
                let mut answered = requests.filter_map(|request| Some((request, request.answered?)));
                // Of two answered requests of one call, either may have the response that the caller got.
                if let (Some((request, sent)), None) = (answered.next(), answered.next()) {
                    self.note(event.seq, ((request.connection.clone(), request.id.clone()), sent));
                }
            }
            _ => {}
        }
    }

    /// Drops a connection that ended with this event, after the rules have judged it.
    pub(super) fn forget(&mut self, event: &Event) {
        let (EventKind::WireEof { connection } | EventKind::ConnectionClosed { connection, .. }) = &event.kind else {
            return;
        };
        self.complete.retain(|_, carried| {
            carried.requests.retain(|(of, _)| of != connection);
            !carried.requests.is_empty() || !carried.told.is_empty()
        });
        self.unanswered.retain(|(of, _)| of != connection);
        self.asked.retain(|(of, _), _| of != connection);
        self.handed_out.retain(|(of, _), _| of != connection);
        self.opening.swap_remove(connection);
        self.read_to.swap_remove(connection);
    }

    fn end(&mut self, event: &Event, exchange: &ExchangeId, how: WireEnd) {
        let mock = event.source.to_name();
        self.streams.swap_remove(&(mock.clone(), exchange.clone()));
        let found = self.carried.keys().position(|carrier| carrier.mock == mock && carrier.exchange == *exchange);
        let Some((carrier, carried)) = found.and_then(|index| self.carried.swap_remove_index(index)) else { return };
        let Carried { mut requests, told } = carried;
        // An answer that comes later comes on another stream.
        requests.retain(|request| !self.unanswered.swap_remove(request));
        if how == WireEnd::ByServer {
            let complete = self.complete.entry((mock, carrier.socket)).or_default();
            complete.requests.extend(requests);
            complete.told.extend(told);
        }
    }

    fn receive(&mut self, event: &Event, carriers: &Carriers, connection: &ConnectionId, message: &Message) {
        if message.is_any_request() {
            let request = || (connection.clone(), message.id_text());
            if self.has_one_order && message.is_request("initialize") {
                self.opening.insert(connection.clone(), (request(), None));
            }
            // The answers to what is posted beside a stream of events come on that stream.
            if let Some(carrier) = carriers.of(event).filter(|_| !self.is_sse) {
                self.unanswered.insert(request());
                self.carried.entry(carrier.clone()).or_default().requests.push(request());
            }
            if self.handed_out.is_empty() {
                return;
            }
            for name in ["cursor", "taskId", "requestState"] {
                let used = message.at(&["params", name]).and_then(Value::as_str);
                let source = used.and_then(|used| self.handed_out.get(&(connection.clone(), used.into())));
                if let Some(source) = source.cloned() {
                    self.note(event.seq, source);
                }
            }
        } else if message.is_response() {
            let Some(sent) = self.asked.swap_remove(&(connection.clone(), message.id_text())) else { return };
            if self.has_one_order {
                self.read_to(event.seq, connection, sent);
            } else if let Some(carried) = self.carried.values().find(|carried| carried.told.contains(&sent)) {
                self.told.extend(carried.told.iter().filter(|told| **told <= sent).map(|told| (*told, event.seq)));
            }
        } else if message.is_notification("notifications/initialized")
            // Over HTTP without sessions another client may say it.
            && let Some((request, Some(sent))) = self.opening.swap_remove(connection)
        {
            self.note(event.seq, (request, sent));
        }
    }

    fn send(&mut self, event: &Event, connection: &ConnectionId, message: &Message) {
        let seq = event.seq;
        if message.method().is_some() && !self.has_one_order {
            self.tell(event, message);
        }
        if message.id().is_none() {
            return;
        }
        let request = (connection.clone(), message.id_text());
        if !message.is_response() {
            self.asked.insert(request, seq);
            return;
        }
        if let Some((opening, answered)) = self.opening.get_mut(connection)
            && *opening == request
        {
            *answered = Some(seq);
        }
        self.unanswered.swap_remove(&request);
        let result = message.at(&["result"]);
        let text = |name: &str| result.and_then(|result| result.get(name)).and_then(Value::as_str);
        for handed_out in [new_task(message), text("nextCursor"), text("requestState")].into_iter().flatten() {
            // Of two responses with one cursor, its use proves that the first was read.
            let response = || (request.clone(), seq);
            self.handed_out.entry((connection.clone(), handed_out.into())).or_insert_with(response);
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

    /// Notes that a response was read, and in order all before it.
    fn note(&mut self, evidence: Seq, (request, sent): Response) {
        if self.has_one_order {
            self.read_to(evidence, &request.0, sent);
        }
        self.prove(evidence, request);
    }

    fn prove(&mut self, evidence: Seq, request: RequestKey) {
        if self.proven_at.replace(evidence) != Some(evidence) {
            self.proven.clear();
        }
        self.proven.push(request);
    }

    fn read_to(&mut self, evidence: Seq, connection: &ConnectionId, to: Seq) {
        let known = self.read_to.entry(connection.clone()).or_insert((to, evidence));
        if known.0 < to {
            *known = (to, evidence);
        }
    }
}

/// The task that a response hands out.
pub(super) fn new_task(response: &Message) -> Option<&str> {
    let result = response.at(&["result"])?;
    let task = result.get("task").and_then(|task| task.get("taskId")).and_then(Value::as_str);
    let is_task = result.get("resultType").and_then(Value::as_str) == Some("task");
    task.or_else(|| result.get("taskId").and_then(Value::as_str).filter(|_| is_task))
}
