//! `mcp-vigil run` and `mcp-vigil replay`.

mod folder;
mod judged;
mod plan;
mod pool;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use crate::catalogue::write_whole;
use crate::check::ModeTally;
use crate::cli::args::{OutputArgs, ReplayArgs, RunArgs, VariantArgs};
use crate::cli::outcome::{CliError, ExitReason};
use crate::cli::print::{complain, say};
use crate::cli::run::folder::RunFolder;
use crate::cli::run::judged::{Judged, read_baseline};
use crate::cli::run::plan::Finished;
use crate::cli::run::pool::Pool;
use crate::cli::select::{self, Chosen, Selected, Target};
use crate::cli::table::{counts_line, run_table};
use crate::plan::{InputError, Plan, read_text};
use crate::report::{Counts, ModeRow, RunReport, RunVerdict};

/// Verifies loaders. `parent` is readable when there is nobody to report to any more.
pub(super) fn run(arguments: &RunArgs, parent: Option<OwnedFd>) -> Result<ExitReason, CliError> {
    let scenarios = select::scenarios(&arguments.scenarios)?;
    let targets =
        if arguments.all_available { select::available_targets()? } else { select::targets(&arguments.loader)? };
    let selected = plans(&scenarios, &targets, &arguments.variants)?;
    perform(&selected, &arguments.output, jobs(&arguments.variants), parent)
}

/// Runs a scenario file, or the plan of a finding, again.
pub(super) fn replay(arguments: &ReplayArgs, parent: Option<OwnedFd>) -> Result<ExitReason, CliError> {
    let path = &arguments.file;
    let plan_file = if path.is_dir() {
        Some(path.join("plan.toml"))
    } else if path.file_name().is_some_and(|name| name == "verdict.json" || name == "plan.toml") {
        Some(path.with_file_name("plan.toml"))
    } else {
        None
    };
    let selected = match plan_file {
        Some(file) => vec![select::recorded_plan(&file, read_plan(&file)?, &arguments.loader)?],
        None => {
            let scenario = select::scenario_file(path)?;
            let loaders = match arguments.loader.as_slice() {
                [] => &["reference".to_owned()],
                named => named,
            };
            plans(&[scenario], &select::targets(loaders)?, &VariantArgs::as_written())?
        }
    };
    perform(&selected, &arguments.output, 1, parent)
}

fn read_plan(file: &Path) -> Result<Plan, InputError> {
    let text = read_text(file)?;
    let shown = file.display().to_string();
    toml::from_str(&text).map_err(|error| InputError::toml(&shown, &text, &error))
}

fn plans(scenarios: &[Chosen], targets: &[Target], variants: &VariantArgs) -> Result<Vec<Selected>, CliError> {
    let selected = select::plans(scenarios, targets, variants)?;
    if selected.is_empty() {
        complain(format_args!("nothing was selected: {}", select::why_nothing(scenarios, targets, variants)));
    }
    Ok(selected)
}

impl VariantArgs {
    /// What a scenario file says, without doubling and repeats.
    fn as_written() -> Self {
        Self {
            transport: Vec::new(),
            revision: None,
            tier: None,
            polite_only: false,
            stubborn_too: false,
            repeat: 1,
            jobs: None,
            seed: 0,
            limit: Vec::new(),
        }
    }
}

fn jobs(variants: &VariantArgs) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    variants.jobs.map_or(cores, |jobs| jobs as usize)
}

fn perform(
    selected: &[Selected],
    output: &OutputArgs,
    jobs: usize,
    parent: Option<OwnedFd>,
) -> Result<ExitReason, CliError> {
    let baseline = output.baseline.as_ref().map(|file| read_baseline(file, selected)).transpose()?;
    let folder = Arc::new(RunFolder::open(output.out.as_deref())?);
    let pool = Pool { folder: Arc::clone(&folder), output, jobs };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::system("no runtime"))?;
    let (finished, interrupted) = runtime.block_on(pool.run(selected, parent))?;
    // Whatever still runs on it belongs to plans that are over.
    runtime.shutdown_background();
    let modes = modes_of(selected, &finished);
    let (report, texts) = report_of(finished, modes, interrupted);
    let text = serde_json::to_string(&report).expect("a report has string keys only");
    let path = folder.path().join("run.json");
    write_whole(&path, format!("{text}\n").as_bytes()).map_err(CliError::system(path.display().to_string()))?;
    let judged = Judged::of(&report, baseline.as_ref());
    if output.format.is_empty() {
        say(&text_of(&report, &texts, &judged, &folder, output))?;
    } else {
        say(&text)?;
    }
    Ok(judged.reason(&report, output.strict))
}

/// The report, and what a person is shown of its plans.
fn report_of(finished: Vec<Finished>, modes: BTreeMap<String, ModeRow>, interrupted: bool) -> (RunReport, String) {
    let mut loaders: Vec<String> = Vec::new();
    let mut plans = Vec::new();
    let mut texts = String::new();
    for Finished { row, text, .. } in finished {
        if !loaders.contains(&row.loader) {
            loaders.push(row.loader.clone());
        }
        plans.push(row);
        texts.push_str(&text);
    }
    let report = RunReport {
        schema: crate::history::SCHEMA,
        tool: format!("mcp-vigil {}", env!("CARGO_PKG_VERSION")),
        loaders,
        counts: Counts::of(&plans),
        plans,
        modes,
        interrupted,
    };
    (report, texts)
}

/// How long the sessions of each loader that was run were seen to live, over all its plans.
fn modes_of(selected: &[Selected], finished: &[Finished]) -> BTreeMap<String, ModeRow> {
    let mut seen: BTreeMap<&str, (ModeTally, bool)> = BTreeMap::new();
    for (Selected { target, plan, .. }, Finished { row, mode, .. }) in selected.iter().zip(finished) {
        if row.wall_ms.is_some() {
            let declares = target.descriptor.declares_session(target.stack.as_deref(), &row.transport);
            let (tally, declared) = seen.entry(&plan.loader).or_insert((ModeTally::default(), true));
            *tally = tally.and(*mode);
            *declared &= declares;
        }
    }
    seen.into_iter().map(|(loader, (tally, declared))| (loader.to_owned(), ModeRow::new(&tally, declared))).collect()
}

fn text_of(report: &RunReport, texts: &str, judged: &Judged, folder: &RunFolder, output: &OutputArgs) -> String {
    let mut text = texts.to_owned();
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        writeln!(text, "{arguments}").expect("writing to a string can not fail");
    };
    for (loader, because) in unavailable(report) {
        line(format_args!("UNAVAILABLE {loader}: {because}"));
    }
    if !output.quiet {
        line(format_args!("{}", run_table(report)));
        for (loader, row) in report.modes.iter().filter(|(_, row)| !row.declared) {
            line(format_args!("{loader} mode: {} (inferred: {})", row.mode, row.evidence()));
        }
        line(format_args!("{}", counts_line(&report.counts)));
        line(format_args!("results in {}", folder.path().display()));
    }
    text.push_str(&judged.text());
    text
}

/// The loaders that can not be run here, each once.
fn unavailable(report: &RunReport) -> BTreeMap<&str, &str> {
    let missing = report.plans.iter().filter(|plan| plan.verdict == RunVerdict::Unavailable);
    missing.map(|plan| (plan.loader.as_str(), plan.because.as_deref().unwrap_or_default())).collect()
}

impl From<ExitReason> for ExitCode {
    fn from(reason: ExitReason) -> Self {
        reason.code()
    }
}
