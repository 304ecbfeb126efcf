//! Streams that end after an event id: how a client comes back for the answer, and when it stops.

use crate::check::asked_answers::AskedAnswers;
use crate::check::combinator::{Judged, each};
use crate::check::host::{ServerExchange, exchange_of, is_responsible};
use crate::check::lessons::{ServerSocket, socket_of};
use crate::check::parts::parts;
use crate::check::polls::{Asked, PolledRequests};
use crate::check::reading::RequestKey;
use crate::check::{
    AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, WireRequest, Witness,
};
use crate::history::{
    ConnectionId, Event, EventKind, Header, Kind, Message, Name, OpId, Outcome, Seq, SessionId, Table, WireEnd,
};
use crate::plan::Promise;

/// Counter-example: a GET may name an event or not.
pub(super) const RESUMED_BY_GET: Invariant = Invariant {
    id: "resumed-by-get",
    property: Property::Safety,
    level: Level::Should,
    claim: "a stream is resumed by GET, and no other request names an event id",
    source: "2025-11-25, basic/transports, Resumability and Redelivery: resumption is always via HTTP GET with Last-Event-ID",
    requirement: &["LC-RES-08", "LC-RES-01"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived],
    hears: Hears::ALL,
    vacuous: "no request named an event id",
    explain: "A POST or DELETE came with `Last-Event-ID`. Only a GET resumes a stream. A server treats the POST as a \
        new message: it does the work a second time, on a new stream, and the client never reads the answer to the \
        first request.\n\n\
        Look at the request of the witness. To fix it, open the stream again with GET, whichever request had opened \
        it, and wait there for the answer to the first request.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_verb) },
};

fn judge_verb(event: &Event, _view: &View) -> Judged {
    let EventKind::HttpReceived { verb, headers, .. } = &event.kind else { return Judged::Unrelated };
    match headers.get("last-event-id") {
        None => Judged::Unrelated,
        Some(_) if verb == "GET" => Judged::Held,
        Some(id) => {
            let because = format!("{verb} was received at {} with Last-Event-ID {id}", event.seq);
            Judged::Broken(Violation::new("other-verb", because, &[event.seq]))
        }
    }
}

/// Counter-examples: A client whose network dropped has not read the last event. If the server ended the stream, and
/// the client keeps using its socket, then the client has read the stream to its end. However a stream ended, a client
/// that has answered a request of the server, or handed out an answer, has read the events before it.
pub(super) const RESUMED_FROM_LAST_EVENT: Invariant = Invariant {
    id: "resumed-from-last-event",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client that has read a stream to its end resumes it after its last event",
    source: "2025-11-25, basic/transports, Resumability and Redelivery: SHOULD include the last event ID it received",
    requirement: &["LC-RES-01"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::StreamEvent,
        Kind::HttpEnded,
        Kind::SocketClosed,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::OperationCompleted,
    ],
    hears: Hears::ALL,
    vacuous: "no client resumed a stream that its server had ended",
    explain: "A stream ended, and the client resumed it after an event that was not the last event that it had read. \
        The server sends the later events again, so the client gets some messages twice: a progress goes back, and a \
        notification takes effect again.\n\n\
        Look at the ids of the stream and at the GET in the witness. To fix it, store the id of every event, also of \
        one without data, and send the newest.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(LastEvents::default()) },
};

#[derive(Default)]
struct LastEvents {
    open: Table<ServerExchange, IdStream>,
    ended: Vec<IdStream>,
    /// Resumptions after an older event, by the socket that the client must keep using.
    suspected: Table<ServerSocket, Violation>,
    /// The answers that the streams below have brought.
    answers: AskedAnswers,
    /// Requests of servers, with the stream that brought each, and the number of its events before it.
    asked: Table<RequestKey, (ServerExchange, usize)>,
    /// The stream that brings the next message of each mock, where the history says so.
    brings: Table<Name, ServerExchange>,
    /// Requests of clients by the operation that needs their answers.
    called: Table<OpId, Vec<RequestKey>>,
}

/// A response, and the ids of its events in order, with those of the streams that it resumes.
#[derive(Clone)]
struct IdStream {
    exchange: ServerExchange,
    socket: ServerSocket,
    session: Option<SessionId>,
    ids: Vec<String>,
    ended: Seq,
    /// Whether its server ended it, and its client may still show that it has read it to the end.
    is_whole: bool,
    /// How many events its client has read for certain, and the event that shows it.
    read: Option<(usize, Seq)>,
    /// Answers that it brought, each with the number of events before it.
    answers: Vec<(RequestKey, usize)>,
}

