//! Streams that end: how soon a client comes back, and what it resumes.

use crate::check::host::{ServerExchange, exchange_of};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{Event, EventKind, Header, KeySet, Kind, Name, Seq, SessionId, SocketId, Table, WireEnd};
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
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::StreamEvent,
        Kind::HttpEnded,
        Kind::SocketClosed,
        Kind::SessionClosed,
    ],
    hears: Hears::ALL,
    vacuous: "no stream with a retry time was resumed",
    explain: "The server had sent a waiting time and ended the stream, and the client resumed it earlier. Servers \
        use that time to spread their clients after a restart; clients that do not wait cause the load that keeps the \
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
    ended: Table<ServerSession, Vec<EndedStream>>,
    /// The sessions whose ended streams each open socket has carried.
    carried: Table<(Name, SocketId), Vec<ServerSession>>,
}

/// A server and one of its sessions; no session where the request names none.
type ServerSession = (Name, Option<SessionId>);

fn server_of(event: &Event) -> Name {
    event.source.server().unwrap_or_default().into()
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
    stream: OpenStream,
    seq: Seq,
    at_us: u64,
    /// Whether its client has closed the socket since.
    is_closed: bool,
}

impl EndedStream {
    /// Whether its client has waited as long as the server had asked.
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
                // No request shows that it opens such a stream again.
                if !stream.is_get && stream.ids.is_empty() && self.default_us.is_none() {
                    return;
                }
                let server = server_of(event);
                let of = (server.clone(), stream.session.clone());
                let carried = self.carried.entry((server, stream.socket.clone())).or_default();
                if !carried.contains(&of) {
                    carried.push(of.clone());
                }
                let (seq, at_us) = (event.seq, event.at_us);
                self.ended.entry(of).or_default().push(EndedStream { stream, seq, at_us, is_closed: false });
            }
            EventKind::SocketClosed { socket, .. } => {
                let carried = self.carried.swap_remove(&(server_of(event), socket.clone()));
                for of in carried.unwrap_or_default() {
                    let streams = self.ended.get_mut(&of).into_iter().flatten();
                    streams.filter(|ended| ended.stream.socket == *socket).for_each(|ended| ended.is_closed = true);
                }
            }
            EventKind::SessionClosed { session, how: WireEnd::ByClient, .. } => {
                self.ended.swap_remove(&(server_of(event), Some(session.clone())));
            }
            _ => {}
        }
    }
}

impl StreamRetries {
    /// Judges a GET by the ended stream that it opens again, from which the new stream takes ids and waiting time.
    fn opened_again(&mut self, event: &Event, stream: &mut OpenStream, last: Option<&String>, tally: &mut Tally) {
        let of = (server_of(event), stream.session.clone());
        let Some((of, index)) = (match last {
            Some(last) => self.resumed(of, last),
            None => self.replaced(event, stream, of),
        }) else {
            return;
        };
        let Some(streams) = self.ended.get_mut(&of) else { return };
        let EndedStream { stream: before, seq, at_us, .. } = streams.remove(index);
        if streams.is_empty() {
            self.ended.swap_remove(&of);
        }
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

    /// The stream that a GET with the id of an event resumes: one of its session, else one of another session of its server.
    fn resumed(&self, of: ServerSession, last: &String) -> Option<(ServerSession, usize)> {
        let has_id = |ended: &EndedStream| {
            if ended.stream.ids.is_empty() {
                // A mock that records no events does not tell which stream has the id.
                self.default_us.is_some() && !ended.stream.is_get
            } else {
                ended.stream.ids.contains(last)
            }
        };
        if let Some(index) = self.ended.get(&of).and_then(|streams| streams.iter().rposition(has_id)) {
            return Some((of, index));
        }
        let others = self.ended.iter().filter(|(other, _)| other.0 == of.0);
        let found = others.filter_map(|(other, streams)| Some((other, streams.iter().rposition(has_id)?, streams)));
        let newest = found.max_by_key(|(_, index, streams)| streams[*index].seq);
        newest.map(|(other, index, _)| (other.clone(), index))
    }

    /// The stream of its session that a GET without such an id opens again.
    fn replaced(&self, event: &Event, stream: &OpenStream, of: ServerSession) -> Option<(ServerSession, usize)> {
        let is_beside = |(at, other): (&ServerExchange, &OpenStream)| {
            other.is_get && other.session == stream.session && Some(at.0.as_str()) == event.source.server()
        };
        if self.open.iter().any(is_beside) {
            return None;
        }
        let ended = self.ended.get(&of)?;
        let all: Vec<usize> = (0..ended.len()).filter(|index| ended[*index].stream.is_get).collect();
        let newest = *all.last()?;
        let due = all.iter().copied().find(|index| ended[*index].is_due(event));
        let is_first = all.len() == 1;
        let index = due.or_else(|| (!is_first || !ended[newest].may_be_unread(event, stream)).then_some(newest))?;
        Some((of, index))
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
    kinds: &[Kind::HttpReceived, Kind::StreamEvent, Kind::HttpEnded],
    hears: Hears::ALL,
    vacuous: "no client resumed a stream",
    explain: "The client sent `Last-Event-ID` with an id that the server never sent in that session: made up, changed, or \
        kept from another session. The server replays from that id, so the client loses events or gets those of \
        another client.\n\n\
        Look at the GET in the witness. To fix it, store the id of the newest event with its stream, send it \
        unchanged, and forget it with its session.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(EventIds::default()) },
};

#[derive(Default)]
struct EventIds {
    /// The session of each open request.
    sessions: Table<ServerExchange, Option<SessionId>>,
    /// The sessions whose streams had an event with this id, by server and id.
    sent: Table<(Name, Name), KeySet<Option<SessionId>>>,
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
                let (variant, whose) = match self.sent.get(&(server.into(), last.into())) {
                    None if connection.is_none() && session.is_some() && !view.is_ready() => return,
                    None => ("never-sent", "which no stream of this server had"),
                    // The first answer opens its session while it is sent.
                    Some(of) if of.contains(session) || of.contains(&None) => return tally.held(),
                    Some(_) => ("of-another-session", "which a stream of another session had"),
                };
                let because = format!("GET was received at {} with Last-Event-ID {last}, {whose}", event.seq);
                tally.broken(Violation::new(variant, because, &[event.seq]));
            }
            EventKind::StreamEvent { exchange, id: Some(id), .. } => {
                let session = self.sessions.get(&exchange_of(event, exchange)).cloned().flatten();
                self.sent.entry((server.into(), id.into())).or_default().insert(session);
            }
            EventKind::HttpEnded { exchange, .. } => {
                self.sessions.swap_remove(&exchange_of(event, exchange));
            }
            _ => {}
        }
    }
}
