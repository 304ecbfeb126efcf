//! What has to be right of a finished application before anything runs: its plan, its servers and every placeholder.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use include_dir::{Dir, include_dir};

use crate::history::{ApplicationFacts, HostFacts};
use crate::host::input::{Application, ConfigSource};
use crate::host::template::{Strictness, Template, TemplateError};
use crate::plan::{HostDo, HostPlan, InputError, Limits, Transport, did_you_mean, host_limit, read_text};
use crate::script::{Carriage, Script, shipped};

static PLANS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/host");

/// The plan that is followed where none is named.
const DEFAULT_PLAN: &str = "default";
/// The only server, where none is named.
const DEFAULT_SERVER: (&str, &str) = ("server", "polite");
/// Whatever a life takes beside its steps.
const LIFE_MARGIN: Duration = Duration::from_secs(30);
/// Windows of an idle step, as many as there may be.
const IDLE_WINDOWS: u32 = 4;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// A shipped plan by name, or the file of one; the default plan where there is none.
    pub plan: Option<String>,
    /// Servers with their scripts, instead of those of the plan.
    pub servers: Vec<(String, String)>,
    /// How servers are reached, where that is asked for.
    pub transport: Option<Transport>,
    /// Program and arguments, with placeholders.
    pub command: Vec<String>,
    /// How the host is told of its servers.
    pub config: ConfigSource,
    /// The program that does things on pages, where there is one.
    pub page: Option<Vec<String>>,
    /// Limits that are asked for.
    pub limits: Limits,
    /// Limits of steps that are asked for, by name, where the plan says none.
    pub step_limits: BTreeMap<String, Duration>,
}

/// What can be run.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The application.
    pub application: Application,
    /// The script of each server, by name.
    pub servers: BTreeMap<String, Script>,
    /// How they are reached.
    pub transport: Transport,
    /// What is expected.
    pub facts: HostFacts,
    /// Limits in force.
    pub limits: Limits,
    /// How long the host may live at most.
    pub life: Duration,
}

/// Every shipped plan, by name.
///
/// # Errors
/// When a shipped file is malformed: a defect of this build, which a test finds.
pub fn shipped_host_plans() -> Result<Vec<HostPlan>, InputError> {
    let files = PLANS.files().filter(|file| file.path().extension().is_some_and(|extension| extension == "toml"));
    let names = files.filter_map(|file| file.path().file_stem()?.to_str());
    let mut plans = names.filter_map(|name| shipped_host_plan(name).transpose()).collect::<Result<Vec<_>, _>>()?;
    plans.sort_by(|left, right| left.name.cmp(&right.name));
    Ok(plans)
}

/// The shipped plan of this name.
///
/// # Errors
/// When it is malformed: a defect of this build, which a test finds.
pub fn shipped_host_plan(name: &str) -> Result<Option<HostPlan>, InputError> {
    let text = PLANS.get_file(format!("{name}.toml")).and_then(include_dir::File::contents_utf8);
    text.map(|text| HostPlan::from_toml(name, &format!("fixtures/host/{name}.toml"), text)).transpose()
}

/// Holds what is asked for against itself.
///
/// # Errors
/// With the position of what is wrong, what was found and what was expected.
pub fn prepared(asked: &Asked) -> Result<Prepared, InputError> {
    let (plan, shown) = plan(asked.plan.as_deref())?;
    let named: BTreeMap<String, String> = asked.servers.iter().cloned().collect();
    let mut plan = plan.with_servers(&shown, named)?;
    if plan.servers.is_empty() {
        let (name, script) = DEFAULT_SERVER;
        plan = plan.with_servers(&shown, [(name.to_owned(), script.to_owned())].into())?;
    }
    for step in &mut plan.steps {
        let asked = step.does.limit_name().and_then(|name| asked.step_limits.get(name));
        step.within = step.within.or(asked.copied());
    }
    let texts = texts(asked, &plan, &shown)?;
    let transport = transport(asked, &plan, &texts);
    let names: Vec<&str> = plan.servers.keys().map(String::as_str).collect();
    for (text, template) in &texts {
        template.check(&names, transport.is_http()).map_err(|error| text.wrong(&error))?;
    }
    let servers = scripts(&plan, &shown, transport)?;
    let mut limits = asked.limits.clone();
    let exits = plan.steps.iter().filter(|step| matches!(step.does, HostDo::Exit { .. }));
    limits.exit = exits.filter_map(|step| step.within).next_back().unwrap_or(limits.exit);
    let application = ApplicationFacts { same_servers: plan.same_servers, status: plan.status() };
    Ok(Prepared {
        servers,
        transport,
        facts: HostFacts { application: Some(application), ..HostFacts::default() },
        life: life(&plan, &limits),
        limits,
        application: Application { plan, config: asked.config.clone(), page: asked.page.clone() },
    })
}

