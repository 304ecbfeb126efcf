//! Reports on judged plans, in the formats that other programs read. A renderer never decides.
//!
//! Start at [`FORMATS`], the table of formats. A new format is one file and one row in that table.

mod check_row;
mod checks;
mod compare;
mod failure;
mod format;
mod formats;
mod hang;
mod json;
#[cfg(feature = "junit")]
mod junit;
mod matrix;
mod plan_row;
mod run_report;
mod subjects;
mod told;
mod verdict_json;

pub use check_row::{CheckRow, CheckStatus, SpecReference, check_rows, iso};
pub use checks::CHECKS;
pub use compare::{Comparison, Difference};
pub use failure::{finding_text, findings_text, stacks_text};
pub use format::{Detail, Format};
pub use formats::{FORMATS, formats, remove_stale, verdict_formats};
pub use hang::tell_hangs;
pub use json::JSON;
pub use matrix::{Matrix, verdicts_of, worse};
pub use plan_row::{Counts, PlanRow, RunVerdict};
pub use run_report::{ModeRow, RunReport};
pub use subjects::name_subjects;
pub use told::{causes_text, told_once};
pub use verdict_json::{FindingRow, VerdictReport, finding_rows};
