//! The end of a program that the driver asks to exit, or that a signal ends.

use crate::check::combinator::{Obligation, once_then};
use crate::check::{AppliesTo, Hears, Invariant, Level, Monitor, Property, Tally, View, Violation, Witness};
use crate::history::{Action, Event, EventKind, Header, Kind, Seq, Source};
use crate::plan::Promise;

/// Counter-examples: A load that was running when the exit was requested may have a server that is still starting. So may a
/// load that was cancelled or failed before, unless a load or a cleanup has succeeded since.
pub(super) const EXIT_OPENS_NOTHING: Invariant = Invariant {
    id: "exit-opens-nothing",
    property: Property::Safety,
    level: Level::Own,
    claim: "no connection is opened after the request to exit",
    source: "VG-15: a program that exits opens nothing",
    requirement: &["VG-15"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ExitRequested, Kind::SignalSent, Kind::ConnectionOpened, Kind::ProcessExited],
    hears: Hears::ALL,
    vacuous: "there was no request to exit while no operation ran",
    explain: "The loader connected to a server while the program was ending, by itself or after a signal. Exit \
        handlers that load in order to close, and watchers that restart a server during the exit, leave servers \
        without an owner.\n\n\
        Look at which connection ended just before. To fix it, do as for `cleanup-opens-nothing`: the code that \
        restarts servers must know that the program ends.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(OpenedAtExit::default()) },
};

#[derive(Default)]
struct OpenedAtExit {
    asked: Option<Seq>,
}

impl Monitor for OpenedAtExit {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, self.asked) {
            (EventKind::ExitRequested {}, None) => self.begin(event, view),
            (EventKind::SignalSent { target, .. }, None) if target == "loader" => self.begin(event, view),
            (EventKind::ConnectionOpened { connection }, Some(asked)) => {
                let because = format!(
                    "connection {connection} was opened at {}, after the end was requested at {asked}",
                    event.seq
                );
                tally.broken(Violation::new("opened", because, &[asked, event.seq]));
            }
            (EventKind::ProcessExited { role, .. }, Some(_)) if role == "loader" => {
                self.asked = None;
                tally.held();
            }
            _ => {}
        }
    }
}

impl OpenedAtExit {
    fn begin(&mut self, event: &Event, view: &View) {
        let is_busy =
            view.operations().any(|operation| operation.action != Action::Probe) || view.in_force().has_failed();
        self.asked = (!is_busy && view.loader_exited().is_none()).then_some(event.seq);
    }
}

/// Counter-examples: A program that also got a signal has more to do. An interpreter takes seconds to exit on a busy
/// machine, so only a time near the whole limit counts, without the time for which the program waited for a processor.
pub(super) const EXIT_PROMPT_AFTER_CLEANUP: Invariant = Invariant {
    id: "exit-prompt-after-cleanup",
    property: Property::Liveness,
    level: Level::OwnResource,
    claim: "after cleanup the program exits without delay",
    source: "VG-14: a process that is kept alive after its work is done is as bad as one that hangs",
    requirement: &["VG-14"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ExitRequested, Kind::SignalSent, Kind::SampleTaken, Kind::ProcessExited],
    hears: Hears::ALL,
    vacuous: "there was no request to exit after a successful cleanup",
    explain: "All sessions were closed, and the program still took seconds to exit. It waited for a thread that is \
        joined at exit, a connection pool that drains, or a timer that was not cancelled. Users see a command that has \
        finished its work and does not return. Time for which the program waited for a processor does not count.\n\n\
        Look at which threads were alive at the end. To fix it, end everything that was started for sessions in \
        cleanup, not at exit.",
    start: |_: &Header| -> Box<dyn Monitor> { Box::new(PromptExit::default()) },
};

#[derive(Default)]
struct PromptExit {
    asked: Option<(Seq, u64)>,
    /// For how long the program had waited for a processor by the last sample.
    waited_us: u64,
}

impl Monitor for PromptExit {
    fn see(&mut self, event: &Event, view: &View, tally: &mut Tally) {
        match (&event.kind, &event.source) {
            (EventKind::ExitRequested {}, _) => {
                let is_idle = view.closed().is_some() && view.operations().next().is_none();
                self.asked = (is_idle && view.signalled().is_none()).then_some((event.seq, event.at_us));
            }
            (EventKind::SignalSent { .. }, _) => self.asked = None,
            (EventKind::SampleTaken { waited_us: Some(waited_us), .. }, _) => self.waited_us = *waited_us,
            (EventKind::ProcessExited { role, waited_us, .. }, Source::System) if role == "loader" => {
                let Some((asked, at_us)) = self.asked.take() else { return };
                let limit = view.limits().exit * 3 / 4;
                let took_us = event.at_us.saturating_sub(at_us);
                // Since the last sample, it may have waited before the exit as well. The other order acquits.
                let waited_us = waited_us.unwrap_or_default().saturating_sub(self.waited_us);
                let own_us = took_us.saturating_sub(waited_us);
                if u128::from(own_us) <= limit.as_micros() {
                    tally.held();
                    return;
                }
                let because = format!(
                    "the program took {} ms to end, from {asked} to {}, although everything was closed",
                    took_us / 1_000,
                    event.seq
                );
                tally.broken(Violation::new("late", because, &[asked, event.seq]).of_bound(limit));
            }
            _ => {}
        }
    }
}

