//! What a client says in the heads of its HTTP requests, and how often it asks for a stream.

use std::collections::{BTreeMap, BTreeSet};

use crate::check::combinator::{Judged, each};
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, ExchangeId, Header, Kind, Message, Seq, SessionId};
use crate::plan::{Promise, Revision};

/// Counter-examples that shaped it. A server that hands out no id is owed none. A ping or a probe of the era may come before
/// the session. A request that names a session the server has forgotten is told by `stale-session-unused`.
pub(super) const SESSION_ID_SENT: Invariant = Invariant {
    id: "session-id-sent",
    property: Property::Safety,
    level: Level::Must,
    claim: "once a session has an id, every request of it carries that id, and initialize carries none",
    source: "2025-11-25, basic/transports, Session Management; the same from 2025-03-26",
    requirement: &["LC-SESS-02", "LC-SESS-03"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SessionOpened, Kind::SessionClosed, Kind::HttpReceived, Kind::WireReceived],
    vacuous: "no session had an id",
    explain: "The server gave the session an id and a request came without it. Servers answer that with 400, or open another \
        session for it, so notifications and cancellations get lost while calls work: they are sent by other code.\n\n\
        Look at the verb and the message of the witness. Mend it by adding the id where requests are made, once for all \
        of them, GET and DELETE included.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(SessionIds::default()) },
};

#[derive(Default)]
struct SessionIds {
    open: BTreeMap<String, usize>,
    /// The head of a POST whose message comes next, by server, and whether it names a session.
    heads: BTreeMap<String, (Seq, bool)>,
}

impl Monitor for SessionIds {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::SessionOpened { .. } => *self.open.entry(server.to_owned()).or_default() += 1,
            EventKind::SessionClosed { .. } => {
                self.open.entry(server.to_owned()).and_modify(|n_open| *n_open = n_open.saturating_sub(1));
            }
            EventKind::HttpReceived { verb, session, .. } if verb == "POST" => {
                self.heads.insert(server.to_owned(), (event.seq, session.is_some()));
            }
            EventKind::HttpReceived { verb, session, .. } => {
                self.judge(event.seq, server, verb, session.is_some(), tally)
            }
            EventKind::WireReceived { message, .. } => {
                let Some((head, names_session)) = self.heads.remove(server) else { return };
                match message.method() {
                    Some("initialize") if names_session => {
                        let because = format!("initialize was sent to {server} at {head} with the id of a session");
                        tally.broken(Violation::new("on-initialize", because, &[head, event.seq]));
                    }
                    Some("initialize" | "ping" | "server/discover") if !names_session => {}
                    method => self.judge(head, server, method.unwrap_or("a response"), names_session, tally),
                }
            }
            _ => {}
        }
    }
}

impl SessionIds {
    fn judge(&self, seq: Seq, server: &str, what: &str, names_session: bool, tally: &mut Tally) {
        if names_session {
            tally.held();
        } else if self.open.get(server).is_some_and(|n_open| *n_open > 0) {
            let because = format!("{what} was sent to {server} at {seq} without the id of its session");
            tally.broken(Violation::new("missing", because, &[seq]));
        }
    }
}

/// Counter-examples that shaped it. 2025-03-26 has no such header. A server that answers with a revision that nobody knows, or with
/// none, has agreed on none: what its client still sends is its goodbye.
pub(super) const PROTOCOL_VERSION_SENT: Invariant = Invariant {
    id: "protocol-version-sent",
    property: Property::Safety,
    level: Level::Must,
    claim: "every request after initialize says which revision was agreed on",
    source: "2025-11-25, basic/transports, Protocol Version Header; the same from 2025-06-18",
    requirement: &["LC-HTTP-13", "LC-HTTP-14"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireSent, Kind::HttpReceived],
    vacuous: "no request of a session was received",
    explain: "A request of a session came without `MCP-Protocol-Version`. A server then takes it for 2025-03-26 and may answer \
        in that revision's way, or refuse it: a client that works with one server fails with the next.\n\n\
        Look at the verb in the reason: GET and DELETE are the ones that are forgotten. A wrong value is a SHOULD. Mend it where \
        requests are made, once the revision is known.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let is_required = header.revision.parse::<Revision>().is_ok_and(|revision| revision >= Revision::R20250618);
        Box::new(AgreedVersions { is_required, agreed: BTreeMap::new() })
    },
};

