//! From scenarios and targets to plans.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::drive::{LoaderLaunch, PlanInput};
use crate::life::Probe;
use crate::loader::registered::is_built;
use crate::plan::{
    ContextKind, Lane, Plan, Promises, Revision, Scenario, ServerSpec, ShutdownBehaviour, Tier, Transport,
};
use crate::run::select::chosen::Chosen;
use crate::run::select::scripts::scripts_of;
use crate::run::select::target::{Launch, Target};
use crate::run::{RunError, Temperaments, Variants};
use crate::script::{Generation, Script, framing_of_plan};
use crate::simulate::SimulatedLife;

/// One selected plan. It lacks only its folder and the executable.
#[derive(Debug, Clone)]
pub struct Selected {
    pub plan: Plan,
    pub scenario: Scenario,
    pub scripts: BTreeMap<String, Script>,
    pub target: Target,
    /// Why the plan does not apply: the loader or a script does not support the transport.
    pub misfit: Option<String>,
}

impl Selected {
    /// The transport over which the preflight probes its scripts.
    ///
    /// The preflight probes a script in a process, wherever the servers of the plan live, because the same machine interprets it.
    /// Only the loader under test could be the client of a server that lives in the plan process.
    fn probed_over(&self) -> Transport {
        let framing = framing_of_plan(self.plan.transport, &self.scenario, self.scripts.values());
        self.plan.transport.to_processes(framing)
    }

    /// What the preflight of one of its scripts is called. Scripts of two scenarios may share a name.
    pub fn probe(&self, script: &Script) -> Probe {
        let name = script.name();
        let is_own = self.scenario.scripts.iter().any(|own| own.name() == name);
        let name = if is_own { format!("{}/{name}", self.scenario.name) } else { name.to_owned() };
        (self.probed_over(), name)
    }

    /// The life of a plan in the simulated tier. `None` if the loader cannot be created here.
    pub fn simulated(&self) -> Option<SimulatedLife> {
        let Launch::PlanProcess(loader) = self.target.launch.as_ref().ok()? else { return None };
        let launch = LoaderLaunch { command: Vec::new(), directory: None, env: BTreeMap::new() };
        Some(SimulatedLife { input: self.launched(launch, PathBuf::new()), loader: loader.clone() })
    }

    /// The input of the driver. `None` if the loader cannot be started here.
    pub fn input(&self, executable: &Path, directory: PathBuf) -> Option<PlanInput> {
        let launch = match self.target.launch.as_ref().ok()? {
            Launch::Program(launch) => launch.clone(),
            Launch::PlanProcess(name) => {
                let revision = self.plan.revision.to_string();
                let executable = executable.display().to_string();
                let command = vec![executable, "__plan".to_owned(), name.clone(), revision];
                LoaderLaunch { command, directory: None, env: BTreeMap::new() }
            }
        };
        Some(self.launched(launch, directory))
    }

    fn launched(&self, launch: LoaderLaunch, directory: PathBuf) -> PlanInput {
        PlanInput {
            plan: self.plan.clone(),
            scenario: self.scenario.clone(),
            scripts: self.scripts.clone(),
            launch,
            directory,
            may_start_warm: false,
        }
    }
}

