//! `mcp-lifecheck client`: official conformance clients against mocks.

use std::fmt::Write as _;
use std::os::fd::OwnedFd;
use std::time::Duration;

use mcp_lifecheck::check::{Finding, Verdict, invariant};
use mcp_lifecheck::host::{ClientScenario, client_scenarios};
use mcp_lifecheck::plan::{Baseline, Revision, did_you_mean};
use mcp_lifecheck::run::{
    ClientOutcome, ClientPlan, ClientResult, ClientRun, ExitReason, Ownership, RunError, RunFolder, RunProcess,
    read_expected, tasks,
};

use crate::args::ClientArgs;
use crate::lost::{complain_of_loss, redacted_text, told};
use crate::print::{complain, say};
use crate::program::check_program;

/// Every scenario of one revision.
const LIFECYCLE: &str = "lifecycle";
/// The suites that have scenarios here.
const SUITES: [&str; 4] = [LIFECYCLE, "all", "core", "draft"];
/// Suites of the official runner without a scenario here.
const OTHER_SUITES: [&str; 5] = ["auth", "metadata", "extensions", "backcompat", "sep-835"];

/// Runs a client through scenarios. `parent` becomes readable when the parent process ends.
pub(crate) fn client(arguments: &ClientArgs, parent: Option<OwnedFd>) -> Result<ExitReason, RunError> {
    let known = client_scenarios()?;
    let plans = selected(arguments, &known)?;
    if plans.is_empty() {
        let suite = arguments.suite.as_deref().unwrap_or(LIFECYCLE);
        let here = SUITES.join(", ");
        complain(format_args!("found suite {suite}, of which no scenario is served here, expected one of {here}"));
        return Ok(ExitReason::Inconclusive);
    }
    let command = command(&arguments.command)?;
    let expected = arguments.expected_failures.as_ref().map(|file| read_expected(file, &known)).transpose()?;
    let expected = expected.unwrap_or_else(Baseline::default);
    let base = match &arguments.out {
        Some(folder) => folder.clone(),
        None => RunFolder::usual_base()?.join("client"),
    };
    let jobs = tasks::n_fitting_plans(jobs(arguments).min(plans.len()), 1)?;
    let process = RunProcess::boot(Ownership::Command { parent })?;
    let environment = process.environment();
    let life = Duration::from_millis(arguments.timeout);
    let run = ClientRun { command, life, jobs, base, environment: environment.clone() };
    let results = process.finish(run.run(&plans))?;
    let outcome = ClientOutcome::new(&results, &expected);
    results.iter().flat_map(|result| &result.unwritten).for_each(|lost| complain_of_loss(lost));
    let reason = outcome.reason(environment.is_interrupted());
    told(say(&text_of(&results, &outcome, arguments.verbose)), reason)
}

fn jobs(arguments: &ClientArgs) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    (arguments.jobs as usize).min(cores)
}

/// The selected scenarios, each with the protocol revision of its run. None for a suite that has no scenario here.
fn selected(arguments: &ClientArgs, known: &[ClientScenario]) -> Result<Vec<ClientPlan>, RunError> {
    let wanted = arguments.spec_version.or(arguments.requirements);
    if !arguments.scenario.is_empty() {
        return arguments.scenario.iter().map(|name| plan(name, wanted, arguments.force, known)).collect();
    }
    // The official runner reads the name of a suite in any case.
    let suite = arguments.suite.as_deref().unwrap_or(if wanted.is_some() { "all" } else { LIFECYCLE }).to_lowercase();
    let of_suite: fn(&ClientScenario) -> bool = match suite.as_str() {
        LIFECYCLE | "all" => |_| true,
        "core" => |scenario| scenario.revisions.iter().any(|revision| *revision <= Revision::NEWEST_HANDSHAKE),
        "draft" => |scenario| scenario.revisions.iter().any(|revision| *revision > Revision::NEWEST_HANDSHAKE),
        other if OTHER_SUITES.contains(&other) => return Ok(Vec::new()),
        _ => {
            let near = did_you_mean(&suite, SUITES);
            return Err(RunError::usage(format!("found suite {suite:?}, expected one of {}{near}", SUITES.join(", "))));
        }
    };
    let revision = |scenario: &ClientScenario| match (wanted, suite.as_str()) {
        (Some(wanted), _) => wanted,
        (None, LIFECYCLE) => Revision::NEWEST_HANDSHAKE,
        (None, "draft") => scenario.revisions.iter().max().copied().unwrap_or(Revision::NEWEST_HANDSHAKE),
        (None, _) => usual_revision(scenario),
    };
    let plans = known
        .iter()
        .filter(|scenario| of_suite(scenario))
        .map(|scenario| ClientPlan { scenario: scenario.clone(), revision: revision(scenario) });
    let served: Vec<ClientPlan> =
        plans.filter(|plan| arguments.force || plan.scenario.runs_under(plan.revision)).collect();
    if served.is_empty() {
        let revision = wanted.unwrap_or(Revision::NEWEST_HANDSHAKE);
        return Err(RunError::usage(format!("found revision {revision}, for which no scenario is served")));
    }
    Ok(served)
}

