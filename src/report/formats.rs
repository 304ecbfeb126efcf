//! The table of report formats.

use std::fs;
use std::io;
use std::path::Path;

use crate::report::format::{Detail, Format};
#[cfg(feature = "junit")]
use crate::report::junit;
use crate::report::{checks, json};

/// Every format. `--format`, its help, the writing of reports and the removal of stale ones read this table.
pub static FORMATS: &[&Format] = &[
    &json::JSON,
    #[cfg(feature = "junit")]
    &junit::JUNIT,
    &checks::CHECKS,
];

/// The formats that a command with this much detail offers, in the order of the table.
pub fn formats(detail: Detail) -> impl Iterator<Item = &'static Format> {
    FORMATS.iter().copied().filter(move |format| format.needs <= detail)
}

/// The formats that `check` offers.
pub fn verdict_formats() -> impl Iterator<Item = &'static Format> {
    FORMATS.iter().copied().filter(|format| format.render_verdicts.is_some())
}

/// Removes every report that an earlier run left in a folder, so that it does not pass for one of this run.
///
/// # Errors
/// When the system refuses to remove a file.
pub fn remove_stale(folder: &Path) -> io::Result<()> {
    for format in FORMATS {
        match fs::remove_file(folder.join(format.file)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::report::{PlanRow, RunReport, RunVerdict};

    #[test]
    fn each_format_has_a_name_and_a_file_of_its_own() {
        let names: BTreeSet<_> = FORMATS.iter().map(|format| format.name).collect();
        let files: BTreeSet<_> = FORMATS.iter().map(|format| format.file).collect();
        assert_eq!((names.len(), files.len()), (FORMATS.len(), FORMATS.len()));
    }

    #[test]
    fn an_old_report_is_removed_in_every_format_and_other_files_stay() {
        let folder = tempfile::tempdir().unwrap();
        let files = FORMATS.iter().map(|format| format.file);
        files.clone().chain(["mine.txt"]).for_each(|file| fs::write(folder.path().join(file), "old").unwrap());
        remove_stale(folder.path()).unwrap();
        assert!(files.clone().all(|file| !folder.path().join(file).exists()));
        assert!(folder.path().join("mine.txt").exists());
        remove_stale(folder.path()).unwrap();
    }

    #[test]
    fn every_format_renders_an_empty_run_and_a_failed_plan() {
        let failed = PlanRow::of_test("l", "x", RunVerdict::Fail, &[]);
        for report in [RunReport::of(Vec::new(), false), RunReport::of(vec![failed], false)] {
            for format in FORMATS {
                assert!(!(format.render)(&report).unwrap().is_empty(), "{}", format.name);
            }
        }
    }

    #[test]
    fn a_command_offers_what_its_detail_allows() {
        let names = |detail| formats(detail).map(|format| format.name).collect::<Vec<_>>();
        let of_plans = if cfg!(feature = "junit") { &["json", "junit"][..] } else { &["json"] };
        assert_eq!(names(Detail::Plans), of_plans);
        assert_eq!(names(Detail::Checks), [of_plans, &["checks"]].concat());
        assert!(verdict_formats().map(|format| format.name).eq(["json"]));
    }
}
