//! How one step, and all steps, of a scenario end.

use crate::drive::context::Context;
use crate::drive::operation::Waited;
use crate::history::EventKind;

/// How all steps ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StepsEnd {
    /// The driver carried out all of them.
    Done {
        /// Whether a step has asked the program to end.
        exiting: bool,
    },
    /// An operation passed its limit.
    Overdue,
    /// The loader's process is gone too early, or the experiment is broken.
    Lost,
}

/// How one step ended.
pub(super) enum StepEnd {
    /// The next step follows.
    GoOn,
    /// The step has asked the program to end.
    Exiting,
    /// No further step can follow.
    Stop(StepsEnd),
}

/// How a step ends after the wait for its operation.
pub(super) fn go_on_after(waited: Waited) -> StepEnd {
    match waited {
        Waited::Completed | Waited::InFlight | Waited::Invoked => StepEnd::GoOn,
        Waited::Overdue | Waited::Blocked => StepEnd::Stop(StepsEnd::Overdue),
        Waited::Lost => StepEnd::Stop(StepsEnd::Lost),
    }
}

/// Records why a step is skipped.
pub(super) fn skip(context: Context<'_>, step: u32, because: impl Into<String>) -> StepEnd {
    context.note(EventKind::StepSkipped { step, because: because.into() });
    StepEnd::GoOn
}
