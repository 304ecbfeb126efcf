//! Files that a run could not write, and secrets that it left out on purpose. Neither changes a verdict.

use std::collections::BTreeMap;

use mcp_lifecheck::foreign::REDACTED;
use mcp_lifecheck::report::RunReport;
use mcp_lifecheck::run::{ExitReason, RunError, RunFolder, Written};

use crate::print::complain;

/// Complains of a file that could not be written.
pub(crate) fn complain_of_loss(lost: &str) {
    complain(format_args!("not written: {lost}"));
}

/// Complains of every file of a run that could not be written: the folder once, else the reports, and the plans by reason.
pub(crate) fn complain_of_losses(report: &RunReport, folder: &RunFolder, written: &Written) {
    if let Some(because) = folder.lost() {
        return complain_of_loss(&format!("any result of this run: {because}"));
    }
    written.unwritten.iter().for_each(|lost| complain_of_loss(lost));
    let mut plans: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for plan in &report.plans {
        for (file, because) in &plan.unwritten {
            plans.entry(because).or_default().push(format!("{}/{file}", plan.id));
        }
    }
    for (because, files) in plans {
        let more = match files.len() {
            1 => String::new(),
            n_files => format!(" and {} more", n_files - 1),
        };
        complain_of_loss(&format!("{}{more}: {because}", files[0]));
    }
}

/// The exit of a run whose output was printed, or was not. A failure that was found stays one.
///
/// # Errors
/// When nothing could be printed of a run without a failure.
pub(crate) fn told(said: Result<(), RunError>, reason: ExitReason) -> Result<ExitReason, RunError> {
    match said {
        Err(error) if reason == ExitReason::Violations => {
            complain(format_args!("{error}"));
            Ok(reason)
        }
        said => said.map(|()| reason),
    }
}

/// One line about the secrets that files lost, by name of the file.
pub(crate) fn redacted_text(redacted: &BTreeMap<String, usize>) -> Option<String> {
    let files: Vec<String> = redacted.iter().map(|(file, n_secrets)| format!("{file} ({n_secrets})")).collect();
    (!files.is_empty()).then(|| format!("secrets left out, marked {REDACTED}: {}", files.join(", ")))
}

/// The same for all plans of a run.
pub(crate) fn redacted_in(report: &RunReport) -> Option<String> {
    let mut redacted: BTreeMap<String, usize> = BTreeMap::new();
    for (file, n_secrets) in report.plans.iter().flat_map(|plan| &plan.redacted) {
        *redacted.entry(file.clone()).or_default() += n_secrets;
    }
    redacted_text(&redacted)
}
