//! The progress of a run, on a terminal.

use std::io::{self, IsTerminal};

use indicatif::{ProgressBar, ProgressStyle};

use crate::args::OutputArgs;

/// A bar for this number of plans. Hidden without a terminal and under `--quiet`.
pub(crate) fn progress_bar(n_plans: usize, output: &OutputArgs) -> ProgressBar {
    if output.results.quiet || !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed} {msg}");
    ProgressBar::new(n_plans as u64).with_style(style.expect("the template is well formed"))
}