/// Counter-examples: A program cannot react to KILL, so only INT, TERM and HUP are judged. What a server has started is judged as
/// `nothing-survives` judges it.
pub(super) const SIGNAL_ENDS_PROCESS: Invariant = Invariant {
    id: "signal-ends-process",
    property: Property::Liveness,
    level: Level::Own,
    claim: "SIGINT, SIGTERM or SIGHUP ends the program within its bound and leaves no process behind",
    source: "VG-09: SIGINT or SIGTERM ends the process within its bound, with nothing left",
    requirement: &["VG-09"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::SignalSent, Kind::ProcessExited, Kind::ProcessOrphan, Kind::LimitHit],
    hears: Hears::ALL,
    vacuous: "no signal was sent to the program",
    explain: "Ctrl-C, a service manager or a closed terminal asked the program to end, and the program stayed alive \
        or left its servers behind. The usual reasons are a patched event loop that swallows the interrupt, a \
        non-daemon thread that waits for a queue, and an exit handler that waits for a dead loop.\n\n\
        Look at the stacks, taken before the kill: for which thread does the program wait? To fix it, turn the \
        signal into a cleanup with a bound, and make every background thread end with it.",
    start: |_: &Header| -> Box<dyn Monitor> { once_then("the end of the program after the signal", signalled) },
};

fn signalled(event: &Event, view: &View, since: Option<Seq>) -> Obligation {
    match (&event.kind, since) {
        (EventKind::SignalSent { signal, target }, _) => {
            let is_request_to_end = target == "loader" && matches!(signal.as_str(), "INT" | "TERM" | "HUP");
            if is_request_to_end && view.loader_exited().is_none() { Obligation::Opens } else { Obligation::Unrelated }
        }
        (EventKind::ProcessExited { role, .. }, Some(_)) if role == "loader" => Obligation::Meets,
        (EventKind::ProcessOrphan { role, .. }, Some(_))
            if view.is_left_by_its_server(role) && !view.promises().closes_children =>
        {
            Obligation::Unrelated
        }
        (EventKind::ProcessOrphan { process, role, .. }, Some(signal)) => {
            let because =
                format!("the program was signalled at {signal}, and {process} ({role}) was left at {}", event.seq);
            let violation = Violation::new("orphan-left", because, &[signal, event.seq]);
            let is_owed = view.promises().closes_children || !role.starts_with("child:");
            Obligation::Breaks(if is_owed { violation } else { violation.as_warning() })
        }
        (EventKind::LimitHit { limit, .. }, Some(signal)) if limit == "exit" && view.loader_exited().is_none() => {
            let bound = view.limits().exit;
            let because = format!(
                "the program was signalled at {signal} and had not ended within {} ms at {}",
                bound.as_millis(),
                event.seq
            );
            Obligation::Breaks(Violation::new("still-alive", because, &[signal, event.seq]).of_bound(bound))
        }
        _ => Obligation::Unrelated,
    }
}

/// Counter-example: a program may exit with any exit code; only a crash, or no exit at all, counts.
pub(super) const EXIT_COMPLETES: Invariant = Invariant {
    id: "exit-completes",
    property: Property::Liveness,
    level: Level::Own,
    claim: "after the request to exit the program exits within its bound, and does not crash",
    source: "VG-14: a process that is kept alive after its work is done is as bad as one that hangs",
    requirement: &["VG-14"],
    applies: AppliesTo::ALL,
    needs: Promise::None,
    witness: Witness::Always,
    kinds: &[Kind::ExitRequested, Kind::SignalSent, Kind::ProcessExited, Kind::LimitHit],
    hears: Hears::ALL,
    vacuous: "there was no request to exit, or a signal was sent as well",
    explain: "The program left its main function and its process stayed: a thread, a timer or a pipe of a child kept \
        it alive, or an exit handler waited for a loop that was closed before it ran. In CI that is a job that times \
        out with an empty log.\n\n\
        Look at the stacks. To fix it, close sessions before the loop ends, put a bound on exit handlers, and leave \
        no non-daemon threads behind.",
    start: |_: &Header| -> Box<dyn Monitor> { once_then("the end of the program", exit_requested) },
};

fn exit_requested(event: &Event, view: &View, since: Option<Seq>) -> Obligation {
    match (&event.kind, since) {
        (EventKind::ExitRequested {}, _) if view.signalled().is_none() && view.loader_exited().is_none() => {
            Obligation::Opens
        }
        (EventKind::SignalSent { target, .. }, Some(_)) if target == "loader" => Obligation::Waives,
        (EventKind::ProcessExited { role, signal, .. }, Some(asked)) if role == "loader" => match signal.as_deref() {
            Some(signal @ ("ABRT" | "SEGV" | "BUS" | "ILL" | "FPE")) if view.signalled().is_none() => {
                let because =
                    format!("the program was asked to end at {asked} and crashed with SIG{signal} at {}", event.seq);
                Obligation::Breaks(Violation::new("crashed", because, &[asked, event.seq]))
            }
            Some(_) | None => Obligation::Meets,
        },
        (EventKind::LimitHit { limit, .. }, Some(asked))
            if limit == "exit" && view.signalled().is_none() && view.loader_exited().is_none() =>
        {
            let bound = view.limits().exit;
            let because = format!(
                "the program was asked to end at {asked} and had not ended within {} ms at {}",
                bound.as_millis(),
                event.seq
            );
            Obligation::Breaks(Violation::new("still-alive", because, &[asked, event.seq]).of_bound(bound))
        }
        _ => Obligation::Unrelated,
    }
}