fn plan(asked: Option<&str>) -> Result<(HostPlan, String), InputError> {
    let name = asked.unwrap_or(DEFAULT_PLAN);
    if !name.ends_with(".toml") && !name.contains(std::path::MAIN_SEPARATOR) {
        return match shipped_host_plan(name)? {
            Some(plan) => Ok((plan, format!("plan {name}"))),
            None => {
                let known: Vec<String> = shipped_host_plans()?.into_iter().map(|plan| plan.name).collect();
                let (near, known) = (did_you_mean(name, &known), known.join(", "));
                let message = format!("found no shipped plan of this name, expected a file or one of {known}{near}");
                Err(InputError::whole(name, message))
            }
        };
    }
    let path = Path::new(name);
    let text = read_text(path)?;
    let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
    Ok((HostPlan::from_toml(stem, name, &text)?, name.to_owned()))
}

/// Where a text with placeholders stands.
enum Place<'a> {
    /// An argument of the command, from 1.
    Argument(usize, &'a str),
    /// A step of the plan.
    Step { file: &'a str, line: usize },
    /// The configuration.
    Config { file: &'a str, text: &'a str },
}

impl Place<'_> {
    fn wrong(&self, error: &TemplateError) -> InputError {
        match self {
            Self::Argument(number, text) => InputError {
                line: 0,
                ..InputError::at(&format!("argument {number} of the command"), text, error.offset, &error.message)
            },
            Self::Step { file, line } => InputError::line(file, *line, &error.message),
            Self::Config { file, text } => InputError::at(file, text, error.offset, &error.message),
        }
    }
}

