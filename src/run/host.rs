//! A finished application: runs one plan in one folder.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{Instant, SystemTime};

use crate::catalogue::write_whole;
use crate::history::{EventKind, History};
use crate::host::{HostInput, HostKind, Prepared};
use crate::life::{RunEnvironment, preflight};
use crate::plan::{Baseline, InputError, Revision, ShutdownBehaviour, read_text};
use crate::report::{CHECKS, PlanRow, RunReport, RunVerdict};
use crate::run::judge::{JudgedLife, live_and_judge};
use crate::run::outcome::check_invariant;
use crate::run::report::write_reports;
use crate::run::{RunError, RunFolder};
use crate::stack::Browser;

/// Files of a host's life. A run removes those of an earlier one first.
const FILES: [&str; 7] =
    ["history.jsonl", "verdict.json", "plan.toml", "stdout.txt", "stderr.txt", "page-stderr.txt", "mcp.json"];

/// A host, ready to be run.
pub struct HostRun<'a> {
    pub prepared: Prepared,
    /// Program and arguments, with placeholders.
    pub command: Vec<String>,
    pub revision: Revision,
    pub shutdown: ShutdownBehaviour,
    pub folder: &'a RunFolder,
    pub environment: RunEnvironment,
    /// The command line that repeats the run.
    pub repeat: String,
}

/// The judged run of a host.
pub struct Hosted {
    /// The report on a run of one plan, with its checks.
    pub report: RunReport,
    /// How often the host connected to each server, and how often the plan prompted it. No rule judges this line.
    pub mode: String,
}

/// The command of the page driver, or why there is none.
pub fn page_driver(asked: Option<&str>) -> Result<Vec<String>, String> {
    let asked = asked.map(str::to_owned).or_else(|| std::env::var("MCP_LIFECHECK_PAGE_DRIVER").ok());
    let command: Vec<String> = asked.unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if command.is_empty() {
        let browser = Browser::find().map_err(|error| format!("the plan needs a browser: {error}"))?;
        return Ok(browser.command());
    }
    Ok(command)
}

/// Reads a baseline for one plan of a host.
///
/// # Errors
/// When the file is malformed or names another plan or an unknown invariant.
pub fn read_host_baseline(file: &Path, plan: &str) -> Result<Baseline, RunError> {
    let shown = file.display().to_string();
    let baseline = Baseline::from_text(&shown, &read_text(file)?)?;
    for entry in &baseline.entries {
        if entry.scenario != plan {
            let message = format!("found scenario {:?}, expected {plan:?}, the plan that is run", entry.scenario);
            return Err(InputError::whole(&shown, message).into());
        }
        entry.invariant.iter().try_for_each(|id| check_invariant(&shown, id))?;
    }
    Ok(baseline)
}