impl IdStream {
    fn note_read(&mut self, n_events: usize, evidence: Seq) {
        if n_events > self.read.map_or(0, |(n, _)| n) {
            self.read = Some((n_events, evidence));
        }
    }
}

impl Monitor for LastEvents {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        self.answers.see(event, view);
        match &event.kind {
            EventKind::HttpReceived { exchange, socket, verb, session, headers, pipelined, .. } => {
                let socket = socket_of(event, socket);
                if let Some(violation) = self.suspected.swap_remove(&socket) {
                    tally.broken(violation);
                }
                let last = headers.get("last-event-id").filter(|_| verb == "GET");
                let before = last.and_then(|last| {
                    let on = (&socket, *pipelined);
                    self.resumed((event, view), on, session.as_ref(), last, tally)
                });
                let stream = IdStream {
                    exchange: exchange_of(event, exchange),
                    socket,
                    session: session.clone(),
                    ids: before.map(|before| before.ids).unwrap_or_default(),
                    ended: event.seq,
                    is_whole: false,
                    read: None,
                    answers: Vec::new(),
                };
                self.open.insert(stream.exchange.clone(), stream);
            }
            EventKind::HttpAnswered { exchange, streams: false, .. } => {
                let stream = self.open.swap_remove(&exchange_of(event, exchange));
                stream.into_iter().for_each(|stream| self.forget(&stream));
            }
            EventKind::StreamEvent { exchange, id: Some(id), .. } => {
                self.open.entry(exchange_of(event, exchange)).and_modify(|stream| stream.ids.push(id.clone()));
            }
            EventKind::StreamEvent { exchange, retry_ms: None, .. } => {
                self.brings.insert(event.source.to_name(), exchange_of(event, exchange));
            }
            EventKind::WireSent { connection, message } => {
                parts(message).iter().for_each(|part| self.send(event, view, connection, part));
                self.brings.swap_remove(&event.source.to_name());
            }
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter() {
                    self.receive(event, view, connection, part);
                }
            }
            EventKind::OperationCompleted { operation, outcome: Outcome::Ok { .. } } => {
                for key in self.called.swap_remove(operation).unwrap_or_default() {
                    self.answers.returned(event.seq, &key);
                }
            }
            EventKind::OperationCompleted { operation, .. } => {
                self.called.swap_remove(operation);
            }
            EventKind::HttpEnded { exchange, how } => {
                let stream = self.open.swap_remove(&exchange_of(event, exchange));
                let is_whole = *how == WireEnd::ByServer;
                match stream {
                    Some(stream) if stream.ids.is_empty() => self.forget(&stream),
                    Some(stream) => self.ended.push(IdStream { ended: event.seq, is_whole, ..stream }),
                    None => {}
                }
            }
            EventKind::SocketClosed { socket, .. } => {
                let socket = socket_of(event, socket);
                self.suspected.swap_remove(&socket);
                // A client that has closed the socket may not have read to the end.
                self.ended
                    .iter_mut()
                    .filter(|stream| stream.socket == socket)
                    .for_each(|stream| stream.is_whole = false);
            }
            _ => {}
        }
    }
}

impl LastEvents {
    /// A stream has ended that cannot be resumed.
    fn forget(&mut self, stream: &IdStream) {
        stream.answers.iter().for_each(|(key, _)| self.answers.forget(key));
    }

    /// Records the events before a message of a server, if it is known which stream brought the message.
    fn send(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message) {
        let key = (connection.clone(), message.id_text());
        if message.is_response() {
            let exchange = view.answered(event).map(|carrier| exchange_of(event, &carrier.exchange));
            if let Some(stream) = exchange.and_then(|exchange| self.open.get_mut(&exchange)) {
                self.answers.keep(key.clone(), event.seq);
                stream.answers.push((key, stream.ids.len()));
            }
        } else if message.is_any_request() {
            // If there are several streams, an older history does not show which of them brings a request.
            let server = event.source.server();
            let mut streams = self.open.values().filter(|stream| Some(stream.exchange.0.as_str()) == server);
            let only = streams.next().filter(|_| streams.next().is_none());
            let told = self.brings.get(&event.source.to_name()).and_then(|exchange| self.open.get(exchange));
            if let Some(stream) = told.or(only) {
                self.asked.insert(key, (stream.exchange.clone(), stream.ids.len()));
            }
        }
    }

