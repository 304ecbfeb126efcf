//! Session loss: how a client learns that a session is gone, and how it renews the session.

use std::time::Duration;

use crate::check::lessons::{Lesson, ServerSocket, Sockets, socket_of};
use crate::check::rules::credentials::content;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Of, Property, Tally, View, Violation, Witness};
use crate::history::{
    Action, Event, EventKind, ExchangeId, Header, KeySet, Kind, Message, Name, OpId, Outcome, Seq, SessionId, Table,
    WireEnd,
};
use crate::plan::Promise;

/// A server may read a request this long after the client sent it on another socket.
const UNDER_WAY_US: u64 = 100_000;

/// A client that sends requests for longer than this after a 404 does not stand still: it never reads its answers.
const STILL_US: u64 = 5_000_000;

/// A message below this length is written at once.
const SHORT_BYTES: usize = 16_384;

/// How much later an event came than a request that was under way may; `None` if it came in time.
pub(super) fn lateness(event: &Event, since_us: u64) -> Option<Duration> {
    let over_us = event.at_us.saturating_sub(since_us + UNDER_WAY_US);
    (over_us > 0).then(|| Duration::from_micros(over_us))
}

/// Unanswered requests that name a session.
#[derive(Default)]
struct UnknownSessionRequests {
    asked: Table<(Name, ExchangeId), (SessionId, bool)>,
}

impl UnknownSessionRequests {
    /// The session that a 404 reports as unknown, and whether the 404 answers a POST. The session may have been known when the
    /// request came.
    fn reported_lost(&mut self, event: &Event) -> Option<(SessionId, bool)> {
        let server = event.source.server()?;
        match &event.kind {
            EventKind::HttpReceived { exchange, session: Some(session), verb, .. } => {
                let key = (server.into(), exchange.clone());
                self.asked.insert(key, (session.clone(), verb == "POST"));
                None
            }
            EventKind::HttpAnswered { exchange, status, .. } if !self.asked.is_empty() => {
                let found = self.asked.swap_remove(&(server.into(), exchange.clone()))?;
                (*status == 404).then_some(found)
            }
            _ => None,
        }
    }
}

/// Counter-examples: Concurrent calls each get their own 404. A request that was already on its way when the first 404
/// arrived is excused, and so is one that waited for the socket, or whose body takes its time. A request of an operation
/// that began after another operation had failed is a violation, however soon it is sent. So is one that follows the 404
/// on its own socket while a loader runs no other operation, after a pause, after the next session was opened there, or as
/// the same request for the third time.
/// A DELETE of a lost session is only useless. Where no harness watches how busy the machine is, a client need not have read
/// a 404 that still waits in an open socket, unless it opens sockets and sends requests for many seconds after it.
pub(super) const STALE_SESSION_UNUSED: Invariant = Invariant {
    id: "stale-session-unused",
    property: Property::Safety,
    level: Level::Own,
    claim: "a client does not use a session id after a 404",
    source: "2025-11-25, basic/transports, Session Management, follows from it; VG-20",
    requirement: &["VG-20", "LC-SESS-05", "LC-SESS-06"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::CancelRequested,
        Kind::OperationCompleted,
        Kind::SessionOpened,
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::HttpEnded,
        Kind::SocketOpened,
        Kind::SocketClosed,
    ],
    hears: Hears::ALL,
    vacuous: "no request for a session got a 404",
    explain: "The server had answered 404 to the id of a session, and the client kept using it. Each such request is \
        lost. The usual reasons are a stream that the client reopens forever, and an id that was copied into a task \
        before the renewal.\n\n\
        Look at the verb in the reason. To fix it, keep the id in one place that the renewal replaces, and end \
        everything that belongs to the old session.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(StaleSessions::default()) },
};

#[derive(Default)]
struct StaleSessions {
    unknown: UnknownSessionRequests,
    lost: Table<SessionId, LostSession>,
    /// The sessions that servers gave, and when.
    opened: Table<SessionId, Seq>,
    sockets: Sockets,
    /// Whether the driver has cancelled an operation: its notice is posted after the operation has ended.
    is_cancelling: bool,
}

/// A session whose loss a 404 has reported to the client.
struct LostSession {
    seq: Seq,
    at_us: u64,
    /// The first completion of an operation since, which proves that the loader has read the 404.
    known: Option<Seq>,
    /// Its first answers 404.
    lessons: Vec<Lesson>,
    /// Whether a request on the socket of the 404 has named a session that was opened since.
    replaced: bool,
    /// The requests that were refused, by what they ask for, and how often each came.
    repeats: Table<String, usize>,
}

