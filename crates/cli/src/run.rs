//! `mcp-lifecheck run` and `mcp-lifecheck replay`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use mcp_lifecheck::life::RunEnvironment;
use mcp_lifecheck::plan::{InputError, Plan, read_text};
use mcp_lifecheck::report::{Comparison, PlanRow, RunReport, RunVerdict, causes_text, told_once};
use mcp_lifecheck::run::select::Versus;
use mcp_lifecheck::run::{
    Accepted, Chosen, ExitReason, Finished, Jobs, Keeps, Ownership, Pool, Repeat, RunError, RunFolder, RunOutcome,
    RunProcess, Selected, Target, Variants, descriptors, interrupting_signals, read_baseline, report_of, select,
    write_reports,
};
use mcp_lifecheck::stack::watch_interruption;
use serde_json::Value;

use crate::args::{OutputArgs, ReplayArgs, RunArgs};
use crate::format::with_json;
use crate::lost::{complain_of_losses, redacted_in, told};
use crate::matrix::{comparison_text, matrix_tables};
use crate::print::{complain, say};
use crate::progress::progress_bar;
use crate::table::run_table;

/// Verifies loaders. `parent` becomes readable when the parent process ends.
pub(crate) fn run(arguments: &RunArgs, parent: Option<OwnedFd>) -> Result<ExitReason, RunError> {
    end_installations_in_order()?;
    let scenarios = select::scenarios(&arguments.scenarios)?;
    let mut targets = if arguments.all_available {
        select::available_targets(&complain)?
    } else {
        select::targets(&arguments.loader, &arguments.checkout.checkout()?, &complain)?
    };
    let versus =
        arguments.against.as_ref().map(|against| select::versus(&mut targets, against, &complain)).transpose()?;
    let selected = plans(&scenarios, &targets, &arguments.variants.variants())?;
    let settings = Settings {
        shipped_baselines: arguments.shipped_baselines,
        versus,
        jobs: arguments.variants.plans.jobs.map(|jobs| jobs as usize),
        // A repeat asks what varies between processes, such as the order of sets.
        fresh: arguments.fresh || arguments.variants.repeat > 1,
    };
    perform(&selected, &arguments.output, &settings, parent)
}

/// Settings of a run.
struct Settings {
    shipped_baselines: bool,
    versus: Option<Versus>,
    /// Most plans at once, where the user sets a bound.
    jobs: Option<usize>,
    /// Whether every plan starts its loader as a new process.
    fresh: bool,
}

/// The stack of a selected loader may be installed first. A signal then ends the installation, and the command with one line.
pub(crate) fn end_installations_in_order() -> Result<(), RunError> {
    watch_interruption(&interrupting_signals()).map_err(RunError::system("signals cannot be caught"))
}

/// Repeats the plan of a finding, or runs a scenario file.
pub(crate) fn replay(arguments: &ReplayArgs, parent: Option<OwnedFd>) -> Result<ExitReason, RunError> {
    end_installations_in_order()?;
    let path = &arguments.file;
    let plan_file = if path.is_dir() {
        Some(path.join("plan.toml"))
    } else if path.file_name().is_some_and(|name| name == "verdict.json" || name == "plan.toml") {
        Some(path.with_file_name("plan.toml"))
    } else {
        None
    };
    let checkout = arguments.checkout.checkout()?;
    let selected = match plan_file {
        Some(file) => vec![select::recorded_plan(&file, read_plan(&file)?, &arguments.loader, &checkout, &complain)?],
        None => {
            let scenario = select::scenario_file(path)?;
            let loaders = match arguments.loader.as_slice() {
                [] => &["reference".to_owned()],
                named => named,
            };
            plans(&[scenario], &select::targets(loaders, &checkout, &complain)?, &Variants::default())?
        }
    };
    let settings = Settings { shipped_baselines: false, versus: None, jobs: Some(1), fresh: true };
    perform(&selected, &arguments.output, &settings, parent)
}

