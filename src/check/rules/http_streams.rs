//! HTTP streams: how often and how soon a client opens them again.

use std::collections::BTreeSet;

use crate::check::lessons::{ServerSocket, Sockets, socket_of};
use crate::check::rules::resume::EARLY_US;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, ExchangeId, Header, KeySet, Kind, Name, Seq, SessionId, Table};
use crate::plan::Promise;

/// Largest number of streams that a client may request in one window, for one session.
const STREAMS_MAX: usize = 5;
/// Length of that window, on the mock's own clock.
const WINDOW_US: u64 = 1_000_000;
/// This many equal pauses in a row are not backoff: a client would have stopped by then, and random delays differ.
const STEADY_PAUSES: usize = 5;
/// A pause of this length need not grow.
const SLOW_US: u64 = 3_000_000;

/// Counter-examples: A client may open a stream again at once after the stream was cut, and once more if that fails. A
/// stream that carried a message, or lived longer than the pause before the next request, was useful. The delay of a
/// backoff may have an upper bound. A server that says `retry` asks its client to come back after that time, each time.
pub(super) const STREAM_REOPENED_SLOWLY: Invariant = Invariant {
    id: "stream-reopened-slowly",
    property: Property::Safety,
    level: Level::Own,
    claim: "a client requests the stream of a session at most five times a second, and slows down while the stream carries no message",
    source: "VG-19: reconnects slow down; 2025-11-25, basic/transports: either side may close the stream",
    requirement: &["VG-19", "LC-HTTP-11", "LC-HTTP-06"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::StreamEvent, Kind::HttpEnded, Kind::SessionClosed, Kind::WireSent],
    hears: Hears::only(&[(Kind::WireSent, &[Of::AnyRequest, Of::AnyNotice])]),
    vacuous: "no client requested a stream",
    explain: "The server closed a stream that it need not keep, and the client opened it again and again, without a \
        pause or with the same pause each time. One such client keeps a processor busy; a thousand such clients after \
        a deployment cause an outage.\n\n\
        Look at the times of the GET requests. To fix it, wait longer after each attempt that carried no message, \
        and treat `retry` as a lower bound.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ReopenedStreams::default()) },
};

#[derive(Default)]
struct ReopenedStreams {
    sessions: Table<SessionId, StreamRequests>,
    /// The session of each open stream, by server and exchange.
    open: Table<(Name, ExchangeId), SessionId>,
    /// The session whose stream each connection requested last.
    asked_by: Table<ConnectionId, SessionId>,
    /// The session of each POST whose response is open.
    posted: Table<(Name, ExchangeId), SessionId>,
}

/// Requests for the stream of one session.
#[derive(Default)]
struct StreamRequests {
    /// Requests within the last window, by the event from which they resume. Several streams may be resumed at once.
    lately: Table<Option<String>, Vec<(Seq, u64)>>,
    /// The open stream, and the time of its request.
    open: Option<(ExchangeId, u64)>,
    /// The end of a stream that carried no message: event, time, and how long the stream lived.
    ended: Option<(Seq, u64, u64)>,
    /// Consecutive streams that carried no message: the end of each, and the pause before the next request.
    pauses: Vec<(Seq, u64)>,
    /// The newest reconnection time that the server gave, unless it is 0.
    told_us: Option<u64>,
}

