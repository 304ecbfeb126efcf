//! What a run came to, and how it is written.

use std::collections::BTreeMap;
use std::path::Path;

use crate::catalogue::write_whole;
use crate::check::ModeTally;
use crate::report::{Counts, Matrix, ModeRow, RunReport};
use crate::run::RunError;
use crate::run::plan::Finished;

/// The report, and what a person is shown of each plan.
pub fn report_of(finished: Vec<Finished>, interrupted: bool) -> (RunReport, Vec<String>) {
    let modes = modes_of(&finished);
    let mut matrix = Matrix::default();
    for one in &finished {
        matrix.add(&one.row, &one.verdicts);
    }
    let mut loaders: Vec<String> = Vec::new();
    let mut plans = Vec::new();
    let mut texts = Vec::new();
    for Finished { row, text, .. } in finished {
        if !loaders.contains(&row.loader) {
            loaders.push(row.loader.clone());
        }
        plans.push(row);
        texts.push(text);
    }
    let report = RunReport {
        schema: crate::history::SCHEMA,
        tool: format!("mcp-lifecheck {}", env!("CARGO_PKG_VERSION")),
        loaders,
        counts: Counts::of(&plans),
        plans,
        modes,
        matrix,
        comparison: None,
        interrupted,
    };
    (report, texts)
}

/// How long the sessions of each loader that was run were seen to live, over all its plans.
fn modes_of(finished: &[Finished]) -> BTreeMap<String, ModeRow> {
    let mut seen: BTreeMap<&str, (ModeTally, bool)> = BTreeMap::new();
    for (row, mode) in finished.iter().filter_map(|one| Some((&one.row, one.mode.as_ref()?))) {
        let (tally, is_declared) = seen.entry(&row.loader).or_insert((ModeTally::default(), true));
        *tally = tally.and(mode.tally);
        *is_declared &= mode.is_declared;
    }
    seen.into_iter().map(|(loader, (tally, declared))| (loader.to_owned(), ModeRow::new(&tally, declared))).collect()
}

/// Writes one report into the run's folder, whole or not at all.
pub fn write_report(folder: &Path, name: &str, text: &str) -> Result<(), RunError> {
    let path = folder.join(name);
    write_whole(&path, format!("{}\n", text.trim_end()).as_bytes())
        .map_err(RunError::system(path.display().to_string()))
}