struct AgreedVersions {
    is_required: bool,
    agreed: BTreeMap<ConnectionId, String>,
}

impl Monitor for AgreedVersions {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireSent { connection, message } => {
                if let Some(version) = agreed_version(message) {
                    self.agreed.insert(connection.clone(), version.to_owned());
                }
            }
            EventKind::HttpReceived { verb, connection: Some(connection), headers, .. } => {
                let found = headers.get("mcp-protocol-version").map(String::as_str);
                let agreed = self.agreed.get(connection).map(String::as_str);
                let is_unheard_of = agreed.is_none_or(|agreed| agreed.parse::<Revision>().is_err());
                let because = match (found, agreed) {
                    (None, _) if is_unheard_of => return,
                    (None, _) if self.is_required => {
                        let because = format!("{verb} was received at {} without MCP-Protocol-Version", event.seq);
                        tally.broken(Violation::new("missing", because, &[event.seq]));
                        return;
                    }
                    (Some(found), Some(agreed)) if found != agreed => {
                        format!("{verb} was received at {} for {found}, where {agreed} was agreed on", event.seq)
                    }
                    (_, _) => return tally.held(),
                };
                tally.broken(Violation::new("other-version", because, &[event.seq]).as_warning());
            }
            _ => {}
        }
    }
}

fn agreed_version(message: &Message) -> Option<&str> {
    message.at(&["result", "protocolVersion"]).and_then(serde_json::Value::as_str)
}

/// Counter-example that shaped it: a wildcard accepts both.
pub(super) const ACCEPT_OFFERS_BOTH: Invariant = Invariant {
    id: "accept-offers-both",
    property: Property::Safety,
    level: Level::Must,
    claim: "every POST accepts JSON and event streams, and every GET event streams",
    source: "2025-11-25, basic/transports, Sending Messages to the Server and Listening for Messages from the Server",
    requirement: &["LC-HTTP-02", "LC-HTTP-05"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived],
    vacuous: "no POST or GET was received",
    explain: "A request did not say that it takes both kinds of answer. The server chooses which of them it gives; a strict one \
        refuses the request with 406, and which servers are strict changes with their next release.\n\n\
        Look at the `accept` header of the witness. Mend it by sending `application/json, text/event-stream` with every POST.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_accept) },
};

fn judge_accept(event: &Event, _view: &View) -> Judged {
    let EventKind::HttpReceived { verb, headers, .. } = &event.kind else { return Judged::Unrelated };
    let accept = headers.get("accept").map_or("", String::as_str);
    let wanted: &[&str] = match verb.as_str() {
        "POST" => &["application/json", "text/event-stream"],
        "GET" => &["text/event-stream"],
        _ => return Judged::Unrelated,
    };
    match wanted.iter().find(|wanted| !accepts(accept, wanted)) {
        None => Judged::Held,
        Some(missing) => {
            let because = format!("{verb} was received at {} and does not accept {missing}", event.seq);
            Judged::Broken(Violation::new("not-accepted", because, &[event.seq]))
        }
    }
}

/// Whether an `accept` header covers a media type.
fn accepts(accept: &str, wanted: &str) -> bool {
    let family = wanted.split('/').next().unwrap_or(wanted);
    accept.split(',').map(|range| range.split(';').next().unwrap_or(range).trim()).any(|range| {
        let is_family = range.strip_suffix("/*").is_some_and(|found| found.eq_ignore_ascii_case(family));
        range == "*/*" || is_family || range.eq_ignore_ascii_case(wanted)
    })
}

