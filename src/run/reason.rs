//! The exit codes of the command.

use std::process::ExitCode;

/// Why the command ends. Each reason is an exit code: 0 conforms, 1 violations, 2 bad input, 3 inconclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// Every selected plan was judged, and no finding counts.
    Conforms,
    /// A Fail outside the baseline, a stale baseline entry, or a Warn under `--strict`.
    Violations,
    /// An argument or an input file is wrong. No plan ran.
    BadInput,
    /// A selected plan has no verdict.
    Inconclusive,
}

impl ExitReason {
    /// The exit code.
    #[must_use]
    pub fn code(self) -> ExitCode {
        ExitCode::from(self.number())
    }

    /// The exit code as a number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Conforms => 0,
            Self::Violations => 1,
            Self::BadInput => 2,
            Self::Inconclusive => 3,
        }
    }
}

impl From<ExitReason> for ExitCode {
    fn from(reason: ExitReason) -> Self {
        reason.code()
    }
}
