//! Session lifetimes: how long the sessions of a loader live, inferred from its connections and calls. No rule demands
//! a lifetime; the report shows it for a loader that makes no session promise.
//!
//! Start at [`LifetimeTally::of`]. Only calls that reached a server count. A connection that carried one call and was still
//! open when the program ended may belong to that call, or the loader may have kept it: it counts for neither.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::parts::parts;
use crate::history::{Action, ConnectionId, Event, EventKind, History, LinkPeer, OpId, Seq, Source, Table};
use crate::plan::SessionPromise;

/// How long sessions live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SessionLifetime {
    /// A load opens the session, and later calls use it.
    Persistent,
    /// Each call opens a session and ends it.
    PerCall,
    /// The first call opens the session, and later calls use it.
    Lazy,
    /// One server has several sessions at once, and each has calls.
    Pooled,
    /// No call shows the lifetime, or the calls disagree.
    Unknown,
}

impl fmt::Display for SessionLifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Persistent => SessionPromise::Persistent.fmt(f),
            Self::PerCall => SessionPromise::PerCall.fmt(f),
            Self::Lazy => SessionPromise::Lazy.fmt(f),
            Self::Pooled => SessionPromise::Pooled.fmt(f),
            Self::Unknown => f.write_str("unknown"),
        }
    }
}

/// Calls of one or more plans, counted by the lifetime of their sessions.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LifetimeTally {
    /// Calls on a connection that load had opened.
    pub n_persistent: usize,
    /// Calls on a connection of their own.
    pub n_per_call: usize,
    /// Calls on a connection that a call had opened and others used, or that was kept.
    pub n_lazy: usize,
    /// Calls on one of several connections that a server had at once.
    pub n_pooled: usize,
    /// Calls that reached a server.
    pub n_calls: usize,
    /// Connections that carried calls.
    pub n_connections: usize,
}

impl LifetimeTally {
    /// Counts the calls of one history.
    #[must_use]
    pub fn of(history: &History) -> Self {
        let mut watch = SessionWatch::default();
        history.events().iter().for_each(|event| watch.see(event));
        watch.tally()
    }

    /// The sum of both.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self {
            n_persistent: self.n_persistent + other.n_persistent,
            n_per_call: self.n_per_call + other.n_per_call,
            n_lazy: self.n_lazy + other.n_lazy,
            n_pooled: self.n_pooled + other.n_pooled,
            n_calls: self.n_calls + other.n_calls,
            n_connections: self.n_connections + other.n_connections,
        }
    }

    /// The lifetime that more than half of the calls show.
    #[must_use]
    pub fn lifetime(&self) -> SessionLifetime {
        let counted = [
            (self.n_persistent, SessionLifetime::Persistent),
            (self.n_per_call, SessionLifetime::PerCall),
            (self.n_lazy, SessionLifetime::Lazy),
            (self.n_pooled, SessionLifetime::Pooled),
        ];
        let most = counted.into_iter().find(|(n_calls, _)| n_calls * 2 > self.n_calls);
        most.map_or(SessionLifetime::Unknown, |(_, lifetime)| lifetime)
    }
}

/// The operation that was running when a connection was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Opener {
    /// A load, or no operation.
    Loader,
    /// A call to the server of the connection.
    Call,
}

#[derive(Debug)]
struct ConnectionLife {
    server: String,
    incarnation: u32,
    opener: Opener,
    opened: Seq,
    ended: Option<Seq>,
    n_calls: usize,
}

#[derive(Debug, Default)]
struct SessionWatch {
    /// Open operations, with the server of a call.
    open: Table<OpId, (Action, Option<String>)>,
    lives: Table<ConnectionId, ConnectionLife>,
    /// Invocations of cleanups.
    cleanups: Vec<Seq>,
    /// The first event of the end of the program: a request to exit, a signal or the exit.
    ending: Option<Seq>,
}

