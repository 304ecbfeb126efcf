//! Session end: who deletes a session, and what is sent on it afterwards.

use crate::check::host::{ServerExchange, exchange_of, is_responsible};
use crate::check::lessons::{Lesson, ServerSocket, Sockets, socket_of};
use crate::check::rules::session_loss::lateness;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, KeySet, Kind, Seq, ServerEnd, SessionId, Table};
use crate::plan::Promise;

/// Counter-examples: A server may refuse the DELETE or never answer it; sending it is enough. The client need not send
/// a DELETE for a session that was lost, or whose server was made to misbehave since, even if it has replaced that session. If cleanup overtakes
/// `initialize`, the client may never have read the id, so a session that no request has named is not judged. A server that
/// refuses the DELETE does not end the streams of the session, so the client closes them.
pub(super) const SESSION_DELETED: Invariant = Invariant {
    id: "session-deleted",
    property: Property::Liveness,
    level: Level::Own,
    claim: "cleanup sends DELETE for every session that has an id, and leaves none of its streams open",
    source: "the loader's promise sends-delete; 2025-11-25, basic/transports, Session Management (SHOULD); basic/lifecycle, Shutdown, HTTP",
    requirement: &["LC-SESS-07", "VG-06"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::SendsDelete,
    witness: Witness::Always,
    kinds: &[
        Kind::SessionOpened,
        Kind::SessionClosed,
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::HttpEnded,
        Kind::MockEnding,
        Kind::GraceExpired,
    ],
    hears: Hears::ALL,
    vacuous: "cleanup found no session whose id was in use",
    explain: "Cleanup was over, and the client had not deleted a session. The server keeps the session and its \
        resources until it expires; on a remote server these are memory and licences that somebody else pays for.\n\n\
        Look at which session it is; most often it is one that a renewal or a second load replaced. To fix it, send \
        DELETE wherever you abandon a session, with a bound on the wait.\n\n\
        Or the server refused the DELETE, and the stream that its client had opened with GET was still open. It costs \
        both sides a socket and a task. To fix it, close the stream where you delete the session, whatever the answer is.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(DeletedSessions::default()) },
};

#[derive(Default)]
struct DeletedSessions {
    open: Table<SessionId, OpenSession>,
    /// Sessions that their clients have asked to delete, and whose servers have not ended them.
    deleted: KeySet<SessionId>,
    /// Streams that were requested with GET: session and request.
    requested: Table<ServerExchange, (SessionId, Seq)>,
    streams: Table<ServerExchange, (SessionId, Seq)>,
}

struct OpenSession {
    opened: Seq,
    server: String,
    connection: ConnectionId,
    /// Whether a request has named it, which proves that the client knows its id.
    is_known: bool,
}

impl Monitor for DeletedSessions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::SessionOpened { session, connection } => {
                let server = event.source.server().unwrap_or_default().into();
                let connection = connection.clone();
                let open = OpenSession { opened: event.seq, server, connection, is_known: false };
                self.open.insert(session.clone(), open);
            }
            // Its server ends its streams.
            EventKind::SessionClosed { session, .. } => {
                self.open.swap_remove(session);
                self.deleted.swap_remove(session);
                self.requested.retain(|_, (of, _)| of != session);
                self.streams.retain(|_, (of, _)| of != session);
            }
            EventKind::HttpReceived { verb, session: Some(session), .. } if verb == "DELETE" => {
                self.deleted.insert(session.clone());
                let Some(_) = self.open.swap_remove(session) else { return };
                tally.held();
            }
            EventKind::HttpReceived { verb, exchange, session: Some(session), .. } => {
                self.open.entry(session.clone()).and_modify(|open| open.is_known = true);
                if verb == "GET" {
                    self.requested.insert(exchange_of(event, exchange), (session.clone(), event.seq));
                }
            }
            EventKind::HttpAnswered { exchange, streams, .. } => {
                let exchange = exchange_of(event, exchange);
                let requested = self.requested.swap_remove(&exchange).filter(|_| *streams);
                self.streams.extend(requested.map(|requested| (exchange, requested)));
            }
            EventKind::HttpEnded { exchange, .. } => drop(self.streams.swap_remove(&exchange_of(event, exchange))),
            EventKind::MockEnding { .. } => {
                let server = event.source.server().unwrap_or_default();
                self.streams.retain(|(of, _), _| of != server);
            }
            EventKind::GraceExpired { after } if after == "close" => self.due(event, view, tally),
            _ => {}
        }
    }
}

