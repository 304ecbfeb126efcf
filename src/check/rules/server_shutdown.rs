//! Server shutdown: the order of EOF, SIGTERM and SIGKILL.
//!
//! A signal to the program may end its servers without it: a terminal signals the whole process group, and the system
//! signals or kills the child of a parent that dies. So behind a signal to the program, an act against a server counts only if a
//! later event shows that the program was still alive.

use std::time::Duration;

use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{Event, EventKind, Header, Kind, LinkPeer, Seq, Source, Table};
use crate::plan::Promise;

/// EOF and a signal reach a mock over two paths; within this time their order in its journal proves nothing.
const SAME_MOMENT_US: u64 = 5_000;
/// Least time from an act against a server to the event that shows a signalled program alive. The death of a program and the end of its
/// servers reach the history over different paths.
const ALIVE_FOR_US: u64 = 100_000;

/// Counter-examples: A signal to the program's whole process group reaches its servers as well. The system may kill the
/// children of a program that exits before they have read their EOF. A client may
/// end a server that a script made misbehave in any way. A mock that loses its recorder ends without a last event. A
/// mock may journal EOF and SIGTERM of the same moment in either order. A mock that the machine keeps waiting may be killed
/// before it has journalled EOF.
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
    suspects: Suspects,
}

#[derive(Default)]
struct ShutdownProgress {
    has_eof: bool,
    is_ending: bool,
    signal: Option<EarlySignal>,
}

/// A signal to a server whose stdin was open.
struct EarlySignal {
    seq: Seq,
    at_us: u64,
    signal: String,
    whose: Whose,
}

/// Who has acted against a server.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Whose {
    /// The program.
    Program,
    /// The program, if it was still alive afterwards.
    ProgramIfAlive,
    /// Perhaps the system, the terminal, or a script.
    Anyone,
}

impl Whose {
    /// Who has sent a signal to a server, or killed it.
    fn of(view: &View, server: &str, signal: &str) -> Self {
        let is_of_terminal = signal == INTERRUPT && view.course.interrupted.is_some();
        if view.loader_exited().is_some() || is_of_terminal || !view.is_healthy(server) {
            Self::Anyone
        } else if view.signalled().is_some() {
            Self::ProgramIfAlive
        } else {
            Self::Program
        }
    }

    /// The same for a step behind the first one. A program that was requested to exit owes no pause.
    fn of_step(view: &View, server: &str, signal: &str) -> Self {
        match Self::of(view, server, signal) {
            Self::Program if view.ending().is_some() => Self::Anyone,
            whose => whose,
        }
    }

    /// The same for a kill, which the system may do as soon as the program was requested to exit.
    fn of_kill(view: &View, server: &str) -> Self {
        Self::of_step(view, server, KILL)
    }
}

/// Violations behind a signal to the program, each with its time.
#[derive(Default)]
struct Suspects(Vec<(u64, Violation)>);

impl Suspects {
    /// Takes the violation of an act that happened at this time.
    fn take(&mut self, violation: Violation, at_us: u64, whose: Whose, tally: &mut Tally) {
        match whose {
            Whose::Program => tally.broken(violation),
            Whose::ProgramIfAlive => self.0.push((at_us, violation)),
            Whose::Anyone => {}
        }
    }

    /// Judges them by the last event that shows the program alive.
    fn end(&self, view: &View, tally: &mut Tally) {
        let Some((alive, alive_us)) = view.course.alive else { return };
        for (at_us, violation) in &self.0 {
            let over_us = alive_us.saturating_sub(*at_us);
            if over_us >= ALIVE_FOR_US {
                let shown = violation.clone().shown_by(alive, "the signalled program was still alive");
                tally.broken(shown.of_lateness(Duration::from_micros(over_us)));
            }
        }
    }
}