impl SessionWatch {
    fn see(&mut self, event: &Event) {
        let seq = event.seq;
        match (&event.kind, &event.source) {
            (EventKind::OperationInvoked { operation, action, server, .. }, _) => {
                self.open.insert(*operation, (*action, server.clone()));
                if *action == Action::Close {
                    self.cleanups.push(seq);
                }
            }
            (EventKind::OperationCompleted { operation, .. } | EventKind::OperationAbandoned { operation, .. }, _) => {
                self.open.swap_remove(operation);
            }
            (EventKind::ExitRequested {}, _) => self.end_of_program(seq),
            (EventKind::SignalSent { target, .. }, _) if target == "loader" => self.end_of_program(seq),
            (EventKind::ProcessExited { role, .. }, _) if role == "loader" => self.end_of_program(seq),
            (EventKind::ConnectionOpened { connection }, Source::Mock { server, incarnation }) => {
                let opener = self.opener(server);
                let (server, incarnation) = (server.clone(), *incarnation);
                let life = ConnectionLife { server, incarnation, opener, opened: seq, ended: None, n_calls: 0 };
                self.lives.insert(connection.clone(), life);
            }
            (EventKind::ConnectionClosed { connection, .. } | EventKind::WireEof { connection }, _) => {
                self.end(seq, |known, _| known == connection);
            }
            (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, .. }, _) => {
                self.end(seq, |_, life| life.server == *server && life.incarnation == *incarnation);
            }
            (EventKind::WireReceived { connection, message }, _) => {
                let n_calls = parts(message).iter().filter(|part| part.is_request("tools/call")).count();
                if let Some(life) = self.lives.get_mut(connection) {
                    life.n_calls += n_calls;
                }
            }
            _ => {}
        }
    }

    fn opener(&self, server: &str) -> Opener {
        let loads = self.open.values().any(|(action, _)| action.loads());
        let calls = self.open.values().any(|(action, to)| *action == Action::Call && to.as_deref() == Some(server));
        if calls && !loads { Opener::Call } else { Opener::Loader }
    }

    fn end_of_program(&mut self, seq: Seq) {
        self.ending.get_or_insert(seq);
    }

    fn end(&mut self, seq: Seq, is_it: impl Fn(&ConnectionId, &ConnectionLife) -> bool) {
        for (_, life) in self.lives.iter_mut().filter(|(id, life)| is_it(id, life)) {
            life.ended.get_or_insert(seq);
        }
    }

    fn tally(&self) -> LifetimeTally {
        let mut tally = LifetimeTally::default();
        for life in self.lives.values().filter(|life| life.n_calls > 0) {
            tally.n_calls += life.n_calls;
            tally.n_connections += 1;
            match self.lifetime_of(life) {
                SessionLifetime::Persistent => tally.n_persistent += life.n_calls,
                SessionLifetime::PerCall => tally.n_per_call += life.n_calls,
                SessionLifetime::Lazy => tally.n_lazy += life.n_calls,
                SessionLifetime::Pooled => tally.n_pooled += life.n_calls,
                SessionLifetime::Unknown => {}
            }
        }
        tally
    }

    fn lifetime_of(&self, life: &ConnectionLife) -> SessionLifetime {
        let alone = self.alone(life);
        if alone != SessionLifetime::Persistent && alone != SessionLifetime::Lazy {
            return alone;
        }
        let shares =
            |other: &&ConnectionLife| other.opened != life.opened && other.server == life.server && other.n_calls > 0;
        let mut siblings = self.lives.values().filter(shares).filter(|other| self.alone(other) == alone);
        if siblings.any(|other| overlap(life, other)) { SessionLifetime::Pooled } else { alone }
    }

    /// The lifetime of a connection, as if it were the only one.
    fn alone(&self, life: &ConnectionLife) -> SessionLifetime {
        if life.opener == Opener::Loader {
            return SessionLifetime::Persistent;
        }
        if life.n_calls > 1 {
            return SessionLifetime::Lazy;
        }
        let cleanup = self.cleanups.iter().copied().find(|cleanup| *cleanup > life.opened);
        match (life.ended, cleanup) {
            (Some(ended), _) if self.ending.is_none_or(|ending| ended < ending) => {
                if cleanup.is_none_or(|cleanup| ended < cleanup) {
                    SessionLifetime::PerCall
                } else {
                    SessionLifetime::Lazy
                }
            }
            (_, Some(_)) => SessionLifetime::Lazy,
            (_, None) => SessionLifetime::Unknown,
        }
    }
}

fn overlap(one: &ConnectionLife, other: &ConnectionLife) -> bool {
    let (first, second) = if one.opened < other.opened { (one, other) } else { (other, one) };
    first.ended.is_none_or(|ended| second.opened < ended)
}

#[cfg(test)]
mod tests {
    use super::{LifetimeTally, SessionLifetime};
    use crate::history::{Header, history_from_text};

    const LOAD: &str = "driver operation.invoked operation=1 action=load servers=[\"files\"]\n";
    const LOADED: &str = "loader operation.completed operation=1 outcome={\"ok\":{}}\n";
    const CLOSE: &str = "driver operation.invoked operation=9 action=close\n";

    fn tally(lines: &[&str]) -> LifetimeTally {
        LifetimeTally::of(&history_from_text("test", Header::new("test"), &lines.concat()).unwrap())
    }

    fn open(connection: &str) -> String {
        format!("mock:files#1 connection.opened connection={connection}\n")
    }

