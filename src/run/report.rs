//! The report on a run, and its files.

use std::collections::BTreeMap;
use std::path::Path;

use crate::catalogue::write_whole;
use crate::check::LifetimeTally;
use crate::report::{Format, Matrix, ModeRow, RunReport};
use crate::run::RunError;
use crate::run::plan::Finished;

/// The report on plans that are over.
pub fn report_of(finished: Vec<Finished>, interrupted: bool) -> RunReport {
    let modes = modes_of(&finished);
    let mut matrix = Matrix::default();
    for one in &finished {
        matrix.add(&one.row, &one.verdicts);
    }
    let plans = finished.into_iter().map(|one| one.row).collect();
    RunReport { modes, matrix, ..RunReport::of(plans, interrupted) }
}

/// The session lifetime of each loader, over all its plans.
fn modes_of(finished: &[Finished]) -> BTreeMap<String, ModeRow> {
    let mut seen: BTreeMap<&str, (LifetimeTally, bool)> = BTreeMap::new();
    for (row, mode) in finished.iter().filter_map(|one| Some((&one.row, one.mode.as_ref()?))) {
        let (tally, is_declared) = seen.entry(&row.loader).or_insert((LifetimeTally::default(), true));
        *tally = tally.and(mode.tally);
        *is_declared &= mode.is_declared;
    }
    seen.into_iter().map(|(loader, (tally, declared))| (loader.to_owned(), ModeRow::new(&tally, declared))).collect()
}

/// Writes a report into a folder in each of these formats, each file whole or not at all. Returns the texts by name of the format.
///
/// # Errors
/// When a format cannot be rendered, or a file cannot be written.
pub fn write_reports(
    folder: &Path,
    report: &RunReport,
    formats: impl IntoIterator<Item = &'static Format>,
) -> Result<BTreeMap<&'static str, String>, RunError> {
    let mut written = BTreeMap::new();
    for format in formats {
        let text = (format.render)(report).map_err(RunError::system(format.file))?;
        let path = folder.join(format.file);
        write_whole(&path, format!("{}\n", text.trim_end()).as_bytes())
            .map_err(RunError::system(path.display().to_string()))?;
        written.insert(format.name, text);
    }
    Ok(written)
}
