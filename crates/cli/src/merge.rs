//! `mcp-lifecheck merge`.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use mcp_lifecheck::catalogue::write_whole;
use mcp_lifecheck::explore::{Merged, merge as merged};
use mcp_lifecheck::run::{ExitReason, RunError, RunFolder};

use crate::args::JsonArg;
use crate::lost::{complain_of_loss, told};
use crate::print::{complain, say};

#[derive(Debug, Args)]
pub(crate) struct MergeArgs {
    /// Results folders of `explore`, one for each part of a campaign.
    #[arg(value_name = "DIR", required = true)]
    pub folders: Vec<PathBuf>,
    /// Folder for the joined results.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Print explore.json instead of text.
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<JsonArg>,
    /// Print nothing but findings.
    #[arg(long)]
    pub quiet: bool,
}

/// Joins the results of a campaign that ran in several parts.
pub(crate) fn merge(arguments: &MergeArgs) -> Result<ExitReason, RunError> {
    let folder = RunFolder::open(Some(&arguments.out))?;
    let merged = merged(&arguments.folders, folder.path())?;
    merged.unwritten.iter().for_each(|lost| complain_of_loss(lost));
    if let Some(missing) = merged.missing_text() {
        complain(format_args!("found no results of {missing}, expected those of every shard"));
    }
    let json = serde_json::to_string(&merged.report).expect("a report has string keys only");
    let file = folder.path().join("explore.json");
    if let Err(error) = write_whole(&file, format!("{json}\n").as_bytes()) {
        complain_of_loss(&format!("{}: {error}", file.display()));
    }
    let said = match arguments.format {
        Some(_) => say(&json),
        None => say(&text_of(&merged, &folder, arguments)),
    };
    told(said, merged.reason())
}

fn text_of(merged: &Merged, folder: &RunFolder, arguments: &MergeArgs) -> String {
    let report = &merged.report;
    let mut text = String::new();
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        writeln!(text, "{arguments}").expect("writing to a string cannot fail");
    };
    for row in &report.findings {
        line(format_args!("{} {} ({})", row.verdict.to_string().to_uppercase(), row.signature, row.loader));
        line(format_args!("  because: {}", row.because));
        line(format_args!(
            "  the smallest life that shows it: {}, at first {}; {} of {} repeats show it, and {} of {} lives",
            steps(row.steps),
            steps(row.steps_before),
            row.again,
            row.repeats,
            row.lives,
            report.counts.plans
        ));
        line(format_args!("  file:    {}", folder.path().join(&row.file).display()));
        line(format_args!("  repeat:  {}\n", row.repeat));
    }
    if arguments.quiet {
        return text;
    }
    for (sweep, n_lives) in &report.positions {
        line(format_args!("{sweep}: {n_lives} positions"));
    }
    for (signature, n_lives) in &report.known {
        line(format_args!("known: {signature} in {}", lives(*n_lives)));
    }
    let parts = match arguments.folders.len() {
        1 => "1 part".to_owned(),
        n_parts => format!("{n_parts} parts"),
    };
    line(format_args!("{}; seed {}, shard {}, from {parts}", report.counts, report.seed, report.shard));
    line(format_args!("{} invariants were judged, with {} scripts", report.opened.len(), report.scripts.len()));
    match folder.lost() {
        None => line(format_args!("results in {}", folder.path().display())),
        Some(because) => line(format_args!("no results were kept: {because}")),
    }
    text
}

fn steps(n: usize) -> String {
    if n == 1 { "1 step".to_owned() } else { format!("{n} steps") }
}

fn lives(n: usize) -> String {
    if n == 1 { "1 life".to_owned() } else { format!("{n} lives") }
}
