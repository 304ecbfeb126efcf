//! Streams that end: how soon a client comes back, and what it resumes.

use crate::check::host::{ServerExchange, exchange_of};
use crate::check::{AppliesTo, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{Event, EventKind, Header, Kind, Seq, SessionId, SocketId, Table, WireEnd};
use crate::plan::Promise;

/// Tolerance for a timer that fires early.
pub(super) const EARLY_US: u64 = 50_000;

/// Counter-examples: Only a GET with `Last-Event-ID` resumes a stream, and only a GET opens the stream of a session again.
/// A session may have several streams at once, and then a GET opens the one that may be opened: the history does not show which.
/// A GET on another socket may have been sent before the stream ended. A stream that its client ended, and one without a
/// waiting time, may be opened again at once. A stream that is resumed keeps the waiting time until the server gives another.
pub(super) const RETRY_HONOURED: Invariant = Invariant {
    id: "retry-honoured",
    property: Property::Safety,
    level: Level::Must,
    claim: "a client resumes a stream that its server ended no earlier than `retry` allows",
    source: "2025-11-25, basic/transports, Sending Messages to the Server: MUST respect the retry field",
    requirement: &["LC-RES-04", "VG-19"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered, Kind::StreamEvent, Kind::HttpEnded, Kind::SocketClosed],
    vacuous: "no stream with a retry time was resumed",
    explain: "The server had sent a waiting time and ended the stream, and the client resumed it earlier. Servers \
        use that time to spread their clients after a restart; clients that do not wait are the load that keeps the \
        server down.\n\n\
        Look at the times of the end and of the GET. To fix it, store the newest `retry` of a stream and wait that \
        long.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let default_us = header.host.as_ref().and_then(|host| host.retry_ms).map(|ms| ms * 1_000);
        Box::new(StreamRetries { default_us, ..StreamRetries::default() })
    },
};

#[derive(Default)]
struct StreamRetries {
    /// The waiting time of a POST stream in a plan whose mock does not record its events.
    default_us: Option<u64>,
    open: Table<ServerExchange, OpenStream>,
    ended: Vec<EndedStream>,
}

/// Longest time for which a request may be on its way, so that it was sent before its client had read the end of a stream.
const UNDER_WAY_US: u64 = 1_000_000;

/// A response that may be a stream.
struct OpenStream {
    is_get: bool,
    socket: SocketId,
    session: Option<SessionId>,
    streams: bool,
    retry_us: Option<u64>,
    /// The ids of its events.
    ids: Vec<String>,
}

/// A stream that has ended, until it is opened again.
struct EndedStream {
    server: String,
    stream: OpenStream,
    seq: Seq,
    at_us: u64,
    /// Whether its client has closed the socket since.
    is_closed: bool,
}

impl EndedStream {
    /// Whether its client has waited as long as the server had asked it to.
    fn is_due(&self, event: &Event) -> bool {
        let waited_us = event.at_us.saturating_sub(self.at_us);
        self.stream.retry_us.is_none_or(|retry_us| waited_us + EARLY_US >= retry_us)
    }

    /// Whether a request may have been sent before its client had read the end of the stream.
    fn may_be_unread(&self, event: &Event, request: &OpenStream) -> bool {
        let is_evident = self.is_closed || self.stream.socket == request.socket;
        !is_evident && event.at_us.saturating_sub(self.at_us) < UNDER_WAY_US
    }
}

impl Monitor for StreamRetries {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HttpReceived { verb, exchange, session, socket, headers, .. }
                if verb == "POST" || verb == "GET" =>
            {
                let mut stream = OpenStream {
                    is_get: verb == "GET",
                    socket: socket.clone(),
                    session: session.clone(),
                    streams: false,
                    retry_us: None,
                    ids: Vec::new(),
                };
                if stream.is_get {
                    self.opened_again(event, &mut stream, headers.get("last-event-id"), tally);
                }
                self.open.insert(exchange_of(event, exchange), stream);
            }
            EventKind::HttpAnswered { exchange, streams: true, .. } => {
                self.open.entry(exchange_of(event, exchange)).and_modify(|stream| stream.streams = true);
            }
            EventKind::StreamEvent { exchange, id, retry_ms } => {
                self.open.entry(exchange_of(event, exchange)).and_modify(|stream| {
                    stream.ids.extend(id.clone());
                    stream.retry_us = retry_ms.map(|ms| ms.saturating_mul(1_000)).or(stream.retry_us);
                });
            }
            EventKind::HttpEnded { exchange, how } => {
                let ended = self.open.swap_remove(&exchange_of(event, exchange));
                let Some(mut stream) = ended.filter(|stream| stream.streams) else { return };
                if *how == WireEnd::ByClient {
                    if !stream.is_get {
                        return;
                    }
                    stream.retry_us = None;
                } else {
                    stream.retry_us = stream.retry_us.or(self.default_us.filter(|_| !stream.is_get));
                }
                let server = event.source.server().unwrap_or_default().into();
                let (seq, at_us) = (event.seq, event.at_us);
                self.ended.push(EndedStream { server, stream, seq, at_us, is_closed: false });
            }
            EventKind::SocketClosed { socket, .. } => {
                let is_there = |ended: &&mut EndedStream| {
                    Some(ended.server.as_str()) == event.source.server() && ended.stream.socket == *socket
                };
                self.ended.iter_mut().filter(is_there).for_each(|ended| ended.is_closed = true);
            }
            _ => {}
        }
    }
}

