//! The exploration of a loader: first the lives in its regression files, then lives that are drawn at random.

use std::collections::hash_map::RandomState;
use std::fmt::{Arguments, Write as _};
use std::hash::{BuildHasher, Hasher};
use std::panic::Location;
use std::sync::Arc;

use crate::catalogue::write_whole;
use crate::check::Verdict;
use crate::explore::{
    Campaign, CampaignSettings, Explored, Known, LifeSettings, Lives, Narrowing, Palette, Shard, Source,
};
use crate::foreign::shown;
use crate::loader::registered::Registered;
use crate::report::{FindingRow, PlanRow, RunVerdict};
use crate::run::select::plans;
use crate::run::{
    Chosen, Finished, Jobs, Keeps, Ownership, Pool, Repeat, RunError, RunFolder, RunProcess, Selected, Target,
    Temperaments, Variants, check_invariant,
};
use crate::testing::binary::{PLAN_VARIABLE, in_turn, requested_jobs, target_folder, target_of, test_command};
use crate::testing::explored::{Exploration, NotExplored};
use crate::testing::regressions::Regressions;
use crate::testing::{ExploreOptions, Severity};

/// The variable with the seed of an exploration that names none. The command that repeats one sets it.
const SEED_VARIABLE: &str = "MCP_LIFECHECK_SEED";
/// Most regression files that one failure tells in full.
const TOLD_MAX: usize = 3;
/// Most reasons that are told why lives have no verdict.
const REASONS_MAX: usize = 5;

/// Explores a loader: runs the lives in its regression files, and then so many lives that are drawn at random.
///
/// The first finding ends the exploration. Its life is made as small as possible, shown, and kept in a regression file beside the
/// source file of the caller. The next exploration runs that life before it draws others. [`explore_with`] has the details.
///
/// # Panics
/// When a life shows a finding, with the text of [`NotExplored`].
#[track_caller]
pub fn explore(loader: &Registered, cases: u64) {
    let options = ExploreOptions { cases, ..ExploreOptions::default() };
    if let Err(error) = explore_with(loader, &options) {
        panic!("{error}");
    }
}

/// Explores a loader. Returns the report on every life.
///
/// A regression file is a scenario file that a person can read and change, and that `mcp-lifecheck run` runs. The file stays when the
/// loader is fixed. A file whose life has no verdict any more fails the test, because it tests nothing: change it, or remove it.
///
/// It runs on its own threads, so any code may call it. It blocks the caller, even in a runtime. Only one verification or exploration
/// runs at a time in a process, because each uses every core.
///
/// # Errors
/// When a life shows a finding, or no life has a verdict. The error has the full text.
#[track_caller]
pub fn explore_with(loader: &Registered, options: &ExploreOptions) -> Result<Exploration, NotExplored> {
    let (caller, command) = (Location::caller(), test_command(loader));
    in_turn(|| perform(loader, options, caller, command))
}

