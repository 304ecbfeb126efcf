//! The end of a program that the harness starts and watches: a conformance client or an application.

use crate::check::combinator::{Judged, each};
use crate::check::parts::parts;
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{ConnectionId, Event, EventKind, Header, Kind, Message, Name, Seq, Table};
use crate::plan::Promise;

/// Counter-examples: An application may let the signal end it, or catch the signal and exit with 0 or with 128 plus its
/// number: each is right after a signal. An application that has done its work may exit with 0 before the driver asks.
/// No monitor gets the events that follow a kill by the harness.
pub(super) const ENDS_AS_ASKED: Invariant = Invariant {
    id: "ends-as-asked",
    property: Property::Safety,
    level: Level::Own,
    claim: "the application ends with success, or by the signal that requested its end",
    source: "VG-11 and VG-14: the program does not crash, and its exit status is right",
    requirement: &["VG-11", "VG-14"],
    applies: AppliesTo::ALL.of_applications(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SignalSent, Kind::ProcessExited],
    hears: Hears::ALL,
    vacuous: "the application did not end by itself",
    explain: "The application exited with a status that reports a failure, or a signal ended it that the harness had \
        not sent. After Ctrl-C a program may end by SIGINT, or exit with status 0 or 130; anything else is an error in \
        its cleanup, or a crash.\n\n\
        Look at the end of stderr.txt. ABRT is a panic or a failed assertion, SEGV a crash.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let status = header.application().and_then(|application| application.status);
        Box::new(ExpectedEnd { status, asked: Vec::new() })
    },
};

struct ExpectedEnd {
    /// The exit status that the plan expects.
    status: Option<i32>,
    /// Signals that asked for the end, each with its event.
    asked: Vec<(String, Seq)>,
}

impl Monitor for ExpectedEnd {
    fn see(&mut self, event: &Event, _view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::SignalSent { signal, target } if target == "loader" => {
                self.asked.push((signal.clone(), event.seq));
            }
            EventKind::ProcessExited { role, code, signal, .. } if role == "loader" => {
                if self.is_right(*code, signal.as_deref()) {
                    return tally.held();
                }
                let how = match (code, signal) {
                    (Some(code), _) => format!("with status {code}"),
                    (None, Some(signal)) => format!("by SIG{signal}"),
                    (None, None) => "in an unknown way".to_owned(),
                };
                let mut witness: Vec<Seq> = self.asked.iter().map(|(_, seq)| *seq).collect();
                witness.push(event.seq);
                let because =
                    format!("the application ended {how} at {}, {}", event.seq, self.expected(code.is_some()));
                tally.broken(Violation::new("other-end", because, &witness));
            }
            _ => {}
        }
    }
}

impl ExpectedEnd {
    fn is_right(&self, code: Option<i32>, signal: Option<&str>) -> bool {
        let is_of_asked =
            |code: i32| self.asked.iter().any(|(asked, _)| number(asked).is_some_and(|n| code == 128 + n));
        match (self.status, code, signal) {
            (Some(expected), found, _) => found == Some(expected),
            (None, Some(code), _) => code == 0 || is_of_asked(code),
            (None, None, Some(signal)) => self.asked.iter().any(|(asked, _)| asked == signal),
            (None, None, None) => false,
        }
    }

    fn expected(&self, has_status: bool) -> String {
        match (self.status, self.asked.first()) {
            (Some(status), _) => format!("expected status {status}"),
            (None, None) if has_status => "expected status 0".to_owned(),
            (None, None) => "and the harness had sent no signal".to_owned(),
            (None, Some((signal, at))) => format!("expected status 0 or the end by SIG{signal} of {at}"),
        }
    }
}

/// The number of a signal that asks for an end; the same on every system.
fn number(signal: &str) -> Option<i32> {
    [("HUP", 1), ("INT", 2), ("TERM", 15)].into_iter().find(|(name, _)| *name == signal).map(|(_, number)| number)
}

/// Counter-example: a client that a signal ended has no exit status; `ended-by-no-signal` judges it.
pub(super) const EXITS_WITH_SUCCESS: Invariant = Invariant {
    id: "exits-with-success",
    property: Property::Safety,
    level: Level::Own,
    claim: "the client exits with status 0",
    source: "VG-14: a program ends when its work is done, with a status that is right",
    requirement: &["VG-14"],
    applies: AppliesTo::ALL.of_clients(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ProcessExited],
    hears: Hears::ALL,
    vacuous: "the client did not exit by itself",
    explain: "The client exited with a status other than 0, so it reports a failure itself, even if all its messages \
        are correct.\n\n\
        Look at stderr.txt next to the history. The usual reason is an error in cleanup after everything has worked.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_status) },
};

