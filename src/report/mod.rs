//! Reports: what a run came to, in the shapes that others read. A renderer never decides.

mod checks;
mod compare;
mod failure;
mod junit;
mod matrix;
mod run_json;
mod verdict_json;

pub use checks::{CheckRow, CheckStatus, SpecReference, check_rows, iso};
pub use compare::{Comparison, Difference};
pub use failure::findings_text;
pub use junit::junit_xml;
pub use matrix::{Matrix, verdicts_of, worse};
pub use run_json::{Counts, ModeRow, PlanRow, RunReport, RunVerdict};
pub use verdict_json::{FindingRow, VerdictReport, finding_rows};