fn perform(
    loader: &Registered,
    options: &ExploreOptions,
    caller: &'static Location<'static>,
    command: String,
) -> Result<Exploration, NotExplored> {
    for signature in &options.known {
        let id = signature.split('/').next().unwrap_or_default();
        check_invariant("the known findings", id).map_err(RunError::from)?;
    }
    let seed = Seed::of(options.seed, std::env::var(SEED_VARIABLE).ok())?;
    let target = target_of(loader, &options.promises, &options.transports)?;
    let narrowing = Narrowing {
        transports: options.transports.clone(),
        revision: options.revision,
        scripts: options.scripts.clone(),
        is_polite: options.temperaments == Temperaments::PoliteOnly,
        tier: None,
    };
    let palette = Palette::of(&target, &narrowing)?;
    let regressions = Regressions::of(options.regressions.as_deref(), loader, caller)?;
    let (kept, is_alone) = wanted(selected(&regressions.kept()?, &target, options)?, std::env::var(PLAN_VARIABLE).ok());
    let folder = Arc::new(match &options.out {
        Some(out) => RunFolder::open(Some(out))?,
        None => RunFolder::open_below(&target_folder()?, &format!("explore-{}", loader.name()))?,
    });
    let process = RunProcess::boot(Ownership::Guest)?;
    let environment = process.environment();
    let (notify, on_finished) = (&|_: Arguments<'_>| {}, &|_: &Finished| {});
    let pool = |repeat| Pool {
        folder: Arc::clone(&folder),
        jobs: requested_jobs(options.jobs).map_or_else(Jobs::usual, Jobs::Fixed),
        environment: environment.clone(),
        repeat,
        fresh: true,
        keeps: Keeps::All,
        notify,
        on_finished,
    };
    let work = Work { loader: loader.name(), options, target, regressions, folder: &folder, command, seed };
    let replaying = pool(Repeat::ByTest { command: work.command.clone() });
    let drawing = pool(Repeat::ByDraws { command: work.draws() });
    process.finish(async {
        let regressions = work.replay(&replaying, &kept).await?;
        let drawn = if is_alone { None } else { Some(work.draw(&drawing, palette, regressions.len()).await?) };
        Ok(Exploration { regressions, drawn })
    })
}

/// The seed of the lives, and whether a user must name it to draw them again.
struct Seed {
    number: u64,
    is_fixed: bool,
}

impl Seed {
    fn of(fixed: Option<u64>, named: Option<String>) -> Result<Self, RunError> {
        if let Some(number) = fixed {
            return Ok(Self { number, is_fixed: true });
        }
        let number = match named {
            Some(text) => text.parse().map_err(|_| {
                RunError::usage(format!("{SEED_VARIABLE}: found {text:?}, expected a whole number, such as 7"))
            })?,
            // The keys of a map are random. A short number is easier to copy.
            None => RandomState::new().build_hasher().finish() >> 32,
        };
        Ok(Self { number, is_fixed: false })
    }
}

/// The plans of the lives in the regression files.
fn selected(kept: &[Chosen], target: &Target, options: &ExploreOptions) -> Result<Vec<Selected>, RunError> {
    let mut selected = Vec::new();
    for chosen in kept {
        let variants = Variants {
            usual: options.transports.clone(),
            // A life names one revision, which may be one without a handshake.
            revision: match chosen.scenario.revisions.as_slice() {
                [only] => Some(*only),
                _ => options.revision,
            },
            temperaments: Temperaments::AsWritten,
            repeat: options.repeat.max(1),
            limits: options.limits.clone(),
            ..Variants::default()
        };
        let of_file = plans(std::slice::from_ref(chosen), std::slice::from_ref(target), &variants)?;
        if of_file.is_empty() {
            let spoken = options.transports.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
            return Err(RunError::usage(format!(
                "{}: found no plan for this life, expected one that runs over a transport of the exploration ({spoken})",
                chosen.shown()
            )));
        }
        selected.extend(of_file);
    }
    Ok(selected)
}

/// The plans to run, and whether a user asked for one of them alone.
fn wanted(mut selected: Vec<Selected>, wanted: Option<String>) -> (Vec<Selected>, bool) {
    // Other tests of the same run have other plans, so only an exploration that has the wanted plan is limited to it.
    let is_alone = wanted.as_ref().is_some_and(|wanted| selected.iter().any(|one| one.plan.id == *wanted));
    if is_alone {
        selected.retain(|one| Some(&one.plan.id) == wanted.as_ref());
    }
    (selected, is_alone)
}

/// What all parts of one exploration have in common.
struct Work<'a> {
    loader: &'a str,
    options: &'a ExploreOptions,
    target: Target,
    regressions: Regressions,
    folder: &'a RunFolder,
    /// The command line that repeats the calling test.
    command: String,
    seed: Seed,
}