    fn eof(connection: &str) -> String {
        format!("mock:files#1 wire.eof connection={connection}\n")
    }

    /// A call in three lines: its invocation, its request on the wire, and its completion. `before` and `after` are the
    /// loader's lines around the request.
    fn call(operation: u32, connection: &str, before: &str, after: &str) -> String {
        format!(
            "driver operation.invoked operation={operation} action=call server=files tool=read\n{before}\
             mock:files#1 wire.received connection={connection} message={{\"id\":1,\"method\":\"tools/call\"}}\n{after}\
             loader operation.completed operation={operation} outcome={{\"ok\":{{}}}}\n"
        )
    }

    #[test]
    fn sessions_that_load_opened_are_persistent() {
        let tally =
            tally(&[LOAD, &open("c1"), LOADED, &call(2, "c1", "", ""), &call(3, "c1", "", ""), CLOSE, &eof("c1")]);
        assert_eq!((tally.lifetime(), tally.n_connections, tally.n_calls), (SessionLifetime::Persistent, 1, 2));
    }

    #[test]
    fn sessions_that_end_with_their_call_are_per_call() {
        let first = call(2, "c2", &open("c2"), &eof("c2"));
        let second = call(3, "c3", &open("c3"), &eof("c3"));
        let tally = tally(&[LOAD, &open("c1"), &eof("c1"), LOADED, &first, &second, CLOSE]);
        assert_eq!((tally.lifetime(), tally.n_connections, tally.n_calls), (SessionLifetime::PerCall, 2, 2));
    }

    #[test]
    fn sessions_that_outlive_their_first_call_are_lazy() {
        let used = tally(&[LOAD, LOADED, &call(2, "c1", &open("c1"), ""), &call(3, "c1", "", "")]);
        assert_eq!(used.lifetime(), SessionLifetime::Lazy);
        let kept = tally(&[LOAD, LOADED, &call(2, "c1", &open("c1"), ""), CLOSE, &eof("c1")]);
        assert_eq!(kept.lifetime(), SessionLifetime::Lazy);
    }

    #[test]
    fn sessions_of_one_server_that_share_its_calls_are_pooled() {
        let opened = [open("c1"), open("c2")].concat();
        let pooled = tally(&[LOAD, &opened, LOADED, &call(2, "c1", "", ""), &call(3, "c2", "", "")]);
        assert_eq!(pooled.lifetime(), SessionLifetime::Pooled);
        // A session after another is a replacement.
        let replaced = [&call(2, "c1", "", ""), &*eof("c1"), &open("c2"), &call(3, "c2", "", "")].concat();
        assert_eq!(tally(&[LOAD, &open("c1"), LOADED, &replaced]).lifetime(), SessionLifetime::Persistent);
    }

    #[test]
    fn calls_at_once_with_a_session_each_are_per_call() {
        let invoked = "driver operation.invoked operation=2 action=call server=files tool=read\n\
                       driver operation.invoked operation=3 action=call server=files tool=read\n";
        let on_wire = |connection: &str| {
            format!(
                "mock:files#1 wire.received connection={connection} message={{\"id\":1,\"method\":\"tools/call\"}}\n"
            )
        };
        let both = [open("c2"), open("c3"), on_wire("c2"), on_wire("c3"), eof("c2"), eof("c3")].concat();
        assert_eq!(tally(&[LOAD, LOADED, invoked, &both]).lifetime(), SessionLifetime::PerCall);
    }

    #[test]
    fn nothing_is_known_without_calls_and_of_calls_that_the_end_cut_off() {
        let idle = tally(&[LOAD, &open("c1"), LOADED, CLOSE]);
        assert_eq!((idle.lifetime(), idle.n_connections, idle.n_calls), (SessionLifetime::Unknown, 0, 0));
        let signal = "driver signal.sent signal=INT target=loader\n";
        let cut = call(2, "c1", &open("c1"), &[signal, &eof("c1")].concat());
        assert_eq!(tally(&[LOAD, LOADED, &cut]).lifetime(), SessionLifetime::Unknown);
    }

    #[test]
    fn plans_add_up_and_the_most_calls_tell() {
        let persistent = tally(&[LOAD, &open("c1"), LOADED, &call(2, "c1", "", ""), &call(3, "c1", "", "")]);
        let per_call = tally(&[LOAD, LOADED, &call(2, "c2", &open("c2"), &eof("c2"))]);
        assert_eq!(persistent.and(per_call).lifetime(), SessionLifetime::Persistent);
        assert_eq!(persistent.and(per_call).and(per_call).lifetime(), SessionLifetime::Unknown);
    }
}
