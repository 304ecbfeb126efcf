//! From arguments to plans.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::catalogue::{LoaderName, extract_python, shipped_loader, shipped_loaders, shipped_scenario, suite};
use crate::drive::{LoaderLaunch, PlanInput};
use crate::plan::{
    Descriptor, InputError, Lane, Limits, Plan, Revision, Scenario, ServerSpec, StepDo, Temperament, Transport,
    read_text,
};
use crate::run::checkout::{OFFLINE, OWN_PYTHON, WITH};
use crate::run::repeat::shell_words;
use crate::run::{Checkout, RunError, Temperaments, Tier, Variants};
use crate::script::{Carriage, Script, shipped, shipped_names};
use crate::stack::{StackError, python_stack};

/// A loader on a stack, and how it is started here.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    /// As reports name it.
    pub name: String,
    pub descriptor: Descriptor,
    pub stack: Option<String>,
    /// The description file, for one that is not shipped.
    pub file: Option<PathBuf>,
    /// The arguments without which it is not what its name says: those of the user's own checkout.
    pub checkout: Vec<String>,
    /// How it is started; or why it can not be, here.
    pub launch: Result<Launch, String>,
}

/// How a target's loader is started.
#[derive(Debug, Clone)]
pub(crate) enum Launch {
    /// A plan process of this executable, by name of the loader.
    PlanProcess(String),
    /// Another program.
    Program(LoaderLaunch),
}

/// One plan, ready but for its folder and its executable.
#[derive(Debug, Clone)]
pub(crate) struct Selected {
    pub plan: Plan,
    pub scenario: Scenario,
    pub scripts: BTreeMap<String, Script>,
    pub target: Target,
    /// Why it does not apply: the loader or a script can not do what the transport asks for.
    pub misfit: Option<String>,
}

impl Selected {
    /// The transport over which its scripts are probed before the run.
    ///
    /// Those in memory are probed as processes. What could break there and not here is the interpreter, which is the same; the
    /// carrier in memory lives in the plan process alone, where nobody but the loader under test could be its client.
    pub(crate) fn probed_over(&self) -> Transport {
        let carriage = Carriage::of_plan(self.plan.transport, &self.scenario, self.scripts.values());
        match (self.plan.transport, carriage) {
            (Transport::Memory, Carriage::Lines) => Transport::Stdio,
            (Transport::Memory, Carriage::Http | Carriage::Sse) => Transport::Http,
            (transport @ (Transport::Stdio | Transport::Http | Transport::Sse), _) => transport,
        }
    }

    /// The input of a run; `None` where the loader can not be started here.
    pub(crate) fn input(&self, executable: &Path, directory: PathBuf) -> Option<PlanInput> {
        let launch = match self.target.launch.as_ref().ok()? {
            Launch::Program(launch) => launch.clone(),
            Launch::PlanProcess(name) => {
                let revision = self.plan.revision.to_string();
                let executable = executable.display().to_string();
                let command = vec![executable, "__plan".to_owned(), name.clone(), revision];
                LoaderLaunch { command, directory: None, env: BTreeMap::new() }
            }
        };
        Some(PlanInput {
            plan: self.plan.clone(),
            scenario: self.scenario.clone(),
            scripts: self.scripts.clone(),
            launch,
            directory,
        })
    }
}

/// A scenario, and where it comes from.
#[derive(Debug, Clone)]
pub(crate) struct Chosen {
    pub scenario: Scenario,
    /// The file and its text, for one that is not shipped.
    file: Option<(PathBuf, String)>,
}