impl DeletedSessions {
    fn due(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some((closed, _)) = view.closed() else { return };
        self.streams_due(event, view, closed, tally);
        self.open.retain(|session, OpenSession { opened, server, connection, is_known }| {
            if *opened > closed {
                return true;
            }
            let impaired = view.server(server).and_then(|server| server.impaired);
            let is_replaced = view.connection(connection).is_some_and(|connection| connection.is_replaced);
            if *is_known && !is_replaced && impaired.is_none_or(|impaired| impaired < *opened) {
                let because = format!(
                    "session {session} of {server}, opened at {opened}, was not deleted by the cleanup that ended at {closed}"
                );
                tally.broken(Violation::new("not-deleted", because, &[*opened, closed, event.seq]));
            }
            false
        });
    }

    /// Judges the streams of deleted sessions after the cleanup and its grace.
    fn streams_due(&mut self, event: &Event, view: &View, closed: Seq, tally: &mut Tally) {
        self.streams.retain(|(server, _), (session, requested)| {
            let is_due = *requested < closed && self.deleted.contains(session);
            let impaired = view.server(server).and_then(|server| server.impaired);
            if is_due && impaired.is_none_or(|impaired| impaired < *requested) {
                let because = format!(
                    "the stream of session {session} of {server}, requested at {requested}, was still open at {}, after the cleanup that ended at {closed}, and its DELETE had not ended the session",
                    event.seq
                );
                let witness = [*requested, closed, event.seq];
                tally.broken(Violation::new("stream-left", because, &witness).as_warning());
            }
            !is_due
        });
    }
}

/// Counter-examples: The server may read a message of another socket late. A second DELETE is only useless. A server
/// that refuses the DELETE, with 405 because clients do not end sessions or with 401 because a token is missing, keeps
/// the session, and the client may use it. A server may give a later session the same id.
pub(super) const DELETED_SESSION_SILENT: Invariant = Invariant {
    id: "deleted-session-silent",
    property: Property::Safety,
    level: Level::Own,
    claim: "nothing is sent on a session after its DELETE",
    source: "VG-20: an ended session is not used",
    requirement: &["VG-20", "LC-SESS-07"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SessionOpened, Kind::HttpReceived, Kind::HttpAnswered, Kind::HttpEnded, Kind::SocketClosed],
    hears: Hears::ALL,
    vacuous: "no session was deleted",
    explain: "The client deleted a session and then used it. Its server answers 404, which the client treats as a lost \
        session, so it opens a new one: the session that was just closed is open again, and no code closes the new \
        session.\n\n\
        Look at the request after the DELETE: a stream that reconnects, or a call that was still accepted. To fix \
        it, stop all other traffic on a session before you send its DELETE.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(SilentSessions::default()) },
};

#[derive(Default)]
struct SilentSessions {
    deleted: Table<SessionId, SessionDelete>,
    /// The session of each DELETE that was not answered.
    deleting: Table<ServerExchange, SessionId>,
    sockets: Sockets,
}

/// The first DELETE of a session.
struct SessionDelete {
    seq: Seq,
    at_us: u64,
    /// The outcome that its client learns, once it is answered.
    lesson: Option<Lesson>,
    /// Later uses, as long as its answer may still refuse it.
    uses: Vec<Violation>,
}

impl Monitor for SilentSessions {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::SessionOpened { session, .. } => {
                let uses = self.deleted.swap_remove(session).map(|delete| delete.uses).unwrap_or_default();
                uses.into_iter().for_each(|violation| tally.broken(violation));
            }
            EventKind::HttpReceived { session: Some(session), verb, socket, exchange, .. } => {
                match self.deleted.get_mut(session) {
                    // A DELETE without an answer may be sent again.
                    Some(delete) if verb == "DELETE" && delete.lesson.is_none() => {}
                    Some(delete) => delete.used(event, verb, &socket_of(event, socket), &self.sockets),
                    None if verb == "DELETE" => {
                        let delete =
                            SessionDelete { seq: event.seq, at_us: event.at_us, lesson: None, uses: Vec::new() };
                        self.deleting.insert(exchange_of(event, exchange), session.clone());
                        self.deleted.insert(session.clone(), delete);
                        tally.held();
                    }
                    None => {}
                }
            }
            EventKind::HttpAnswered { exchange, status, .. } => {
                if let Some(session) = self.deleting.swap_remove(&exchange_of(event, exchange)) {
                    if (300..=599).contains(status) && *status != 404 {
                        self.deleted.swap_remove(&session);
                    } else if let Some(delete) = self.deleted.get_mut(&session) {
                        delete.lesson = Some(self.sockets.lesson(event, exchange));
                    }
                }
            }
            _ => {}
        }
        self.sockets.see(event);
    }

    fn end(&self, _view: &View, tally: &mut Tally) {
        let uses = self.deleted.values().flat_map(|delete| &delete.uses);
        uses.cloned().for_each(|violation| tally.broken(violation));
    }
}