/// So many equal requests may be a queue of callers that waited for the socket; of calls there may be one more.
const REPEATS_MAX: usize = 2;
/// Number of answers that are kept as evidence of what the client has read.
const LESSONS_MAX: usize = 8;

impl Monitor for StaleSessions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::CancelRequested { .. } => self.is_cancelling = true,
            EventKind::OperationCompleted { .. } => {
                for lost in self.lost.values_mut() {
                    lost.known.get_or_insert(event.seq);
                }
            }
            EventKind::SessionOpened { session, .. } => {
                self.opened.insert(session.clone(), event.seq);
                // A server may give the next session the same id.
                self.lost.swap_remove(session);
            }
            EventKind::HttpReceived { session, verb, .. } => {
                self.learn(event);
                let lost = session.as_ref().filter(|_| verb != "DELETE").and_then(|session| self.lost.get(session));
                if let Some(violation) = lost.and_then(|lost| self.used(lost, event, view)) {
                    tally.broken(violation);
                }
            }
            _ => {}
        }
        if let Some((session, _)) = self.unknown.reported_lost(event) {
            let EventKind::HttpAnswered { exchange, .. } = &event.kind else { return };
            let lesson = self.sockets.lesson(event, exchange);
            let lost = self.lost.entry(session).or_insert_with(|| LostSession::new(event));
            if lost.lessons.len() < LESSONS_MAX {
                lost.lessons.push(lesson);
            }
            tally.held();
        }
        self.sockets.see(event);
    }
}

impl StaleSessions {
    /// A request of any session shows which answers its client has read.
    fn learn(&mut self, event: &Event) {
        let EventKind::HttpReceived { socket, session, message, .. } = &event.kind else { return };
        let socket = socket_of(event, socket);
        let opened = session.as_ref().and_then(|session| self.opened.get(session));
        for (lost, loss) in &mut self.lost {
            for lesson in &mut loss.lessons {
                lesson.was_read(event, &socket, &self.sockets);
            }
            if let Some(message) = message.as_ref().filter(|_| session.as_ref() == Some(lost)) {
                *loss.repeats.entry(content(message)).or_default() += 1;
            }
            loss.replaced |= loss.is_of(&socket) && opened.is_some_and(|opened| *opened > loss.seq);
        }
    }

    /// The violation, if the client sent a request after it had learned of the loss. The order on a socket or of
    /// operations proves that, or the elapsed time.
    fn used(&self, lost: &LostSession, event: &Event, view: &View) -> Option<Violation> {
        let EventKind::HttpReceived { socket, verb, message, .. } = &event.kind else { return None };
        let socket = socket_of(event, socket);
        let because = format!("{verb} named a session at {}, whose loss was reported at {}", event.seq, lost.seq);
        let violation = Violation::new("used", because, &[lost.seq, event.seq]);
        let is_post = verb == "POST";
        let is_behind = lost.lessons.iter().any(|lesson| lesson.clone().was_read(event, &socket, &self.sockets));
        // Another operation may have written its request before it learned of the loss.
        let is_alone = view.is_ready() && view.operations().count() <= 1;
        let is_again = message.as_ref().is_some_and(|message| lost.is_repeated(message));
        let is_proven =
            is_behind && (is_alone || is_post && (lost.replaced || is_again)) || is_post && lost.is_asked_since(view);
        if is_proven && !self.is_cancelling {
            return Some(violation);
        }
        if !view.is_ready() && lost.lessons.iter().all(|lesson| lesson.may_wait(&self.sockets)) {
            let over = self.sockets.opened_later(&socket, lost.at_us + STILL_US);
            return over.map(|over| violation.of_lateness(over));
        }
        let over = if !is_post {
            lateness(event, lost.at_us)
        } else if message.as_deref().is_some_and(is_short) && lost.is_of(&socket) {
            self.sockets.idle(event, &socket)
        } else {
            self.sockets.opened_later(&socket, lost.at_us)
        };
        over.map(|over| violation.of_lateness(over))
    }
}

/// Whether a message is too short to be under way for long.
fn is_short(message: &Message) -> bool {
    !message.is_cut() && message.body().to_string().len() < SHORT_BYTES
}

impl LostSession {
    fn new(event: &Event) -> Self {
        let (lessons, repeats) = (Vec::new(), Table::default());
        Self { seq: event.seq, at_us: event.at_us, known: None, lessons, replaced: false, repeats }
    }

    /// Whether a 404 was answered on this socket.
    fn is_of(&self, socket: &ServerSocket) -> bool {
        self.lessons.iter().any(|lesson| lesson.is_of(socket))
    }