/// Scenarios by name, suite or file, each once, in order.
pub(crate) fn scenarios(names: &[String]) -> Result<Vec<Chosen>, RunError> {
    let mut found: Vec<Chosen> = Vec::new();
    for name in names {
        let more = if let Some(suite) = suite(name)? {
            suite.scenarios.iter().map(|name| known_scenario(name)).collect::<Result<_, RunError>>()?
        } else if let Some(scenario) = shipped_scenario(name)? {
            vec![Chosen { scenario, file: None }]
        } else if is_file_name(name) {
            vec![scenario_file(Path::new(name))?]
        } else {
            let message =
                format!("found {name:?}, expected a scenario, a suite or a scenario file (see `mcp-vigil list`)");
            return Err(RunError::usage(message));
        };
        for chosen in more {
            let origin = |one: &Chosen| one.file.as_ref().map(|(path, _)| path.clone());
            match found.iter().find(|other| other.scenario.name == chosen.scenario.name) {
                None => found.push(chosen),
                Some(other) if origin(other) == origin(&chosen) => {}
                Some(other) => {
                    return Err(same_name("scenario", &chosen.scenario.name, origin(other), origin(&chosen)));
                }
            }
        }
    }
    Ok(found)
}

/// Plans are named by their scenario and loader: of two with one name, only one would be run.
fn same_name(what: &str, name: &str, one: Option<PathBuf>, other: Option<PathBuf>) -> RunError {
    let origin = |file: Option<PathBuf>| file.map_or("the shipped one".to_owned(), |file| file.display().to_string());
    let (one, other) = (origin(one), origin(other));
    RunError::usage(format!("found two {what}s named {name:?} ({one} and {other}), expected names that differ"))
}

fn known_scenario(name: &str) -> Result<Chosen, RunError> {
    let scenario = shipped_scenario(name)?;
    let scenario =
        scenario.ok_or_else(|| RunError::usage(format!("found scenario {name:?}, expected a shipped one")))?;
    Ok(Chosen { scenario, file: None })
}

/// A scenario file with its text.
pub(crate) fn scenario_file(path: &Path) -> Result<Chosen, RunError> {
    let text = read_text(path)?;
    let shown = path.display().to_string();
    // What is not UTF-8 is shown with replacements, which no name may hold.
    let name = path.file_stem().unwrap_or_default().to_string_lossy();
    let scenario = Scenario::from_toml(&name, &shown, &text)?;
    let path = path.canonicalize().map_err(RunError::system(shown))?;
    Ok(Chosen { scenario, file: Some((path, text)) })
}

fn is_file_name(name: &str) -> bool {
    name.ends_with(".toml") || name.contains('/')
}