    /// Records the evidence in a message of a client, and the operation to which the message belongs.
    fn receive(&mut self, event: &Event, view: &View, connection: &ConnectionId, message: &Message) {
        let key = (connection.clone(), message.id_text());
        if message.is_response() {
            let Some((exchange, n_events)) = self.asked.swap_remove(&key) else { return };
            let ended = self.ended.iter_mut().filter(|stream| stream.exchange == exchange);
            ended.chain(self.open.get_mut(&exchange)).for_each(|stream| stream.note_read(n_events, event.seq));
        } else if message.is_request("tools/call") {
            let is_it = |request: &WireRequest| request.connection == key.0 && request.id == key.1;
            let owner = view.operations().find(|operation| operation.requests.iter().any(is_it));
            if let Some(owner) = owner.filter(|operation| !operation.is_ambiguous) {
                self.called.entry(owner.id).or_default().push(key);
            }
        }
    }

    /// Takes a resumption, and returns the stream that it continues.
    fn resumed(
        &mut self,
        (event, view): (&Event, &View),
        (socket, is_pipelined): (&ServerSocket, bool),
        session: Option<&SessionId>,
        last: &str,
        tally: &mut Tally,
    ) -> Option<IdStream> {
        let server = event.source.server();
        let is_it = |stream: &IdStream| {
            Some(stream.socket.0.as_str()) == server
                && (stream.session.is_none() || stream.session.as_ref() == session)
                && stream.ids.iter().any(|id| id == last)
        };
        let index = self.ended.iter().rposition(is_it)?;
        let mut stream = self.ended.remove(index);
        let answers = std::mem::take(&mut stream.answers);
        for (key, n_events) in answers {
            if let Some(evidence) = self.answers.read(view, &key) {
                stream.note_read(n_events, evidence);
            }
            self.answers.forget(&key);
        }
        // On its own socket, after the whole stream.
        if stream.is_whole && stream.socket == *socket && !is_pipelined {
            stream.note_read(stream.ids.len(), event.seq);
        }
        let from = stream.ids.iter().rposition(|id| id == last).unwrap_or_default();
        if let Some((n_events, evidence)) = stream.read.filter(|(n_events, _)| from + 1 < *n_events) {
            let newest = &stream.ids[n_events - 1];
            let because = format!(
                "GET was received at {} with Last-Event-ID {last}, and the client had read the event {newest} of the stream that \
                 ended at {}, as {evidence} shows",
                event.seq, stream.ended
            );
            tally.broken(Violation::new("older-event", because, &[stream.ended, evidence, event.seq]));
            return Some(stream);
        }
        if !stream.is_whole {
            return None;
        }
        match stream.ids.last().filter(|newest| *newest != last) {
            None => tally.held(),
            Some(newest) => {
                let because = format!(
                    "GET was received at {} with Last-Event-ID {last}, and the stream that ended at {} had the event {newest} last",
                    event.seq, stream.ended
                );
                let violation = Violation::new("older-event", because, &[stream.ended, event.seq]);
                self.suspected.insert(stream.socket.clone(), violation);
            }
        }
        Some(stream)
    }
}

/// Counter-examples: A client may cancel the request instead, or exit. Only a client that continues, long after the
/// waiting time or by making the same request again, has forgotten the answer. A server that refuses the GET, or has
/// lost the session, has nothing to resume. `resumed-by-get` judges a POST that names an event. A GET without an id may
/// open the stream of the session, except in a scenario in which the client has nothing else to wait for.
pub(super) const CUT_STREAM_RESUMED: Invariant = Invariant {
    id: "cut-stream-resumed",
    property: Property::Liveness,
    level: Level::Should,
    claim: "a client fetches the answer to a request whose stream ended after an event id, or cancels the request",
    source: "2025-11-25, basic/transports, Sending Messages to the Server: SHOULD poll by reconnecting; Resumability and Redelivery",
    requirement: &["LC-RES-03", "LC-RES-01", "LC-RES-08"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::StreamEvent,
        Kind::HttpEnded,
        Kind::MockEnding,
        Kind::LinkClosed,
    ],
    hears: Hears::ALL,
    vacuous: "no stream ended after an event id and before the answer",
    explain: "The server ended the stream of a request after an event id, which asks the client to come back for the \
        answer. The client never came back, and did not cancel the request either: it continued with other requests, \
        made the same request again, or asked for a stream without the id. The work is done and its result is lost, or \
        the work is done twice.\n\n\
        Look at the end of the stream in the witness. To fix it, wait for the time that `retry` gives, send GET with \
        `Last-Event-ID`, and read the answer there; send `notifications/cancelled` if no caller waits any more.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let waits_for = header.host.as_ref().map(|host| host.exchange.clone()).unwrap_or_default();
        Box::new(CutStreams { waits_for, ..CutStreams::default() })
    },
};

/// A client that polls does so within this time after the waiting time.
const PATIENCE_US: u64 = 1_000_000;

