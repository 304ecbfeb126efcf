//! Findings that are known, and are not told again.

use std::collections::BTreeSet;
use std::path::Path;

use serde::Deserialize;

use crate::explore::report::ExploreReport;
use crate::plan::{Baseline, BaselineEntry, InputError, read_text};
use crate::report::{FindingRow, PlanRow};
use crate::run::check_invariant;

/// The findings that are known before a campaign.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Those of a baseline. A life has no name that lasts, so an entry with an invariant is about every life.
    entries: Vec<BaselineEntry>,
    /// Those of an earlier campaign.
    signatures: BTreeSet<String>,
}

impl Known {
    /// Findings with these signatures, in every life.
    #[must_use]
    pub fn of_signatures(signatures: impl IntoIterator<Item = String>) -> Self {
        Self { signatures: signatures.into_iter().collect(), ..Self::default() }
    }

    /// Reads a baseline, or the `explore.json` of an earlier campaign.
    ///
    /// # Errors
    /// When the file is neither, or names an invariant that does not exist.
    pub fn read(path: &Path) -> Result<Self, InputError> {
        let (shown, text) = (path.display().to_string(), read_text(path)?);
        if text.trim_start().starts_with('{') {
            let mut parser = serde_json::Deserializer::from_str(&text);
            let report = ExploreReport::deserialize(&mut parser);
            let report = report.map_err(|error| InputError::json(&shown, 1, &error))?;
            let signatures = report.findings.into_iter().map(|found| found.signature);
            return Ok(Self { signatures: signatures.collect(), ..Self::default() });
        }
        let entries = Baseline::from_text(&shown, &text)?.entries;
        entries.iter().filter_map(|entry| entry.invariant.as_ref()).try_for_each(|id| check_invariant(&shown, id))?;
        Ok(Self { entries, ..Self::default() })
    }

    /// Whether a finding is known. `origin` is the scenario whose events a sweep varied.
    pub(super) fn has(&self, row: &PlanRow, finding: &FindingRow, origin: Option<&str>) -> bool {
        self.signatures.contains(&finding.signature)
            || self.entries.iter().any(|entry| {
                let scenario = match entry.invariant {
                    Some(_) => Some(entry.scenario.as_str()),
                    None => origin,
                };
                scenario.is_some_and(|scenario| entry.is_about(scenario, &row.transport, &row.server))
                    && entry.accepts(&finding.invariant)
            })
    }
}