    /// Whether a message came more often than a queue of callers explains.
    fn is_repeated(&self, message: &Message) -> bool {
        let max = REPEATS_MAX + usize::from(message.is_request("tools/call"));
        self.repeats.get(&content(message)).is_some_and(|n| *n > max)
    }

    /// Whether every running operation was invoked after an operation that knew of the loss had completed.
    fn is_asked_since(&self, view: &View) -> bool {
        let mut asked = view.operations().filter(|operation| operation.action != Action::Probe).peekable();
        let known = self.known.filter(|_| asked.peek().is_some());
        known.is_some_and(|known| asked.all(|operation| operation.invoked > known))
    }
}

/// Counter-examples: The call that got the 404 need not be repeated; the next call needs a session. A per-call session
/// renews itself. A load in between may open any session. If the new session is lost as well, there is a third. A new
/// session can be used only once the server has granted it, and only while its server works. Two clients of one server
/// lose two sessions, and each opens one.
pub(super) const LOST_SESSION_RENEWED_ONCE: Invariant = Invariant {
    id: "lost-session-renewed-once",
    property: Property::Liveness,
    level: Level::Must,
    claim: "a session that its server has lost is replaced, once for all calls",
    source: "2025-11-25, basic/transports, Session Management: MUST start a new session; once: VG-20",
    requirement: &["LC-SESS-05", "LC-SESS-06", "VG-20"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[
        Kind::HttpReceived,
        Kind::HttpAnswered,
        Kind::ConnectionOpened,
        Kind::SessionClosed,
        Kind::WireSent,
        Kind::OperationInvoked,
        Kind::OperationCompleted,
        Kind::ExitRequested,
    ],
    hears: Hears::only(&[
        (Kind::WireSent, &[Of::AnyAnswer]),
        (Kind::OperationInvoked, &[Of::Loads, Of::Action(Action::Close)]),
        (Kind::OperationCompleted, &[Of::Action(Action::Call)]),
    ])
    .sleeping(
        &[(Kind::HttpAnswered, &[Of::Failure])],
        &[(Kind::HttpReceived, &[Of::Any]), (Kind::HttpAnswered, &[Of::Any])],
    ),
    vacuous: "no request was answered with 404 for its session",
    explain: "A server restarted or let the session expire, and answered 404. There are three ways to get it wrong. \
        The client never opened a new session, so every later call fails until the program restarts. It opened one \
        and kept using the old one. Or each call that got a 404 opened its own session, and all but the last stay \
        behind on the server.\n\n\
        Look at the sessions that were opened after the first 404. To fix it, renew behind one lock, and check under \
        the lock whether another task has renewed already.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(RenewedSessions::default()) },
};

#[derive(Default)]
struct RenewedSessions {
    unknown: UnknownSessionRequests,
    lost: Table<String, SessionLoss>,
}

struct SessionLoss {
    lost: Seq,
    /// The sessions whose loss was reported: each may be replaced once.
    sessions: KeySet<SessionId>,
    opened: Option<Seq>,
    n_opened: usize,
    /// The answer that granted the new session.
    granted: Option<Seq>,
}

impl SessionLoss {
    fn new(lost: Seq) -> Self {
        Self { lost, sessions: KeySet::default(), opened: None, n_opened: 0, granted: None }
    }
}

impl Monitor for RenewedSessions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        if let (Some((session, true)), Some(server)) = (self.unknown.reported_lost(event), event.source.server()) {
            let loss = self.lost.entry(server.to_owned()).or_insert_with(|| SessionLoss::new(event.seq));
            loss.sessions.insert(session);
        }
        match &event.kind {
            EventKind::ConnectionOpened { .. } => self.opened(event, view, tally),
            EventKind::WireSent { message, .. } if message.at(&["result", "protocolVersion"]).is_some() => {
                let loss = self.lost.get_mut(event.source.server().unwrap_or_default());
                if let Some(loss) = loss.filter(|loss| loss.opened.is_some()) {
                    loss.granted.get_or_insert(event.seq);
                }
            }
            EventKind::SessionClosed { how: WireEnd::ByServer, .. } => {
                self.lost.swap_remove(event.source.server().unwrap_or_default());
            }
            EventKind::OperationInvoked { action, .. } if *action == Action::Close || action.loads() => {
                self.lost.clear()
            }
            EventKind::ExitRequested {} => self.lost.clear(),
            EventKind::OperationCompleted { operation, outcome } if !self.lost.is_empty() => {
                self.completed(event, view, *operation, outcome, tally);
            }
            _ => {}
        }
    }
}

