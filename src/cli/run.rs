//! `mcp-vigil run` and `mcp-vigil replay`.

mod folder;
mod pool;

use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;

use crate::catalogue::write_whole;
use crate::check::PlanVerdict;
use crate::cli::args::{OutputArgs, ReplayArgs, RunArgs, VariantArgs};
use crate::cli::failure::findings_text;
use crate::cli::outcome::{CliError, ExitReason};
use crate::cli::run::folder::RunFolder;
use crate::cli::run::pool::{Finished, Pool};
use crate::cli::select::{self, Selected};
use crate::cli::table::{counts_line, run_table};
use crate::plan::{Baseline, BaselineEntry, InputError, Plan, read_text};
use crate::report::{Counts, PlanRow, RunReport, RunVerdict, finding_rows};

/// Verifies loaders.
pub(super) fn run(arguments: &RunArgs) -> Result<ExitReason, CliError> {
    let scenarios = select::scenarios(&arguments.scenarios)?;
    let targets =
        if arguments.all_available { select::available_targets()? } else { select::targets(&arguments.loader)? };
    let selected = select::plans(&scenarios, &targets, &arguments.variants)?;
    perform(selected, &arguments.output, jobs(&arguments.variants))
}

/// Runs a scenario file, or the plan of a finding, again.
pub(super) fn replay(arguments: &ReplayArgs) -> Result<ExitReason, CliError> {
    let path = &arguments.file;
    let plan_file = if path.is_dir() {
        Some(path.join("plan.toml"))
    } else if path.file_name().is_some_and(|name| name == "verdict.json" || name == "plan.toml") {
        Some(path.with_file_name("plan.toml"))
    } else {
        None
    };
    let selected = match plan_file {
        Some(file) => vec![select::recorded_plan(read_plan(&file)?)?],
        None => {
            let scenario = select::scenario_file(path)?;
            select::plans(&[scenario], &select::targets(&arguments.loader)?, &VariantArgs::as_written())?
        }
    };
    perform(selected, &arguments.output, 1)
}

