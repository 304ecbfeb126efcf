//! `mcp-lifecheck explore`.

mod args;
mod selection;

use std::fmt::Write as _;
use std::io::{self, IsTerminal};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressStyle};
use mcp_lifecheck::catalogue::write_whole;
use mcp_lifecheck::explore::{
    Campaign, CampaignId, CampaignSettings, Checkpoint, Explored, JobShard, Known, LifeSettings, Lives, Narrowing,
    Palette, Progress, Resumed, Shard, Source, Sweep, SweepEvent,
};
use mcp_lifecheck::run::select::Notify;
use mcp_lifecheck::run::{
    ExitReason, Finished, Jobs, Keeps, Ownership, Pool, Repeat, RunError, RunFolder, RunProcess, select,
};

use crate::args::TierArg;
pub(crate) use crate::explore::args::ExploreArgs;
use crate::lost::{complain_of_loss, told};
use crate::print::{complain, say};
use crate::run::end_installations_in_order;

/// Lives of a campaign for which the user sets no bound.
const CASES: u64 = 200;
/// Most reasons that are told why lives have no verdict.
const REASONS_SHOWN: usize = 5;

/// Explores the lives of loaders.
pub(crate) fn explore(arguments: &ExploreArgs, parent: Option<OwnedFd>) -> Result<ExitReason, RunError> {
    end_installations_in_order()?;
    let known = arguments.known.as_deref().map(Known::read).transpose()?.unwrap_or_default();
    let targets = select::targets(&arguments.loader, &arguments.checkout.checkout()?, &complain)?;
    let settings = settings(arguments);
    let narrowing = Narrowing {
        transports: arguments.plans.transport.clone(),
        revision: arguments.plans.revision,
        scripts: arguments.script.clone(),
        is_polite: arguments.polite_only,
        tier: arguments.tier.map(TierArg::tier),
    };
    let (shard, shard_from) = shard(arguments)?;
    let palettes =
        targets.iter().map(|target| Palette::of(target, &narrowing)).collect::<Result<Vec<_>, RunError>>()?;
    let scenarios = select::scenarios(&arguments.scenario)?;
    let folder = Arc::new(RunFolder::of_command(arguments.out.as_deref(), "explore")?);
    let process = RunProcess::boot(Ownership::Command { parent })?;
    let progress = Shown::new(arguments);
    let nothing = |_: &Finished| {};
    let notify = |line: std::fmt::Arguments<'_>| progress.bar.suspend(|| complain(line));
    let pool = |fresh, keeps| Pool {
        folder: Arc::clone(&folder),
        jobs: arguments.plans.jobs.map_or_else(Jobs::usual, |jobs| Jobs::Fixed(jobs as usize)),
        environment: process.environment(),
        repeat: Repeat::Replay,
        fresh,
        keeps,
        notify: &notify,
        on_finished: &nothing,
    };
    // A sweep reads the histories of the lives that it varies.
    let varying = pool(arguments.fresh, Keeps::All);
    let kept = if arguments.out.is_some() { Keeps::All } else { Keeps::Findings };
    let (pool, alone) = (pool(arguments.fresh, kept), pool(true, Keeps::Findings));
    let mut explored = process.finish(async {
        let source = match scenarios.as_slice() {
            [] => Source::Drawn { palettes, seed: arguments.plans.seed },
            scenarios => {
                let events = if arguments.sweep.is_empty() { &SweepEvent::ALL[..] } else { &arguments.sweep };
                let sweep = Sweep { scenarios, events, depth: arguments.depth, settings: &settings.lives };
                sweep.listed(&varying, &targets, &palettes).await?
            }
        };
        let usual = (scenarios.is_empty() && arguments.time.is_none()).then_some(CASES);
        let lives = Lives::new(source, shard, arguments.cases.or(usual));
        progress.of(lives.n_lives());
        let id = CampaignId {
            tool: format!("mcp-lifecheck {}", env!("CARGO_PKG_VERSION")),
            loaders: targets.iter().map(|target| target.name.clone()).collect(),
            seed: arguments.plans.seed,
            shard: shard.to_string(),
            selection: selection::selection(arguments),
            positions: lives.positions(),
        };
        // Another command may write into the usual folder, so only a folder that the user names has a campaign that goes on.
        let checkpoint = arguments.out.as_ref().map(|_| Checkpoint::new(folder.path(), id));
        let campaign = Campaign {
            pool: &pool,
            alone: &alone,
            targets: &targets,
            lives: &lives,
            known: &known,
            settings: &settings,
            checkpoint: checkpoint.as_ref(),
            on_progress: &|now| progress.show(now),
        };
        let resumed = if arguments.restart { None } else { resumed(&campaign, &notify) };
        Ok::<_, RunError>(campaign.run_from(resumed).await)
    })?;
    progress.bar.finish_and_clear();
    explored.report.shard_from = shard_from;
    explored.report.selection = selection::selection(arguments);
    let json = serde_json::to_string(&explored.report).expect("a report has string keys only");
    let file = folder.path().join("explore.json");
    if let Err(error) = write_whole(&file, format!("{json}\n").as_bytes()) {
        complain_of_loss(&format!("{}: {error}", file.display()));
    }
    let said = match arguments.format {
        Some(_) => say(&json),
        None => say(&text_of(&explored, &folder, arguments)),
    };
    told(said, reason(&explored))
}