/// Every plan of a run, ordered by loader, scenario, shutdown behaviour and repeat.
pub fn plans(scenarios: &[Chosen], targets: &[Target], variants: &Variants) -> Result<Vec<Selected>, RunError> {
    let mut selected = Vec::new();
    for target in targets.iter().filter(|target| is_of_tier(target, variants.tier)) {
        for chosen in scenarios {
            let Chosen { scenario, file, .. } = chosen;
            let variants = &*chosen.narrowed(variants);
            let scripts = scripts_of(scenario, &chosen.shown())?;
            let fitting = transports(target, scenario, &scripts, variants);
            for (transport, misfit) in fitting.into_iter().filter(|(transport, _)| scenario.runs_over(*transport)) {
                let Some(revision) = scenario.revision(transport, variants.revision) else { continue };
                check_generations(scenario, &scripts, revision)?;
                for server in shutdown_behaviours(scenario, target, transport, variants) {
                    for repeat in 1..=variants.repeat {
                        let mut plan = plan_of(scenario, target, transport, revision, server, variants);
                        plan.places = scenario.moves(&plan.promises.contexts);
                        plan.scenario_text = file.as_ref().map(|(_, text)| text.clone());
                        if variants.repeat > 1 {
                            plan.id = format!("{}.r{repeat}", plan.id);
                        }
                        selected.push(Selected {
                            scenario: scenario.moved(&plan.places),
                            plan,
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

pub(super) fn is_of_tier(target: &Target, tier: Option<Tier>) -> bool {
    match tier {
        None => true,
        Some(Tier::Real | Tier::Simulated) => target.descriptor.lane == Lane::Rust,
        Some(Tier::Foreign) => target.descriptor.lane != Lane::Rust,
    }
}

fn plan_of(
    scenario: &Scenario,
    target: &Target,
    transport: Transport,
    revision: Revision,
    server: ShutdownBehaviour,
    variants: &Variants,
) -> Plan {
    let tier = match (variants.tier, target.descriptor.lane) {
        (Some(Tier::Simulated), _) => Tier::Simulated,
        (_, Lane::Rust) => Tier::Real,
        (_, Lane::Python | Lane::Node | Lane::Command) => Tier::Foreign,
    };
    Plan {
        id: Plan::id_of(&scenario.name, &target.name, transport, revision, server),
        scenario: scenario.name.clone(),
        loader: target.name.clone(),
        transport,
        revision,
        server,
        tier,
        seed: variants.seed,
        promises: promises(target, transport, tier),
        places: BTreeMap::new(),
        limits: variants.limits.clone(),
        scenario_text: None,
        loader_file: target.file.as_ref().map(|file| file.display().to_string()),
        checkout: target.checkout.clone(),
    }
}

/// The promises that apply to a plan. In the simulated tier, every context is a task.
fn promises(target: &Target, transport: Transport, tier: Tier) -> Promises {
    let promises = target.promises(transport);
    match tier {
        Tier::Real | Tier::Foreign => promises,
        Tier::Simulated => Promises { contexts: vec![ContextKind::Task], ..promises },
    }
}

/// The transports of a scenario for a loader, with the reason why a selected one does not apply. By default, all usual ones that
/// apply.
fn transports(
    target: &Target,
    scenario: &Scenario,
    scripts: &BTreeMap<String, Script>,
    variants: &Variants,
) -> Vec<(Transport, Option<String>)> {
    if variants.tier == Some(Tier::Simulated) {
        return vec![simulated(target, scenario, scripts, &variants.transports)];
    }
    if variants.transports.is_empty() {
        let all = target.descriptor.transports.iter().copied().filter(|transport| variants.usual.contains(transport));
        let fitting: Vec<_> =
            all.filter(|transport| other_kind(target, scenario, scripts, *transport).is_none()).collect();
        // As with stacks: run the transports that this build has. If it has none of them, report all as missing.
        let built = |transport: &Transport| target.descriptor.lacking(*transport, is_built).is_none();
        let has_any = fitting.iter().any(built);
        let fitting = fitting.into_iter().filter(|each| !has_any || built(each));
        return fitting.map(|each| (each, scenario.lacks(&target.promises(each)))).collect();
    }
    let mut found: Vec<(Transport, Option<String>)> = Vec::new();
    for transport in variants.transports.iter().copied() {
        if found.iter().all(|(other, _)| *other != transport) {
            found.push((transport, misfit(target, scenario, scripts, transport)));
        }
    }
    found
}

/// The one transport of the simulated tier, with the reason why it does not apply.
fn simulated(
    target: &Target,
    scenario: &Scenario,
    scripts: &BTreeMap<String, Script>,
    wanted: &[Transport],
) -> (Transport, Option<String>) {
    let transport = Transport::SIMULATED;
    if !wanted.is_empty() && !wanted.contains(&transport) {
        return (transport, Some(format!("the simulated tier has transport {transport} alone")));
    }
    let beyond = || scenario.contexts.iter().find(|kind| **kind != ContextKind::Task);
    let beyond = || {
        beyond().map(|kind| {
            format!("the scenario is about contexts of kind `{kind}`, and the simulated tier has tasks alone")
        })
    };
    (transport, misfit(target, scenario, scripts, transport).or_else(beyond))
}

/// A target over one transport. It cannot be started if this build lacks a feature that the transport needs.
pub(super) fn over(target: &Target, transport: Transport) -> Target {
    let mut target = target.clone();
    if let Some(because) = target.descriptor.lacking(transport, is_built) {
        target.launch = Err(because);
    }
    target
}

/// Why a plan does not apply to a loader over a transport.
pub(super) fn misfit(
    target: &Target,
    scenario: &Scenario,
    scripts: &BTreeMap<String, Script>,
    transport: Transport,
) -> Option<String> {
    other_kind(target, scenario, scripts, transport).or_else(|| scenario.lacks(&target.promises(transport)))
}

/// Why a scenario is for another kind of loader, transport or script. It is left out unless the user names the transport.
fn other_kind(
    target: &Target,
    scenario: &Scenario,
    scripts: &BTreeMap<String, Script>,
    transport: Transport,
) -> Option<String> {
    if !target.descriptor.transports.contains(&transport) {
        return Some(format!("loader {} does not speak {transport}", target.name));
    }
    let promised = target.promises(transport).session;
    if !scenario.is_for_sessions(promised) {
        let needed: Vec<_> = scenario.sessions.iter().map(ToString::to_string).collect();
        let needed = needed.join(", ");
        return Some(format!("found sessions that are {promised}, expected sessions that are {needed}"));
    }
    let framing = framing_of_plan(transport, scenario, scripts.values());
    scripts.values().find_map(|script| script.fits(transport.home(), framing).err()).map(|misfit| misfit.to_string())
}

/// Refuses a server that speaks only a generation that no client of this revision supports.
fn check_generations(
    scenario: &Scenario,
    scripts: &BTreeMap<String, Script>,
    revision: Revision,
) -> Result<(), RunError> {
    let is_deaf = |script: &&Script| script.generation(1) == Some(Generation::Stateless);
    match scripts.values().find(is_deaf) {
        Some(script) if Generation::of(revision) == Generation::Handshake => {
            let (name, script) = (&scenario.name, script.name());
            let newest = Revision::R20260728;
            Err(RunError::usage(format!(
                "scenario {name}: found script {script}, which speaks only revisions without a handshake, under revision \
                 {revision}; expected a script of that revision, or `revisions = [\"{newest}\"]` in the scenario"
            )))
        }
        Some(_) | None => Ok(()),
    }
}

/// The shutdown behaviours of a scenario: as written, and also stubborn for Rust loaders and on request.
///
/// Only servers that the loader starts can be stubborn, because it does not end any others.
fn shutdown_behaviours(
    scenario: &Scenario,
    target: &Target,
    transport: Transport,
    variants: &Variants,
) -> Vec<ShutdownBehaviour> {
    if !transport.has_children() {
        return vec![ShutdownBehaviour::Polite];
    }
    if variants.temperaments == Temperaments::PoliteOnly && scenario.servers.iter().any(ServerSpec::is_always_stubborn)
    {
        return Vec::new();
    }
    let as_written = match scenario.servers.iter().any(|server| server.script == "stubborn") {
        true => ShutdownBehaviour::Stubborn,
        false => ShutdownBehaviour::Polite,
    };
    let doubled = match variants.temperaments {
        Temperaments::Usual => target.descriptor.lane == Lane::Rust,
        Temperaments::AsWritten | Temperaments::PoliteOnly => false,
        Temperaments::StubbornToo => true,
    };
    match as_written {
        ShutdownBehaviour::Polite if doubled => vec![ShutdownBehaviour::Polite, ShutdownBehaviour::Stubborn],
        ShutdownBehaviour::Polite | ShutdownBehaviour::Stubborn => vec![as_written],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{ContextKind, Descriptor};
    use crate::run::select::chosen::scenarios;

    fn target(lane: &str, promises: &str) -> Target {
        let text = format!(
            "name = \"l\"\nlane = \"{lane}\"\ncommand = [\"x\"]\ntransports = [\"stdio\", \"http\"]\n[promises]\n{promises}"
        );
        let descriptor = Descriptor::from_toml("l.toml", &text).unwrap();
        let launch = Err("it is not started".to_owned());
        Target { name: "l".to_owned(), descriptor, stack: None, file: None, checkout: Vec::new(), launch }
    }

    #[test]
    fn few_plans_do_not_apply_to_a_loader_that_has_tasks_alone() {
        for (lane, promises) in [("node", ""), ("python", "contexts = [\"task\"]")] {
            for suite in ["core", "standard", "answers"] {
                let chosen = scenarios(&[suite.to_owned()]).unwrap();
                let selected = plans(&chosen, &[target(lane, promises)], &Variants::default()).unwrap();
                let left_out: Vec<_> = selected.iter().filter(|plan| plan.misfit.is_some()).collect();
                assert!(
                    left_out.len() * 20 <= selected.len(),
                    "{lane} {suite}: {} of {}",
                    left_out.len(),
                    selected.len()
                );
                for one in selected.iter().filter(|plan| plan.misfit.is_none()) {
                    let is_task = |place: &crate::plan::Place| place.promise() == ContextKind::Task;
                    assert!(one.scenario.steps.iter().all(|step| is_task(&step.place)), "{}", one.plan.id);
                    let text = toml::to_string(&one.plan).unwrap();
                    assert_eq!(toml::from_str::<Plan>(&text).unwrap(), one.plan);
                }
            }
        }
    }

    #[test]
    fn a_promise_that_is_missing_is_told_although_no_transport_is_named() {
        let chosen = scenarios(&["end-refused".to_owned()]).unwrap();
        let selected = plans(&chosen, &[target("python", "sends-delete = false")], &Variants::default()).unwrap();
        let reasons: Vec<_> = selected.iter().filter_map(|plan| plan.misfit.clone()).collect();
        assert_eq!(reasons, ["the scenario needs the promise sends-delete, which the loader does not give"]);
    }
}