impl SessionDelete {
    /// Takes a request that names the session.
    fn used(&mut self, event: &Event, verb: &str, socket: &ServerSocket, sockets: &Sockets) {
        let is_behind = self.lesson.as_mut().is_some_and(|lesson| lesson.was_read(event, socket, sockets));
        let over = lateness(event, self.at_us);
        if over.is_none() && !is_behind {
            return;
        }
        let because = format!("{verb} named a session at {}, which was deleted at {}", event.seq, self.seq);
        let violation = Violation::new("used", because, &[self.seq, event.seq]);
        let violation = over.filter(|_| !is_behind).map_or(violation.clone(), |over| violation.of_lateness(over));
        self.uses.push(if verb == "DELETE" { violation.as_warning() } else { violation });
    }
}

/// Counter-examples: Messages that were on their way when the DELETE was answered prove nothing, so only requests
/// count: a client makes no request while it closes. A second DELETE is only useless. A server may give a later session the
/// same id.
pub(super) const SILENT_AFTER_END: Invariant = Invariant {
    id: "silent-after-end",
    property: Property::Safety,
    level: Level::Own,
    claim: "no request is sent on a session after its DELETE was answered",
    source: "VG-20: an ended session is not used; VG-15: a closed session is not used",
    requirement: &["VG-20", "VG-15", "LC-SESS-07"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::SessionOpened,
        Kind::HttpReceived,
        Kind::HttpStray,
        Kind::HttpAnswered,
        Kind::HttpEnded,
        Kind::SocketClosed,
    ],
    hears: Hears::ALL,
    vacuous: "no client deleted its session",
    explain: "The client ended its session with DELETE, got the answer, and then sent a request on the session. The \
        server answers 404, which a client treats as a lost session, so it opens a new one: the session that was just \
        closed is open again.\n\n\
        Look at the request after the DELETE. To fix it, refuse calls from the moment in which closing begins.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(EndedSessions::default()) },
};

#[derive(Default)]
struct EndedSessions {
    asked: Table<ServerExchange, SessionId>,
    /// The answer to the DELETE of each session: event, time, and the outcome that its client learns.
    ended: Table<SessionId, (Seq, u64, Lesson)>,
    sockets: Sockets,
}

impl Monitor for EndedSessions {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::SessionOpened { session, .. } => drop(self.ended.swap_remove(session)),
            EventKind::HttpReceived { verb, session: Some(session), exchange, socket, .. } => {
                let socket = socket_of(event, socket);
                if let Some((ended, at_us, lesson)) = self.ended.get_mut(session).filter(|_| verb == "POST") {
                    let because = format!("{verb} named a session at {}, whose end was answered at {ended}", event.seq);
                    let violation = Violation::new("used", because, &[*ended, event.seq]);
                    // On another socket it may have been under way.
                    if lesson.was_read(event, &socket, &self.sockets) {
                        tally.broken(violation);
                    } else if let Some(over) = lateness(event, *at_us) {
                        tally.broken(violation.of_lateness(over));
                    }
                }
                if verb == "DELETE" {
                    self.asked.insert(exchange_of(event, exchange), session.clone());
                }
            }
            EventKind::HttpAnswered { exchange, status, .. } if (200..300).contains(status) => {
                if let Some(session) = self.asked.swap_remove(&exchange_of(event, exchange)) {
                    let lesson = self.sockets.lesson(event, exchange);
                    self.ended.insert(session, (event.seq, event.at_us, lesson));
                    tally.held();
                }
            }
            _ => {}
        }
        self.sockets.see(event);
    }
}

