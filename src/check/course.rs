//! The course of the plan and its process: hello, signals, exit, faults, and failures of the experiment.

use std::time::Duration;

use crate::check::peers::method_of_alteration;
use crate::history::{Event, EventKind, Impact, Seq, Source};

/// What has happened so far to the plan and the loader's process. Each event is the first of its kind.
#[derive(Debug, Default)]
pub(super) struct Course {
    pub(super) ready: Option<Seq>,
    pub(super) ending: Option<Seq>,
    pub(super) signalled: Option<Seq>,
    /// The first SIGINT to the program, which a terminal sends to the whole process group.
    pub(super) interrupted: Option<Seq>,
    /// The latest event that only a living program can cause, and its time.
    pub(super) alive: Option<(Seq, u64)>,
    pub(super) loader_exited: Option<Seq>,
    pub(super) experiment_failed: Option<Seq>,
    pub(super) killed: Option<Seq>,
    pub(super) faulted: Option<Seq>,
    pub(super) longest_delay: Duration,
    pub(super) is_over: bool,
    pub(super) not_applicable: Option<String>,
}

/// Whether this event is a signal that asks the loader's process to end. KILL does not ask.
pub(super) fn is_end_signal(event: &Event) -> bool {
    matches!(&event.kind, EventKind::SignalSent { signal, target } if target == "loader" && signal != "KILL")
}

/// Whether only a living program can cause this event.
///
/// An exit with a code is the last act of a program that no signal has ended. A shell or a launcher reports by a code above 128 that
/// a signal has ended what it ran.
fn shows_life(event: &Event) -> bool {
    match &event.kind {
        EventKind::OperationStarted { .. } | EventKind::OperationCompleted { .. } => event.source == Source::Loader,
        EventKind::WireReceived { .. } | EventKind::HttpReceived { .. } => true,
        EventKind::ProcessExited { role, code, .. } => role == "loader" && code.is_some_and(|code| code <= 128),
        _ => false,
    }
}

impl Course {
    pub(super) fn see(&mut self, event: &Event) {
        let seq = event.seq;
        if shows_life(event) && self.alive.is_none_or(|(_, at_us)| at_us <= event.at_us) {
            self.alive = Some((seq, event.at_us));
        }
        match &event.kind {
            EventKind::LoaderReady { .. } => self.ready = Some(seq),
            EventKind::SignalSent { target, .. } if target == "loader" => {
                if is_end_signal(event) {
                    if matches!(&event.kind, EventKind::SignalSent { signal, .. } if signal == "INT") {
                        self.interrupted.get_or_insert(seq);
                    }
                    self.signalled.get_or_insert(seq);
                    self.ending.get_or_insert(seq);
                } else {
                    self.killed.get_or_insert(seq);
                }
            }
            EventKind::SignalSent { .. } => {
                self.faulted.get_or_insert(seq);
            }
            // An alteration counts once its answer shows that no conforming server may give it.
            EventKind::FaultDelivered { impairs: Impact::Answers | Impact::Connection, fault }
                if method_of_alteration(fault).is_none() =>
            {
                self.faulted.get_or_insert(seq);
            }
            EventKind::ExitRequested {} => {
                self.ending.get_or_insert(seq);
            }
            EventKind::ProcessExited { role, .. } if role == "loader" => {
                self.loader_exited.get_or_insert(seq);
            }
            EventKind::ExperimentFailed { .. } => {
                self.experiment_failed.get_or_insert(seq);
            }
            EventKind::LimitHit { limit, .. } if limit != "exit" => {
                self.experiment_failed.get_or_insert(seq);
            }
            EventKind::SchedulingDelayed { delay_us } => {
                self.longest_delay = self.longest_delay.max(Duration::from_micros(*delay_us));
            }
            EventKind::PlanNotApplicable { because } => self.not_applicable = Some(because.clone()),
            EventKind::PlanEnded {} => self.is_over = true,
            _ => {}
        }
    }
}