impl Monitor for ReopenedStreams {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HttpReceived { verb, session: Some(session), exchange, connection, headers, .. }
                if verb == "GET" =>
            {
                if let Some(connection) = connection {
                    self.asked_by.insert(connection.clone(), session.clone());
                }
                self.open.insert(stream_of(event, exchange), session.clone());
                let resumed = headers.get("last-event-id").cloned();
                self.sessions.entry(session.clone()).or_default().again(event, exchange, resumed, tally);
            }
            EventKind::HttpReceived { verb, session: Some(session), exchange, .. } if verb == "POST" => {
                self.posted.insert(stream_of(event, exchange), session.clone());
            }
            EventKind::StreamEvent { exchange, retry_ms: Some(retry_ms), .. } => {
                let stream = stream_of(event, exchange);
                if let Some(session) = self.open.get(&stream).or_else(|| self.posted.get(&stream)) {
                    let asked = self.sessions.entry(session.clone()).or_default();
                    asked.told_us = Some(retry_ms.saturating_mul(1_000)).filter(|us| *us > 0);
                }
            }
            EventKind::HttpEnded { exchange, .. } => {
                self.posted.swap_remove(&stream_of(event, exchange));
                let session = self.open.swap_remove(&stream_of(event, exchange));
                let asked = session.and_then(|session| self.sessions.get_mut(&session));
                // The end of a replaced stream does not count.
                if let Some(asked) = asked
                    && let Some((_, at_us)) = asked.open.take_if(|(open, _)| open == exchange)
                {
                    asked.ended = Some((event.seq, event.at_us, event.at_us.saturating_sub(at_us)));
                }
            }
            EventKind::WireSent { connection, message } if message.method().is_some() => {
                let session = self.asked_by.get(connection);
                if let Some(asked) = session.and_then(|session| self.sessions.get_mut(session)) {
                    asked.pauses.clear();
                }
            }
            EventKind::SessionClosed { connection, session, .. } => {
                self.sessions.swap_remove(session);
                self.asked_by.swap_remove(connection);
            }
            _ => {}
        }
    }
}

fn stream_of(event: &Event, exchange: &ExchangeId) -> (Name, ExchangeId) {
    (event.source.server().unwrap_or_default().into(), exchange.clone())
}

impl StreamRequests {
    fn again(&mut self, event: &Event, exchange: &ExchangeId, resumed: Option<String>, tally: &mut Tally) {
        if self.is_as_told(event) {
            self.lately.clear();
            self.pauses.clear();
            self.ended = None;
        }
        let storm = self.storm(event, resumed);
        let steady = self.steady(event);
        self.open = Some((exchange.clone(), event.at_us));
        match storm.or(steady) {
            None => tally.held(),
            Some(violation) => tally.broken(violation),
        }
    }

    /// Whether the request comes after the pause for which the server asked.
    fn is_as_told(&self, event: &Event) -> bool {
        let Some(told_us) = self.told_us else { return false };
        let newest = self.lately.values().flatten().map(|(_, at_us)| *at_us).max();
        let since = self.ended.map(|(_, at_us, _)| at_us).or(newest);
        since.is_some_and(|since| event.at_us.saturating_sub(since) + EARLY_US >= told_us)
    }

    fn storm(&mut self, event: &Event, resumed: Option<String>) -> Option<Violation> {
        self.lately.retain(|_, lately| {
            lately.retain(|(_, at_us)| event.at_us < at_us + WINDOW_US);
            !lately.is_empty()
        });
        let lately = self.lately.entry(resumed).or_default();
        lately.push((event.seq, event.at_us));
        if lately.len() <= STREAMS_MAX {
            return None;
        }
        let (first, _) = lately.remove(0);
        let because =
            format!("the stream of one session was requested {} times from {first} to {}", STREAMS_MAX + 1, event.seq);
        Some(Violation::new("storm", because, &[first, event.seq]))
    }

    fn steady(&mut self, event: &Event) -> Option<Violation> {
        let (seq, at_us, lived_us) = self.ended.take()?;
        let pause_us = event.at_us.saturating_sub(at_us);
        if lived_us > pause_us || pause_us >= SLOW_US {
            self.pauses.clear();
            return None;
        }
        self.pauses.push((seq, pause_us));
        let lately = &self.pauses[self.pauses.len().checked_sub(STEADY_PAUSES)?..];
        let lengths = || lately.iter().map(|(_, us)| *us);
        let (shortest, longest) = (lengths().min()?, lengths().max()?);
        // A busy machine may add a quarter to a pause.
        if longest > shortest + shortest / 4 {
            return None;
        }
        let first = lately[0].0;
        let because = format!(
            "a stream that carried no message was requested again {STEADY_PAUSES} times from {first} to {}, after {} to {} ms each time",
            event.seq,
            shortest / 1_000,
            longest / 1_000
        );
        self.pauses.clear();
        Some(Violation::new("steady", because, &[first, event.seq]))
    }
}

