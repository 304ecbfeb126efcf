//! Server shutdown: the order of EOF, SIGTERM and SIGKILL.

use std::time::Duration;

use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{Event, EventKind, Header, Kind, LinkPeer, Seq, Source, Table};
use crate::plan::Promise;

/// EOF and a signal reach a mock over two paths; within this time their order in its journal proves nothing.
const SAME_MOMENT_US: u64 = 5_000;

/// Counter-examples: A signal to the program's whole process group reaches its servers as well, so nothing is judged
/// after one. The system may kill the children of a program that exits before they have read their EOF. A client may
/// end a server that a script made misbehave in any way. A mock that loses its recorder ends without a last event. A
/// mock may journal EOF and SIGTERM of the same moment in either order.
pub(super) const EOF_BEFORE_SIGNAL: Invariant = Invariant {
    id: "eof-before-signal",
    property: Property::Safety,
    level: Level::Should,
    claim: "a server's stdin is closed before it is signalled or killed",
    source: "2025-11-25, basic/lifecycle, Shutdown, stdio; the same in all revisions",
    requirement: &["LC-STD-06", "LC-STD-07"],
    applies: AppliesTo::STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireEof, Kind::SignalReceived, Kind::MockEnding, Kind::LinkClosed],
    hears: Hears::ALL,
    vacuous: "no client ended a server",
    explain: "The client signalled or killed a server while its stdin was still open. The server had no chance to \
        write its caches or half-written files and to release its locks. The specification describes these steps: \
        close stdin, wait, SIGTERM, wait, SIGKILL.\n\n\
        Look at the server's journal: a signal, or an end without a message, and no EOF before it. To fix it, close \
        the pipe first and give the server a moment. A child handle that kills on drop hides a missing close.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(InputClosedFirst::default()) },
};

#[derive(Default)]
struct InputClosedFirst {
    servers: Table<(String, u32), ShutdownProgress>,
}

#[derive(Default)]
struct ShutdownProgress {
    has_eof: bool,
    is_ending: bool,
    signal: Option<(Seq, u64, String)>,
}

impl Monitor for InputClosedFirst {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, &event.source) {
            (EventKind::WireEof { .. }, Source::Mock { server, incarnation }) => {
                let progress = self.progress(server, *incarnation);
                progress.has_eof = true;
                match progress.signal.take() {
                    Some((seq, at_us, signal)) if event.at_us > at_us + SAME_MOMENT_US => {
                        tally.broken(signalled_first(server, seq, &signal));
                    }
                    Some(_) | None => tally.held(),
                }
            }
            (EventKind::SignalReceived { signal }, Source::Mock { server, incarnation }) => {
                let progress = self.progress(server, *incarnation);
                if !progress.has_eof && is_judged(view, server) {
                    progress.signal.get_or_insert((event.seq, event.at_us, signal.clone()));
                }
            }
            (EventKind::MockEnding { .. }, Source::Mock { server, incarnation }) => {
                let progress = self.progress(server, *incarnation);
                progress.is_ending = true;
                if let Some((seq, _, signal)) = progress.signal.take() {
                    tally.broken(signalled_first(server, seq, &signal));
                }
            }
            (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, farewell }, _) => {
                let progress = self.servers.swap_remove(&(server.clone(), *incarnation)).unwrap_or_default();
                self.killed(event, view, server, *farewell, progress, tally);
            }
            _ => {}
        }
    }

    fn end(&self, _view: &View, tally: &mut Tally) {
        for ((server, _), progress) in &self.servers {
            if let Some((seq, _, signal)) = &progress.signal {
                // The server ignores the signal and has received no EOF yet. Only a whole history shows that none will
                // come.
                tally.open(format!("server {server} had received SIG{signal} at {seq} and no EOF yet"), &[*seq]);
            }
        }
    }
}

impl InputClosedFirst {
    fn progress(&mut self, server: &str, incarnation: u32) -> &mut ShutdownProgress {
        self.servers.entry((server.into(), incarnation)).or_default()
    }

