//! Conformance clients: runs each scenario in a folder of its own, a few at once, and compares the results with a baseline.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::JoinSet;

use crate::check::{Finding, HOST_RULES, Judgement, PlanVerdict, Verdict};
use crate::foreign::words_without_secrets;
use crate::history::{EventKind, Header, History, Source};
use crate::host::{ClientScenario, HostInput, HostKind};
use crate::life::{RunEnvironment, preflight};
use crate::plan::{
    Baseline, BaselineEntry, InputError, Limits, Revision, ShutdownBehaviour, Transport, did_you_mean, read_text,
};
use crate::record::Recorder;
use crate::report::{CHECKS, PlanRow, RunReport, iso};
use crate::run::folder::unusable;
use crate::run::judge::{JudgedHistory, live_and_judge};
use crate::run::report::write_reports;
use crate::run::spare::{SpareFolder, is_full, probe};
use crate::run::{ExitReason, RunError};

/// Name of the only server of a scenario.
const SERVER: &str = "server";

/// One selected scenario, and the protocol revision of its run.
#[derive(Debug, Clone)]
pub struct ClientPlan {
    pub scenario: ClientScenario,
    pub revision: Revision,
}

/// How the scenarios run.
#[derive(Clone)]
pub struct ClientRun {
    /// Program and arguments of the client.
    pub command: Vec<String>,
    /// Longest life of the client in each scenario.
    pub life: Duration,
    /// Most scenarios at once.
    pub jobs: usize,
    /// The folder that receives one folder for each scenario.
    pub base: PathBuf,
    pub environment: RunEnvironment,
}

/// The judged run of one scenario.
pub struct ClientResult {
    pub scenario: String,
    /// Its folder; none where the disk took no files.
    pub directory: Option<PathBuf>,
    pub judgement: Judgement,
    /// Number of secrets that each file lost, by name of the file.
    pub redacted: BTreeMap<String, usize>,
    /// The files that could not be written, each with the system's reason.
    pub unwritten: Vec<String>,
}

impl ClientRun {
    /// Runs every scenario. Returns the results in the order of the plans.
    ///
    /// # Errors
    /// When the folder for the results is none.
    pub async fn run(&self, plans: &[ClientPlan]) -> Result<Vec<ClientResult>, RunError> {
        let probe = |plan: &ClientPlan| {
            ((Transport::Http, plan.scenario.script.name().to_owned()), plan.scenario.script.clone())
        };
        let broken = Arc::new(preflight(&plans.iter().map(probe).collect(), &self.environment).await);
        let mut tasks = JoinSet::new();
        let mut done = BTreeMap::new();
        let mut waiting = plans.iter().cloned().enumerate();
        loop {
            while tasks.len() < self.jobs
                && let Some((index, plan)) = waiting.next()
            {
                let (run, broken) = (self.clone(), Arc::clone(&broken));
                tasks.spawn(async move {
                    let because = broken.get(&(Transport::Http, plan.scenario.script.name().to_owned())).cloned();
                    (index, run.one(&plan, because.flatten()).await)
                });
            }
            match tasks.join_next().await {
                Some(Ok((index, result))) => done.insert(index, result?),
                // A panic here is a defect of this program and must not pass for a verdict.
                Some(Err(error)) => std::panic::resume_unwind(error.into_panic()),
                None => break,
            };
        }
        Ok(done.into_values().collect())
    }

    async fn one(&self, plan: &ClientPlan, broken: Option<String>) -> Result<ClientResult, RunError> {
        let name = &plan.scenario.name;
        let ClientFolder { path: directory, full, spare } = self.fresh_folder(name)?;
        let mut unwritten: Vec<String> = full.into_iter().collect();
        let mut redacted = BTreeMap::new();
        let command = words_without_secrets(&self.command).join(" ");
        let repeat = format!("mcp-lifecheck client --command \"{command}\" --scenario {name}");
        let is_interrupted = self.environment.is_interrupted();
        let judged = match broken.or_else(|| is_interrupted.then(|| "the run was interrupted".to_owned())) {
            Some(because) => JudgedHistory::new(not_run(name, because), repeat),
            None => {
                let life = live_and_judge(&self.input(plan, &directory), &self.environment, repeat).await;
                unwritten.extend(life.unwritten.map(|error| format!("history.jsonl: {error}")));
                redacted = life.redacted;
                life.judged
            }
        };
        let row = PlanRow { redacted: redacted.clone(), ..self.row(plan, &judged) };
        unwritten.extend(write_reports(&directory, &RunReport::of(vec![row], false), [&CHECKS])?.unwritten);
        unwritten.extend(judged.write(&directory).err().map(|error| format!("verdict.json: {error}")));
        let directory = if spare.is_some() { None } else { Some(directory) };
        Ok(ClientResult { scenario: name.clone(), directory, judgement: judged.judgement, redacted, unwritten })
    }

