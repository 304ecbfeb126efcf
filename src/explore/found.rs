//! One finding of a campaign, with the smallest life that shows it.

use crate::explore::report::FoundRow;
use crate::plan::Scenario;
use crate::report::FindingRow;

/// A finding that is new to a campaign, and the life in which it was found.
#[derive(Debug, Clone)]
pub(super) struct Fresh {
    /// Position of the loader among those of the campaign.
    pub target: usize,
    pub life: Scenario,
    pub finding: FindingRow,
}

/// What identifies a finding within a campaign: the loader and the signature.
pub(super) type Key = (usize, String);

/// A finding with its smallest life.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its row of the report.
    pub row: FoundRow,
    /// The finding as text: the verdict, the reason and its events.
    pub text: String,
    /// The smallest life, as its file.
    pub scenario_text: String,
    /// The smallest life.
    pub life: Scenario,
}
