//! HTTP streams: how often and how soon a client opens them again.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::host::{ServerExchange, exchange_of};
use crate::check::{AppliesTo, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, ExchangeId, Header, Kind, Seq, SessionId, WireEnd};
use crate::plan::Promise;

/// Upper bound on the streams that a client may request in one window, for one session.
const STREAMS_MAX: usize = 5;
/// Length of that window, on the mock's own clock.
const WINDOW_US: u64 = 1_000_000;
/// This many equal pauses in a row are no backoff: a client would have stopped by then, and random delays differ.
const STEADY_PAUSES: usize = 5;
/// A pause of this length need not grow.
const SLOW_US: u64 = 10_000_000;

/// Counter-examples: A client may open a stream again at once after the stream was cut, and once more if that fails. A
/// stream that carried a message, or lived longer than the pause before the next request, was useful. The delay of a
/// backoff may have an upper bound.
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
    kinds: &[Kind::HttpReceived, Kind::HttpEnded, Kind::WireSent],
    vacuous: "no client requested a stream",
    explain: "The server closed a stream that it need not keep, and the client opened it again and again, without a \
        pause or with the same pause each time. One such client keeps a processor busy; a thousand of them after a \
        deployment are an outage.\n\n\
        Look at the times of the GET requests. To fix it, wait longer after each attempt that carried no message, \
        and treat `retry` as a lower bound.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ReopenedStreams::default()) },
};

#[derive(Default)]
struct ReopenedStreams {
    sessions: BTreeMap<SessionId, StreamRequests>,
    /// The session of each open stream, by server and exchange.
    open: BTreeMap<(String, ExchangeId), SessionId>,
    /// The session whose stream each connection requested last.
    asked_by: BTreeMap<ConnectionId, SessionId>,
}

/// Requests for the stream of one session.
#[derive(Default)]
struct StreamRequests {
    /// Requests within the last window.
    lately: Vec<(Seq, u64)>,
    /// The open stream, and the time of its request.
    open: Option<(ExchangeId, u64)>,
    /// The end of a stream that carried no message: event, time, and how long the stream lived.
    ended: Option<(Seq, u64, u64)>,
    /// Consecutive streams that carried no message: the end of each, and the pause before the next request.
    pauses: Vec<(Seq, u64)>,
}

impl Monitor for ReopenedStreams {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HttpReceived { verb, session: Some(session), exchange, connection, .. } if verb == "GET" => {
                if let Some(connection) = connection {
                    self.asked_by.insert(connection.clone(), session.clone());
                }
                self.open.insert(stream_of(event, exchange), session.clone());
                self.sessions.entry(session.clone()).or_default().again(event, exchange, tally);
            }
            EventKind::HttpEnded { exchange, .. } => {
                let session = self.open.remove(&stream_of(event, exchange));
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
            _ => {}
        }
    }
}

fn stream_of(event: &Event, exchange: &ExchangeId) -> (String, ExchangeId) {
    (event.source.server().unwrap_or_default().to_owned(), exchange.clone())
}

impl StreamRequests {
    fn again(&mut self, event: &Event, exchange: &ExchangeId, tally: &mut Tally) {
        let storm = self.storm(event);
        let steady = self.steady(event);
        self.open = Some((exchange.clone(), event.at_us));
        match storm.or(steady) {
            None => tally.held(),
            Some(violation) => tally.broken(violation),
        }
    }

    fn storm(&mut self, event: &Event) -> Option<Violation> {
        self.lately.retain(|(_, at_us)| event.at_us < at_us + WINDOW_US);
        self.lately.push((event.seq, event.at_us));
        if self.lately.len() <= STREAMS_MAX {
            return None;
        }
        let (first, _) = self.lately.remove(0);
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

/// Counter-example: a second attempt may be on its way when the client reads the refusal, so the second is a warning
/// and the third is a failure.
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
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered],
    vacuous: "no stream was refused",
    explain: "The server has no stream and answered 405, as it may, and the client kept requesting one. The error \
        does not go away with time: each attempt costs a request, and a log line on both sides, for as long as the \
        session lives.\n\n\
        Look at the GET requests after the first 405. To fix it, treat 405 as final: this session has no stream.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RefusedStreams::default()) },
};