fn read_plan(file: &Path) -> Result<Plan, InputError> {
    let text = read_text(file)?;
    let shown = file.display().to_string();
    toml::from_str(&text).map_err(|error| InputError::toml(&shown, &text, &error))
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

fn perform(selected: Vec<Selected>, output: &OutputArgs, jobs: usize) -> Result<ExitReason, CliError> {
    let baseline = output.baseline.as_ref().map(|file| read_baseline(file, &selected)).transpose()?;
    let folder = RunFolder::open(output.out.as_deref())?;
    let pool = Pool { folder: &folder, output, jobs };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(CliError::system("no runtime"))?;
    let (finished, interrupted) = runtime.block_on(pool.run(selected))?;
    // Whatever still runs on it belongs to plans that are over.
    runtime.shutdown_background();
    let report = report_of(&finished, &folder, interrupted);
    let text = serde_json::to_string(&report).expect("a report has string keys only");
    let path = folder.path().join("run.json");
    write_whole(&path, format!("{text}\n").as_bytes()).map_err(CliError::system(path.display().to_string()))?;
    print(&report, &finished, &folder, output);
    let judged = Judged::of(&report, baseline.as_ref());
    judged.print(output);
    Ok(judged.reason(&report, output.strict))
}

fn read_baseline(file: &Path, selected: &[Selected]) -> Result<Baseline, CliError> {
    let shown = file.display().to_string();
    let baseline = Baseline::from_text(&shown, &read_text(file)?)?;
    for entry in &baseline.entries {
        let known_scenario = selected.iter().any(|selected| selected.scenario.name == entry.scenario)
            || crate::catalogue::shipped_scenario(&entry.scenario)?.is_some();
        if !known_scenario {
            let message = format!("found scenario {:?}, expected one that exists", entry.scenario);
            return Err(InputError::whole(&shown, message).into());
        }
        if let Some(id) = entry.invariant.as_ref().filter(|id| crate::check::invariant(id).is_none()) {
            return Err(InputError::whole(&shown, format!("found invariant {id:?}, expected one that exists")).into());
        }
    }
    Ok(baseline)
}

fn report_of(finished: &[Finished], folder: &RunFolder, interrupted: bool) -> RunReport {
    let mut loaders: Vec<String> = Vec::new();
    for one in finished {
        if !loaders.contains(&one.plan().loader) {
            loaders.push(one.plan().loader.clone());
        }
    }
    let plans: Vec<_> = finished.iter().map(|one| row_of(one, folder)).collect();
    RunReport {
        schema: crate::history::SCHEMA,
        tool: format!("mcp-vigil {}", env!("CARGO_PKG_VERSION")),
        loaders,
        counts: Counts::of(&plans),
        plans,
        interrupted,
    }
}

fn row_of(finished: &Finished, folder: &RunFolder) -> PlanRow {
    let plan = finished.plan();
    let mut row = PlanRow {
        id: plan.id.clone(),
        scenario: plan.scenario.clone(),
        loader: plan.loader.clone(),
        transport: plan.transport.to_string(),
        revision: plan.revision.to_string(),
        server: plan.server.to_string(),
        verdict: RunVerdict::Unavailable,
        cpu_ms: None,
        wall_ms: None,
        because: None,
        findings: Vec::new(),
    };
    match finished {
        Finished::Unavailable { because, .. } => row.because = Some(because.clone()),
        Finished::NotRun { because, .. } => {
            row.verdict = RunVerdict::Inconclusive;
            row.because = Some(because.clone());
        }
        Finished::Run(output) => {
            let ms = |duration: std::time::Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
            row.verdict = output.judgement.verdict.into();
            row.cpu_ms = output.cpu.map(ms);
            row.wall_ms = Some(ms(output.wall));
            row.findings = finding_rows(&output.judgement, &folder.repeat_line(&plan.id));
        }
    }
    row
}

fn print(report: &RunReport, finished: &[Finished], folder: &RunFolder, output: &OutputArgs) {
    if !output.format.is_empty() {
        println!("{}", serde_json::to_string(report).expect("a report has string keys only"));
        return;
    }
    for one in finished {
        match one {
            Finished::Run(run) => {
                print!("{}", findings_text(&run.history, &run.judgement, &folder.repeat_line(&run.plan.id)));
                if run.judgement.verdict == PlanVerdict::Vacuous {
                    println!("VACUOUS {}: nothing came about that could be judged", run.plan.id);
                }
            }
            Finished::NotRun { plan, because } => println!("INCONCLUSIVE {}: {because}", plan.id),
            Finished::Unavailable { .. } => {}
        }
    }
    for (loader, because) in unavailable(finished) {
        println!("UNAVAILABLE {loader}: {because}");
    }
    if !output.quiet {
        println!("{}", run_table(report));
        println!("{}", counts_line(&report.counts));
        println!("results in {}", folder.path().display());
    }
}

fn unavailable(finished: &[Finished]) -> BTreeMap<&str, &str> {
    fn loader_of(one: &Finished) -> Option<(&str, &str)> {
        match one {
            Finished::Unavailable { plan, because } => Some((&plan.loader, because)),
            Finished::Run(_) | Finished::NotRun { .. } => None,
        }
    }
    finished.iter().filter_map(loader_of).collect()
}

/// A run held against its baseline.
struct Judged {
    /// A Fail, or a Warn, that the baseline does not accept.
    new_fail: bool,
    new_warn: bool,
    stale: Vec<BaselineEntry>,
}

impl Judged {
    fn of(report: &RunReport, baseline: Option<&Baseline>) -> Self {
        let entries = baseline.map(|baseline| baseline.entries.as_slice()).unwrap_or_default();
        let accepts = |entry: &BaselineEntry, scenario: &str, invariant: &str| {
            entry.scenario == scenario && entry.invariant.as_ref().is_none_or(|id| id == invariant)
        };
        let mut judged = Self { new_fail: false, new_warn: false, stale: Vec::new() };
        let mut found = vec![false; entries.len()];
        for plan in &report.plans {
            for finding in &plan.findings {
                let accepted = entries.iter().position(|entry| accepts(entry, &plan.scenario, &finding.invariant));
                match (accepted, finding.verdict) {
                    (_, crate::check::Verdict::Inconclusive) => {}
                    (Some(index), _) => found[index] = true,
                    (None, crate::check::Verdict::Fail) => judged.new_fail = true,
                    (None, _) => judged.new_warn = true,
                }
            }
        }
        // An entry for a scenario that was not run says nothing.
        let was_run = |entry: &BaselineEntry| report.plans.iter().any(|plan| plan.scenario == entry.scenario);
        let stale = entries.iter().zip(found).filter(|(entry, found)| !found && was_run(entry));
        judged.stale = stale.map(|(entry, _)| entry.clone()).collect();
        judged
    }

    fn print(&self, output: &OutputArgs) {
        if !output.format.is_empty() {
            return;
        }
        for entry in &self.stale {
            let invariant = entry.invariant.as_ref().map(|id| format!(":{id}")).unwrap_or_default();
            println!("STALE baseline entry {}{invariant}: listed and not found", entry.scenario);
        }
    }

    fn reason(&self, report: &RunReport, strict: bool) -> ExitReason {
        if self.new_fail || !self.stale.is_empty() || strict && self.new_warn {
            return ExitReason::Violations;
        }
        let counts = &report.counts;
        // What the baseline accepts has been judged as well.
        let n_judged = counts.pass + counts.warn + counts.fail;
        let nothing_judged = n_judged == 0 && counts.not_applicable < counts.plans || counts.plans == 0;
        if report.interrupted || counts.inconclusive > 0 || counts.unavailable > 0 || nothing_judged {
            return ExitReason::Inconclusive;
        }
        ExitReason::Conforms
    }
}

impl From<ExitReason> for ExitCode {
    fn from(reason: ExitReason) -> Self {
        reason.code()
    }
}
