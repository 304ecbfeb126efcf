//! HTTP with server-sent events: where messages are posted, and what ends a session.

use std::collections::BTreeMap;

use crate::check::combinator::{Judged, each};
use crate::check::host::{ServerExchange, exchange_of};
use crate::check::lessons::{Lesson, ServerSocket, Sockets, socket_of};
use crate::check::metadata::says_revision;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{
    ConnectionId, Event, EventKind, ExchangeId, Header, KeySet, Kind, LinkPeer, Message, Name, Seq, SessionId, Table,
    WireEnd,
};
use crate::plan::Promise;

/// Counter-examples: A client of both HTTP transports first posts `initialize` to the address of the stream, to find
/// out whether the server supports streamable HTTP, and gets 405; the probe may be a message of 2026-07-28 as well. A
/// message that names a finished session was posted to the right place, but too late.
pub(super) const POSTED_TO_ENDPOINT: Invariant = Invariant {
    id: "posted-to-endpoint",
    property: Property::Safety,
    level: Level::Must,
    claim: "every message is posted to the address that the stream names",
    source: "2024-11-05, basic/transports, HTTP with SSE",
    requirement: &["LC-SSE-02", "LC-SSE-01", "LC-SSE-07"],
    applies: AppliesTo::SSE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::MockListening,
        Kind::SessionOpened,
        Kind::SessionClosed,
        Kind::HttpReceived,
        Kind::HttpStray,
        Kind::HttpAnswered,
    ],
    hears: Hears::ALL,
    vacuous: "nothing was posted",
    explain: "The first event of the stream names the address for messages, and the client posted a message \
        elsewhere. The address may be relative and usually has a query, which names the session. A client that \
        concatenates the two addresses, or keeps only the path, works with some servers and fails with others.\n\n\
        Look at the request of the witness and at its answer. To fix it, resolve the address of the event against \
        the address of the stream, as a browser does, and use all of it.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(PostedMessages::default()) },
};

#[derive(Default)]
struct PostedMessages {
    known: KeySet<SessionId>,
    /// Number of open streams of each server.
    open: Table<String, usize>,
    /// The path of the stream of each server.
    streams: BTreeMap<String, String>,
    /// Unanswered POST requests that name no known session.
    strays: Table<(Name, ExchangeId), Seq>,
}

impl Monitor for PostedMessages {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        let Some(server) = event.source.server() else { return };
        match &event.kind {
            EventKind::SessionOpened { session, .. } => {
                self.known.insert(session.clone());
                *self.open.entry(server.to_owned()).or_default() += 1;
            }
            EventKind::SessionClosed { .. } => {
                self.open.entry(server.to_owned()).and_modify(|n_open| *n_open = n_open.saturating_sub(1));
            }
            EventKind::MockListening { url } => {
                let path = url.splitn(4, '/').nth(3).map(|path| format!("/{path}"));
                self.streams.extend(path.map(|path| (server.into(), path)));
            }
            EventKind::HttpReceived { verb, session, exchange, path, message, .. } if verb == "POST" => match session {
                Some(session) if self.known.contains(session) => tally.held(),
                None if self.is_misplaced(server, path.as_deref(), message.as_deref()) => {
                    let what = message.as_deref().and_then(Message::method).unwrap_or("a message");
                    let path = path.as_deref().unwrap_or_default();
                    let because = format!(
                        "{what} was posted to {server} at {} to {path}, which is not the address that a stream has named",
                        event.seq
                    );
                    tally.broken(Violation::new("elsewhere", because, &[event.seq]));
                }
                _ if self.open.get(server).is_some_and(|n_open| *n_open > 0) => {
                    self.strays.insert((server.into(), exchange.clone()), event.seq);
                }
                _ => {}
            },
            EventKind::HttpStray { exchange, message: Some(_), .. }
                if self.open.get(server).is_some_and(|n| *n > 0) =>
            {
                self.strays.insert((server.into(), exchange.clone()), event.seq);
            }
            EventKind::HttpAnswered { exchange, status, .. } => {
                let Some(posted) = self.strays.swap_remove(&(server.into(), exchange.clone())) else { return };
                if *status != 405 {
                    let because = format!(
                        "a message was posted to {server} at {posted} to another address than its stream names"
                    );
                    tally.broken(Violation::new("elsewhere", because, &[posted, event.seq]));
                }
            }
            _ => {}
        }
    }
}

impl PostedMessages {
    /// Whether a POST without a session has a wrong address for certain: it is a guess, or no probe of the transport.
    fn is_misplaced(&self, server: &str, path: Option<&str>, message: Option<&Message>) -> bool {
        let Some((path, stream)) = path.zip(self.streams.get(server)) else { return false };
        if path != stream {
            return true;
        }
        let is_probe = |message: &Message| {
            message.is_request("initialize") || message.is_request("server/discover") || says_revision(message)
        };
        self.open.get(server).is_some_and(|n_open| *n_open > 0) && message.is_some_and(|message| !is_probe(message))
    }
}