/// The revision of a scenario where the user names none: the newest with a handshake, or else the newest.
fn usual_revision(scenario: &ClientScenario) -> Revision {
    let newest = scenario.revisions.iter().max().copied();
    newest.filter(|_| !scenario.runs_under(Revision::NEWEST_HANDSHAKE)).unwrap_or(Revision::NEWEST_HANDSHAKE)
}

fn plan(name: &str, wanted: Option<Revision>, force: bool, known: &[ClientScenario]) -> Result<ClientPlan, RunError> {
    let unknown = || {
        let names: Vec<&str> = known.iter().map(|scenario| scenario.name.as_str()).collect();
        let (near, names) = (did_you_mean(name, &names), names.join(", "));
        RunError::usage(format!("found scenario {name:?}, expected one of {names}{near}"))
    };
    let scenario = known.iter().find(|scenario| scenario.name == name).ok_or_else(unknown)?;
    let revision = wanted.unwrap_or_else(|| usual_revision(scenario));
    if !scenario.runs_under(revision) && !force {
        let served: Vec<_> = scenario.revisions.iter().map(ToString::to_string).collect();
        let message = format!("found scenario {name} under {revision}, expected {}, or --force", served.join(" or "));
        return Err(RunError::usage(message));
    }
    Ok(ClientPlan { scenario: scenario.clone(), revision })
}

/// The command, split on spaces; its program must exist.
fn command(text: &str) -> Result<Vec<String>, RunError> {
    let command: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    check_program(&command)?;
    Ok(command)
}

fn text_of(results: &[ClientResult], outcome: &ClientOutcome<'_>, is_verbose: bool) -> String {
    let mut text = String::new();
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        writeln!(text, "{arguments}").expect("writing to a string cannot fail");
    };
    for result in results {
        let findings = &result.judgement.findings;
        let n_of = |verdict: Verdict| findings.iter().filter(|finding| finding.verdict == verdict).count();
        let (n_pass, n_fail, n_warn) = (n_of(Verdict::Pass), n_of(Verdict::Fail), n_of(Verdict::Warn));
        let verdict = result.judgement.verdict.name().to_uppercase();
        let name = &result.scenario;
        line(format_args!("{verdict} {name}: {n_pass} passed, {n_fail} failed, {n_warn} warned"));
        for finding in findings {
            if let Some(word) = word(finding, outcome.is_expected(name, finding), is_verbose) {
                line(format_args!("  {word} {}: {}", finding.invariant, sentence(finding)));
            }
        }
        if let Some(directory) = &result.directory {
            line(format_args!("  results in {}", directory.display()));
        }
        if let Some(told) = redacted_text(&result.redacted) {
            line(format_args!("  {told}"));
        }
    }
    for entry in outcome.stale() {
        let check = entry.invariant.as_ref().map(|id| format!(":{id}")).unwrap_or_default();
        line(format_args!("STALE expected failure {}{check}: listed and not found", entry.scenario));
    }
    text
}

/// The word for a finding. `None` if the finding is not shown.
fn word(finding: &Finding, is_expected: bool, is_verbose: bool) -> Option<&'static str> {
    match finding.verdict {
        Verdict::Fail | Verdict::Warn if is_expected => Some("EXPECTED"),
        Verdict::Fail => Some("FAIL"),
        Verdict::Warn => Some("WARN"),
        Verdict::Inconclusive => Some("INCONCLUSIVE"),
        Verdict::Pass => is_verbose.then_some("PASS"),
        Verdict::Vacuous | Verdict::NotObservable | Verdict::NotApplicable => is_verbose.then_some("SKIPPED"),
    }
}

fn sentence(finding: &Finding) -> String {
    match (finding.verdict, invariant(finding.invariant)) {
        (Verdict::Pass, Some(rule)) => rule.claim.to_owned(),
        _ => finding.because.to_string(),
    }
}
