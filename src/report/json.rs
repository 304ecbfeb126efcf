//! `run.json`: the whole report as one line of JSON.

use crate::report::format::{Detail, Format};
use crate::report::{RunReport, VerdictReport};

/// The format `json`.
pub static JSON: Format = Format {
    name: "json",
    file: "run.json",
    needs: Detail::Plans,
    render: |report: &RunReport| Ok(serde_json::to_string(report).expect("a report has string keys only")),
    render_verdicts: Some(|verdicts: &[VerdictReport]| {
        serde_json::to_string(verdicts).expect("a report has string keys only")
    }),
};