/// Where a campaign goes on. Says so; and says why it does not, where its folder has the state of another one.
fn resumed(campaign: &Campaign<'_>, notify: Notify<'_>) -> Option<Resumed> {
    match campaign.resumed() {
        Ok(None) => None,
        Ok(Some(resumed)) => {
            let n_lives = resumed.n_lives();
            notify(format_args!("goes on after {n_lives} lives of an earlier run; --restart starts anew"));
            Some(resumed)
        }
        Err(error) => {
            notify(format_args!("{error}; the campaign starts anew"));
            None
        }
    }
}

/// The part of the lives to run, and the variables that name it. The command line comes before the environment.
fn shard(arguments: &ExploreArgs) -> Result<(Shard, Option<String>), RunError> {
    if let Some(shard) = arguments.shard {
        return Ok((shard, None));
    }
    let found = JobShard::of(|name| Some(std::env::var_os(name)?.to_string_lossy().into_owned()))?;
    Ok(found.map_or((Shard::WHOLE, None), |found| (found.shard, Some(found.from))))
}

fn settings(arguments: &ExploreArgs) -> CampaignSettings {
    CampaignSettings {
        lives: LifeSettings {
            seed: arguments.plans.seed,
            limits: arguments.plans.limits(),
            tier: arguments.tier.map(TierArg::tier),
        },
        time: arguments.time,
        findings_max: None,
        is_strict: arguments.strict,
        keeps_all: arguments.out.is_some(),
    }
}

fn reason(explored: &Explored) -> ExitReason {
    let counts = explored.report.counts;
    let n_judged = counts.pass + counts.warn + counts.fail;
    match explored.found.is_empty() {
        false => ExitReason::Violations,
        // A fault that was never due is the rule among drawn lives, so an inconclusive life alone decides nothing.
        true if explored.report.interrupted || n_judged == 0 || counts.unavailable > 0 => ExitReason::Inconclusive,
        true => ExitReason::Conforms,
    }
}

fn text_of(explored: &Explored, folder: &RunFolder, arguments: &ExploreArgs) -> String {
    let mut text = String::new();
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        writeln!(text, "{arguments}").expect("writing to a string cannot fail");
    };
    for found in &explored.found {
        let row = &found.row;
        line(format_args!("{}", found.text.trim_end()));
        line(format_args!(
            "  the smallest life of {} that shows it: {}, at first {}; {} of {} repeats show it, and {} of {} lives",
            row.loader,
            steps(row.steps),
            steps(row.steps_before),
            row.again,
            row.repeats,
            row.lives,
            explored.report.counts.plans
        ));
        found.scenario_text.lines().for_each(|one| line(format_args!("    {one}")));
        line(format_args!("  file:   {}", folder.path().join(&row.file).display()));
        line(format_args!("  repeat: {}\n", row.repeat));
    }
    for (sweep, n_lives) in &explored.report.positions {
        line(format_args!("{sweep}: {n_lives} positions"));
    }
    for (signature, n_lives) in &explored.report.known {
        line(format_args!("known: {signature} in {n_lives} lives"));
    }
    if arguments.quiet {
        return text;
    }
    let mut reasons: Vec<_> = explored.reasons.iter().collect();
    reasons.sort_by_key(|(_, n_lives)| std::cmp::Reverse(**n_lives));
    for (because, n_lives) in reasons.iter().take(REASONS_SHOWN) {
        line(format_args!("without a verdict, {n_lives} times: {because}"));
    }
    let report = &explored.report;
    let from = report.shard_from.as_ref().map(|from| format!(" of {from}")).unwrap_or_default();
    line(format_args!("{}; seed {}, shard {}{from}", report.counts, report.seed, report.shard));
    if let Some(n_lives) = report.resumed {
        line(format_args!("{n_lives} of these lives are of an earlier run, which ended early"));
    }
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

/// The progress of a campaign, on a terminal.
struct Shown {
    bar: ProgressBar,
}

impl Shown {
    fn new(arguments: &ExploreArgs) -> Self {
        if arguments.quiet || !io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden() };
        }
        Self { bar: ProgressBar::no_length().with_style(style("{pos} lives, {per_sec}, {elapsed} {msg}")) }
    }

    /// Sets the number of lives, where there is a bound.
    fn of(&self, n_lives: Option<u64>) {
        if let Some(n_lives) = n_lives {
            self.bar.set_length(n_lives);
            self.bar.set_style(style("{bar:30} {pos}/{len} lives, {per_sec}, {elapsed} {msg}"));
        }
    }

    fn show(&self, now: &Progress<'_>) {
        self.bar.set_position(now.n_lives as u64);
        let found = format!("{} findings", now.n_found);
        self.bar.set_message(now.shrinks.map_or(found.clone(), |signature| format!("{found}, shrinking {signature}")));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the template is well formed")
}