    fn killed(
        &self,
        event: &Event,
        view: &View,
        server: &str,
        farewell: bool,
        progress: ShutdownProgress,
        tally: &mut Tally,
    ) {
        if let Some((seq, _, signal)) = progress.signal {
            tally.broken(signalled_first(server, seq, &signal));
        } else if !farewell
            && !progress.is_ending
            && !progress.has_eof
            && view.ending().is_none()
            && is_judged(view, server)
        {
            let because = format!("server {server} was killed at {} and its stdin had not been closed", event.seq);
            tally.broken(Violation::new("killed-without-eof", because, &[event.seq]).of_link());
        }
    }
}

fn signalled_first(server: &str, seq: Seq, signal: &str) -> Violation {
    let because = format!("server {server} received SIG{signal} at {seq} and its stdin had not been closed");
    Violation::new("signal-without-eof", because, &[seq])
}

fn is_judged(view: &View, server: &str) -> bool {
    view.signalled().is_none() && view.loader_exited().is_none() && view.is_healthy(server)
}

/// Counter-examples: After the end of the program, or a signal to it, the system may have killed the server. A client
/// may end a server that a script made misbehave in any way. A server may end because of any signal; only one that is killed
/// after it had outlived another signal has missed SIGTERM.
pub(super) const TERM_BEFORE_KILL: Invariant = Invariant {
    id: "term-before-kill",
    property: Property::Safety,
    level: Level::Should,
    claim: "a server that outlives its stdin gets SIGTERM before it is killed",
    source: "2025-11-25, basic/lifecycle, Shutdown, stdio; the same in all revisions",
    requirement: &["LC-STD-08", "LC-STD-09"],
    applies: AppliesTo::STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireEof, Kind::SignalReceived, Kind::MockEnding, Kind::LinkClosed],
    hears: Hears::ALL,
    vacuous: "no server outlived its stdin",
    explain: "A server did not exit when its stdin closed, and the client killed it without a SIGTERM. A server that \
        waits for its own children, or for a write to disk, has a handler for SIGTERM and none for SIGKILL.\n\n\
        Look at the server's journal between EOF and its end. To fix it, use all steps: close stdin, wait, SIGTERM, \
        wait, SIGKILL.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(ShutdownLadders::default()) },
};

/// The signal that asks a server to end, as a mock names it.
const TERM: &str = "TERM";

/// How far each server is in its shutdown, by server and incarnation.
#[derive(Default)]
struct ShutdownLadders {
    servers: Table<(String, u32), Rung>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rung {
    /// Its stdin was closed.
    Eof,
    /// Then it got a signal that is not SIGTERM.
    Other(Seq),
    /// It got SIGTERM, or exits by itself.
    Asked,
}

impl Monitor for ShutdownLadders {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, &event.source) {
            (EventKind::WireEof { .. }, Source::Mock { server, incarnation }) => {
                self.servers.entry((server.clone(), *incarnation)).or_insert(Rung::Eof);
            }
            (EventKind::SignalReceived { signal }, Source::Mock { server, incarnation }) if signal == TERM => {
                let before = self.servers.insert((server.clone(), *incarnation), Rung::Asked);
                if matches!(before, Some(Rung::Eof | Rung::Other(_))) {
                    tally.held();
                }
            }
            (EventKind::SignalReceived { .. }, Source::Mock { server, incarnation }) => {
                let rung = self.servers.entry((server.clone(), *incarnation)).or_insert(Rung::Asked);
                if *rung == Rung::Eof {
                    *rung = Rung::Other(event.seq);
                }
            }
            (EventKind::MockEnding { .. }, Source::Mock { server, incarnation }) => {
                self.servers.insert((server.clone(), *incarnation), Rung::Asked);
            }
            (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, farewell }, _) => {
                let rung = self.servers.swap_remove(&(server.clone(), *incarnation));
                let is_judged = !farewell && view.ending().is_none() && is_judged(view, server);
                let killed = format!("server {server} was killed at {}", event.seq);
                match rung.filter(|_| is_judged) {
                    Some(Rung::Eof) => {
                        let because = format!("{killed} and had received no signal before");
                        tally.broken(Violation::new("unasked", because, &[event.seq]).of_link());
                    }
                    Some(Rung::Other(other)) => {
                        let because = format!("{killed} and had received another signal at {other}, and no SIGTERM");
                        tally.broken(Violation::new("other-signal", because, &[other, event.seq]).of_link());
                    }
                    Some(Rung::Asked) | None => {}
                }
            }
            _ => {}
        }
    }
}