/// Counter-example: a client of both HTTP transports probes with POST before it opens the stream.
pub(super) const OLD_TRANSPORT_ALONE: Invariant = Invariant {
    id: "old-transport-alone",
    property: Property::Safety,
    level: Level::Should,
    claim: "over HTTP with server-sent events a client sends GET and POST only, and ends a session by closing its stream",
    source: "2025-11-25, basic/transports, Backwards Compatibility: use that transport for all subsequent communication; 2024-11-05, basic/lifecycle, Shutdown, HTTP",
    requirement: &["LC-SSE-07", "LC-SSE-04"],
    applies: AppliesTo::SSE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpStray],
    hears: Hears::ALL,
    vacuous: "no request was received",
    explain: "The client sent DELETE to a server of HTTP with server-sent events, as streamable HTTP ends a session. This \
        transport has no such request: the server refuses it, and the session continues until its stream is \
        closed.\n\n\
        Look at the request of the witness; often the code that closes a session does not know its transport. \
        To fix it, choose the transport once, when the `endpoint` event arrives, and close the stream at the end.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_old_verb) },
};

fn judge_old_verb(event: &Event, _view: &View) -> Judged {
    let (EventKind::HttpReceived { verb, .. } | EventKind::HttpStray { verb, .. }) = &event.kind else {
        return Judged::Unrelated;
    };
    match verb.as_str() {
        "GET" | "POST" => Judged::Held,
        "DELETE" => {
            let because = format!("DELETE was received at {}, which this transport does not have", event.seq);
            Judged::Broken(Violation::new("deleted", because, &[event.seq]))
        }
        _ => Judged::Unrelated,
    }
}

/// Counter-examples: A message that was under way when its client closed the stream arrives later, also much later where
/// the client stood still. A request that follows, on its own socket, an answer that was sent after the end of the stream was
/// not under way, and neither was one behind the refusal of another. A stream that its server ended, or that broke, may have
/// ended without the notice of its client.
pub(super) const CLOSED_STREAM_SILENT: Invariant = Invariant {
    id: "closed-stream-silent",
    property: Property::Safety,
    level: Level::Own,
    claim: "nothing is posted to the address of a stream that its client has closed",
    source: "VG-20: an ended session is not used; 2024-11-05, basic/lifecycle, Shutdown, HTTP: closing the connection is the shutdown",
    requirement: &["VG-20", "LC-SSE-04", "LC-SSE-02"],
    applies: AppliesTo::SSE,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::SessionOpened,
        Kind::SessionClosed,
        Kind::SocketOpened,
        Kind::SocketClosed,
        Kind::HttpReceived,
        Kind::HttpStray,
        Kind::HttpAnswered,
        Kind::HttpEnded,
    ],
    hears: Hears::ALL,
    vacuous: "no client closed its stream",
    explain: "The client closed the stream that is its session, and posted a message of that session later. Its server has \
        ended the session and refuses the message, and there is no stream on which an answer could come: the caller waits \
        until its timeout. Often a client that has connected again keeps the address of the stream before.\n\n\
        Look at the stream and at the message of the witness. To fix it, keep the address with the stream, and drop both \
        together.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ClosedStreams::default()) },
};

#[derive(Default)]
struct ClosedStreams {
    sockets: Sockets,
    closed: Table<ServerSession, ClosedStream>,
    /// The session of each message that came later, by its exchange.
    late: Table<ServerExchange, ServerSession>,
}

/// A session and its server.
type ServerSession = (Name, SessionId);

/// A stream that its client has closed.
struct ClosedStream {
    seq: Seq,
    /// The answer to the first message that came later.
    refusal: Option<Lesson>,
}

impl Monitor for ClosedStreams {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let server = event.source.server().unwrap_or_default();
        match &event.kind {
            EventKind::SessionOpened { session, .. } => {
                self.closed.swap_remove(&(server.into(), session.clone()));
            }
            EventKind::SessionClosed { session, how: WireEnd::ByClient, .. } => {
                let closed = ClosedStream { seq: event.seq, refusal: None };
                self.closed.insert((server.into(), session.clone()), closed);
                tally.held();
            }
            EventKind::HttpReceived { verb, session, query, socket, exchange, .. } if verb == "POST" => {
                let named = session.iter().cloned().chain(values(query.as_deref()));
                let mut named = named.map(|id| (Name::from(server), id));
                let closed = named.find(|id| self.closed.contains_key(id));
                if let Some(id) = closed.filter(|_| view.signalled().is_none()) {
                    self.posted(event, &id, &socket_of(event, socket), tally);
                    self.late.insert(exchange_of(event, exchange), id);
                }
            }
            EventKind::HttpAnswered { exchange, .. } => {
                let late = self.late.swap_remove(&exchange_of(event, exchange));
                if let Some(closed) = late.and_then(|id| self.closed.get_mut(&id)) {
                    let lesson = self.sockets.lesson(event, exchange);
                    closed.refusal.get_or_insert(lesson);
                }
            }
            _ => {}
        }
        self.sockets.see(event);
    }
}

