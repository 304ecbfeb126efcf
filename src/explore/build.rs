//! Resolves the choices of a draft, so that each draft gives a valid life.

use std::collections::BTreeSet;

use proptest::sample::Index;

use crate::explore::draft::{Draft, DraftServer, End, Move, Stay};
use crate::explore::ground::{Ground, Held, Optional, Palette, ScriptFacts};
use crate::plan::{Invoked, Place, PlaceKind, Scenario, ServerSpec, ShutdownBehaviour, Step, StepDo, Until, WaitFor};

/// The names of servers, in configuration order.
const NAMES: [&str; 3] = ["files", "search", "notes"];
/// The tool of every call.
const TOOL: &str = "read";

/// The life that a draft describes.
pub(super) fn build(name: &str, draft: &Draft, palette: &Palette) -> Scenario {
    let ground = draft.ground.get(&palette.grounds);
    let mut builder = Builder::new(ground, palette, &draft.servers);
    let stay = builder.stay_of_load(Stay::ToTheEnd);
    let first = builder.invoked("l", stay);
    builder.step(StepDo::Load(first), Place::main());
    for one in &draft.moves {
        builder.go(one);
    }
    builder.end(&draft.end);
    Scenario {
        name: name.to_owned(),
        about: "A life drawn at random.".to_owned(),
        revisions: vec![ground.revision],
        transports: vec![ground.transport],
        sessions: Vec::new(),
        contexts: Vec::new(),
        needs: Vec::new(),
        servers: builder.servers.into_iter().map(|server| server.spec).collect(),
        scripts: Vec::new(),
        steps: builder.steps,
    }
}

/// One server of a life that is being built.
struct Server<'a> {
    spec: ServerSpec,
    script: &'a ScriptFacts,
    is_configured: bool,
}

/// An operation that no step has waited for.
struct Running {
    name: String,
    place: Place,
    /// The gates without which it does not end.
    gates: Vec<String>,
}

struct Builder<'a> {
    palette: &'a Palette,
    servers: Vec<Server<'a>>,
    steps: Vec<Step>,
    running: Vec<Running>,
    open_gates: BTreeSet<String>,
    /// Contexts that have ended.
    ended: BTreeSet<Place>,
    n_named: u32,
    n_fresh: u32,
}

impl<'a> Builder<'a> {
    fn new(ground: &'a Ground, palette: &'a Palette, drafts: &[DraftServer]) -> Self {
        let has_children = ground.transport.has_children();
        let servers = drafts.iter().zip(NAMES).enumerate().map(|(index, (draft, name))| {
            let script = draft.script.map_or(&ground.scripts[0], |chosen| chosen.get(&ground.scripts));
            let is_stubborn = (draft.is_stubborn || script.name == "stubborn") && !palette.is_polite;
            let behaviour = if is_stubborn { ShutdownBehaviour::Stubborn } else { ShutdownBehaviour::Polite };
            // A life begins with a server at least.
            let initially = index == 0 || !draft.is_late;
            let spec = ServerSpec {
                name: name.to_owned(),
                script: script.name.clone(),
                initially,
                wrapped: draft.is_wrapped && has_children,
                shutdown_behaviour: has_children.then_some(behaviour),
            };
            Server { spec, script, is_configured: initially }
        });
        Self {
            palette,
            servers: servers.collect(),
            steps: Vec::new(),
            running: Vec::new(),
            open_gates: BTreeSet::new(),
            ended: BTreeSet::new(),
            n_named: 0,
            n_fresh: 0,
        }
    }

    fn step(&mut self, action: StepDo, place: Place) {
        if let Some(Invoked { name: Some(name), .. }) = action.invoked() {
            let gates = self.gates_of(&action);
            self.running.push(Running { name: name.clone(), place: place.clone(), gates });
        }
        self.steps.push(Step { action, place, line: 0 });
    }

    /// The closed gates without which an operation does not end.
    fn gates_of(&self, action: &StepDo) -> Vec<String> {
        match action {
            StepDo::Load(_) | StepDo::Rerun(_) | StepDo::Reload { .. } | StepDo::List(_) => {
                self.configured().flat_map(|server| self.closed(server, Held::Load)).collect()
            }
            StepDo::Call { server, .. } => {
                let called = self.servers.iter().find(|one| one.spec.name == *server);
                called.into_iter().flat_map(|server| self.closed(server, Held::Call)).collect()
            }
            StepDo::Close(_)
            | StepDo::Collect
            | StepDo::Cancel { .. }
            | StepDo::DropContext
            | StepDo::Exit
            | StepDo::Signal { .. }
            | StepDo::OpenGate { .. }
            | StepDo::KillServer { .. }
            | StepDo::Wait(_) => Vec::new(),
        }
    }

