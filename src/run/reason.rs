//! Why a run ends as it does.

use std::process::ExitCode;

/// Why the command ends as it does; contract: 0 conforms, 1 violations, 2 bad input, 3 inconclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitReason {
    /// Nothing to complain of.
    Conforms,
    /// A Fail outside the baseline, a stale baseline entry, or a Warn under `--strict`.
    Violations,
    /// Found before anything ran.
    BadInput,
    /// Something that was selected could not be judged.
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