impl StreamRetries {
    /// Judges a GET by the ended stream that it opens again, from which the new stream takes ids and waiting time.
    fn opened_again(&mut self, event: &Event, stream: &mut OpenStream, last: Option<&String>, tally: &mut Tally) {
        let Some(index) = (match last {
            Some(last) => self.resumed(event, last),
            None => self.replaced(event, stream),
        }) else {
            return;
        };
        let EndedStream { stream: before, seq, at_us, .. } = self.ended.remove(index);
        stream.ids = before.ids;
        stream.retry_us = before.retry_us;
        let Some(retry_us) = before.retry_us else { return };
        let waited_us = event.at_us.saturating_sub(at_us);
        if waited_us + EARLY_US >= retry_us {
            return tally.held();
        }
        let because = format!(
            "the stream that ended at {seq} was resumed at {}, after {} ms instead of {} ms",
            event.seq,
            waited_us / 1_000,
            retry_us / 1_000
        );
        tally.broken(Violation::new("early", because, &[seq, event.seq]));
    }

    /// The stream that a GET with the id of an event resumes.
    fn resumed(&self, event: &Event, last: &String) -> Option<usize> {
        let is_it = |ended: &EndedStream| {
            let has_id = if ended.stream.ids.is_empty() {
                // A mock that records no events does not tell which stream has the id.
                self.default_us.is_some() && !ended.stream.is_get
            } else {
                ended.stream.ids.contains(last)
            };
            has_id && Some(ended.server.as_str()) == event.source.server()
        };
        self.ended.iter().rposition(is_it)
    }

    /// The stream of its session that a GET without such an id opens again.
    fn replaced(&self, event: &Event, stream: &OpenStream) -> Option<usize> {
        let server = event.source.server().unwrap_or_default();
        let is_beside = |(at, other): (&ServerExchange, &OpenStream)| {
            other.is_get && other.session == stream.session && at.0 == server
        };
        if self.open.iter().any(is_beside) {
            return None;
        }
        let is_it = |ended: &EndedStream| {
            ended.server == server && ended.stream.is_get && ended.stream.session == stream.session
        };
        let all: Vec<usize> = (0..self.ended.len()).filter(|index| is_it(&self.ended[*index])).collect();
        let newest = *all.last()?;
        let due = all.iter().copied().find(|index| self.ended[*index].is_due(event));
        let is_first = all.len() == 1;
        due.or_else(|| (!is_first || !self.ended[newest].may_be_unread(event, stream)).then_some(newest))
    }
}

/// Counter-examples: A client may resume from an older event than the last. The recorder of an older release kept no events
/// of streams, and then nothing is known of their ids. The journal of a mock alone knows no ids of the server that had its
/// address before, whose session it does not know either.
pub(super) const EVENT_ID_KNOWN: Invariant = Invariant {
    id: "event-id-known",
    property: Property::Safety,
    level: Level::Should,
    claim: "a client resumes a stream from an event id that the server sent in the same session",
    source: "2025-11-25, basic/transports, Resumability and Redelivery; the same from 2025-03-26",
    requirement: &["LC-RES-01", "LC-RES-05"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::StreamEvent],
    vacuous: "no client resumed a stream",
    explain: "The client sent `Last-Event-ID` with an id that the server never sent in that session: made up, changed, or \
        kept from another session. The server replays from there, so the client loses events or gets those of \
        somebody else.\n\n\
        Look at the GET in the witness. To fix it, store the id of the newest event with its stream, send it \
        unchanged, and forget it with its session.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(EventIds::default()) },
};

#[derive(Default)]
struct EventIds {
    /// The session of each request.
    sessions: Table<ServerExchange, Option<SessionId>>,
    sent: Vec<(String, Option<SessionId>, String)>,
}

impl Monitor for EventIds {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::HttpReceived { exchange, session, connection, verb, path, headers, .. } => {
                self.sessions.insert(exchange_of(event, exchange), session.clone());
                let Some(last) = headers.get("last-event-id").filter(|_| verb == "GET" && path.is_some()) else {
                    return;
                };
                let is_it = |(of, _, id): &&(String, Option<SessionId>, String)| of == server && id == last;
                let found: Vec<_> = self.sent.iter().filter(is_it).map(|(_, of, _)| of).collect();
                let (variant, whose) = match found.as_slice() {
                    [] if connection.is_none() && session.is_some() && !view.is_ready() => return,
                    [] => ("never-sent", "which no stream of this server had"),
                    // The first answer opens its session while it is sent.
                    all if all.iter().any(|of| *of == session || of.is_none()) => return tally.held(),
                    [_, ..] => ("of-another-session", "which a stream of another session had"),
                };
                let because = format!("GET was received at {} with Last-Event-ID {last}, {whose}", event.seq);
                tally.broken(Violation::new(variant, because, &[event.seq]));
            }
            EventKind::StreamEvent { exchange, id: Some(id), .. } => {
                let session = self.sessions.get(&exchange_of(event, exchange)).cloned().flatten();
                self.sent.push((server.into(), session, id.clone()));
            }
            _ => {}
        }
    }
}
