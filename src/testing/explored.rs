//! The result of an exploration, and why one fails a test.

use crate::explore::ExploreReport;
use crate::report::PlanRow;
use crate::run::RunError;

/// An exploration without a finding.
#[derive(Debug, Clone)]
pub struct Exploration {
    /// The lives in the regression files, which ran first.
    pub regressions: Vec<PlanRow>,
    /// The lives that were drawn. `None` where a repeated failure asked for one regression file alone.
    pub drawn: Option<ExploreReport>,
}

/// Why an exploration failed. Its text has each finding with its invariant, claim, reason and witness, and the smallest life that
/// shows it as the text of a scenario file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotExplored {
    /// The life in a regression file still shows a finding. No lives were drawn.
    #[error("loader {loader} does not keep its promises in a life that an earlier run found\n\n{text}")]
    Regression {
        /// Name of the loader.
        loader: String,
        /// The lives in the regression files.
        regressions: Vec<PlanRow>,
        /// The findings, as text.
        text: String,
    },
    /// A life that was drawn shows a finding.
    #[error("loader {loader} does not keep its promises in a life that was drawn at random\n\n{text}")]
    Found {
        /// Name of the loader.
        loader: String,
        /// The report on the lives that were drawn.
        report: Box<ExploreReport>,
        /// The findings, as text.
        text: String,
    },
    /// The life in a regression file has no verdict, or no life that was drawn has one.
    #[error("loader {loader} could not be judged\n\n{text}")]
    Inconclusive {
        /// Name of the loader.
        loader: String,
        /// The reasons, as text.
        text: String,
    },
    /// No life ran.
    #[error("the exploration cannot run: {0}")]
    NotRun(#[from] RunError),
}