    fn row(&self, plan: &ClientPlan, judged: &JudgedHistory) -> PlanRow {
        let mut row = PlanRow {
            id: judged.history.header().plan.clone(),
            scenario: plan.scenario.name.clone(),
            loader: "client".to_owned(),
            transport: Transport::Http.to_string(),
            revision: plan.revision.to_string(),
            server: ShutdownBehaviour::Polite.to_string(),
            checks: judged.check_rows(SystemTime::now()),
            ..PlanRow::of(judged.verdict().into())
        };
        judged.tell(&mut row);
        row
    }

    fn input(&self, plan: &ClientPlan, directory: &Path) -> HostInput {
        HostInput {
            name: "client".to_owned(),
            scenario: plan.scenario.name.clone(),
            revision: plan.revision,
            transport: Transport::Http,
            shutdown: ShutdownBehaviour::Polite,
            servers: BTreeMap::from([(SERVER.to_owned(), plan.scenario.script.clone())]),
            command: self.command.clone(),
            env: plan.scenario.environment(plan.revision),
            facts: plan.scenario.facts.clone(),
            limits: Limits { exit: self.life, ..Limits::default() },
            life: self.life,
            directory: directory.to_path_buf(),
            kind: HostKind::Client,
        }
    }

    /// A fresh folder, named by the scenario and the time. On a full disk, one among the temporary files.
    fn fresh_folder(&self, scenario: &str) -> Result<ClientFolder, RunError> {
        match self.named_folder(scenario) {
            Ok(path) => Ok(ClientFolder { path, full: None, spare: None }),
            Err((path, error)) if is_full(&error) => {
                let full = Some(format!("{}: {error}", path.display()));
                let spare = SpareFolder::new().map_err(|_| unusable(&path, &error))?;
                let path = std::fs::canonicalize(spare.path()).map_err(|error| unusable(spare.path(), &error))?;
                Ok(ClientFolder { path, full, spare: Some(spare) })
            }
            Err((path, error)) => Err(unusable(&path, &error)),
        }
    }

    fn named_folder(&self, scenario: &str) -> Result<PathBuf, (PathBuf, std::io::Error)> {
        std::fs::create_dir_all(&self.base).map_err(|error| (self.base.clone(), error))?;
        let stamp = iso(SystemTime::now()).replace([':', '.'], "-");
        for n in 1.. {
            let more = if n == 1 { String::new() } else { format!("-{n}") };
            let path = self.base.join(format!("{scenario}-{stamp}{more}"));
            match std::fs::create_dir(&path) {
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err((path, error)),
                // Absolute, because the supervisor may have another working directory.
                Ok(()) => {
                    let probed = std::fs::canonicalize(&path).and_then(|path| probe(&path).map(|()| path));
                    return probed.map_err(|error| (path, error));
                }
            }
        }
        unreachable!("there are more numbers than folders")
    }
}

/// The folder of one scenario.
struct ClientFolder {
    path: PathBuf,
    /// Why the results folder takes no files, if it does not.
    full: Option<String>,
    /// The folder among the temporary files that takes them instead.
    spare: Option<SpareFolder>,
}

/// The history of a scenario that did not run.
fn not_run(scenario: &str, because: String) -> History {
    let header = Header { host: Some(Default::default()), transport: "http".to_owned(), ..Header::new(scenario) };
    let recorder = Recorder::in_memory(header);
    recorder.note(Source::Driver, EventKind::ExperimentFailed { because });
    recorder.note(Source::Driver, EventKind::PlanEnded {});
    recorder.take_history()
}