impl ClosedStreams {
    /// Takes a message that names a session whose stream is closed.
    fn posted(&mut self, event: &Event, id: &ServerSession, socket: &ServerSocket, tally: &mut Tally) {
        let Some(closed) = self.closed.get_mut(id) else { return };
        let sockets = &self.sockets;
        let is_behind = closed.refusal.as_mut().is_some_and(|refusal| refusal.was_read(event, socket, sockets));
        // Its client had read an answer that was sent after the end of the stream, and then wrote this.
        let is_later = !is_pipelined(event) && sockets.is_answered_after(socket, closed.seq);
        if is_behind || is_later {
            let because = format!(
                "a message was posted at {} to the address of a stream that its client had closed at {}",
                event.seq, closed.seq
            );
            tally.broken(Violation::new("posted", because, &[closed.seq, event.seq]));
        }
    }
}

fn is_pipelined(event: &Event) -> bool {
    matches!(event.kind, EventKind::HttpReceived { pipelined: true, .. })
}

/// The values of a query, each of which may name a session.
fn values(query: Option<&str>) -> impl Iterator<Item = SessionId> {
    let values = query.unwrap_or_default().split('&').filter_map(|part| part.split_once('='));
    values.map(|(_, value)| SessionId(value.into()))
}

/// Counter-examples: A server that has ended has no stream. A server that misbehaved may still have one, and the client
/// must close it, but a server that its script has stopped does not see that. A stream that was opened during cleanup or after it is not judged.
pub(super) const STREAM_CLOSED: Invariant = Invariant {
    id: "stream-closed",
    property: Property::Liveness,
    level: Level::Own,
    claim: "cleanup closes every stream that represents a session",
    source: "VG-06: no session is left; 2024-11-05, basic/lifecycle, Shutdown, HTTP: closing the connection is the shutdown",
    requirement: &["VG-06", "LC-SSE-04"],
    applies: AppliesTo::SSE,
    needs: Promise::ClosesServers,
    witness: Witness::Always,
    kinds: &[Kind::SessionOpened, Kind::ConnectionClosed, Kind::MockEnding, Kind::LinkClosed, Kind::GraceExpired],
    hears: Hears::ALL,
    vacuous: "no stream was open at a cleanup",
    explain: "Cleanup and its grace were over, and the stream of a session was still open. Over this transport only \
        the end of the stream ends a session: the server keeps it, with a socket and its resources, as long as the \
        program runs.\n\n\
        Look at which stream it is. To fix it, end the task that reads the stream, and wait for that task before \
        close returns.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(SessionStreams::default()) },
};

#[derive(Default)]
struct SessionStreams {
    /// Open streams, with their servers and the events that opened them.
    open: Table<ConnectionId, (String, Seq)>,
}

impl Monitor for SessionStreams {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let server = event.source.server();
        match &event.kind {
            EventKind::SessionOpened { connection, .. } => {
                let server = server.unwrap_or_default().to_owned();
                self.open.insert(connection.clone(), (server, event.seq));
            }
            EventKind::ConnectionClosed { connection, how } => {
                let was_open = self.open.swap_remove(connection).is_some();
                if was_open && *how == WireEnd::ByClient && view.last_close().is_some() {
                    tally.held();
                }
            }
            EventKind::MockEnding { .. } => server.into_iter().for_each(|server| self.forget(server)),
            EventKind::LinkClosed { peer: LinkPeer::Mock { server, .. }, .. } => self.forget(server),
            EventKind::GraceExpired { after } if after == "close" => self.due(event, view, tally),
            _ => {}
        }
    }
}

impl SessionStreams {
    fn forget(&mut self, server: &str) {
        self.open.retain(|_, (of, _)| of != server);
    }

    fn due(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let (Some((closed, _)), Some(invoked)) = (view.closed(), view.last_close()) else { return };
        self.open.retain(|connection, (server, opened)| {
            let is_due = *opened < invoked;
            if is_due && !view.server(server).is_some_and(|server| server.is_stopped) {
                let because = format!(
                    "the stream of {server}, connection {connection}, open since {opened}, was still open at {}, after the \
                     cleanup that ended at {closed}",
                    event.seq
                );
                tally.broken(Violation::new("left-open", because, &[*opened, closed, event.seq]));
            }
            !is_due
        });
    }
}
