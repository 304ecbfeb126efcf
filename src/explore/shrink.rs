//! Smaller lives of a life. Each is valid but for gates that no step opens, and none is the life itself.

use std::collections::BTreeSet;

use crate::plan::{Invoked, Place, Scenario, ShutdownBehaviour, Step, StepDo, Until, WaitFor};
use crate::script::shipped_text;

/// The script of a server that conforms.
const CONFORMING: &str = "polite";

/// Smaller lives, those first that lose most.
pub(super) fn smaller(life: &Scenario) -> Vec<Scenario> {
    let mut found: Vec<Scenario> = Vec::new();
    let all = without_a_server(life)
        .chain(without_steps(life))
        .chain(simpler_servers(life))
        .chain((0..life.steps.len()).flat_map(|index| simpler_step(life, index)));
    for candidate in all.map(tidied) {
        if candidate != *life && !candidate.steps.is_empty() && !found.contains(&candidate) {
            found.push(candidate);
        }
    }
    found
}

fn without_a_server(life: &Scenario) -> impl Iterator<Item = Scenario> {
    let indices = if life.servers.len() > 1 { 0..life.servers.len() } else { 0..0 };
    indices.map(|index| {
        let mut smaller = life.clone();
        let gone = smaller.servers.remove(index).name;
        if smaller.servers.iter().all(|server| !server.initially) {
            smaller.servers[0].initially = true;
        }
        smaller.steps.retain_mut(|step| keeps(step, &gone));
        smaller
    })
}

/// Takes a server out of a step. Returns whether something of the step is left.
fn keeps(step: &mut Step, gone: &str) -> bool {
    match &mut step.action {
        StepDo::Call { server, .. } | StepDo::KillServer { server } | StepDo::Wait(WaitFor::ServerEnd(server)) => {
            server != gone
        }
        StepDo::Reload { remove, add, change, .. } => {
            [&mut *remove, &mut *add, &mut *change].into_iter().for_each(|names| names.retain(|name| name != gone));
            !(remove.is_empty() && add.is_empty() && change.is_empty())
        }
        StepDo::Load(_)
        | StepDo::Rerun(_)
        | StepDo::List(_)
        | StepDo::Close(_)
        | StepDo::Collect
        | StepDo::Cancel { .. }
        | StepDo::DropContext
        | StepDo::Exit
        | StepDo::Signal { .. }
        | StepDo::OpenGate { .. }
        | StepDo::Wait(WaitFor::Idle(_) | WaitFor::Operation(_) | WaitFor::Gate(_)) => true,
    }
}

/// Without half of the steps, then without a quarter, and so on to one step.
fn without_steps(life: &Scenario) -> impl Iterator<Item = Scenario> {
    let n = life.steps.len();
    let sizes = std::iter::successors(Some(n / 2), |size| Some(size / 2)).take_while(|size| *size > 0);
    // The last steps first: what follows the finding is never needed.
    let ranges =
        sizes.flat_map(move |size| (0..n.div_ceil(size)).rev().map(move |at| at * size..((at + 1) * size).min(n)));
    ranges.map(|range| {
        let mut smaller = life.clone();
        smaller.steps.drain(range);
        smaller
    })
}

fn simpler_servers(life: &Scenario) -> impl Iterator<Item = Scenario> {
    (0..life.servers.len()).flat_map(|index| {
        let with = |change: fn(&mut crate::plan::ServerSpec)| {
            let mut smaller = life.clone();
            change(&mut smaller.servers[index]);
            smaller
        };
        let late = |server: &mut crate::plan::ServerSpec| server.initially = true;
        let stubborn = |server: &mut crate::plan::ServerSpec| {
            server.shutdown_behaviour = server.shutdown_behaviour.map(|_| ShutdownBehaviour::Polite);
        };
        [
            with(|server| server.script = CONFORMING.to_owned()),
            with(late),
            with(stubborn),
            with(|server| server.wrapped = false),
        ]
    })
}

fn simpler_step(life: &Scenario, index: usize) -> Vec<Scenario> {
    let step = &life.steps[index];
    let with = |step: Step| {
        let mut smaller = life.clone();
        smaller.steps[index] = step;
        smaller
    };
    let mut found = Vec::new();
    if step.place != Place::main() && step.action != StepDo::DropContext {
        found.push(with(Step { place: Place::main(), ..step.clone() }));
    }
    let Some(invoked) = step.action.invoked() else { return found };
    let simpler = [
        Invoked { again: 0, ..invoked.clone() },
        Invoked { again: invoked.again / 2, ..invoked.clone() },
        Invoked { until: Until::Completed, ..invoked.clone() },
        Invoked { until: Until::InFlight, ..invoked.clone() },
    ];
    // To wait until a request has arrived is simpler than a race.
    let fewer = if invoked.until == Until::Invoked { 4 } else { 3 };
    for invoked in simpler.into_iter().take(fewer) {
        let mut simpler = step.clone();
        if let Some(place) = simpler.action.invoked_mut() {
            *place = invoked;
            found.push(with(simpler));
        }
    }
    found
}

/// Without steps about operations that are gone or have completed or about gates that are gone, without scripts of its own that no
/// server has, and without names that no step uses.
fn tidied(mut life: Scenario) -> Scenario {
    let servers: BTreeSet<&str> = life.servers.iter().map(|server| server.script.as_str()).collect();
    life.scripts.retain(|own| servers.contains(own.name()));
    let own = life.scripts.iter().map(|own| own.table().to_string());
    let shipped = servers.iter().filter_map(|name| shipped_text(name)).map(str::to_owned);
    let texts: String = own.chain(shipped).collect();
    life.steps.retain(|step| step.action.gate().is_none_or(|gate| texts.contains(&format!("\"{gate}\""))));
    let mut running: BTreeSet<String> = BTreeSet::new();
    life.steps.retain(|step| {
        if let StepDo::Cancel { operation } | StepDo::Wait(WaitFor::Operation(operation)) = &step.action {
            return running.remove(operation);
        }
        if let Some(Invoked { name: Some(name), until, .. }) = step.action.invoked()
            && *until != Until::Completed
        {
            running.insert(name.clone());
        }
        true
    });
    let used: BTreeSet<String> =
        life.steps.iter().filter_map(|step| step.action.operation().map(str::to_owned)).collect();
    for step in &mut life.steps {
        if let Some(invoked) = step.action.invoked_mut()
            && invoked.name.as_ref().is_some_and(|name| !used.contains(name))
        {
            invoked.name = None;
        }
    }
    life
}
