//! Sessions of a host, from their opening to their end.

use std::collections::BTreeMap;

use crate::check::host::{ServerExchange, exchange_of, is_its_doing};
use crate::check::sight::parts;
use crate::check::{Invariant, Level, Monitor, Property, Scope, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Seq, SessionId};
use crate::plan::Promise;

/// Counter-example that shaped it: a client that was ended by force while it opened a session may have been about to.
pub(in crate::check) const SESSION_INITIALIZED: Invariant = Invariant {
    id: "session-initialized",
    property: Property::Liveness,
    level: Level::Must,
    claim: "every session that was opened is told notifications/initialized",
    source: "2025-11-25, basic/lifecycle, Initialization",
    requirement: &["LC-INIT-03"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SessionOpened, Kind::WireReceived],
    vacuous: "no session was opened",
    explain: "The server answered `initialize`, and `notifications/initialized` never came. Until it does, a server may refuse every \
        request and may send none of its own.\n\n\
        Look at what follows the answer on that connection. Mend it by sending the notification right behind the answer.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(InitializedSessions::default()) },
};

#[derive(Default)]
struct InitializedSessions {
    owed: BTreeMap<ConnectionId, Seq>,
}

impl Monitor for InitializedSessions {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::SessionOpened { connection, .. } => {
                self.owed.insert(connection.clone(), event.seq);
            }
            EventKind::WireReceived { connection, message } => {
                let is_notice = parts(message).iter().any(|part| part.is_notification("notifications/initialized"));
                if is_notice && self.owed.remove(connection).is_some() {
                    tally.held();
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, view: &View, tally: &mut Tally) {
        for (connection, opened) in self.owed.iter().filter(|_| is_its_doing(view)) {
            let because = format!("the session of connection {connection}, opened at {opened}, was never initialized");
            tally.broken(Violation::new("missing", because, &[*opened]));
        }
    }
}

/// Counter-examples that shaped it. A scenario may be about the opening alone, so the only session there is need not be used. A ping is
/// no use. A session that its server has ended was not given up by the client.
pub(in crate::check) const SESSIONS_USED: Invariant = Invariant {
    id: "sessions-used",
    property: Property::Liveness,
    level: Level::Own,
    claim: "of several sessions, each is used",
    source: "VG-03: sessions stay open from load to cleanup; VG-18: one connection a server",
    requirement: &["VG-03", "VG-18"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SessionOpened, Kind::WireReceived],
    vacuous: "no session was opened",
    explain: "The client opened several sessions with one server and asked nothing on one of them. A second connect beside the one \
        that is used, or a retry of an opening that had succeeded, leaves such a session behind until it expires.\n\n\
        Look at where the second `initialize` comes from. Mend it by opening one session and handing it on.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(UsedSessions::default()) },
};

#[derive(Default)]
struct UsedSessions {
    opened: BTreeMap<ConnectionId, Seq>,
    unused: BTreeMap<ConnectionId, Seq>,
}

impl Monitor for UsedSessions {
    fn see(&mut self, event: &Event, _view: &View, _tally: &mut Tally) {
        match &event.kind {
            EventKind::SessionOpened { connection, .. } => {
                self.opened.insert(connection.clone(), event.seq);
                self.unused.insert(connection.clone(), event.seq);
            }
            EventKind::WireReceived { connection, message } => {
                let parts = parts(message);
                let mut methods = parts.iter().filter(|part| part.is_any_request()).filter_map(|part| part.method());
                if methods.any(|method| !matches!(method, "initialize" | "ping")) {
                    self.unused.remove(connection);
                }
            }
            _ => {}
        }
    }

