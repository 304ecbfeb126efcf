//! `mcp-lifecheck host`: a finished application against mocks.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::os::fd::OwnedFd;

use mcp_lifecheck::foreign::Secrets;
use mcp_lifecheck::host::{ConfigShape, ConfigSource, HostSettings, prepared};
use mcp_lifecheck::plan::{InputError, Limits, Revision, ShutdownBehaviour, read_text};
use mcp_lifecheck::run::{
    Accepted, ExitReason, HostRun, Hosted, Ownership, RunError, RunFolder, RunOutcome, RunProcess, page_driver,
    read_host_baseline, shell_word, tasks, write_reports,
};

use crate::args::{ConfigShapeArg, HostArgs};
use crate::format::with_json;
use crate::lost::{complain_of_losses, redacted_in, told};
use crate::print::say;
use crate::program::check_program;
use crate::table::run_table;

/// Runs a host through its plan. `parent` becomes readable when the parent process ends.
pub(crate) fn host(arguments: &HostArgs, parent: Option<OwnedFd>) -> Result<ExitReason, RunError> {
    let mut prepared = prepared(&settings(arguments)?)?;
    if prepared.application.plan.needs_page() {
        // Without a page driver, the run reports the host as unavailable.
        prepared.application.page = page_driver(arguments.page_driver.as_deref()).ok();
    }
    check_program(&arguments.command)?;
    let plan = prepared.application.plan.name.clone();
    let baseline = arguments.results.baseline.as_ref().map(|file| read_host_baseline(file, &plan)).transpose()?;
    let folder = RunFolder::of_command(arguments.results.out.as_deref(), "host")?;
    tasks::n_fitting_plans(1, prepared.servers.len())?;
    let repeat = repeat(arguments, &prepared.application.config);
    let process = RunProcess::boot(Ownership::Command { parent })?;
    let run = HostRun {
        prepared,
        command: arguments.command.clone(),
        revision: arguments.revision.unwrap_or(Revision::NEWEST_HANDSHAKE),
        shutdown: if arguments.stubborn { ShutdownBehaviour::Stubborn } else { ShutdownBehaviour::Polite },
        folder: &folder,
        environment: process.environment(),
        repeat,
    };
    let hosted = process.finish(run.run())?;
    let mut accepted = Accepted::default();
    baseline.iter().for_each(|baseline| accepted.add(None, baseline));
    let outcome = RunOutcome::of(&hosted.report, &accepted);
    let written = write_reports(folder.path(), &hosted.report, with_json(&arguments.format))?;
    complain_of_losses(&hosted.report, &folder, &written);
    let said = match arguments.format.first() {
        None => say(&text_of(&hosted, &outcome, &folder, arguments.results.quiet)),
        Some(first) => say(&written.texts[first.name]),
    };
    told(said, outcome.reason(&hosted.report, arguments.results.strict))
}

fn settings(arguments: &HostArgs) -> Result<HostSettings, RunError> {
    let mut limits = Limits::default();
    let mut step_limits = BTreeMap::new();
    for (name, value) in &arguments.limit {
        if limits.set(name, *value).is_none() {
            step_limits.insert(name.clone(), *value);
        }
    }
    Ok(HostSettings {
        plan: arguments.plan.clone(),
        servers: servers(&arguments.servers)?,
        transport: arguments.transport,
        command: arguments.command.clone(),
        config: config(arguments)?,
        page: None,
        limits,
        step_limits,
    })
}

fn config(arguments: &HostArgs) -> Result<ConfigSource, RunError> {
    let Some(path) = &arguments.config_template else {
        return Ok(ConfigSource::Shape(match arguments.config_shape.unwrap_or(ConfigShapeArg::Claude) {
            ConfigShapeArg::Claude => ConfigShape::Claude,
            ConfigShapeArg::Vscode => ConfigShape::Vscode,
            ConfigShapeArg::Langchain => ConfigShape::Langchain,
            ConfigShapeArg::Fastmcp => ConfigShape::Fastmcp,
        }));
    };
    let text = read_text(path)?;
    let name = path.file_name().and_then(|name| name.to_str());
    let name = name.ok_or_else(|| InputError::whole(&path.display().to_string(), "expected the name of a file"))?;
    // The prefix keeps the file apart from the other files in the folder.
    Ok(ConfigSource::Template { text, file: format!("config-{name}") })
}

/// Parses `NAME=SCRIPT` for each server.
fn servers(texts: &[String]) -> Result<Vec<(String, String)>, RunError> {
    let mut servers: Vec<(String, String)> = Vec::new();
    for text in texts {
        let (name, script) =
            text.split_once('=').filter(|(name, script)| !name.is_empty() && !script.is_empty()).ok_or_else(|| {
                RunError::usage(format!("found server {text:?}, expected NAME=SCRIPT, such as files=polite"))
            })?;
        if servers.iter().any(|(known, _)| known == name) {
            return Err(RunError::usage(format!("found server {name:?} twice, expected each name once")));
        }
        servers.push((name.to_owned(), script.to_owned()));
    }
    Ok(servers)
}

/// The command line that repeats the run, without secrets. Arguments with special characters are quoted.
fn repeat(arguments: &HostArgs, config: &ConfigSource) -> String {
    let mut line = "mcp-lifecheck host".to_owned();
    let mut push = |text: &str| {
        line.push(' ');
        line.push_str(&shell_word(text));
    };
    let mut option = |name: &str, value: &str| {
        push(name);
        push(value);
    };
    if let Some(shape) = arguments.config_shape {
        option("--config-shape", shape.name());
    }
    if let Some(template) = &arguments.config_template {
        option("--config-template", &template.display().to_string());
    }
    if let Some(plan) = &arguments.plan {
        option("--plan", plan);
    }
    if !arguments.servers.is_empty() {
        option("--servers", &arguments.servers.join(","));
    }
    if let Some(transport) = arguments.transport {
        option("--transport", transport.as_str());
    }
    if let Some(revision) = arguments.revision {
        option("--revision", revision.as_str());
    }
    if let Some(driver) = &arguments.page_driver {
        option("--page-driver", driver);
    }
    for (name, value) in &arguments.limit {
        option("--limit", &format!("{name}={}ms", value.as_millis()));
    }
    if arguments.stubborn {
        push("--stubborn");
    }
    push("--");
    let secrets = Secrets::default().and_of_environment(std::env::vars_os()).and_of_command(&arguments.command);
    let secrets = match config {
        ConfigSource::Template { text, .. } => secrets.and_of_text(text),
        ConfigSource::Shape(_) => secrets,
    };
    secrets.redact_words(&arguments.command).iter().for_each(|text| push(text));
    line
}

fn text_of(hosted: &Hosted, outcome: &RunOutcome, folder: &RunFolder, is_quiet: bool) -> String {
    let mut text: String = hosted.report.plans.iter().map(|plan| plan.text.as_str()).collect();
    let mut line = |arguments: std::fmt::Arguments<'_>| {
        writeln!(text, "{arguments}").expect("writing to a string cannot fail");
    };
    if !is_quiet {
        line(format_args!("{}", run_table(&hosted.report)));
        if !hosted.mode.is_empty() {
            line(format_args!("{}", hosted.mode));
        }
        line(format_args!("{}", hosted.report.counts));
        if let Some(redacted) = redacted_in(&hosted.report) {
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
