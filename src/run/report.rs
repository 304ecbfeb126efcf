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

/// A report in some formats.
pub struct Written {
    /// The texts, by name of the format.
    pub texts: BTreeMap<&'static str, String>,
    /// The files that could not be written, each with the system's reason.
    pub unwritten: Vec<String>,
}

/// Writes a report into a folder in each of these formats, each file whole or not at all. A file that cannot be written changes
/// nothing else: the texts are there to be printed.
///
/// # Errors
/// When a format cannot be rendered.
pub fn write_reports(
    folder: &Path,
    report: &RunReport,
    formats: impl IntoIterator<Item = &'static Format>,
) -> Result<Written, RunError> {
    let mut written = Written { texts: BTreeMap::new(), unwritten: Vec::new() };
    for format in formats {
        let text = (format.render)(report).map_err(RunError::system(format.file))?;
        let path = folder.join(format.file);
        if let Err(error) = write_whole(&path, format!("{}\n", text.trim_end()).as_bytes()) {
            written.unwritten.push(format!("{}: {error}", path.display()));
        }
        written.texts.insert(format.name, text);
    }
    Ok(written)
}