    fn end(&mut self, view: &View, tally: &mut Tally) {
        if !is_its_doing(view) || self.opened.is_empty() {
            return;
        }
        if self.opened.len() == 1 || self.unused.is_empty() {
            return tally.held();
        }
        for (connection, opened) in &self.unused {
            let n_others = self.opened.len() - 1;
            let because =
                format!("the session of connection {connection}, opened at {opened} beside {n_others}, was never used");
            tally.broken(Violation::new("unused", because, &[*opened]));
        }
    }
}

/// Counter-examples that shaped it. What was on its way when the end was answered says nothing, so only requests count: a client
/// does not ask while it closes. A second DELETE is useless, no more.
pub(in crate::check) const SILENT_AFTER_END: Invariant = Invariant {
    id: "silent-after-end",
    property: Property::Safety,
    level: Level::Own,
    claim: "nothing is asked on a session whose end was answered",
    source: "VG-20: a session that is over is not used; VG-15: what is closed can not be used",
    requirement: &["VG-20", "VG-15", "LC-SESS-07"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::HttpReceived, Kind::HttpAnswered],
    vacuous: "no client asked for the end of its session",
    explain: "The client had asked for the end of its session with DELETE, was answered, and then sent a request on it. The server \
        answers 404, which a client takes for a lost session and renews: what was just closed is open again.\n\n\
        Look at the request behind the DELETE. Mend it by refusing calls from the moment in which closing begins.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(EndedSessions::default()) },
};

#[derive(Default)]
struct EndedSessions {
    asked: BTreeMap<ServerExchange, SessionId>,
    ended: BTreeMap<SessionId, Seq>,
}

impl Monitor for EndedSessions {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::HttpReceived { verb, session: Some(session), exchange, .. } => {
                let ended = self.ended.get(session).filter(|_| verb == "POST");
                if let Some(ended) = ended {
                    let because = format!("{verb} named a session at {}, whose end was answered at {ended}", event.seq);
                    tally.broken(Violation::new("used", because, &[*ended, event.seq]));
                }
                if verb == "DELETE" {
                    self.asked.insert(exchange_of(event, exchange), session.clone());
                }
            }
            EventKind::HttpAnswered { exchange, status, .. } if (200..300).contains(status) => {
                if let Some(session) = self.asked.remove(&exchange_of(event, exchange)) {
                    self.ended.insert(session, event.seq);
                    tally.held();
                }
            }
            _ => {}
        }
    }
}

/// Counter-examples that shaped it. A server may refuse the DELETE: to be asked is enough. A client that was ended by force had no chance to.
pub(in crate::check) const SESSION_ENDED: Invariant = Invariant {
    id: "session-ended",
    property: Property::Liveness,
    level: Level::Should,
    claim: "the client asks for the end of every session before its own",
    source: "2025-11-25, basic/transports, Session Management (SHOULD)",
    requirement: &["LC-SESS-07"],
    applies: Scope::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SessionOpened, Kind::SessionClosed, Kind::HttpReceived],
    vacuous: "no session was opened",
    explain: "The client ended and had not asked for the end of its session with DELETE. The server keeps it until it expires.\n\n\
        This is a SHOULD, so it is a warning. Mend it by sending DELETE where the client closes, with a bound on the wait.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(OpenSessions::default()) },
};

#[derive(Default)]
struct OpenSessions {
    open: BTreeMap<SessionId, Seq>,
}

impl Monitor for OpenSessions {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::SessionOpened { session, .. } => {
                self.open.insert(session.clone(), event.seq);
            }
            EventKind::SessionClosed { session, .. } => {
                self.open.remove(session);
            }
            EventKind::HttpReceived { verb, session: Some(session), .. } if verb == "DELETE" => {
                let Some(_) = self.open.remove(session) else { return };
                tally.held();
            }
            _ => {}
        }
    }

    fn end(&mut self, view: &View, tally: &mut Tally) {
        for (session, opened) in self.open.iter().filter(|_| is_its_doing(view) && !view.is_killed()) {
            let because = format!("session {session}, opened at {opened}, was not deleted before the client ended");
            tally.broken(Violation::new("not-deleted", because, &[*opened]));
        }
    }
}