/// Most streams a client may ask for in one window, for one session.
const STREAMS_MAX: usize = 5;
/// Length of that window, on the mock's own clock.
const WINDOW_US: u64 = 1_000_000;
/// As many pauses of one length in a row are no backoff: whoever gives up has done so, and delays drawn by chance differ.
const STEADY_PAUSES: usize = 5;
/// Pauses this long need not grow any more.
const SLOW_US: u64 = 10_000_000;

/// Counter-examples that shaped it. A stream that is cut may be asked for again at once, and once more when that fails. A stream
/// that said something, or lived longer than the pause behind it, was worth asking for. Delays of a backoff may have a bound.
pub(super) const STREAM_REOPENED_SLOWLY: Invariant = Invariant {
    id: "stream-reopened-slowly",
    property: Property::Safety,
    level: Level::Own,
    claim: "a client asks for the stream of one session at most five times a second, and ever more slowly while it brings nothing",
    source: "VG-19: who reconnects, does it ever more slowly; 2025-11-25, basic/transports: either side may close the stream",
    requirement: &["VG-19", "LC-HTTP-11", "LC-HTTP-06"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpEnded, Kind::WireSent],
    vacuous: "no client asked for a stream",
    explain: "The server closed the stream it need not keep, and the client asked for it again and again, without a pause or after \
        the same one each time. One client is a warm processor; a thousand of them after a deployment are an outage.\n\n\
        Look at the times of the GET requests. Mend it by waiting longer after each attempt that brought nothing, and by \
        honouring `retry` as a lower bound.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ReopenedStreams::default()) },
};

#[derive(Default)]
struct ReopenedStreams {
    sessions: BTreeMap<SessionId, StreamRequests>,
    /// The session of each stream that is open; the numbers of exchanges are those of one server.
    open: BTreeMap<(String, ExchangeId), SessionId>,
    /// The session whose stream a connection asked for last.
    asked_by: BTreeMap<ConnectionId, SessionId>,
}

/// What was asked of the stream of one session.
#[derive(Default)]
struct StreamRequests {
    /// Within the last window.
    lately: Vec<(Seq, u64)>,
    /// The stream that is open: when it was asked for.
    open: Option<(ExchangeId, u64)>,
    /// The stream that ended and brought nothing: where, when, and how long it lived.
    ended: Option<(Seq, u64, u64)>,
    /// Where streams ended that brought nothing, and how long it took to ask for the next, all in a row.
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
                // A stream that another has replaced ended unheard.
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
            format!("the stream of one session was asked for {} times from {first} to {}", STREAMS_MAX + 1, event.seq);
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
        // A quarter more is what a busy machine adds.
        if longest > shortest + shortest / 4 {
            return None;
        }
        let first = lately[0].0;
        let because = format!(
            "a stream that brought nothing was asked for again {STEADY_PAUSES} times from {first} to {}, after {} to {} ms each time",
            event.seq,
            shortest / 1_000,
            longest / 1_000
        );
        self.pauses.clear();
        Some(Violation::new("steady", because, &[first, event.seq]))
    }
}

/// Counter-example that shaped it: a second attempt may already be under way when the refusal is read; so it is a warning, and
/// the third is a failure.
pub(super) const REFUSED_STREAM_ACCEPTED: Invariant = Invariant {
    id: "refused-stream-accepted",
    property: Property::Safety,
    level: Level::Own,
    claim: "a client that is told with 405 that there is no stream does not ask for it again",
    source: "2025-11-25, basic/transports, Listening for Messages from the Server; VG-19",
    requirement: &["VG-19", "LC-HTTP-06", "LC-RES-07"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered],
    vacuous: "no stream was refused",
    explain: "The server has no stream and said so, as it may, and the client went on asking. It is not an error that time \
        mends: each attempt costs a request, and a log line on both sides, for as long as the session lives.\n\n\
        Look at the GET requests after the first 405. Mend it by taking 405 as an answer: this session has no stream.",
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
                    let because = format!("a stream was asked for at {}, after it was refused at {refused}", event.seq);
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
