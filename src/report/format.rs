//! What a report format is. Each format has a file of its own, and one row in [`FORMATS`](crate::report::FORMATS).

use std::io;

use crate::report::{RunReport, VerdictReport};

/// One format of reports.
#[derive(Debug)]
pub struct Format {
    /// The value of `--format`.
    pub name: &'static str,
    /// The file in the folder of the results.
    pub file: &'static str,
    /// How much of each plan the format shows.
    pub needs: Detail,
    /// Renders a whole run. Fails only if the library that writes the format fails.
    pub render: fn(&RunReport) -> io::Result<String>,
    /// Renders verdicts without their runs, for `check`. `None`: `check` does not offer the format.
    pub render_verdicts: Option<fn(&[VerdictReport]) -> String>,
}

/// How much a command keeps of each plan. A command offers each format that needs no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// The row of each plan. A run of many plans keeps no more, so that memory does not grow with their histories.
    Plans,
    /// Also every check of each plan: [`PlanRow::checks`](crate::report::PlanRow::checks).
    Checks,
}
