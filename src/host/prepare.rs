//! Checks a finished application before anything runs: its plan, its servers and every placeholder.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use include_dir::{Dir, include_dir};

use crate::history::{ApplicationFacts, HostFacts};
use crate::host::input::{Application, ConfigSource};
use crate::host::template::{Strictness, Template, TemplateError};
use crate::plan::{HostDo, HostPlan, InputError, Limits, Transport, did_you_mean, host_limit, read_text};
use crate::script::{Script, framing_of, shipped};

static PLANS: Dir<'static> = include_dir!("$CARGO_MANIFEST_DIR/fixtures/host");

/// The plan of an application without `--plan`.
const DEFAULT_PLAN: &str = "default";
/// The only server if neither the user nor the plan names one.
const DEFAULT_SERVER: (&str, &str) = ("server", "polite");
/// Time for everything that is not a step.
const LIFE_MARGIN: Duration = Duration::from_secs(30);
/// Most windows of an idle step.
const IDLE_WINDOWS: u32 = 4;

/// The settings of a user.
#[derive(Debug, Clone)]
pub struct HostSettings {
    /// The name of a shipped plan, or a file. `None` means the default plan.
    pub plan: Option<String>,
    /// Servers with their scripts. They replace those of the plan.
    pub servers: Vec<(String, String)>,
    /// The transport, if the user selects one.
    pub transport: Option<Transport>,
    /// Program and arguments, with placeholders.
    pub command: Vec<String>,
    /// The source of the configuration.
    pub config: ConfigSource,
    /// The command of the page driver, if there is one.
    pub page: Option<Vec<String>>,
    /// Limits, with the changes of the user.
    pub limits: Limits,
    /// Limits of steps by name. They apply to steps without a limit of their own.
    pub step_limits: BTreeMap<String, Duration>,
}

/// A checked application, ready to be run.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The application with its plan.
    pub application: Application,
    /// The script of each server, by name.
    pub servers: BTreeMap<String, Script>,
    /// The transport to the servers.
    pub transport: Transport,
    /// The expectations of the rules for the host.
    pub facts: HostFacts,
    /// Limits in force.
    pub limits: Limits,
    /// Longest life of the host.
    pub life: Duration,
}

/// Every shipped plan, ordered by name.
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
/// When the file is malformed: a defect of this build, which a test finds.
pub fn shipped_host_plan(name: &str) -> Result<Option<HostPlan>, InputError> {
    let text = PLANS.get_file(format!("{name}.toml")).and_then(include_dir::File::contents_utf8);
    text.map(|text| HostPlan::from_toml(name, &format!("fixtures/host/{name}.toml"), text)).transpose()
}

/// Checks the settings of a user.
///
/// # Errors
/// With the position of the mistake, and with what was found and expected there.
pub fn prepared(settings: &HostSettings) -> Result<Prepared, InputError> {
    let (plan, shown) = plan(settings.plan.as_deref())?;
    let named: BTreeMap<String, String> = settings.servers.iter().cloned().collect();
    let mut plan = plan.with_servers(&shown, named)?;
    if plan.servers.is_empty() {
        let (name, script) = DEFAULT_SERVER;
        plan = plan.with_servers(&shown, [(name.to_owned(), script.to_owned())].into())?;
    }
    for step in &mut plan.steps {
        let changed = step.does.limit_name().and_then(|name| settings.step_limits.get(name));
        step.within = step.within.or(changed.copied());
    }
    let texts = texts(settings, &plan, &shown)?;
    let transport = transport(settings, &plan, &texts);
    let names: Vec<&str> = plan.servers.keys().map(String::as_str).collect();
    for (text, template) in &texts {
        template.check(&names, transport.is_http()).map_err(|error| text.wrong(&error))?;
    }
    let servers = scripts(&plan, &shown, transport)?;
    let mut limits = settings.limits.clone();
    let exits = plan.steps.iter().filter(|step| matches!(step.does, HostDo::Exit { .. }));
    limits.exit = exits.filter_map(|step| step.within).next_back().unwrap_or(limits.exit);
    let application = ApplicationFacts { same_servers: plan.same_servers, status: plan.status() };
    Ok(Prepared {
        servers,
        transport,
        facts: HostFacts { application: Some(application), ..HostFacts::default() },
        life: life(&plan, &limits),
        limits,
        application: Application { plan, config: settings.config.clone(), page: settings.page.clone() },
    })
}

