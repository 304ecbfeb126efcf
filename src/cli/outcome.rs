//! Exit codes, and errors a user can mend.

use std::io;
use std::path::Path;
use std::process::ExitCode;

use annotate_snippets::{AnnotationKind, Level, Renderer, Snippet};

use crate::catalogue::CacheError;
use crate::cli::print::complain;
use crate::plan::{InputError, read_text};

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

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CliError {
    /// A file that a user wrote is wrong.
    #[error(transparent)]
    Input(#[from] InputError),
    /// An argument names something that does not exist, or contradicts another.
    #[error("{message}")]
    Usage {
        /// What was found and what was expected.
        message: String,
    },
    /// The cache can not be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// The system refused something before anything ran.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
}

impl CliError {
    /// A usage error.
    pub(super) fn usage(message: impl Into<String>) -> Self {
        Self::Usage { message: message.into() }
    }

    /// A refusal of the system.
    pub(super) fn system(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what: what.into(), source }
    }

    /// The exit code this error leads to.
    #[must_use]
    pub fn reason(&self) -> ExitReason {
        match self {
            Self::Input(_) | Self::Usage { .. } => ExitReason::BadInput,
            Self::Cache(_) | Self::System { .. } => ExitReason::Inconclusive,
        }
    }

    /// Prints the error; one with a position points into its file.
    pub(super) fn print(&self) {
        let pointed = match self {
            Self::Input(error) => point_into(error).map(|pointed| format!("\n{}", pointed.trim_end())),
            Self::Usage { .. } | Self::Cache(_) | Self::System { .. } => None,
        };
        complain(format_args!("{self}{}", pointed.unwrap_or_default()));
    }
}

/// The place in the file, as a person sees it; nothing where the file is not at hand.
fn point_into(error: &InputError) -> Option<String> {
    let text = read_text(Path::new(&error.file)).ok()?;
    let line_start: usize = text.split_inclusive('\n').take(error.line.checked_sub(1)?).map(str::len).sum();
    let line = text.get(line_start..)?.lines().next()?;
    let columns = line.char_indices().map(|(offset, _)| offset).chain([line.len()]);
    let start = line_start + columns.clone().nth(error.column.saturating_sub(1)).unwrap_or(line.len());
    let end = line_start + columns.clone().nth(error.column.max(1)).unwrap_or(line.len());
    let place = AnnotationKind::Primary.span(start..end.max(start));
    let snippet = Snippet::source(&text).path(&error.file).annotation(place);
    let report = [Level::NOTE.primary_title("in this place").element(snippet)];
    Some(format!("{}\n", Renderer::plain().render(&report)))
}