impl RenewedSessions {
    fn opened(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        let Some(loss) = self.lost.get_mut(event.source.server().unwrap_or_default()) else { return };
        loss.n_opened += 1;
        let first = *loss.opened.get_or_insert(event.seq);
        if loss.n_opened <= loss.sessions.len() {
            return tally.held();
        }
        // The journal of a mock alone has the sessions of every client.
        if view.is_ready() && Promise::PersistentSession.is_given(view.promises()) {
            let because = format!(
                "the session that was lost at {} was replaced at {first} and again at {}",
                loss.lost, event.seq
            );
            tally.broken(Violation::new("renewed-twice", because, &[loss.lost, first, event.seq]));
        }
    }

    fn completed(&mut self, event: &Event, view: &View, operation: OpId, outcome: &Outcome, tally: &mut Tally) {
        let Some(operation) = view.operation(operation).filter(|operation| operation.action == Action::Call) else {
            return;
        };
        let Some(server) = operation.server.as_ref() else { return };
        let Some(loss) = self.lost.get(server) else { return };
        let is_unused = matches!(outcome, Outcome::Failed(_)) && operation.requests.is_empty();
        if let Some(granted) = loss.granted
            && is_unused
            && operation.invoked > granted
            && !operation.is_excused()
            && is_untroubled_since(view, server, granted)
        {
            let because = format!(
                "{} failed at {} without a request, although the session that was lost at {} was replaced at {granted}",
                operation.describe(),
                event.seq,
                loss.lost
            );
            tally.broken(Violation::new("not-used", because, &[loss.lost, granted, operation.invoked, event.seq]));
        }
        if loss.opened.is_none() && operation.invoked > loss.lost && !operation.is_excused() {
            let because = format!(
                "{} ended at {}, and the session that was lost at {} had not been replaced",
                operation.describe(),
                event.seq,
                loss.lost
            );
            tally.broken(Violation::new("not-renewed", because, &[loss.lost, operation.invoked, event.seq]));
        }
    }
}

/// Whether a server was unaffected by faults, kills and delays since an event.
fn is_untroubled_since(view: &View, server: &str, since: Seq) -> bool {
    let Some(server) = view.server(server) else { return false };
    let newest = server.newest.as_ref().and_then(|newest| view.connection(newest));
    newest.is_some_and(|newest| newest.gone.is_none())
        && server.impaired.is_none_or(|impaired| impaired < since)
        && server.delayed.is_none_or(|delayed| delayed < since)
}

/// Counter-example: the loader may fail the call or return an answer from the new session.
pub(super) const LOST_SESSION_CALLS_END: Invariant = Invariant {
    id: "lost-session-calls-end",
    property: Property::Liveness,
    level: Level::Own,
    claim: "a call in flight on a lost session ends",
    source: "VG-20: every caller on a lost session gets an outcome",
    requirement: &["VG-20", "LC-SESS-06", "LC-TMO-01"],
    applies: AppliesTo::SESSIONS,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SessionClosed, Kind::OperationCompleted, Kind::OperationOverdue, Kind::OperationAbandoned],
    hears: Hears::only(&[(Kind::OperationCompleted, &[Of::Action(Action::Call)])])
        .from(&[(Kind::SessionClosed, &[Of::Any])]),
    vacuous: "no session was lost with a call in flight",
    explain: "The session was lost while a call was in flight on it, and the caller never got an outcome. The answer \
        would have arrived on the lost session; the renewal replaced it and dropped the list of waiting callers.\n\n\
        Look at the call and at the end of its session. To fix it, fail or resend every request that waits on the \
        old session, in the same step that opens the new one.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(CallsOnLostSessions::default()) },
};

#[derive(Default)]
struct CallsOnLostSessions {
    waiting: Table<OpId, Seq>,
}

impl Monitor for CallsOnLostSessions {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::SessionClosed { connection, how: WireEnd::ByServer, .. } => {
                let is_hit = |request: &crate::check::WireRequest| {
                    request.connection == *connection && request.answered.is_none()
                };
                let hit = view.operations().filter(|operation| operation.requests.iter().any(is_hit));
                self.waiting.extend(hit.map(|operation| (operation.id, event.seq)));
            }
            EventKind::OperationCompleted { operation, .. } => {
                let Some(_) = self.waiting.swap_remove(operation) else { return };
                tally.held();
            }
            EventKind::OperationOverdue { operation, bound_ms, .. } => {
                let Some(lost) = self.waiting.swap_remove(operation) else { return };
                let because = format!("{operation} lost its session at {lost} and had not ended at {}", event.seq);
                let violation = Violation::new("never", because, &[lost, event.seq]);
                tally.broken(violation.of_bound(Duration::from_millis(*bound_ms)));
            }
            EventKind::OperationAbandoned { operation, .. } => {
                self.waiting.swap_remove(operation);
            }
            _ => {}
        }
    }
}