/// Reads a file of expected failures.
///
/// # Errors
/// When the file is malformed or names a scenario or a check that does not exist.
pub fn read_expected(file: &Path, known: &[ClientScenario]) -> Result<Baseline, RunError> {
    let shown = file.display().to_string();
    let baseline = Baseline::from_text(&shown, &read_text(file)?)?;
    for entry in baseline.entries.iter().filter(|entry| !is_served_elsewhere(&entry.scenario)) {
        if !known.iter().any(|scenario| scenario.name == entry.scenario) {
            let near = did_you_mean(&entry.scenario, known.iter().map(|scenario| &scenario.name));
            let message =
                format!("found scenario {:?}, expected a scenario for conformance clients{near}", entry.scenario);
            return Err(InputError::whole(&shown, message).into());
        }
        let is_unknown = |id: &&String| HOST_RULES.iter().all(|rule| rule.id != id.as_str());
        if let Some(id) = entry.invariant.as_ref().filter(is_unknown) {
            let near = did_you_mean(id, HOST_RULES.iter().map(|rule| rule.id));
            return Err(InputError::whole(
                &shown,
                format!("found check {id:?}, expected the id of an invariant{near}"),
            )
            .into());
        }
    }
    Ok(baseline)
}

/// Whether the official suite has a scenario that is not served here: all of authorization. A file of both suites may list it.
fn is_served_elsewhere(scenario: &str) -> bool {
    scenario.starts_with("auth/")
}

/// The results, compared with the expected failures.
pub struct ClientOutcome<'a> {
    entries: &'a [BaselineEntry],
    found: Vec<bool>,
    is_settled: Vec<bool>,
    has_failed: bool,
    is_doubtful: bool,
    has_passed: bool,
}

impl<'a> ClientOutcome<'a> {
    pub fn new(results: &[ClientResult], expected: &'a Baseline) -> Self {
        let entries = expected.entries.as_slice();
        let settled = |entry: &BaselineEntry| {
            let mut of_it = results.iter().filter(|result| result.scenario == entry.scenario);
            of_it.any(|result| result.judgement.verdict != PlanVerdict::Inconclusive)
        };
        let mut outcome = Self {
            entries,
            found: vec![false; entries.len()],
            is_settled: entries.iter().map(settled).collect(),
            has_failed: false,
            is_doubtful: false,
            has_passed: false,
        };
        for result in results {
            result.judgement.findings.iter().for_each(|finding| outcome.take(&result.scenario, finding));
        }
        outcome
    }

    fn take(&mut self, scenario: &str, finding: &Finding) {
        let accepted = self.accepts(scenario, finding);
        match finding.verdict {
            Verdict::Pass => self.has_passed = true,
            Verdict::Inconclusive => self.is_doubtful = true,
            Verdict::Fail | Verdict::Warn => match accepted {
                Some(index) => self.found[index] = true,
                None => self.has_failed |= finding.verdict == Verdict::Fail,
            },
            Verdict::Vacuous | Verdict::NotObservable | Verdict::NotApplicable => {}
        }
    }

    fn accepts(&self, scenario: &str, finding: &Finding) -> Option<usize> {
        self.entries.iter().position(|entry| {
            entry.scenario == scenario && entry.invariant.as_ref().is_none_or(|id| id == finding.invariant)
        })
    }

    /// Whether the file lists a finding.
    pub fn is_expected(&self, scenario: &str, finding: &Finding) -> bool {
        self.accepts(scenario, finding).is_some()
    }

    /// Entries of judged scenarios without a matching finding.
    pub fn stale(&self) -> impl Iterator<Item = &'a BaselineEntry> {
        let states = self.found.iter().zip(&self.is_settled);
        let entries = self.entries;
        states.zip(entries).filter(|((found, settled), _)| !**found && **settled).map(|(_, entry)| entry)
    }

    pub fn reason(&self, is_interrupted: bool) -> ExitReason {
        if self.has_failed || self.stale().next().is_some() {
            ExitReason::Violations
        } else if is_interrupted || self.is_doubtful || !self.has_passed {
            ExitReason::Inconclusive
        } else {
            ExitReason::Conforms
        }
    }
}