/// Where a line goes that a user is to see while something lasts.
pub(crate) type Tell<'a> = &'a dyn Fn(std::fmt::Arguments<'_>);

/// Loaders by name or file, each on the stacks that are asked for or installed; or on the user's own checkout.
pub(crate) fn targets(names: &[String], checkout: &Checkout, tell: Tell<'_>) -> Result<Vec<Target>, RunError> {
    let mut found: Vec<Target> = Vec::new();
    for name in names {
        let more = match is_file_name(name) {
            true => file_targets(Path::new(name), checkout)?,
            false => shipped_targets(name, checkout, tell)?,
        };
        for target in more {
            match found.iter().find(|other| other.name == target.name) {
                None => found.push(target),
                Some(other) if other.file == target.file => {}
                Some(other) => return Err(same_name("loader", &target.name, other.file.clone(), target.file)),
            }
        }
    }
    Ok(found)
}

/// Every shipped loader whose lane is available: published clients, and of the designs those that are not known to be broken.
pub(crate) fn available_targets(tell: Tell<'_>) -> Result<Vec<Target>, RunError> {
    let good = shipped_loaders()?.into_iter().filter(|loader| loader.adapter || loader.known.must_fail.is_empty());
    let names: Vec<_> = good.map(|loader| loader.name).collect();
    Ok(targets(&names, &Checkout::default(), tell)?.into_iter().filter(|target| target.launch.is_ok()).collect())
}

fn shipped_targets(text: &str, checkout: &Checkout, tell: Tell<'_>) -> Result<Vec<Target>, RunError> {
    let name = LoaderName::parse(text);
    let Some(descriptor) = shipped_loader(&name.name)? else {
        let known: Vec<_> = shipped_loaders()?.into_iter().map(|loader| loader.name).collect();
        let message = format!("found loader {text:?}, expected a description file or one of {}", known.join(", "));
        return Err(RunError::usage(message));
    };
    checkout.check(&descriptor, true)?;
    if !checkout.is_empty() {
        return Ok(vec![on_checkout(&descriptor, name.stack, checkout, tell)?]);
    }
    let folder = match descriptor.lane {
        Lane::Python => {
            provision_first(&descriptor, name.stack.as_deref(), tell);
            Some(shipped_folder()?)
        }
        Lane::Rust | Lane::Node | Lane::Command => None,
    };
    on_stacks(&descriptor, name.stack, folder.as_deref(), None)
}

/// A shipped loader on the user's own checkout: one target, with the promises of the stack that is named, or of the newest.
fn on_checkout(
    descriptor: &Descriptor,
    stack: Option<String>,
    checkout: &Checkout,
    tell: Tell<'_>,
) -> Result<Target, RunError> {
    check_stack(descriptor, stack.as_deref())?;
    // Stacks are listed from the oldest to the newest.
    let stack = stack.or_else(|| descriptor.stacks.last().cloned());
    let (suffix, launch) = match (checkout, &stack) {
        (Checkout { python: Some(interpreter), .. }, _) => {
            (OWN_PYTHON.to_owned(), Checkout::own_python(descriptor, interpreter, &shipped_folder()?)?)
        }
        (Checkout { node_modules: Some(_), .. }, _) => {
            ("@node-modules".to_owned(), Err("the node lane is not part of this build".to_owned()))
        }
        (_, Some(stack)) => {
            provision_first(descriptor, Some(stack), tell);
            (format!("@{stack}{WITH}"), checkout.overlaid(descriptor, stack, &shipped_folder()?, tell)?)
        }
        (_, None) => {
            let message = format!("found --with, expected a loader with stacks: {:?} has none", descriptor.name);
            return Err(RunError::usage(message));
        }
    };
    let name = format!("{}{suffix}", descriptor.name);
    Ok(Target { name, descriptor: descriptor.clone(), stack, file: None, checkout: checkout.words(), launch })
}

/// Where the files of shipped Python loaders are.
fn shipped_folder() -> Result<PathBuf, RunError> {
    Ok(extract_python()?.join("loaders").join("python"))
}

/// A shipped Python loader that was named brings its stacks along: none of them is installed yet, so this is the first
/// time. Nothing is installed where `MCP_VIGIL_OFFLINE` is set.
fn provision_first(descriptor: &Descriptor, wanted: Option<&str>, tell: Tell<'_>) {
    let is_wanted = |stack: &&String| wanted.is_none_or(|wanted| *stack == wanted);
    let stacks: Vec<_> = descriptor.stacks.iter().filter(is_wanted).filter_map(|name| python_stack(name)).collect();
    let is_first_time = stacks.iter().all(|stack| stack.interpreter().is_err());
    if !is_first_time || std::env::var_os(OFFLINE).is_some() {
        return;
    }
    for stack in stacks {
        tell(format_args!("installing stack {} into the cache, once", stack.name));
        if let Err(error) = stack.provision() {
            // The plans on it are UNAVAILABLE, for the reason that is found then.
            tell(format_args!("{error}"));
        }
    }
}

fn file_targets(path: &Path, checkout: &Checkout) -> Result<Vec<Target>, RunError> {
    let text = read_text(path)?;
    let shown = path.display().to_string();
    let descriptor = Descriptor::from_toml(&shown, &text)?;
    checkout.check(&descriptor, false)?;
    let path = path.canonicalize().map_err(RunError::system(shown))?;
    on_stacks(&descriptor, None, path.parent(), Some(&path))
}

fn on_stacks(
    descriptor: &Descriptor,
    stack: Option<String>,
    folder: Option<&Path>,
    file: Option<&Path>,
) -> Result<Vec<Target>, RunError> {
    check_stack(descriptor, stack.as_deref())?;
    if descriptor.stacks.is_empty() {
        let name = descriptor.name.clone();
        let launch = launch(descriptor, None, folder)?;
        let file = file.map(Path::to_path_buf);
        let descriptor = descriptor.clone();
        return Ok(vec![Target { name, descriptor, stack: None, file, checkout: Vec::new(), launch }]);
    }
    let wanted = stack.as_ref().map_or_else(|| descriptor.stacks.clone(), |stack| vec![stack.clone()]);
    let mut found = Vec::new();
    for stack in wanted {
        found.push(Target {
            name: format!("{}@{stack}", descriptor.name),
            descriptor: descriptor.clone(),
            launch: launch(descriptor, Some(&stack), folder)?,
            stack: Some(stack),
            file: file.map(Path::to_path_buf),
            checkout: Vec::new(),
        });
    }
    // Without a stack on the command line, every installed one is run; where none is, all are told to be missing.
    if stack.is_none() && found.iter().any(|target| target.launch.is_ok()) {
        found.retain(|target| target.launch.is_ok());
    }
    Ok(found)
}

/// Refuses a stack that a loader does not have.
fn check_stack(descriptor: &Descriptor, stack: Option<&str>) -> Result<(), RunError> {
    let Some(stack) = stack.filter(|stack| descriptor.stacks.iter().all(|known| known != stack)) else { return Ok(()) };
    let name = &descriptor.name;
    Err(RunError::usage(match descriptor.stacks.is_empty() {
        true => format!("found stack {stack:?}, expected none: loader {name:?} has no stacks"),
        false => {
            format!("found stack {stack:?} for loader {name:?}, expected one of {}", descriptor.stacks.join(", "))
        }
    }))
}

/// How a loader is started; the inner error says why it can not be here.
fn launch(
    descriptor: &Descriptor,
    stack: Option<&str>,
    folder: Option<&Path>,
) -> Result<Result<Launch, String>, RunError> {
    match descriptor.lane {
        Lane::Rust => Ok(Ok(Launch::PlanProcess(descriptor.name.clone()))),
        Lane::Python => python_launch(descriptor, stack, folder),
        Lane::Node => Ok(Err("the node lane is not part of this build".to_owned())),
        Lane::Command => Ok(Ok(Launch::Program(program(descriptor, folder, None, BTreeMap::new())))),
    }
}

fn python_launch(
    descriptor: &Descriptor,
    stack: Option<&str>,
    folder: Option<&Path>,
) -> Result<Result<Launch, String>, RunError> {
    let interpreter = match stack {
        Some(name) => match python_stack(name) {
            Some(stack) => stack.interpreter().map_err(|error: StackError| error.to_string()),
            None => Err(format!("found stack {name:?}, expected a shipped one")),
        },
        None => Ok(PathBuf::from("python3")),
    };
    let helper = extract_python()?.join("adapters").join("python");
    let env = BTreeMap::from([("PYTHONPATH".to_owned(), helper.display().to_string())]);
    Ok(interpreter.map(|interpreter| Launch::Program(program(descriptor, folder, Some(&interpreter), env))))
}

pub(super) fn program(
    descriptor: &Descriptor,
    folder: Option<&Path>,
    interpreter: Option<&Path>,
    env: BTreeMap<String, String>,
) -> LoaderLaunch {
    let fill = |word: &String| match interpreter {
        Some(interpreter) => word.replace("{python}", &interpreter.display().to_string()),
        None => word.clone(),
    };
    let command = descriptor.command.iter().map(fill).collect();
    LoaderLaunch { command, directory: folder.map(Path::to_path_buf), env }
}

/// Every plan of a run, in order: by loader, then scenario, then temperament, then repeat.
pub(crate) fn plans(scenarios: &[Chosen], targets: &[Target], variants: &Variants) -> Result<Vec<Selected>, RunError> {
    let mut selected = Vec::new();
    for target in targets.iter().filter(|target| is_of_tier(target, variants.tier)) {
        for Chosen { scenario, file } in scenarios {
            let scripts = scripts_of(scenario)?;
            let fitting = transports(target, scenario, &scripts, variants);
            for (transport, misfit) in fitting.into_iter().filter(|(transport, _)| scenario.runs_over(*transport)) {
                let Some(revision) = scenario.revision(transport, variants.revision) else { continue };
                for server in temperaments(scenario, target, transport, variants) {
                    for repeat in 1..=variants.repeat {
                        let mut plan =
                            plan_of(scenario, target, transport, revision, server, variants.seed, &variants.limits);
                        plan.scenario_text = file.as_ref().map(|(_, text)| text.clone());
                        if variants.repeat > 1 {
                            plan.id = format!("{}.r{repeat}", plan.id);
                        }
                        selected.push(Selected {
                            plan,
                            scenario: scenario.clone(),
                            scripts: scripts.clone(),
                            target: over(target, transport),
                            misfit: misfit.clone(),
                        });
                    }
                }
            }
        }
    }
    Ok(selected)
}

/// Why there is no plan.
pub(crate) fn why_nothing(scenarios: &[Chosen], targets: &[Target], variants: &Variants) -> String {
    if targets.is_empty() {
        return "no shipped loader is available here (see `mcp-vigil doctor`)".to_owned();
    }
    if !targets.iter().any(|target| is_of_tier(target, variants.tier)) {
        return "no chosen loader is of the tier that is asked for".to_owned();
    }
    let asked = if variants.transports.is_empty() { &variants.usual } else { &variants.transports };
    let speaks = |scenario: &Scenario| asked.iter().any(|one| scenario.revision(*one, variants.revision).is_some());
    if !scenarios.iter().any(|chosen| speaks(&chosen.scenario)) {
        return match variants.revision {
            Some(wanted) => format!("no chosen scenario is for revision {wanted}"),
            None => format!("no chosen scenario is for revision {} or an older one", Revision::NEWEST_LEGACY),
        };
    }
    let is_for = |scenario: &Scenario| asked.iter().any(|one| scenario.runs_over(*one));
    if !scenarios.iter().any(|chosen| is_for(&chosen.scenario)) {
        let asked: Vec<_> = asked.iter().map(ToString::to_string).collect();
        let asked = asked.join(" or ");
        return format!(
            "no chosen scenario is for transport {asked}; `mcp-vigil list scenarios` tells what each is for"
        );
    }
    if scenarios.iter().any(|chosen| !fits_anything(chosen, targets, &variants.usual)) {
        return "a chosen scenario fits none of the chosen loaders over any of their transports; name one with --transport to see why"
            .to_owned();
    }
    "every chosen scenario needs stubborn servers, and only polite ones are asked for".to_owned()
}

fn fits_anything(chosen: &Chosen, targets: &[Target], usual: &[Transport]) -> bool {
    let Ok(scripts) = scripts_of(&chosen.scenario) else { return true };
    let fits = |target: &Target| {
        target
            .descriptor
            .transports
            .iter()
            .filter(|transport| usual.contains(transport))
            .any(|transport| misfit(target, &chosen.scenario, &scripts, *transport).is_none())
    };
    targets.iter().any(fits)
}

fn is_of_tier(target: &Target, tier: Option<Tier>) -> bool {
    match tier {
        None => true,
        Some(Tier::Real) => target.descriptor.lane == Lane::Rust,
        Some(Tier::Foreign) => target.descriptor.lane != Lane::Rust,
    }
}

fn plan_of(
    scenario: &Scenario,
    target: &Target,
    transport: Transport,
    revision: Revision,
    server: Temperament,
    seed: u64,
    limits: &Limits,
) -> Plan {
    Plan {
        id: Plan::id_of(&scenario.name, &target.name, transport, revision, server),
        scenario: scenario.name.clone(),
        loader: target.name.clone(),
        transport,
        revision,
        server,
        seed,
        promises: target.descriptor.promises(target.stack.as_deref(), &transport.to_string()),
        limits: limits.clone(),
        scenario_text: None,
        loader_file: target.file.as_ref().map(|file| file.display().to_string()),
        checkout: target.checkout.clone(),
    }
}

/// The transports of a scenario for a loader, and why one that was asked for does not apply. By default, all usual ones that
/// do.
fn transports(
    target: &Target,
    scenario: &Scenario,
    scripts: &BTreeMap<String, Script>,
    variants: &Variants,
) -> Vec<(Transport, Option<String>)> {
    if variants.transports.is_empty() {
        let all = target.descriptor.transports.iter().copied().filter(|transport| variants.usual.contains(transport));
        let fitting: Vec<_> = all.filter(|transport| misfit(target, scenario, scripts, *transport).is_none()).collect();
        // As with stacks: what this executable has is run; where it has nothing, all are told to be missing.
        let built = |transport: &Transport| target.descriptor.lacking(*transport).is_none();
        let has_any = fitting.iter().any(built);
        return fitting.into_iter().filter(|each| !has_any || built(each)).map(|each| (each, None)).collect();
    }
    let mut found: Vec<(Transport, Option<String>)> = Vec::new();
    for transport in variants.transports.iter().copied() {
        if found.iter().all(|(other, _)| *other != transport) {
            found.push((transport, misfit(target, scenario, scripts, transport)));
        }
    }
    found
}

/// A target over one transport: not to be started where this executable was built without what its loader needs for it.
fn over(target: &Target, transport: Transport) -> Target {
    let mut target = target.clone();
    if let Some(because) = target.descriptor.lacking(transport) {
        target.launch = Err(because);
    }
    target
}

/// Why a loader can not run with these scripts over a transport.
fn misfit(
    target: &Target,
    scenario: &Scenario,
    scripts: &BTreeMap<String, Script>,
    transport: Transport,
) -> Option<String> {
    if !target.descriptor.transports.contains(&transport) {
        return Some(format!("loader {} does not speak {transport}", target.name));
    }
    let promised = target.descriptor.promises(target.stack.as_deref(), &transport.to_string()).session;
    if !scenario.is_for_sessions(promised) {
        let needed: Vec<_> = scenario.sessions.iter().map(ToString::to_string).collect();
        let needed = needed.join(", ");
        return Some(format!("found sessions that are {promised}, and the scenario is about ones that are {needed}"));
    }
    let carriage = Carriage::of_plan(transport, scenario, scripts.values());
    scripts.values().find_map(|script| script.fits(transport, carriage).err()).map(|misfit| misfit.to_string())
}

/// A scenario as written, and doubled with stubborn servers for Rust loaders and on request: where servers are the loader's
/// children, which others are not its to end.
fn temperaments(scenario: &Scenario, target: &Target, transport: Transport, variants: &Variants) -> Vec<Temperament> {
    if !transport.has_children() {
        return vec![Temperament::Polite];
    }
    if variants.temperaments == Temperaments::PoliteOnly && scenario.servers.iter().any(ServerSpec::is_always_stubborn)
    {
        return Vec::new();
    }
    let as_written = match scenario.servers.iter().any(|server| server.script == "stubborn") {
        true => Temperament::Stubborn,
        false => Temperament::Polite,
    };
    let doubled = match variants.temperaments {
        Temperaments::Usual => target.descriptor.lane == Lane::Rust,
        Temperaments::PoliteOnly => false,
        Temperaments::StubbornToo => true,
    };
    match as_written {
        Temperament::Polite if doubled => vec![Temperament::Polite, Temperament::Stubborn],
        Temperament::Polite | Temperament::Stubborn => vec![as_written],
    }
}

/// The script of each server of a scenario.
fn scripts_of(scenario: &Scenario) -> Result<BTreeMap<String, Script>, RunError> {
    let mut scripts = BTreeMap::new();
    for server in &scenario.servers {
        let script = if is_file_name(&server.script) {
            let path = Path::new(&server.script);
            Script::from_toml(&server.script, &server.script, &read_text(path)?)?
        } else {
            known_script(&server.script)?.ok_or_else(|| {
                let message = format!(
                    "scenario {}: found script {:?}, expected a shipped one or a file",
                    scenario.name, server.script
                );
                RunError::usage(message)
            })?
        };
        check_gates(scenario, &script)?;
        scripts.insert(server.name.clone(), script);
    }
    Ok(scripts)
}

/// The shipped script of that name.
fn known_script(name: &str) -> Result<Option<Script>, InputError> {
    if shipped_names().contains(&name) { shipped(name).map(Some) } else { Ok(None) }
}

/// A gate that no step opens would hold its action until the end.
fn check_gates(scenario: &Scenario, script: &Script) -> Result<(), InputError> {
    // A step that waits for a gate has thought of it: the held action may be meant to stay held.
    let named = |gate: &str| {
        scenario.steps.iter().any(|step| match &step.action {
            StepDo::OpenGate { gate: opened } => opened == gate,
            StepDo::Wait(crate::plan::WaitFor::Gate(awaited)) => awaited == gate,
            _ => false,
        })
    };
    match script.gates().into_iter().find(|gate| !named(gate)) {
        Some(gate) => {
            let message = format!(
                "found no step for gate {gate:?} of script {:?}, expected one that opens or awaits it",
                script.name()
            );
            Err(InputError::whole(&scenario.name, message))
        }
        None => Ok(()),
    }
}

/// A recorded plan, selected again. What is written in `file` is an input: it names no folder and no executable.
pub(crate) fn recorded_plan(
    file: &Path,
    mut plan: Plan,
    loaders: &[String],
    checkout: &Checkout,
    tell: Tell<'_>,
) -> Result<Selected, RunError> {
    let scenario = match &plan.scenario_text {
        Some(text) => Scenario::from_toml(&plan.scenario, &file.display().to_string(), text)?,
        None => known_scenario(&plan.scenario)?.scenario,
    };
    if !plan.checkout.is_empty() && checkout.is_empty() {
        let words = shell_words(&plan.checkout);
        let message = format!(
            "found a plan of a loader on a checkout, which a plan can not have started by itself; expected the same \
             arguments on the command line: {words}"
        );
        return Err(RunError::usage(message));
    }
    let targets = match (loaders, &plan.loader_file) {
        ([], None) => targets(&[recorded_name(&plan.loader, checkout)], checkout, tell)?,
        ([], Some(described)) => {
            let message = format!(
                "found a plan of the loader described in {described}, which a plan can not have started by itself; \
                 expected that file on the command line: --loader {described}"
            );
            return Err(RunError::usage(message));
        }
        (named, _) => targets(named, checkout, tell)?,
    };
    let target = targets.into_iter().find(|target| target.name == plan.loader).ok_or_else(|| {
        RunError::usage(format!("found no loader {:?} among those that are named, expected the plan's", plan.loader))
    })?;
    plan.loader_file = target.file.as_ref().map(|file| file.display().to_string());
    plan.checkout.clone_from(&target.checkout);
    plan.rebuild_id();
    let scripts = scripts_of(&scenario)?;
    let misfit = misfit(&target, &scenario, &scripts, plan.transport);
    let target = over(&target, plan.transport);
    Ok(Selected { plan, scenario, scripts, target, misfit })
}

/// The name by which a recorded loader is named on the command line, beside its checkout.
fn recorded_name(loader: &str, checkout: &Checkout) -> String {
    if checkout.is_empty() {
        return loader.to_owned();
    }
    let name = loader.strip_suffix(OWN_PYTHON).or_else(|| loader.strip_suffix("@node-modules"));
    name.or_else(|| loader.strip_suffix(WITH)).unwrap_or(loader).to_owned()
}