impl HostRun<'_> {
    /// Runs the host and judges it.
    ///
    /// # Errors
    /// When files of an earlier run cannot be removed.
    pub async fn run(&self) -> Result<Hosted, RunError> {
        let began = Instant::now();
        self.clear()?;
        let mut unwritten = BTreeMap::new();
        let plan = self.prepared.application.plan.to_toml();
        self.write("plan.toml", &plan, &mut unwritten);
        if let Err(because) = self.page_is_there() {
            return Ok(self.without_run(RunVerdict::Unavailable, because));
        }
        if let Some(because) = self.broken_mock().await {
            return Ok(self.without_run(RunVerdict::Inconclusive, because));
        }
        let input = self.input()?;
        let life = live_and_judge(&input, &self.environment, self.repeat.clone()).await;
        if let Some(error) = &life.unwritten {
            unwritten.insert("history.jsonl".to_owned(), error.to_string());
        }
        self.judged(&life, began, unwritten)
    }

    fn page_is_there(&self) -> Result<(), String> {
        let application = &self.prepared.application;
        if application.plan.needs_page() && application.page.is_none() { page_driver(None).map(drop) } else { Ok(()) }
    }

    async fn broken_mock(&self) -> Option<String> {
        let transport = self.prepared.transport;
        let scripts = self.prepared.servers.values();
        let scripts = scripts.map(|script| ((transport, script.name().to_owned()), script.clone())).collect();
        let broken = preflight(&scripts, &self.environment).await;
        if self.environment.is_interrupted() {
            return Some("the run was interrupted".to_owned());
        }
        let described = |(transport, name): &(_, String), because: Option<String>| {
            let _: &crate::plan::Transport = transport;
            Some(format!("mock script {name} failed its own exchange: {}", because?))
        };
        broken.into_iter().find_map(|(script, because)| described(&script, because))
    }

    fn clear(&self) -> Result<(), RunError> {
        for name in FILES {
            let path = self.folder.path().join(name);
            match fs::remove_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(RunError::system(path.display().to_string())(error));
                }
                Ok(()) | Err(_) => {}
            }
        }
        Ok(())
    }

    fn input(&self) -> Result<HostInput, RunError> {
        let Prepared { application, servers, transport, facts, limits, life } = &self.prepared;
        let path = self.folder.path();
        // Absolute, because the supervisor may have another working directory.
        let directory = fs::canonicalize(path).map_err(RunError::system(path.display().to_string()))?;
        Ok(HostInput {
            name: self.name(),
            scenario: application.plan.name.clone(),
            revision: self.revision,
            transport: *transport,
            shutdown: self.shutdown,
            servers: servers.clone(),
            command: self.command.clone(),
            env: BTreeMap::new(),
            facts: facts.clone(),
            limits: limits.clone(),
            life: *life,
            directory,
            kind: HostKind::Application(application.clone()),
        })
    }

    /// The name of the host: that of its program.
    fn name(&self) -> String {
        let program = self.command.first().map(Path::new).and_then(|path| path.file_name()?.to_str());
        let is_allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '@' | '-');
        program.unwrap_or("host").chars().map(|c| if is_allowed(c) { c } else { '-' }).collect()
    }

    fn judged(
        &self,
        life: &JudgedLife,
        began: Instant,
        mut unwritten: BTreeMap<String, String>,
    ) -> Result<Hosted, RunError> {
        let judged = &life.judged;
        if let Err(error) = judged.write(self.folder.path()) {
            unwritten.insert("verdict.json".to_owned(), error.to_string());
        }
        let mut row = self.row(judged.verdict().into());
        row.id.clone_from(&judged.history.header().plan);
        row.wall_ms = u64::try_from(began.elapsed().as_millis()).ok();
        judged.tell(&mut row);
        row.checks = judged.check_rows(SystemTime::now());
        row.redacted.clone_from(&life.redacted);
        row.unwritten = unwritten;
        let mut report = self.report(row);
        let written = write_reports(self.folder.path(), &report, [&CHECKS])?;
        let lost = written.unwritten.into_iter().map(|because| (CHECKS.file.to_owned(), because));
        report.plans.iter_mut().for_each(|row| row.unwritten.extend(lost.clone()));
        Ok(Hosted { report, mode: mode_of(&judged.history) })
    }

    fn without_run(&self, verdict: RunVerdict, because: String) -> Hosted {
        let word = verdict.word();
        let name = self.name();
        let text = format!("{word} {name}: {because}\n");
        let row = PlanRow { because: Some(because), note: text.trim_end().to_owned(), text, ..self.row(verdict) };
        Hosted { report: self.report(row), mode: String::new() }
    }

    fn row(&self, verdict: RunVerdict) -> PlanRow {
        let (scenario, loader) = (self.prepared.application.plan.name.clone(), self.name());
        let (transport, revision, server) =
            (self.prepared.transport.to_string(), self.revision.to_string(), self.shutdown.to_string());
        PlanRow {
            id: format!("{scenario}.{loader}.{transport}.{revision}.{server}"),
            scenario,
            loader,
            transport,
            revision,
            server,
            ..PlanRow::of(verdict)
        }
    }

    fn report(&self, row: PlanRow) -> RunReport {
        RunReport::of(vec![row], self.environment.is_interrupted())
    }

    fn write(&self, name: &str, text: &str, unwritten: &mut BTreeMap<String, String>) {
        let path = self.folder.path().join(name);
        if let Err(error) = write_whole(&path, format!("{}\n", text.trim_end()).as_bytes()) {
            unwritten.insert(name.to_owned(), error.to_string());
        }
    }
}

/// How a host used its servers, as one line of text.
fn mode_of(history: &History) -> String {
    let mut opened: BTreeMap<&str, usize> =
        history.header().servers.iter().map(|server| (server.name.as_str(), 0)).collect();
    let mut n_prompted = 0;
    for event in history.events() {
        match (&event.kind, event.source.server()) {
            (EventKind::ConnectionOpened { connection }, Some(server)) if !connection.0.ends_with(".0") => {
                *opened.entry(server).or_default() += 1;
            }
            (EventKind::HostPrompted { .. }, _) => n_prompted += 1,
            _ => {}
        }
    }
    let noun = |n: usize, one: &str| format!("{n} {one}{}", if n == 1 { "" } else { "s" });
    let servers: Vec<String> = opened.iter().map(|(name, n)| format!("{name} {n}")).collect();
    format!(
        "connections opened: {} (the plan prompted the application {})",
        servers.join(", "),
        noun(n_prompted, "time")
    )
}