/// Least time between two steps of the shutdown.
const TIME_TO_END_US: u64 = 20_000;

/// Counter-examples: A signal to the program's whole process group reaches its servers as well. EOF and a signal reach
/// the mock over two paths, so `eof-before-signal` judges a signal that comes first. A server that began to end was not
/// killed. A mock that the machine kept waiting journals a signal late.
pub(super) const TIME_BEFORE_SIGNAL: Invariant = Invariant {
    id: "time-before-signal",
    property: Property::Safety,
    level: Level::Should,
    claim: "a server gets time to exit between EOF and a signal, and between a signal and its kill",
    source: "2025-11-25, basic/lifecycle, Shutdown, stdio; the same in all revisions",
    requirement: &["LC-STD-07", "LC-STD-09"],
    applies: AppliesTo::STDIO,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireEof, Kind::SignalReceived, Kind::MockEnding, Kind::LinkClosed],
    hears: Hears::ALL,
    vacuous: "no server got a signal after its stdin had closed",
    explain: "The client closed the server's stdin and sent the signal at once, or sent SIGTERM and killed the server \
        at once. A server that needs a moment to write its data cannot finish, and may leave a damaged file of the \
        user behind.\n\n\
        Look at the time between the two witnesses. To fix it, wait for the process between two steps.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(LadderTimes::default()) },
};

/// The newest step of each server's shutdown, by server and incarnation.
#[derive(Default)]
struct LadderTimes {
    ended: Table<(String, u32), (Seq, u64)>,
    asked: Table<(String, u32), (Seq, u64, String)>,
}

impl Monitor for LadderTimes {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, &event.source) {
            (EventKind::WireEof { .. }, Source::Mock { server, incarnation }) => {
                self.ended.insert((server.clone(), *incarnation), (event.seq, event.at_us));
            }
            (EventKind::SignalReceived { signal }, Source::Mock { server, incarnation }) => {
                let key = (server.clone(), *incarnation);
                if view.ending().is_none() && is_judged(view, server) {
                    self.asked.insert(key.clone(), (event.seq, event.at_us, signal.clone()));
                }
                let Some((eof, at_us)) = self.ended.swap_remove(&key) else { return };
                if event.at_us >= at_us + TIME_TO_END_US {
                    tally.held();
                } else if view.ending().is_none() && is_judged(view, server) {
                    let because = format!(
                        "server {server} received SIG{signal} at {}, {} ms after its input had ended at {eof}",
                        event.seq,
                        event.at_us.saturating_sub(at_us) / 1_000
                    );
                    tally.broken(Violation::new("at-once", because, &[eof, event.seq]));
                }
            }
            (EventKind::MockEnding { .. }, Source::Mock { server, incarnation }) => {
                self.asked.swap_remove(&(server.clone(), *incarnation));
            }
            (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, farewell }, _) => {
                let key = (server.clone(), *incarnation);
                self.ended.swap_remove(&key);
                let asked = self.asked.swap_remove(&key).filter(|_| !farewell);
                if let Some(asked) = asked.filter(|_| view.ending().is_none() && is_judged(view, server)) {
                    killed(event, server, &asked, tally);
                }
            }
            _ => {}
        }
    }
}

/// Judges the kill of a server that had got a signal.
fn killed(event: &Event, server: &str, (asked, at_us, signal): &(Seq, u64, String), tally: &mut Tally) {
    let waited = event.at_us.saturating_sub(*at_us);
    if waited >= TIME_TO_END_US {
        return tally.held();
    }
    let because = format!(
        "server {server} was killed at {}, {} ms after it had received SIG{signal} at {asked}",
        event.seq,
        waited / 1_000
    );
    let lacks = Duration::from_micros(TIME_TO_END_US - waited);
    tally.broken(Violation::new("killed-at-once", because, &[*asked, event.seq]).of_lateness(lacks));
}