impl Work<'_> {
    /// The command line that draws the same lives.
    fn draws(&self) -> String {
        match self.seed.is_fixed {
            true => self.command.clone(),
            false => format!("{SEED_VARIABLE}={} {}", self.seed.number, self.command),
        }
    }

    fn is_strict(&self) -> bool {
        self.options.severity == Severity::Warn
    }

    /// The findings of a plan that fail the test.
    fn findings<'p>(&self, row: &'p PlanRow) -> Vec<&'p FindingRow> {
        let counts = |finding: &&FindingRow| match finding.verdict {
            Verdict::Fail => true,
            Verdict::Warn => self.is_strict(),
            Verdict::Pass
            | Verdict::Vacuous
            | Verdict::NotObservable
            | Verdict::NotApplicable
            | Verdict::Inconclusive => false,
        };
        let is_known = |finding: &&FindingRow| self.options.known.contains(&finding.signature);
        row.findings.iter().filter(counts).filter(|finding| !is_known(finding)).collect()
    }

    fn inconclusive(&self, text: &str) -> NotExplored {
        let text = shown(&format!("{text}{}", self.results())).into_owned();
        NotExplored::Inconclusive { loader: self.loader.to_owned(), text }
    }

    fn results(&self) -> String {
        match self.folder.lost() {
            None => format!("results in {}", self.folder.path().display()),
            Some(because) => format!("no results were kept: {because}"),
        }
    }

    /// Runs the lives in the regression files.
    async fn replay(&self, pool: &Pool<'_>, selected: &[Selected]) -> Result<Vec<PlanRow>, NotExplored> {
        let rows: Vec<PlanRow> = pool.run(selected).await.into_iter().map(|one| one.row).collect();
        let files: Vec<String> = selected.iter().map(|one| self.regressions.file_of(&one.scenario.name)).collect();
        let texts: Vec<_> = selected.iter().map(|one| one.plan.scenario_text.as_deref().unwrap_or_default()).collect();
        let failed = |index: &usize| !self.findings(&rows[*index]).is_empty();
        let failed: Vec<usize> = (0..rows.len()).filter(failed).collect();
        if !failed.is_empty() {
            let mut text = String::new();
            for index in failed.iter().copied().take(TOLD_MAX) {
                let found = self.findings(&rows[index]);
                found.iter().for_each(|finding| text.push_str(&finding.text));
                text.push_str(&rows[index].stacks);
                line(&mut text, format_args!("  repeat:  {}\n\n{}", found[0].repeat, texts[index]));
                line(&mut text, format_args!("from {}, which stays when the loader is fixed\n", files[index]));
            }
            if failed.len() > TOLD_MAX {
                let rest: Vec<&str> = failed[TOLD_MAX..].iter().map(|index| files[*index].as_str()).collect();
                line(&mut text, format_args!("also in {}", rest.join(", ")));
            }
            let n_lives = plural(rows.len(), "life", "lives");
            line(
                &mut text,
                format_args!("{} of {n_lives} in regression files failed; no lives were drawn", failed.len()),
            );
            text.push_str(&self.results());
            let text = shown(&text).into_owned();
            return Err(NotExplored::Regression { loader: self.loader.to_owned(), regressions: rows, text });
        }
        let mut unjudged = String::new();
        for (row, file) in rows.iter().zip(&files).filter(|(row, _)| !is_judged(row.verdict)) {
            let because = row.because.iter().chain(row.findings.iter().map(|finding| &finding.because)).next();
            let because = because.map_or("no invariant was triggered", String::as_str);
            line(&mut unjudged, format_args!("{file}: {}: {because}", row.verdict.word()));
        }
        if unjudged.is_empty() {
            return Ok(rows);
        }
        unjudged.push_str("A regression file without a verdict tests nothing: change it, or remove it.\n");
        Err(self.inconclusive(&unjudged))
    }

    /// Draws lives and runs them.
    async fn draw(
        &self,
        pool: &Pool<'_>,
        palette: Palette,
        n_replayed: usize,
    ) -> Result<crate::explore::ExploreReport, NotExplored> {
        let options = self.options;
        let settings = CampaignSettings {
            lives: LifeSettings { seed: self.seed.number, limits: options.limits.clone(), tier: None },
            time: options.time,
            findings_max: Some(options.findings_max.max(1)),
            is_strict: self.is_strict(),
            keeps_all: options.out.is_some(),
        };
        let source = Source::Drawn { palettes: vec![palette], seed: self.seed.number };
        let campaign = Campaign {
            pool,
            alone: pool,
            targets: std::slice::from_ref(&self.target),
            lives: &Lives::new(source, Shard::WHOLE, Some(options.cases)),
            known: &Known::of_signatures(options.known.iter().cloned()),
            settings: &settings,
            checkpoint: None,
            on_progress: &|_| {},
        };
        let explored = campaign.run().await;
        let json = serde_json::to_string(&explored.report).expect("a report has string keys only");
        let written = write_whole(&self.folder.path().join("explore.json"), format!("{json}\n").as_bytes());
        if !explored.found.is_empty() {
            let text = shown(&self.found_text(&explored, written.err())).into_owned();
            let (loader, report) = (self.loader.to_owned(), Box::new(explored.report));
            return Err(NotExplored::Found { loader, report, text });
        }
        let counts = explored.report.counts;
        let n_judged = counts.pass + counts.warn + counts.fail;
        let is_replay_alone = options.cases == 0 && n_replayed > 0;
        if explored.report.interrupted || counts.unavailable > 0 || (n_judged == 0 && !is_replay_alone) {
            return Err(self.inconclusive(&self.summary(&explored)));
        }
        Ok(explored.report)
    }

    fn found_text(&self, explored: &Explored, unwritten: Option<std::io::Error>) -> String {
        let mut text = String::new();
        for found in &explored.found {
            let row = &found.row;
            text.push_str(&found.text);
            let (steps, before) = (plural(row.steps, "step", "steps"), plural(row.steps_before, "step", "steps"));
            line(
                &mut text,
                format_args!(
                    "  the smallest life that shows it: {steps}, at first {before}; {} of {} repeats show it\n",
                    row.again, row.repeats
                ),
            );
            let scenario = self.regressions.text_of(found, self.seed.number);
            text.push_str(&scenario);
            match self.regressions.keep(&row.signature, &scenario) {
                Ok(file) => {
                    line(&mut text, format_args!("\nkept in {}, which runs first from now on", file.display()));
                    line(&mut text, format_args!("  repeat:  {}", self.command));
                }
                Err(error) => line(&mut text, format_args!("\nnot kept: {error}")),
            }
        }
        if !explored.untold.is_empty() {
            let others = explored.untold.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
            line(&mut text, format_args!("also found: {others}"));
        }
        if let Some(error) = unwritten {
            line(&mut text, format_args!("explore.json was not written: {error}"));
        }
        text.push_str(&self.summary(explored));
        text + &self.results()
    }

    /// The counts of the lives that were drawn, and the command that draws them again.
    fn summary(&self, explored: &Explored) -> String {
        let mut text = String::new();
        let mut reasons: Vec<_> = explored.reasons.iter().collect();
        reasons.sort_by_key(|(_, n_lives)| std::cmp::Reverse(**n_lives));
        for (because, n_lives) in reasons.iter().take(REASONS_MAX) {
            line(&mut text, format_args!("without a verdict in {}: {because}", plural(**n_lives, "life", "lives")));
        }
        if reasons.len() > REASONS_MAX {
            line(&mut text, format_args!("and for {} more reasons", reasons.len() - REASONS_MAX));
        }
        line(&mut text, format_args!("{}; seed {}", explored.report.counts, self.seed.number));
        line(&mut text, format_args!("the same lives again: {}", self.draws()));
        text
    }
}

/// Whether some rule was judged on a life.
fn is_judged(verdict: RunVerdict) -> bool {
    match verdict {
        RunVerdict::Pass | RunVerdict::Fail | RunVerdict::Warn => true,
        RunVerdict::Vacuous | RunVerdict::NotApplicable | RunVerdict::Inconclusive | RunVerdict::Unavailable => false,
    }
}

fn plural(n: usize, one: &str, several: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {several}") }
}

fn line(text: &mut String, arguments: Arguments<'_>) {
    writeln!(text, "{arguments}").expect("writing to a string cannot fail");
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn a_seed_is_fixed_or_named_or_new() {
        let of = |fixed, named: Option<&str>| Seed::of(fixed, named.map(str::to_owned)).map(|seed| seed.number);
        assert_eq!(of(Some(3), Some("8")).unwrap(), 3);
        assert_eq!(of(None, Some("8")).unwrap(), 8);
        assert!(of(None, None).unwrap() < 1 << 32);
        let refused = of(None, Some("-1")).unwrap_err().to_string();
        assert_eq!(refused, "MCP_LIFECHECK_SEED: found \"-1\", expected a whole number, such as 7");
    }
}
