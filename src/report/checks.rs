//! `checks.json`: every check of every plan, as the official conformance suite writes it.

use crate::report::RunReport;
use crate::report::format::{Detail, Format};

/// The format `checks`.
pub static CHECKS: Format = Format {
    name: "checks",
    file: "checks.json",
    needs: Detail::Checks,
    render: |report: &RunReport| {
        let checks: Vec<_> = report.plans.iter().flat_map(|plan| &plan.checks).collect();
        Ok(serde_json::to_string_pretty(&checks).expect("a report has string keys only"))
    },
    render_verdicts: None,
};