impl Monitor for InputClosedFirst {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, &event.source) {
            (EventKind::WireEof { .. }, Source::Mock { server, incarnation }) => {
                let progress = self.progress(server, *incarnation);
                progress.has_eof = true;
                match progress.signal.take() {
                    Some(early) if event.at_us > early.at_us + SAME_MOMENT_US => {
                        self.signalled_first(server, early, tally);
                    }
                    Some(_) | None => tally.held(),
                }
            }
            (EventKind::SignalReceived { signal }, Source::Mock { server, incarnation }) => {
                let whose = Whose::of(view, server, signal);
                let progress = self.progress(server, *incarnation);
                if !progress.has_eof && whose != Whose::Anyone {
                    let (seq, at_us, signal) = (event.seq, event.at_us, signal.clone());
                    progress.signal.get_or_insert(EarlySignal { seq, at_us, signal, whose });
                }
            }
            (EventKind::MockEnding { .. }, Source::Mock { server, incarnation }) => {
                let progress = self.progress(server, *incarnation);
                progress.is_ending = true;
                if let Some(early) = progress.signal.take() {
                    self.signalled_first(server, early, tally);
                }
            }
            (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, farewell }, _) => {
                let progress = self.servers.swap_remove(&(server.clone(), *incarnation)).unwrap_or_default();
                let is_killed = !farewell && !progress.is_ending && !progress.has_eof;
                if let Some(early) = progress.signal {
                    self.signalled_first(server, early, tally);
                } else if is_killed {
                    let because =
                        format!("server {server} was killed at {} and its stdin had not been closed", event.seq);
                    let violation = Violation::new("killed-without-eof", because, &[event.seq]);
                    let whose = Whose::of_kill(view, server);
                    self.suspects.take(unheard(violation, None, event.at_us), event.at_us, whose, tally);
                }
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        self.suspects.end(view, tally);
        let early = self.servers.iter().filter_map(|((server, _), progress)| Some((server, progress.signal.as_ref()?)));
        for (server, EarlySignal { seq, signal, .. }) in early.filter(|(_, early)| early.whose == Whose::Program) {
            // The server ignores the signal and has received no EOF yet. Only a whole history shows that none will come.
            tally.open(format!("server {server} had received SIG{signal} at {seq} and no EOF yet"), &[*seq]);
        }
    }
}

impl InputClosedFirst {
    fn progress(&mut self, server: &str, incarnation: u32) -> &mut ShutdownProgress {
        self.servers.entry((server.into(), incarnation)).or_default()
    }

    fn signalled_first(&mut self, server: &str, early: EarlySignal, tally: &mut Tally) {
        let EarlySignal { seq, at_us, signal, whose } = early;
        let because = format!("server {server} received SIG{signal} at {seq} and its stdin had not been closed");
        self.suspects.take(Violation::new("signal-without-eof", because, &[seq]), at_us, whose, tally);
    }
}

/// Longest time for which a mock that the machine keeps waiting is doubted. It is less than the least wait of the known clients
/// between SIGTERM and SIGKILL.
const UNHEARD_MAX_US: u64 = 200_000;

/// The violation of a kill that counts only if the mock had been able to report what came before the kill.
///
/// A client that sends SIGTERM in between and then waits has its kill recorded in the same way, if the machine keeps the mock waiting
/// for as long. The known clients wait as long after SIGTERM as before it. `last_us`: the time of the step before.
fn unheard(violation: Violation, last_us: Option<u64>, killed_us: u64) -> Violation {
    let half_us = last_us.map_or(UNHEARD_MAX_US, |last_us| killed_us.saturating_sub(last_us) / 2);
    violation.of_link().of_lateness(Duration::from_micros(half_us.min(UNHEARD_MAX_US)))
}

/// Counter-examples: After the end of the program, or a signal to it, the system may have killed the server. A client
/// may end a server that a script made misbehave in any way. A server may end because of any signal; only one that is killed
/// after it had outlived another signal has missed SIGTERM. A mock that the machine keeps waiting may be killed before it has
/// journalled SIGTERM.
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
/// The signal of a terminal, which every process of the group gets.
const INTERRUPT: &str = "INT";
/// The signal that no process can catch.
const KILL: &str = "KILL";

/// How far each server is in its shutdown, by server and incarnation.
#[derive(Default)]
struct ShutdownLadders {
    servers: Table<(String, u32), Rung>,
    suspects: Suspects,
}

#[derive(Clone, Copy)]
enum Rung {
    /// Its stdin was closed at this time.
    Eof(u64),
    /// Then it got a signal that is not SIGTERM, at this time.
    Other(Seq, u64),
    /// It got SIGTERM, or exits by itself.
    Asked,
}