/// Every text with placeholders, taken apart.
fn texts<'a>(asked: &'a Asked, plan: &HostPlan, shown: &'a str) -> Result<Vec<(Place<'a>, Template)>, InputError> {
    let mut places: Vec<(Place<'a>, String, Strictness)> = Vec::new();
    for (index, argument) in asked.command.iter().enumerate() {
        places.push((Place::Argument(index, argument), argument.clone(), Strictness::Lenient));
    }
    for step in &plan.steps {
        for text in step.does.texts() {
            places.push((Place::Step { file: shown, line: step.line }, text.to_owned(), Strictness::Strict));
        }
    }
    if let ConfigSource::Template { text, file } = &asked.config {
        places.push((Place::Config { file, text }, text.clone(), Strictness::Strict));
    }
    let mut texts = Vec::new();
    for (place, text, strictness) in places {
        let template = Template::parse(&text, strictness).map_err(|error| place.wrong(&error))?;
        texts.push((place, template));
    }
    Ok(texts)
}

/// Over HTTP where that is asked for, where the plan says so, or where a URL stands somewhere.
fn transport(asked: &Asked, plan: &HostPlan, texts: &[(Place<'_>, Template)]) -> Transport {
    let implied = || if texts.iter().any(|(_, text)| text.needs_url()) { Transport::Http } else { Transport::Stdio };
    asked.transport.or(plan.transport).unwrap_or_else(implied)
}

fn scripts(plan: &HostPlan, shown: &str, transport: Transport) -> Result<BTreeMap<String, Script>, InputError> {
    let mut scripts = BTreeMap::new();
    for (name, script) in &plan.servers {
        let is_file = script.ends_with(".toml") || script.contains(std::path::MAIN_SEPARATOR);
        let script =
            if is_file { Script::from_toml(script, script, &read_text(Path::new(script))?)? } else { shipped(script)? };
        let fits = script.fits(transport, Carriage::of(transport, [&script]));
        fits.map_err(|error| InputError::whole(shown, error.to_string()))?;
        check_gates(plan, shown, &script)?;
        scripts.insert(name.clone(), script);
    }
    Ok(scripts)
}

/// A gate that no step opens or awaits would hold its action until the end.
fn check_gates(plan: &HostPlan, shown: &str, script: &Script) -> Result<(), InputError> {
    let named = |gate: &str| {
        plan.steps.iter().any(|step| match &step.does {
            HostDo::Gate { gate: known } | HostDo::OpenGate { gate: known } => known == gate,
            _ => false,
        })
    };
    match script.gates().into_iter().find(|gate| !named(gate)) {
        Some(gate) => {
            let name = script.name();
            let message =
                format!("found no step for gate {gate:?} of script {name:?}, expected one that opens or awaits it");
            Err(InputError::whole(shown, message))
        }
        None => Ok(()),
    }
}

fn life(plan: &HostPlan, limits: &Limits) -> Duration {
    let steps = plan.steps.iter().map(|step| step.limit(limits.exit) + step.does.window() * IDLE_WINDOWS);
    steps.sum::<Duration>() + limits.exit + limits.grace + host_limit("host-stdin-end") * 2 + LIFE_MARGIN
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::config::ConfigShape;

    fn asked(command: &[&str]) -> Asked {
        Asked {
            plan: None,
            servers: Vec::new(),
            transport: None,
            command: command.iter().map(|text| (*text).to_owned()).collect(),
            config: ConfigSource::Shape(ConfigShape::Claude),
            page: None,
            limits: Limits::default(),
            step_limits: BTreeMap::new(),
        }
    }

    #[test]
    fn every_shipped_plan_can_be_read_and_the_default_is_one_of_them() {
        let plans = shipped_host_plans().unwrap();
        assert!(plans.iter().any(|plan| plan.name == DEFAULT_PLAN));
        assert!(plans.iter().all(|plan| !plan.about.is_empty()));
    }

    #[test]
    fn a_url_means_http_and_nothing_said_means_one_polite_server_over_stdio() {
        let plain = prepared(&asked(&["host", "{config}"])).unwrap();
        assert_eq!((plain.transport, plain.servers.len()), (Transport::Stdio, 1));
        assert_eq!(prepared(&asked(&["host", "{url}"])).unwrap().transport, Transport::Http);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let text = "{\n  \"a\": \"{nope}\"\n}".to_owned();
        let template = ConfigSource::Template { text, file: "mine.json".to_owned() };
        let servers = |script: &str| vec![("a".to_owned(), script.to_owned())];
        let base = || asked(&["host"]);
        for (asked, expected) in [
            (Asked { config: template, ..base() }, "mine.json:2:9: found placeholder {nope}"),
            (asked(&["host", "--to", "x{url:b}"]), "argument 2 of the command:2: found server \"b\""),
            (Asked { transport: Some(Transport::Stdio), ..asked(&["host", "{url}"]) }, "needs transport http"),
            (Asked { servers: servers("nope"), ..base() }, "found no shipped script"),
            (Asked { servers: servers("call-reset"), ..base() }, "needs HTTP"),
            (Asked { servers: servers("hold-list"), ..base() }, "found no"),
            (Asked { plan: Some("nope".to_owned()), ..base() }, "expected a file or one of default"),
            (Asked { plan: Some("/nonexistent.toml".to_owned()), ..base() }, "/nonexistent.toml: cannot be read"),
        ] {
            let error = prepared(&asked).unwrap_err().to_string();
            assert!(error.contains(expected), "expected {expected:?} in {error}");
        }
    }
}