#[derive(Default)]
struct CutStreams {
    polled: PolledRequests,
    /// The requests that a scenario needs.
    waits_for: Vec<String>,
}

impl Monitor for CutStreams {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        if self.polled.see(event, view).is_some() {
            tally.held();
        }
        match &event.kind {
            EventKind::HttpReceived { verb, session: Some(session), headers, .. } => {
                let last = headers.get("last-event-id");
                for request in self.polled.iter_mut().filter(|request| request.session.as_ref() == Some(session)) {
                    if verb == "POST" && last.is_some_and(|last| request.ids.contains(last)) {
                        request.is_waived = true;
                    } else if verb == "GET" && last.is_none() && request.is_due(event, 0) {
                        request.unnamed.get_or_insert(event.seq);
                    }
                }
            }
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter().filter(|part| part.is_any_request()) {
                    for request in self.polled.iter_mut().filter(|request| request.asked.connection == *connection) {
                        let is_sign = request.unnamed.is_some()
                            || request.is_due(event, PATIENCE_US)
                            || request.is_due(event, 0) && request.asked.is_made_again_by(part);
                        if is_sign && request.is_cut() {
                            request.went_on.get_or_insert(event.seq);
                        }
                    }
                }
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        let forgotten = self.polled.iter().filter(|request| request.is_cut());
        for request in forgotten.filter(|_| is_responsible(view) && view.signalled().is_none()) {
            let Some((ended, _)) = request.ended else { continue };
            let Asked { connection, id, method, seq, .. } = &request.asked;
            let Some(went_on) = request.went_on else {
                if let Some(unnamed) = request.unnamed.filter(|_| self.waits_for.contains(method)) {
                    let because = format!(
                        "the stream of {method} (request {id} on {connection}) ended at {ended} after an event id, which the GET \
                         of {unnamed} does not name, and the answer never came"
                    );
                    tally.broken(Violation::new("unnamed", because, &[*seq, ended, unnamed]));
                }
                continue;
            };
            let because = format!(
                "the stream of {method} (request {id} on {connection}) ended at {ended} after an event id; the client continued at {went_on}, and neither resumed the stream nor cancelled the request"
            );
            tally.broken(Violation::new("forgotten", because, &[*seq, ended, went_on]));
        }
    }
}

/// Counter-examples: One resumption may cross the cancellation. A client may ask again for an answer that was lost on
/// the way, and for an answer on a stream that the server ends each time.
pub(super) const RESUME_STOPS: Invariant = Invariant {
    id: "resume-stops",
    property: Property::Safety,
    level: Level::OwnResource,
    claim: "a client stops resuming the stream of a request that was answered or cancelled",
    source: "VG-19: reconnects slow down; follows from 2025-11-25, basic/transports, Resumability and Redelivery",
    requirement: &["LC-RES-07", "VG-19"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::WireReceived,
        Kind::WireSent,
        Kind::StreamEvent,
        Kind::HttpEnded,
        Kind::MockEnding,
        Kind::LinkClosed,
    ],
    hears: Hears::ALL,
    vacuous: "no stream was resumed",
    explain: "The request was answered, or the client itself had cancelled it, and the client kept opening its stream again. \
        That stream can bring no further message. Each attempt costs a request, and a server keeps the events of a \
        stream as long as a client asks for them.\n\n\
        Look at the GET requests in the witness. To fix it, tie the loop that resumes a stream to its request, and end it \
        when the request is answered, cancelled or timed out.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(Resumptions::default()) },
};

/// So many resumptions may come after an answer.
const AFTER_ANSWER_MAX: usize = 3;
/// So many may come after a cancellation.
const AFTER_CANCEL_MAX: usize = 1;

#[derive(Default)]
struct Resumptions {
    polled: PolledRequests,
}

impl Monitor for Resumptions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let resumed = self.polled.see(event, view);
        let Some(request) = resumed.and_then(|index| self.polled.get(index)) else { return };
        let asked = &request.asked;
        let (max, since, what) = match (request.cancelled, asked.answered) {
            (Some(cancelled), _) => (AFTER_CANCEL_MAX, cancelled, "cancelled"),
            (None, Some(answered)) => (AFTER_ANSWER_MAX, answered, "answered"),
            (None, None) => return tally.held(),
        };
        if request.n_useless <= max {
            return tally.held();
        }
        let because = format!(
            "the stream of {} (request {} on {}), which was {what} at {since}, was resumed at {}, {} times since",
            asked.method, asked.id, asked.connection, event.seq, request.n_useless
        );
        let variant = if request.cancelled.is_some() { "after-cancel" } else { "after-answer" };
        tally.broken(Violation::new(variant, because, &[since, event.seq]));
    }
}
