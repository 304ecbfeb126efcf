//! The verification of a loader.

use std::sync::Arc;

use crate::foreign::shown;
use crate::loader::registered::Registered;
use crate::report::{JSON, RunReport, told_once};
use crate::run::{
    Accepted, ExitReason, Finished, Keeps, Ownership, Pool, Repeat, RunError, RunFolder, RunOutcome, RunProcess,
    Selected, Variants, descriptors, known_baseline, report_of, select, write_reports,
};
use crate::testing::binary::{PLAN_VARIABLE, in_turn, requested_jobs, target_folder, target_of, test_command};
use crate::testing::{Options, Severity};

/// Verifies a loader over suite `core`, with polite and stubborn servers.
///
/// # Panics
/// When the verification fails, with the text of [`NotVerified`].
#[track_caller]
pub fn verify(loader: &Registered) {
    if let Err(error) = verify_with(loader, &Options::default()) {
        panic!("{error}");
    }
}

/// Verifies a loader. Returns the report on every plan.
///
/// It runs on its own threads, so any code may call it. It blocks the caller, even in a runtime. Only one verification runs at a time in
/// a process, because each uses every core.
///
/// # Errors
/// When a selected plan fails or has no verdict. The error has the full text.
pub fn verify_with(loader: &Registered, options: &Options) -> Result<RunReport, NotVerified> {
    let repeat = Repeat::ByTest { command: test_command(loader) };
    in_turn(|| perform(loader, options, repeat))
}

/// Why a verification failed. Its text has each finding with its invariant, claim, reason and witness, and the command that repeats
/// it, like the output of `mcp-lifecheck run`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NotVerified {
    /// A rule that must hold is broken, or a baseline entry is stale.
    #[error("loader {} does not keep its promises\n\n{text}", loader_of(report))]
    Violations {
        /// Every plan with its findings.
        report: Box<RunReport>,
        /// The findings, as text.
        text: String,
    },
    /// A selected plan has no verdict.
    #[error("loader {} could not be judged\n\n{text}", loader_of(report))]
    Inconclusive {
        /// Every plan with its findings.
        report: Box<RunReport>,
        /// The findings, as text.
        text: String,
    },
    /// No plan ran.
    #[error("the verification cannot run: {0}")]
    NotRun(#[from] RunError),
}

fn loader_of(report: &RunReport) -> String {
    report.loaders.join(", ")
}

fn perform(loader: &Registered, options: &Options, repeat: Repeat) -> Result<RunReport, NotVerified> {
    let selected = selected(loader, options)?;
    known_baseline("the baseline", &options.baseline, &selected)?;
    let folder = Arc::new(match &options.out {
        Some(out) => RunFolder::open(Some(out))?,
        None => RunFolder::open_below(&target_folder()?, loader.name())?,
    });
    let report = run(&selected, &folder, options, repeat)?;
    let mut text = told_once(&report.plans.iter().collect::<Vec<_>>());
    let written = write_reports(folder.path(), &report, [&JSON])?;
    let mut accepted = Accepted::default();
    accepted.add(None, &options.baseline);
    let outcome = RunOutcome::of(&report, &accepted);
    text.push_str(&outcome.text());
    written.unwritten.iter().for_each(|lost| text.push_str(&format!("not written: {lost}\n")));
    let kept = match folder.lost() {
        None => format!("results in {}", folder.path().display()),
        Some(because) => format!("no results were kept: {because}"),
    };
    text.push_str(&format!("{}\n{kept}", report.counts));
    // It becomes the message of a panic, which a terminal shows.
    let text = shown(&text).into_owned();
    let report = Box::new(report);
    match outcome.reason(&report, options.severity == Severity::Warn) {
        ExitReason::Conforms => Ok(*report),
        ExitReason::Violations | ExitReason::BadInput => Err(NotVerified::Violations { report, text }),
        ExitReason::Inconclusive => Err(NotVerified::Inconclusive { report, text }),
    }
}

fn run(
    selected: &[Selected],
    folder: &Arc<RunFolder>,
    options: &Options,
    repeat: Repeat,
) -> Result<RunReport, RunError> {
    let by_tasks = descriptors::n_plans_by_tasks(selected, requested_jobs(options.jobs))?;
    let process = RunProcess::boot(Ownership::Guest)?;
    let jobs = descriptors::fitting_jobs(selected, requested_jobs(options.jobs), by_tasks)?;
    let environment = process.environment();
    let folder = Arc::clone(folder);
    let (notify, on_finished) = (&|_: std::fmt::Arguments<'_>| {}, &|_: &Finished| {});
    let pool = Pool { folder, jobs, environment, repeat, fresh: true, keeps: Keeps::All, notify, on_finished };
    let finished = process.finish(pool.run(selected));
    Ok(report_of(finished, false))
}

fn selected(loader: &Registered, options: &Options) -> Result<Vec<Selected>, RunError> {
    let target = target_of(loader, &options.promises, &options.transports)?;
    let variants = Variants {
        usual: options.transports.clone(),
        revision: options.revision,
        temperaments: options.temperaments,
        repeat: options.repeat.max(1),
        limits: options.limits.clone(),
        ..Variants::default()
    };
    let mut selected = select::plans(&select::scenarios(&options.scenarios)?, &[target], &variants)?;
    if let Ok(wanted) = std::env::var(PLAN_VARIABLE) {
        // Other tests of the same run have other plans and must not fail. So only a verification that has the wanted plan is limited to
        // it.
        if selected.iter().any(|one| one.plan.id == wanted) {
            selected.retain(|one| one.plan.id == wanted);
        }
    }
    Ok(selected)
}
