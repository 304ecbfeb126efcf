//! The program under test: its start, its signals and its end.

use std::time::Duration;

use crate::check::View;
use crate::history::Seq;

impl View {
    /// Whether the adapter has connected to the recorder.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.course.ready.is_some()
    }

    /// The request to exit or the signal that began the end of the program.
    #[must_use]
    pub fn ending(&self) -> Option<Seq> {
        self.course.ending
    }

    /// The first signal to the loader's process, other than KILL.
    #[must_use]
    pub fn signalled(&self) -> Option<Seq> {
        self.course.signalled
    }

    /// The exit of the loader's process.
    #[must_use]
    pub fn loader_exited(&self) -> Option<Seq> {
        self.course.loader_exited
    }

    /// The event at which the experiment failed or hit a limit of the harness.
    #[must_use]
    pub fn experiment_failed(&self) -> Option<Seq> {
        self.course.experiment_failed
    }

    /// Whether the harness killed the loader.
    #[must_use]
    pub fn is_killed(&self) -> bool {
        self.course.killed.is_some()
    }

    /// The longest time for which the machine delayed the supervisor.
    #[must_use]
    pub fn longest_delay(&self) -> Duration {
        self.course.longest_delay
    }

    /// Whether the history stops although the plan continued.
    #[must_use]
    pub fn is_cut_off(&self) -> bool {
        !self.course.is_over && !self.is_killed()
    }

    /// Why the plan was skipped, if it was.
    pub(super) fn not_applicable(&self) -> Option<&str> {
        self.course.not_applicable.as_deref()
    }
}