impl Monitor for ShutdownLadders {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, &event.source) {
            (EventKind::WireEof { .. }, Source::Mock { server, incarnation }) => {
                self.servers.entry((server.clone(), *incarnation)).or_insert(Rung::Eof(event.at_us));
            }
            (EventKind::SignalReceived { signal }, Source::Mock { server, incarnation }) if signal == TERM => {
                let before = self.servers.insert((server.clone(), *incarnation), Rung::Asked);
                if matches!(before, Some(Rung::Eof(_) | Rung::Other(..))) {
                    tally.held();
                }
            }
            (EventKind::SignalReceived { .. }, Source::Mock { server, incarnation }) => {
                let rung = self.servers.entry((server.clone(), *incarnation)).or_insert(Rung::Asked);
                if matches!(rung, Rung::Eof(_)) {
                    *rung = Rung::Other(event.seq, event.at_us);
                }
            }
            (EventKind::MockEnding { .. }, Source::Mock { server, incarnation }) => {
                self.servers.insert((server.clone(), *incarnation), Rung::Asked);
            }
            (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, farewell }, _) => {
                let rung = self.servers.swap_remove(&(server.clone(), *incarnation));
                let killed = format!("server {server} was killed at {}", event.seq);
                let (violation, last_us) = match rung.filter(|_| !farewell) {
                    Some(Rung::Eof(at_us)) => {
                        let because = format!("{killed} and had received no signal before");
                        (Violation::new("unasked", because, &[event.seq]), at_us)
                    }
                    Some(Rung::Other(other, at_us)) => {
                        let because = format!("{killed} and had received another signal at {other}, and no SIGTERM");
                        (Violation::new("other-signal", because, &[other, event.seq]), at_us)
                    }
                    Some(Rung::Asked) | None => return,
                };
                let whose = Whose::of_kill(view, server);
                self.suspects.take(unheard(violation, Some(last_us), event.at_us), event.at_us, whose, tally);
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        self.suspects.end(view, tally);
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
    suspects: Suspects,
}

impl Monitor for LadderTimes {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, &event.source) {
            (EventKind::WireEof { .. }, Source::Mock { server, incarnation }) => {
                self.ended.insert((server.clone(), *incarnation), (event.seq, event.at_us));
            }
            (EventKind::SignalReceived { signal }, Source::Mock { server, incarnation }) => {
                let key = (server.clone(), *incarnation);
                let whose = Whose::of_step(view, server, signal);
                if whose != Whose::Anyone {
                    self.asked.insert(key.clone(), (event.seq, event.at_us, signal.clone()));
                }
                let Some((eof, at_us)) = self.ended.swap_remove(&key) else { return };
                if event.at_us >= at_us + TIME_TO_END_US {
                    return tally.held();
                }
                let because = format!(
                    "server {server} received SIG{signal} at {}, {} ms after its input had ended at {eof}",
                    event.seq,
                    event.at_us.saturating_sub(at_us) / 1_000
                );
                self.suspects.take(Violation::new("at-once", because, &[eof, event.seq]), event.at_us, whose, tally);
            }
            (EventKind::MockEnding { .. }, Source::Mock { server, incarnation }) => {
                self.asked.swap_remove(&(server.clone(), *incarnation));
            }
            (EventKind::LinkClosed { peer: LinkPeer::Mock { server, incarnation }, farewell }, _) => {
                let key = (server.clone(), *incarnation);
                self.ended.swap_remove(&key);
                let whose = Whose::of_kill(view, server);
                let asked = self.asked.swap_remove(&key).filter(|_| !farewell && whose != Whose::Anyone);
                match asked.map(|asked| killed(event, server, &asked)) {
                    Some(Some(violation)) => self.suspects.take(violation, event.at_us, whose, tally),
                    Some(None) => tally.held(),
                    None => {}
                }
            }
            _ => {}
        }
    }

    fn end(&self, view: &View, tally: &mut Tally) {
        self.suspects.end(view, tally);
    }
}

/// The violation of the kill of a server that had got a signal; `None` if it had time to end.
fn killed(event: &Event, server: &str, (asked, at_us, signal): &(Seq, u64, String)) -> Option<Violation> {
    let waited = event.at_us.saturating_sub(*at_us);
    let lacks = TIME_TO_END_US.checked_sub(waited).filter(|lacks| *lacks > 0)?;
    let because = format!(
        "server {server} was killed at {}, {} ms after it had received SIG{signal} at {asked}",
        event.seq,
        waited / 1_000
    );
    let violation = Violation::new("killed-at-once", because, &[*asked, event.seq]);
    Some(violation.of_link().of_lateness(Duration::from_micros(lacks)))
}