fn plan(named: Option<&str>) -> Result<(HostPlan, String), InputError> {
    let name = named.unwrap_or(DEFAULT_PLAN);
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

/// The place of a text with placeholders.
enum Place<'a> {
    /// An argument of the command, counted from 1.
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

/// Every text with placeholders, parsed.
fn texts<'a>(
    settings: &'a HostSettings,
    plan: &HostPlan,
    shown: &'a str,
) -> Result<Vec<(Place<'a>, Template)>, InputError> {
    let mut places: Vec<(Place<'a>, String, Strictness)> = Vec::new();
    for (index, argument) in settings.command.iter().enumerate() {
        places.push((Place::Argument(index, argument), argument.clone(), Strictness::Lenient));
    }
    for step in &plan.steps {
        for text in step.does.texts() {
            places.push((Place::Step { file: shown, line: step.line }, text.to_owned(), Strictness::Strict));
        }
    }
    if let ConfigSource::Template { text, file } = &settings.config {
        places.push((Place::Config { file, text }, text.clone(), Strictness::Strict));
    }
    let mut texts = Vec::new();
    for (place, text, strictness) in places {
        let template = Template::parse(&text, strictness).map_err(|error| place.wrong(&error))?;
        texts.push((place, template));
    }
    Ok(texts)
}

/// The transport of the user or of the plan. Without one, HTTP if any text has a URL placeholder.
fn transport(settings: &HostSettings, plan: &HostPlan, texts: &[(Place<'_>, Template)]) -> Transport {
    let implied = || if texts.iter().any(|(_, text)| text.needs_url()) { Transport::Http } else { Transport::Stdio };
    settings.transport.or(plan.transport).unwrap_or_else(implied)
}

fn scripts(plan: &HostPlan, shown: &str, transport: Transport) -> Result<BTreeMap<String, Script>, InputError> {
    let mut scripts = BTreeMap::new();
    for (name, script) in &plan.servers {
        let is_file = script.ends_with(".toml") || script.contains(std::path::MAIN_SEPARATOR);
        let script =
            if is_file { Script::from_toml(script, script, &read_text(Path::new(script))?)? } else { shipped(script)? };
        let fits = script.fits(transport.home(), framing_of(transport, [&script]));
        fits.map_err(|error| InputError::whole(shown, error.to_string()))?;
        check_gates(plan, shown, &script)?;
        scripts.insert(name.clone(), script);
    }
    Ok(scripts)
}

/// Refuses a script with a gate that no step opens or awaits. Its action would be held until the end.
fn check_gates(plan: &HostPlan, shown: &str, script: &Script) -> Result<(), InputError> {
    let named = |gate: &str| {
        plan.steps.iter().any(|step| match &step.does {
            HostDo::Gate { gate: known } | HostDo::OpenGate { gate: known } => known == gate,
            HostDo::Tools { .. }
            | HostDo::Call { .. }
            | HostDo::Connections { .. }
            | HostDo::Ready { .. }
            | HostDo::Request { .. }
            | HostDo::Signal { .. }
            | HostDo::Line { .. }
            | HostDo::KillServer { .. }
            | HostDo::Idle { .. }
            | HostDo::Page { .. }
            | HostDo::CloseStdin {}
            | HostDo::Interrupt {}
            | HostDo::Terminate {}
            | HostDo::Exit { .. } => false,
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

    fn settings(command: &[&str]) -> HostSettings {
        HostSettings {
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
    fn a_url_means_http_and_the_default_is_one_polite_server_over_stdio() {
        let plain = prepared(&settings(&["host", "{config}"])).unwrap();
        assert_eq!((plain.transport, plain.servers.len()), (Transport::Stdio, 1));
        assert_eq!(prepared(&settings(&["host", "{url}"])).unwrap().transport, Transport::Http);
    }

    #[test]
    fn each_mistake_is_reported_with_its_place() {
        let text = "{\n  \"a\": \"{nope}\"\n}".to_owned();
        let template = ConfigSource::Template { text, file: "mine.json".to_owned() };
        let servers = |script: &str| vec![("a".to_owned(), script.to_owned())];
        let base = || settings(&["host"]);
        for (settings, expected) in [
            (HostSettings { config: template, ..base() }, "mine.json:2:9: found placeholder {nope}"),
            (settings(&["host", "--to", "x{url:b}"]), "argument 2 of the command:2: found server \"b\""),
            (
                HostSettings { transport: Some(Transport::Stdio), ..settings(&["host", "{url}"]) },
                "needs transport http",
            ),
            (HostSettings { servers: servers("nope"), ..base() }, "found no shipped script"),
            (HostSettings { servers: servers("call-reset"), ..base() }, "needs HTTP"),
            (HostSettings { servers: servers("hold-list"), ..base() }, "found no"),
            (HostSettings { plan: Some("nope".to_owned()), ..base() }, "expected a file or one of default"),
            (
                HostSettings { plan: Some("/nonexistent.toml".to_owned()), ..base() },
                "/nonexistent.toml: cannot be read",
            ),
        ] {
            let error = prepared(&settings).unwrap_err().to_string();
            assert!(error.contains(expected), "expected {expected:?} in {error}");
        }
    }
}