fn read_plan(file: &Path) -> Result<Plan, InputError> {
    let shown = file.display().to_string();
    if let Some(repeat) = repeat_of_host(file) {
        let message = format!(
            "found the results of a program that is not a loader, expected the results of `run`; to repeat the plan of that program: {repeat}"
        );
        return Err(InputError::whole(&shown, message));
    }
    if !file.exists() {
        let message =
            "not found, expected the plan of a results folder, such as target/mcp-lifecheck/last/PLAN/plan.toml";
        return Err(InputError::whole(&shown, message.to_owned()));
    }
    let text = read_text(file)?;
    toml::from_str(&text).map_err(|error| InputError::toml(&shown, &text, &error))
}

/// The command that repeats what is in the folder of a plan file, if that is the life of a host or of a conformance client.
fn repeat_of_host(file: &Path) -> Option<String> {
    let json = |text: &str| serde_json::from_str::<Value>(text).ok();
    let history = read_text(&file.with_file_name("history.jsonl")).ok()?;
    let host = json(history.lines().next()?)?.get("host")?.clone();
    let verdict = read_text(&file.with_file_name("verdict.json")).ok().and_then(|text| json(&text));
    let repeat = verdict.and_then(|verdict| verdict.pointer("/findings/0/repeat")?.as_str().map(str::to_owned));
    let command = if host.get("application").is_some() { "mcp-lifecheck host" } else { "mcp-lifecheck client" };
    Some(repeat.unwrap_or_else(|| format!("{command} with the same arguments")))
}

fn plans(scenarios: &[Chosen], targets: &[Target], variants: &Variants) -> Result<Vec<Selected>, RunError> {
    let selected = select::plans(scenarios, targets, variants)?;
    if selected.is_empty() {
        complain(format_args!("nothing was selected: {}", select::why_nothing(scenarios, targets, variants)));
    }
    Ok(selected)
}

fn perform(
    selected: &[Selected],
    output: &OutputArgs,
    settings: &Settings,
    parent: Option<OwnedFd>,
) -> Result<ExitReason, RunError> {
    let accepted = accepted(selected, output, settings)?;
    let folder = Arc::new(RunFolder::open(output.results.out.as_deref())?);
    let by_tasks = descriptors::n_plans_by_tasks(selected, settings.jobs)?;
    let process = RunProcess::boot(Ownership::Command { parent })?;
    let jobs = descriptors::fitting_jobs(selected, settings.jobs, by_tasks)?;
    let environment = process.environment();
    let finished = process.finish(run_all(selected, &folder, output, (jobs, settings.fresh), &environment));
    let interrupted = environment.is_interrupted();
    let mut report = report_of(finished, interrupted);
    report.comparison =
        settings.versus.as_ref().map(|Versus { of, against }| Comparison::of(of, against, &report.plans));
    let written = write_reports(folder.path(), &report, with_json(&output.format))?;
    let outcome = RunOutcome::of(&report, &accepted);
    complain_of_losses(&report, &folder, &written);
    if report.counts.plans > 0 && report.counts.not_applicable == report.counts.plans {
        complain(format_args!("nothing was judged: no selected plan is applicable; the report says why"));
    }
    if report.interrupted {
        let n_lost = report.plans.iter().filter(|plan| plan.is_interrupted).count();
        complain(format_args!("interrupted: {n_lost} of {} plans have no verdict", report.plans.len()));
    }
    // The command prints the first format and writes all of them.
    let said = match output.format.first() {
        None => say(&text_of(&report, &outcome, &folder, output)),
        Some(first) => say(&written.texts[first.name]),
    };
    told(said, outcome.reason(&report, output.results.strict))
}

/// The accepted findings: those of the baseline on the command line, and those of shipped baselines.
fn accepted(selected: &[Selected], output: &OutputArgs, settings: &Settings) -> Result<Accepted, RunError> {
    let mut accepted = Accepted::default();
    if let Some(file) = &output.results.baseline {
        accepted.add(None, &read_baseline(file, selected)?);
    }
    if settings.shipped_baselines {
        accepted.add_shipped(selected)?;
    }
    Ok(accepted)
}