/// Counter-examples: A server may refuse the DELETE; sending it is enough. A client that the harness killed had no chance
/// to send it. A loader must send a DELETE only if it promises one, and `session-deleted` judges its cleanup. A loader
/// that crashed or that a signal ended may have had no time, and a server that was made to misbehave may never have
/// sent the id. The journal of a mock alone does not show the end of its client, except by the end of all sockets
/// before the end of the mock.
pub(super) const SESSION_ENDED: Invariant = Invariant {
    id: "session-ended",
    property: Property::Liveness,
    level: Level::Should,
    claim: "the client sends DELETE for every session before it exits",
    source: "2025-11-25, basic/transports, Session Management (SHOULD)",
    requirement: &["LC-SESS-07"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::SessionOpened,
        Kind::SessionClosed,
        Kind::HttpReceived,
        Kind::SocketOpened,
        Kind::SocketClosed,
        Kind::MockEnding,
        Kind::ProcessExited,
        Kind::PlanEnded,
    ],
    hears: Hears::ALL,
    vacuous: "no session was opened",
    explain: "The client exited and had not ended its session with DELETE. The server keeps it until it expires.\n\n\
        The specification only recommends the DELETE, so the verdict is Warn. To fix it, send DELETE where the client \
        closes, with a bound on the wait.",
    start: |header: &Header| -> Box<dyn Monitor> {
        Box::new(OpenSessions { is_host: header.host.is_some(), ..OpenSessions::default() })
    },
};

#[derive(Default)]
struct OpenSessions {
    is_host: bool,
    open: Table<SessionId, OpenSession>,
    /// Number of open sockets of each server.
    sockets: Table<String, usize>,
    /// Whether the program of a loader has ended gracefully.
    has_exited: bool,
}

impl Monitor for OpenSessions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let server = || event.source.server().unwrap_or_default().into();
        match &event.kind {
            EventKind::SessionOpened { session, connection } => {
                let connection = connection.clone();
                let open = OpenSession { opened: event.seq, server: server(), connection, is_known: false };
                self.open.insert(session.clone(), open);
            }
            EventKind::SessionClosed { session, .. } => {
                self.open.swap_remove(session);
            }
            EventKind::HttpReceived { verb, session: Some(session), .. } if verb == "DELETE" => {
                let Some(_) = self.open.swap_remove(session) else { return };
                tally.held();
            }
            EventKind::HttpReceived { session: Some(session), .. } => {
                self.open.entry(session.clone()).and_modify(|open| open.is_known = true);
            }
            EventKind::SocketOpened { .. } => *self.sockets.entry(server()).or_default() += 1,
            EventKind::SocketClosed { .. } => {
                self.sockets.entry(server()).and_modify(|n_open| *n_open = n_open.saturating_sub(1));
            }
            EventKind::ProcessExited { role, code: Some(0), .. } if role == "loader" => self.has_exited = true,
            // Only in the journal of a standalone mock no other source reports on the client.
            EventKind::MockEnding { how: ServerEnd::Signal(_) }
                if !self.is_host && !view.is_ready() && self.sockets.get(&server()) == Some(&0) =>
            {
                self.due(view, tally, |open| open.is_known);
                self.open.clear();
            }
            EventKind::PlanEnded {} if self.has_exited && view.is_ready() && view.promises().sends_delete => {
                let was_cleaned = view.last_close();
                self.open.retain(|_, open| was_cleaned.is_none_or(|closed| open.opened > closed));
                if view.signalled().is_none() {
                    self.due(view, tally, |open| open.is_known);
                    self.open.clear();
                }
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        if self.is_host && is_responsible(view) && !view.is_killed() {
            self.due(view, tally, |_| true);
        }
    }
}

impl OpenSessions {
    fn due(&self, view: &View, tally: &mut Tally, is_known: impl Fn(&OpenSession) -> bool) {
        for (session, open) in self.open.iter().filter(|(_, open)| is_known(open)) {
            let OpenSession { opened, server, connection, .. } = open;
            let impaired = view.server(server).and_then(|server| server.impaired).filter(|_| !self.is_host);
            let is_replaced = view.connection(connection).is_some_and(|connection| connection.is_replaced);
            if (self.is_host || !is_replaced) && impaired.is_none_or(|impaired| impaired < *opened) {
                let because = format!("session {session}, opened at {opened}, was not deleted before the client ended");
                tally.broken(Violation::new("not-deleted", because, &[*opened]));
            }
        }
    }
}
