//! How one step of a host's plan ends.

/// The result of a step.
pub(super) enum StepEnd {
    /// The driver carried out a step that waits for nothing.
    Done,
    /// The step saw what it waits for: this.
    Met(String),
    /// The step did not see what it waits for. The text says what it saw.
    Unmet(String),
    /// There is no process left to act on.
    Skipped(String),
    /// The experiment is over: interrupted, or broken.
    Lost,
}