/// Runs every plan, and shows the progress.
async fn run_all(
    selected: &[Selected],
    folder: &Arc<RunFolder>,
    output: &OutputArgs,
    (jobs, fresh): (Jobs, bool),
    environment: &RunEnvironment,
) -> Vec<Finished> {
    let progress = progress_bar(selected.len(), output);
    let finished_one = |one: &Finished| {
        progress.set_message(one.row.id.clone());
        progress.inc(1);
    };
    let (folder, repeat) = (Arc::clone(folder), Repeat::Replay);
    let environment = environment.clone();
    let notify = &|line: std::fmt::Arguments<'_>| progress.suspend(|| complain(line));
    let pool = Pool { folder, jobs, environment, repeat, fresh, keeps: Keeps::All, notify, on_finished: &finished_one };
    let finished = pool.run(selected).await;
    progress.finish_and_clear();
    finished
}

fn text_of(report: &RunReport, outcome: &RunOutcome, folder: &RunFolder, output: &OutputArgs) -> String {
    let shown = report.plans.iter().enumerate().filter(|(index, _)| !outcome.is_accepted(*index));
    let shown: Vec<&PlanRow> = shown.map(|(_, plan)| plan).filter(|plan| is_judged(plan, report)).collect();
    let mut text = told_once(&shown);
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        writeln!(text, "{arguments}").expect("writing to a string cannot fail");
    };
    for (loader, because) in unavailable(report) {
        line(format_args!("UNAVAILABLE {loader}: {because}"));
    }
    if !output.results.quiet {
        match report.loaders.len() {
            0 => {}
            1 => line(format_args!("{}", run_table(report))),
            _ => line(format_args!("{}", matrix_tables(report))),
        }
        let causes = causes_text(&shown);
        if !causes.is_empty() {
            line(format_args!("{}", causes.trim_end()));
        }
        for (because, plans) in not_applicable(report) {
            line(format_args!("not applicable: {}: {because}", plans.join(", ")));
        }
        if let Some(comparison) = &report.comparison {
            line(format_args!("{}", comparison_text(comparison)));
        }
        for (loader, row) in report.modes.iter().filter(|(_, row)| !row.declared && row.calls > 0) {
            line(format_args!("{loader} mode: {} (inferred: {})", row.mode, row.evidence()));
        }
        line(format_args!("{}", report.counts));
        if let Some(redacted) = redacted_in(report) {
            line(format_args!("{redacted}"));
        }
        match folder.lost() {
            None => line(format_args!("results in {}", folder.path().display())),
            Some(because) => line(format_args!("no results were kept: {because}")),
        }
    }
    text.push_str(&outcome.text());
    text
}

/// Whether a plan is of the loader that is judged, not of the one with which it is compared.
fn is_judged(plan: &PlanRow, report: &RunReport) -> bool {
    report.comparison.as_ref().is_none_or(|comparison| comparison.against != plan.loader)
}

/// The loaders that cannot run here, each once, with the reason.
fn unavailable(report: &RunReport) -> BTreeMap<&str, &str> {
    let missing = report.plans.iter().filter(|plan| plan.verdict == RunVerdict::Unavailable);
    missing.map(|plan| (plan.loader.as_str(), plan.because.as_deref().unwrap_or_default())).collect()
}

/// Why plans do not apply: each reason once, with the scenarios, loaders and transports.
fn not_applicable(report: &RunReport) -> BTreeMap<&str, Vec<String>> {
    let mut reasons: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for plan in report.plans.iter().filter(|plan| plan.verdict == RunVerdict::NotApplicable) {
        let plans = reasons.entry(plan.because.as_deref().unwrap_or("no invariant applies")).or_default();
        let name = format!("{} {} {}", plan.scenario, plan.loader, plan.transport);
        if !plans.contains(&name) {
            plans.push(name);
        }
    }
    reasons
}