#[derive(Default)]
struct RefusedStreams {
    asked: BTreeMap<(String, ExchangeId), SessionId>,
    refused: BTreeMap<SessionId, Seq>,
    again: BTreeSet<SessionId>,
}

impl Monitor for RefusedStreams {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::HttpReceived { verb, session: Some(session), exchange, .. } if verb == "GET" => {
                if let Some(refused) = self.refused.get(session) {
                    let because = format!("a stream was requested at {}, after it was refused at {refused}", event.seq);
                    let violation = Violation::new("asked-again", because, &[*refused, event.seq]);
                    let is_first = self.again.insert(session.clone());
                    tally.broken(if is_first { violation.as_warning() } else { violation });
                }
                self.asked.insert((server.to_owned(), exchange.clone()), session.clone());
            }
            EventKind::HttpAnswered { exchange, status, .. } if !self.asked.is_empty() => {
                let Some(session) = self.asked.remove(&(server.to_owned(), exchange.clone())) else { return };
                if *status == 405 {
                    self.refused.entry(session).or_insert(event.seq);
                    tally.held();
                }
            }
            _ => {}
        }
    }
}

/// Tolerance for a timer that fires early.
const EARLY_US: u64 = 50_000;

/// Counter-example: only a GET with `Last-Event-ID` resumes a stream.
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
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered, Kind::HttpEnded],
    vacuous: "no stream with a retry time was resumed",
    explain: "The server had sent a waiting time and ended the stream, and the client resumed it earlier. Servers \
        use that time to spread their clients after a restart; clients that do not wait are the load that keeps the \
        server down.\n\n\
        Look at the times of the end and of the GET. To fix it, store the newest `retry` of a stream and wait that \
        long.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let retry_us = header.host.as_ref().and_then(|host| host.retry_ms).map(|ms| ms * 1_000);
        Box::new(StreamRetries { retry_us, ..StreamRetries::default() })
    },
};

#[derive(Default)]
struct StreamRetries {
    retry_us: Option<u64>,
    posts: BTreeMap<ServerExchange, bool>,
    ended: Option<(Seq, u64)>,
}

impl Monitor for StreamRetries {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        let Some(retry_us) = self.retry_us else { return };
        match &event.kind {
            EventKind::HttpReceived { verb, exchange, .. } if verb == "POST" => {
                self.posts.insert(exchange_of(event, exchange), false);
            }
            EventKind::HttpAnswered { exchange, streams: true, .. } => {
                self.posts.entry(exchange_of(event, exchange)).and_modify(|streams| *streams = true);
            }
            EventKind::HttpEnded { exchange, how: WireEnd::ByServer | WireEnd::Broken } => {
                let streamed = self.posts.remove(&exchange_of(event, exchange)).filter(|streams| *streams);
                self.ended = streamed.map(|_| (event.seq, event.at_us)).or(self.ended);
            }
            EventKind::HttpReceived { verb, headers, .. } if verb == "GET" && headers.contains_key("last-event-id") => {
                let Some((ended, at_us)) = self.ended.take() else { return };
                let waited_us = event.at_us.saturating_sub(at_us);
                if waited_us + EARLY_US >= retry_us {
                    return tally.held();
                }
                let because = format!(
                    "the stream that ended at {ended} was resumed at {}, after {} ms instead of {} ms",
                    event.seq,
                    waited_us / 1_000,
                    retry_us / 1_000
                );
                tally.broken(Violation::new("early", because, &[ended, event.seq]));
            }
            _ => {}
        }
    }
}