fn judge_status(event: &Event, _view: &View) -> Judged {
    match &event.kind {
        EventKind::ProcessExited { role, code: Some(0), .. } if role == "loader" => Judged::Held,
        EventKind::ProcessExited { role, code: Some(code), .. } if role == "loader" => {
            let because = format!("the client exited with status {code} at {}", event.seq);
            Judged::Broken(Violation::new("other-status", because, &[event.seq]))
        }
        _ => Judged::Unrelated,
    }
}

/// Counter-example: no monitor gets the events that follow a kill by the harness.
pub(super) const ENDED_BY_NO_SIGNAL: Invariant = Invariant {
    id: "ended-by-no-signal",
    property: Property::Safety,
    level: Level::Own,
    claim: "no signal ends the client",
    source: "VG-11: the process does not crash",
    requirement: &["VG-11"],
    applies: AppliesTo::ALL.of_clients(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ProcessExited],
    hears: Hears::ALL,
    vacuous: "the client did not end",
    explain: "A signal that the harness did not send ended the client: the client crashed or aborted, or the system \
        killed it.\n\n\
        Look at the name of the signal. ABRT is a panic or a failed assertion, SEGV a crash, and KILL most often a \
        system that had run out of memory.",
    start: |_: &Header| -> Box<dyn Monitor> { each(judge_signal) },
};

fn judge_signal(event: &Event, _view: &View) -> Judged {
    match &event.kind {
        EventKind::ProcessExited { role, signal: Some(signal), .. } if role == "loader" => {
            let because = format!("the client was ended by SIG{signal} at {}", event.seq);
            Judged::Broken(Violation::new("signal", because, &[event.seq]))
        }
        EventKind::ProcessExited { role, .. } if role == "loader" => Judged::Held,
        _ => Judged::Unrelated,
    }
}

/// Counter-example: the machine may be slow. The user chose the limit, so the violation counts, and the reason mentions
/// the delay.
pub(super) const ENDS_IN_TIME: Invariant = Invariant {
    id: "ends-in-time",
    property: Property::Liveness,
    level: Level::Own,
    claim: "the client ends by itself within its limit",
    source: "VG-14: the program ends by itself",
    requirement: &["VG-14"],
    applies: AppliesTo::ALL.of_clients(),
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::WireReceived, Kind::WireSent, Kind::ProcessExited, Kind::LimitHit],
    hears: Hears::ALL,
    vacuous: "the harness ended the client for another reason",
    explain: "The client was still running when its limit had passed, and the harness ended it with every process \
        that it had started.\n\n\
        Look at what the harness waited for, and at the stacks in the history. If every request had been answered, \
        the client did not end by itself: an open stream, a timer or a thread that is joined keeps it alive.",
    start: |header: &Header| -> Box<dyn Monitor> {
        let expected = header.host.as_ref().map(|host| host.exchange.clone()).unwrap_or_default();
        Box::new(EndInTime { expected, open: Table::default() })
    },
};

struct EndInTime {
    /// Methods that have not arrived yet.
    expected: Vec<String>,
    /// Methods of requests without an answer.
    open: Table<(ConnectionId, Name), String>,
}

impl Monitor for EndInTime {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match &event.kind {
            EventKind::WireReceived { connection, message } => {
                for part in parts(message).iter() {
                    self.receive(connection, part);
                }
            }
            EventKind::WireSent { connection, message } => {
                for id in parts(message).iter().filter(|part| part.is_response()).filter_map(Message::id) {
                    self.open.swap_remove(&(connection.clone(), Name::from(id)));
                }
            }
            EventKind::ProcessExited { role, .. } if role == "loader" => tally.held(),
            EventKind::LimitHit { limit, because } if limit == "exit" => {
                let mut because = format!("{because} at {}; waited for {}", event.seq, self.awaited());
                let delay = view.longest_delay();
                if delay > view.limits().exit / 5 {
                    because
                        .push_str(&format!(" (the machine kept the supervisor waiting for {} ms)", delay.as_millis()));
                }
                tally.broken(Violation::new("still-there", because, &[event.seq]));
            }
            _ => {}
        }
    }
}

impl EndInTime {
    fn receive(&mut self, connection: &ConnectionId, message: &Message) {
        let Some(method) = message.method() else { return };
        self.expected.retain(|expected| expected != method);
        if let Some(id) = message.id() {
            self.open.insert((connection.clone(), Name::from(id)), method.to_owned());
        }
    }

    fn awaited(&self) -> String {
        match (self.open.values().next(), self.expected.first()) {
            (Some(method), _) => format!("the answer to {method}"),
            (None, Some(method)) => format!("{method} from the client"),
            (None, None) => "the end of the client: everything had been exchanged".to_owned(),
        }
    }
}