/// Counter-examples: A second attempt may be on its way when the client reads the refusal, so the second is a warning and
/// the third is a failure. A GET with the id of an event resumes the stream of a call, which was not refused. Where no harness
/// watches how busy the machine is, nothing shows that a client has read a refusal that still waits in an open socket.
pub(super) const REFUSED_STREAM_ACCEPTED: Invariant = Invariant {
    id: "refused-stream-accepted",
    property: Property::Safety,
    level: Level::Own,
    claim: "a client does not request a stream again after a 405",
    source: "2025-11-25, basic/transports, Listening for Messages from the Server; VG-19",
    requirement: &["VG-19", "LC-HTTP-06", "LC-RES-07"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::HttpEnded,
        Kind::StreamEvent,
        Kind::SocketOpened,
        Kind::SocketClosed,
    ],
    hears: Hears::ALL,
    vacuous: "no stream was refused",
    explain: "The server has no stream and answered 405, as it may, and the client kept requesting one. A later \
        request gets the same error: each attempt costs a request, and a log line on both sides, as long as the \
        session lives.\n\n\
        Look at the GET requests after the first 405. To fix it, treat 405 as final: this session has no stream.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RefusedStreams::default()) },
};

/// A stream: its session, and the event from which it is resumed if that is an event of the server.
type Wanted = (SessionId, Option<String>);

#[derive(Default)]
struct RefusedStreams {
    asked: Table<(Name, ExchangeId), Wanted>,
    refused: Table<Wanted, Refusal>,
    /// The refusals that may still wait in each open socket.
    waiting: Table<ServerSocket, Vec<Wanted>>,
    sockets: Sockets,
    again: KeySet<Wanted>,
    /// The ids of all events.
    ids: BTreeSet<String>,
}

/// The first refusal of a stream.
struct Refusal {
    seq: Seq,
    /// Whether it may still wait in its socket, which is open and was not used since.
    may_wait: bool,
}

impl Monitor for RefusedStreams {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        if let EventKind::HttpReceived { socket, pipelined: false, .. } | EventKind::SocketClosed { socket, .. } =
            &event.kind
        {
            for wanted in self.waiting.swap_remove(&socket_of(event, socket)).unwrap_or_default() {
                self.refused.entry(wanted).and_modify(|refusal| refusal.may_wait = false);
            }
        }
        match &event.kind {
            EventKind::HttpReceived { verb, session: Some(session), exchange, headers, .. } if verb == "GET" => {
                let resumed = headers.get("last-event-id").filter(|id| self.ids.contains(*id)).cloned();
                let wanted = (session.clone(), resumed);
                let known = self.refused.get(&wanted).filter(|refusal| view.is_ready() || !refusal.may_wait);
                if let Some(Refusal { seq: refused, .. }) = known {
                    let because = format!("a stream was requested at {}, after it was refused at {refused}", event.seq);
                    let violation = Violation::new("asked-again", because, &[*refused, event.seq]);
                    let is_first = self.again.insert(wanted.clone());
                    tally.broken(if is_first { violation.as_warning() } else { violation });
                }
                self.asked.insert((server.into(), exchange.clone()), wanted);
            }
            EventKind::StreamEvent { id: Some(id), .. } => {
                self.ids.insert(id.clone());
            }
            EventKind::HttpAnswered { exchange, status, .. } if !self.asked.is_empty() => {
                if let Some(wanted) = self.asked.swap_remove(&(server.into(), exchange.clone()))
                    && *status == 405
                {
                    tally.held();
                    if !self.refused.contains_key(&wanted) {
                        let socket = self.sockets.of(event, exchange).filter(|socket| self.sockets.is_open(socket));
                        let refusal = Refusal { seq: event.seq, may_wait: socket.is_some() };
                        if let Some(socket) = socket {
                            self.waiting.entry(socket.clone()).or_default().push(wanted.clone());
                        }
                        self.refused.insert(wanted, refusal);
                    }
                }
            }
            _ => {}
        }
        self.sockets.see(event);
    }
}