    fn configured(&self) -> impl Iterator<Item = &Server<'a>> {
        self.servers.iter().filter(|server| server.is_configured)
    }

    fn closed<'s>(&'s self, server: &'s Server<'a>, held: Held) -> impl Iterator<Item = String> + use<'s, 'a> {
        let gates = server.script.gates.iter().filter(move |gate| gate.holds == held);
        gates.map(|gate| gate.name.clone()).filter(|gate| !self.open_gates.contains(gate))
    }

    /// A new name where the driver does not stay to the end.
    fn invoked(&mut self, letter: &str, stay: Stay) -> Invoked {
        let until = match stay {
            Stay::ToTheEnd => return Invoked::default(),
            Stay::UntilInFlight => Until::InFlight,
            Stay::NotAtAll => Until::Invoked,
        };
        self.n_named += 1;
        Invoked { name: Some(format!("{letter}{}", self.n_named)), until, again: 0 }
    }

    /// The driver does not stay with an operation that waits for a gate that only a later step opens.
    fn stay(&self, wanted: Stay, action: &StepDo) -> Stay {
        match wanted {
            Stay::ToTheEnd if !self.gates_of(action).is_empty() => Stay::UntilInFlight,
            Stay::ToTheEnd | Stay::UntilInFlight | Stay::NotAtAll => wanted,
        }
    }

    fn stay_of_load(&self, wanted: Stay) -> Stay {
        self.stay(wanted, &StepDo::Load(Invoked::default()))
    }

    /// The chosen context, or a new task where it has ended or an operation keeps it busy.
    fn place(&mut self, chosen: Index) -> Place {
        let place = chosen.get(&self.palette.places).clone();
        let is_busy =
            self.running.iter().any(|running| running.place.shares_thread(&place) && is_one_at_a_time(&place, running));
        if !is_busy && !self.ended.contains(&place) {
            return place;
        }
        self.n_fresh += 1;
        Place { kind: PlaceKind::Task, name: format!("x{}", self.n_fresh) }
    }

    fn go(&mut self, one: &Move) {
        match one {
            Move::Load { place, stay } => {
                let stay = self.stay_of_load(*stay);
                let (invoked, place) = (self.invoked("l", stay), self.place(*place));
                self.step(StepDo::Load(invoked), place);
            }
            Move::Rerun { place, stay } => {
                let stay = self.stay_of_load(*stay);
                let (invoked, place) = (self.invoked("l", stay), self.place(*place));
                self.step(StepDo::Rerun(invoked), place);
            }
            Move::Reload { place, stay, server } => self.reload(*place, *stay, *server),
            Move::Call { place, stay, server, times } => self.call(*place, *stay, *server, *times),
            Move::List { place, stay } if self.offers(Optional::List) => {
                let stay = self.stay_of_load(*stay);
                let (invoked, place) = (self.invoked("t", stay), self.place(*place));
                self.step(StepDo::List(invoked), place);
            }
            Move::Close { place, stay } => {
                let (invoked, place) = (self.invoked("k", *stay), self.place(*place));
                self.step(StepDo::Close(invoked), place);
            }
            Move::Collect => self.step(StepDo::Collect, Place::main()),
            Move::Cancel { operation } if self.offers(Optional::Cancel) && !self.running.is_empty() => {
                let cancelled = self.running.remove(operation.index(self.running.len()));
                self.step(StepDo::Cancel { operation: cancelled.name }, Place::main());
            }
            Move::Await { operation } => self.await_one(*operation),
            Move::OpenGate { gate } => {
                let closed = self.closed_gates();
                if !closed.is_empty() {
                    self.open(gate.get(&closed).clone());
                }
            }
            Move::DropContext { place } if self.offers(Optional::DropContext) => {
                let used: BTreeSet<&Place> = self.steps.iter().map(|step| &step.place).collect();
                let is_left = |place: &&Place| **place != Place::main() && !self.ended.contains(*place);
                let used: Vec<Place> = used.into_iter().filter(is_left).cloned().collect();
                if !used.is_empty() {
                    let place = place.get(&used).clone();
                    self.ended.insert(place.clone());
                    self.step(StepDo::DropContext, place);
                }
            }
            Move::KillServer { server } => {
                let configured: Vec<String> = self.configured().map(|server| server.spec.name.clone()).collect();
                if !configured.is_empty() {
                    let server = server.get(&configured).clone();
                    self.step(StepDo::KillServer { server }, Place::main());
                }
            }
            Move::Idle { window } => self.step(StepDo::Wait(WaitFor::Idle(*window)), Place::main()),
            Move::List { .. } | Move::Cancel { .. } | Move::DropContext { .. } => {}
        }
    }

    fn offers(&self, optional: Optional) -> bool {
        self.palette.offered.contains(&optional)
    }

    fn call(&mut self, place: Index, stay: Stay, server: Index, times: u32) {
        let configured: Vec<String> = self.configured().map(|server| server.spec.name.clone()).collect();
        if configured.is_empty() {
            return;
        }
        let server = server.get(&configured).clone();
        let call = |server, invoked| StepDo::Call { server, tool: TOOL.to_owned(), invoked };
        let stay = self.stay(stay, &call(server.clone(), Invoked::default()));
        let mut invoked = self.invoked("c", stay);
        if stay == Stay::ToTheEnd {
            invoked.again = times - 1;
        }
        let place = self.place(place);
        self.step(call(server, invoked), place);
    }

    /// Adds a server that is not configured; removes or changes one that is.
    fn reload(&mut self, place: Index, stay: Stay, server: Index) {
        if !self.offers(Optional::Reload) {
            return;
        }
        let chosen = server.index(self.servers.len() * 2);
        let (index, is_change) = (chosen / 2, chosen % 2 == 1);
        let name = vec![self.servers[index].spec.name.clone()];
        let is_configured = self.servers[index].is_configured;
        let (mut remove, mut add, mut change) = (Vec::new(), Vec::new(), Vec::new());
        match (is_configured, is_change) {
            (false, _) => add = name,
            (true, true) => change = name,
            (true, false) => remove = name,
        }
        self.servers[index].is_configured = !is_configured || is_change;
        let stay = self.stay_of_load(stay);
        let (invoked, place) = (self.invoked("l", stay), self.place(place));
        self.step(StepDo::Reload { remove, add, change, invoked }, place);
    }

    /// Waits for an operation that can end.
    fn await_one(&mut self, operation: Index) {
        let can_end = |running: &Running| running.gates.iter().all(|gate| self.open_gates.contains(gate));
        let able: Vec<usize> = (0..self.running.len()).filter(|index| can_end(&self.running[*index])).collect();
        if !able.is_empty() {
            let awaited = self.running.remove(*operation.get(&able));
            self.step(StepDo::Wait(WaitFor::Operation(awaited.name)), Place::main());
        }
    }

    fn closed_gates(&self) -> Vec<String> {
        let all = self.servers.iter().flat_map(|server| &server.script.gates).map(|gate| &gate.name);
        let closed: BTreeSet<&String> = all.filter(|gate| !self.open_gates.contains(*gate)).collect();
        closed.into_iter().cloned().collect()
    }

    fn open(&mut self, gate: String) {
        self.open_gates.insert(gate.clone());
        self.step(StepDo::OpenGate { gate }, Place::main());
    }

    fn open_all(&mut self) {
        for gate in self.closed_gates() {
            self.open(gate);
        }
    }

    fn end(&mut self, end: &End) {
        match end {
            End::Close { place, opens_gates_first } => {
                if *opens_gates_first {
                    self.open_all();
                }
                let place = self.place(*place);
                self.step(StepDo::Close(Invoked::default()), place);
                self.open_all();
            }
            End::Exit => {
                self.open_all();
                self.step(StepDo::Exit, Place::main());
            }
            End::Signal(signal) => {
                self.open_all();
                let signal = StepDo::Signal { signal: (*signal).to_owned() };
                self.step(if self.palette.has_process { signal } else { StepDo::Exit }, Place::main());
            }
        }
    }
}

/// Whether an operation in this place would wait for the running one. Tasks of one thread run side by side.
fn is_one_at_a_time(place: &Place, running: &Running) -> bool {
    running.place == *place || place.kind != PlaceKind::Task || running.place.kind != PlaceKind::Task
}
