//! Scenarios: a loader's life as a list of steps.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use toml::Spanned;
use toml::de::DeTable;

use crate::plan::input::check_name;
use crate::plan::own_script::read_own_scripts;
use crate::plan::tagged::take_steps;
use crate::plan::{
    ContextKind, Framing, InputError, Invoked, OwnScript, Place, PlaceKind, Promise, Promises, Revision,
    SessionPromise, ShutdownBehaviour, Step, StepDo, Transport, Until, WaitFor, did_you_mean,
};

/// Most operations of a scenario, with every repetition.
const OPERATIONS_MAX: u64 = 10_000;

/// A scenario. Its names are unique, and every name that a step uses is declared.
#[derive(Debug, Clone, PartialEq)]
pub struct Scenario {
    /// Its name: the file name without its extension.
    pub name: String,
    /// The purpose of the scenario, in one sentence.
    pub about: String,
    /// The revisions to which it applies. A run uses the newest unless the user names one.
    pub revisions: Vec<Revision>,
    /// The transports to which it applies; empty: all.
    pub transports: Vec<Transport>,
    /// The session promises to which it applies; empty: all.
    pub sessions: Vec<SessionPromise>,
    /// The kinds of contexts that it is about. For a loader that promises none of another kind, its steps run in tasks.
    pub contexts: Vec<ContextKind>,
    /// The promises without which what it is about never happens.
    pub needs: Vec<Promise>,
    /// The servers, in configuration order.
    pub servers: Vec<ServerSpec>,
    /// The scripts of its own, by name.
    pub scripts: Vec<OwnScript>,
    /// The steps.
    pub steps: Vec<Step>,
}

/// One server of a scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerSpec {
    /// The key in the loader's configuration.
    pub name: String,
    /// Name or file of the script. The scripts of the scenario come before the shipped ones.
    pub script: String,
    /// Whether the configuration of the first load contains it.
    #[serde(default = "yes")]
    pub initially: bool,
    /// Whether a shell starts it and waits for it, as `npx` and `uv` do. Only for a server that is a child of the loader.
    #[serde(default)]
    pub wrapped: bool,
    /// Its shutdown behaviour when it is a child of the loader; `None`: that of the plan.
    #[serde(default, rename = "temperament")]
    pub shutdown_behaviour: Option<ShutdownBehaviour>,
}

impl ServerSpec {
    /// Its shutdown behaviour in a plan over this transport whose other servers behave as `usual`.
    #[must_use]
    pub fn shutdown_behaviour(&self, transport: Transport, usual: ShutdownBehaviour) -> ShutdownBehaviour {
        self.shutdown_behaviour.filter(|_| transport.has_children()).unwrap_or(usual)
    }

    /// Whether a shell starts it and waits for it in a plan over this transport.
    #[must_use]
    pub fn is_wrapped(&self, transport: Transport) -> bool {
        self.wrapped && transport.has_children()
    }

    /// Whether it is stubborn in every plan over a transport that has children.
    #[must_use]
    pub fn is_always_stubborn(&self) -> bool {
        self.script == "stubborn" || self.shutdown_behaviour == Some(ShutdownBehaviour::Stubborn)
    }
}

fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ScenarioFile {
    about: String,
    #[serde(default = "usual_revisions")]
    revisions: Vec<Spanned<String>>,
    transports: Option<Spanned<Vec<Transport>>>,
    sessions: Option<Spanned<Vec<SessionPromise>>>,
    contexts: Option<Spanned<Vec<ContextKind>>>,
    needs: Option<Spanned<Vec<Promise>>>,
    servers: Vec<Spanned<ServerSpec>>,
    #[serde(default)]
    script: BTreeMap<String, Spanned<toml::Table>>,
    /// Never there: [`take_steps`] removes the steps before the rest is read. Named here so that messages name it.
    #[serde(default, rename = "step")]
    _step: Option<serde::de::IgnoredAny>,
}

/// The revisions of a scenario that names none.
pub(super) fn since_streamable_http() -> Vec<Revision> {
    vec![Revision::R20250326, Revision::R20250618, Revision::R20251125]
}

fn usual_revisions() -> Vec<Spanned<String>> {
    let spanned = |revision: Revision| Spanned::new(0..0, revision.as_str().to_owned());
    since_streamable_http().into_iter().map(spanned).collect()
}

impl Scenario {
    /// Reads a scenario file.
    ///
    /// # Errors
    /// With the position of the defect.
    pub fn from_toml(name: &str, file: &str, text: &str) -> Result<Self, InputError> {
        check_name("scenario", name).map_err(|error| InputError::whole(file, error.to_string()))?;
        let toml = |error: toml::de::Error| InputError::toml(file, text, &error);
        let mut table = DeTable::parse(text).map_err(toml)?;
        let tables = take_steps(table.get_mut()).map_err(|flaw| flaw.in_file(file, text))?;
        let parsed = ScenarioFile::deserialize(toml::Deserializer::from(table)).map_err(toml)?;
        let revisions = read_revisions(file, text, parsed.revisions)?;
        let transports = read_some(file, text, "transport", parsed.transports)?;
        let sessions = read_some(file, text, "session", parsed.sessions)?;
        let contexts = read_some(file, text, "context", parsed.contexts)?;
        let needs = read_some(file, text, "need", parsed.needs)?;
        let servers = read_servers(file, text, parsed.servers)?;
        let scripts = read_own_scripts(file, text, parsed.script, &servers)?;
        let mut steps = Vec::new();
        for table in tables {
            let start = table.offset;
            let line = InputError::at(file, text, start, "").line;
            let step = Step::read(table, line).map_err(|flaw| flaw.in_file(file, text))?;
            let spread = spread(step, &servers).map_err(|message| InputError::at(file, text, start, message))?;
            steps.extend(spread);
        }
        let (name, about) = (name.to_owned(), parsed.about);
        let scenario = Self { name, about, revisions, transports, sessions, contexts, needs, servers, scripts, steps };
        scenario.check_names(file)?;
        Ok(scenario)
    }

    /// The server with this name.
    #[must_use]
    pub fn server(&self, name: &str) -> Option<&ServerSpec> {
        self.servers.iter().find(|server| server.name == name)
    }

    /// Whether it applies to a transport. A scenario for HTTP alone applies to every transport that can carry HTTP.
    #[must_use]
    pub fn runs_over(&self, transport: Transport) -> bool {
        let carries_its_framing = self.framing().is_some_and(|framing| transport.framings().contains(&framing));
        self.transports.is_empty() || self.transports.contains(&transport) || carries_its_framing
    }

    /// The newest revision with `initialize` in which it applies to a transport; or `wanted`, if it applies in that.
    ///
    /// A scenario that applies from 2025-03-26 on, the first revision with streamable HTTP, applies to `sse` in 2024-11-05
    /// too: only the transport of that revision differs.
    #[must_use]
    pub fn revision(&self, transport: Transport, wanted: Option<Revision>) -> Option<Revision> {
        let goes_back = transport == Transport::Sse && self.revisions.contains(&Revision::R20250326);
        let older = goes_back.then_some(Revision::R20241105);
        let mut speaks = self.revisions.iter().copied().chain(older);
        match wanted {
            Some(wanted) => speaks.find(|revision| *revision == wanted),
            None => speaks.filter(|revision| *revision <= Revision::NEWEST_HANDSHAKE).max(),
        }
    }

    /// Whether it applies to a loader with this session promise.
    #[must_use]
    pub fn is_for_sessions(&self, promise: SessionPromise) -> bool {
        self.sessions.is_empty() || self.sessions.contains(&promise)
    }

    /// The framing that the scenario is about; `None` if it is about none. A scenario for HTTP alone is about HTTP.
    #[must_use]
    pub fn framing(&self) -> Option<Framing> {
        (self.transports == [Transport::Http]).then_some(Framing::Http)
    }

    /// The promise without which the scenario is pointless for a loader, as a sentence; `None` if nothing is missing.
    #[must_use]
    pub fn lacks(&self, promises: &Promises) -> Option<String> {
        let missing = self.contexts.iter().find(|kind| !promises.contexts.contains(kind));
        if let Some(kind) = missing {
            return Some(format!("the scenario is about contexts of kind `{kind}`, which the loader does not promise"));
        }
        let missing = self.needs.iter().find(|promise| !promise.is_given(promises))?;
        Some(format!("the scenario needs the promise {}, which the loader does not give", missing.id()))
    }

    /// The threads and runtimes that its steps name and the loader does not promise, each with the task that takes its place.
    ///
    /// Every loader has tasks: a program with one loop does in tasks what another one does in threads.
    #[must_use]
    pub fn moves(&self, promised: &[ContextKind]) -> BTreeMap<Place, Place> {
        let mut taken: BTreeSet<Place> = self.steps.iter().map(|step| step.place.clone()).collect();
        let mut moves = BTreeMap::new();
        for step in &self.steps {
            let is_to_move = match step.place.promise() {
                ContextKind::Task => false,
                kind @ (ContextKind::Thread | ContextKind::Loop) => !promised.contains(&kind),
            };
            if !is_to_move || moves.contains_key(&step.place) {
                continue;
            }
            // Two contexts of the scenario stay two.
            let mut task = Place { kind: PlaceKind::Task, name: step.place.name.clone() };
            while !taken.insert(task.clone()) {
                task.name.push_str("-too");
            }
            moves.insert(step.place.clone(), task);
        }
        moves
    }

    /// The same scenario with its steps in other contexts.
    #[must_use]
    pub fn moved(&self, moves: &BTreeMap<Place, Place>) -> Self {
        let mut moved = self.clone();
        for step in &mut moved.steps {
            if let Some(place) = moves.get(&step.place) {
                step.place = place.clone();
            }
        }
        moved
    }

    fn check_names(&self, file: &str) -> Result<(), InputError> {
        if self.steps.is_empty() {
            return Err(InputError::whole(file, "found no step, expected at least one [[step]]"));
        }
        let mut operations = BTreeSet::new();
        let mut n_operations = 0;
        for step in &self.steps {
            n_operations += step.action.invoked().map_or(1, |invoked| 1 + u64::from(invoked.again));
            if n_operations > OPERATIONS_MAX {
                let message = format!(
                    "found more than {OPERATIONS_MAX} operations with all repetitions, expected at most that many"
                );
                return Err(InputError::line(file, step.line, message));
            }
            let error = |message: String| InputError::line(file, step.line, message);
            for server in step.action.servers() {
                if self.server(server).is_none() {
                    let near = did_you_mean(server, self.servers.iter().map(|known| &known.name));
                    return Err(error(format!("found server {server:?}, expected one that `servers` declares{near}")));
                }
            }
            if let Some(name) = step.action.invoked().and_then(|invoked| invoked.name.clone())
                && !operations.insert(name.clone())
            {
                return Err(error(format!("found operation {name:?} a second time, expected a new name")));
            }
            if let Some(name) = step.action.operation()
                && !operations.contains(name)
            {
                let near = did_you_mean(name, &operations);
                return Err(error(format!(
                    "found operation {name:?}, expected one that an earlier step names with `as`{near}"
                )));
            }
        }
        Ok(())
    }
}

/// The server name that means every server.
const EVERY_SERVER: &str = "*";

/// Replaces a call to every server by one call a server, each on its own thread, and a wait for each of them. Where the loader
/// does not promise threads, [`Scenario::moves`] makes tasks of them.
fn spread(step: Step, servers: &[ServerSpec]) -> Result<Vec<Step>, String> {
    let (tool, invoked) = match &step.action {
        StepDo::Call { server, tool, invoked } if server == EVERY_SERVER => (tool, invoked),
        _ => return Ok(vec![step]),
    };
    if *invoked != Invoked::default() {
        return Err(
            "found `as`, `until` or `repeat` next to server = \"*\", expected none: the step waits for each call"
                .to_owned(),
        );
    }
    let named = |server: &ServerSpec| format!("{}-{}", step.line, server.name);
    let call = |server: &ServerSpec| {
        let invoked = Invoked { name: Some(named(server)), until: Until::Invoked, again: 0 };
        let place = Place { kind: PlaceKind::Thread, name: format!("{}-{}", step.place.name, server.name) };
        let action = StepDo::Call { server: server.name.clone(), tool: tool.clone(), invoked };
        Step { action, place, line: step.line }
    };
    let wait = |server: &ServerSpec| Step {
        action: StepDo::Wait(WaitFor::Operation(named(server))),
        place: Place::main(),
        line: step.line,
    };
    Ok(servers.iter().map(call).chain(servers.iter().map(wait)).collect())
}

fn read_revisions(file: &str, text: &str, found: Vec<Spanned<String>>) -> Result<Vec<Revision>, InputError> {
    let mut revisions = Vec::new();
    for spanned in found {
        let start = spanned.span().start;
        let revision = spanned.into_inner().parse::<Revision>();
        revisions.push(revision.map_err(|error| InputError::at(file, text, start, error.to_string()))?);
    }
    if revisions.is_empty() {
        return Err(InputError::whole(file, "found no revision, expected at least one"));
    }
    Ok(revisions)
}

/// A list that narrows a scenario: missing, or with at least one element.
fn read_some<T>(file: &str, text: &str, what: &str, found: Option<Spanned<Vec<T>>>) -> Result<Vec<T>, InputError> {
    let Some(spanned) = found else { return Ok(Vec::new()) };
    let start = spanned.span().start;
    let some = spanned.into_inner();
    if some.is_empty() {
        let message = format!("found no {what}, expected at least one or no `{what}s`");
        return Err(InputError::at(file, text, start, message));
    }
    Ok(some)
}

fn read_servers(file: &str, text: &str, found: Vec<Spanned<ServerSpec>>) -> Result<Vec<ServerSpec>, InputError> {
    let mut servers: Vec<ServerSpec> = Vec::new();
    for spanned in found {
        let start = spanned.span().start;
        let server = spanned.into_inner();
        check_name("server", &server.name).map_err(|error| InputError::at(file, text, start, error.to_string()))?;
        if servers.iter().any(|other| other.name == server.name) {
            let message = format!("found server {:?} a second time, expected a new name", server.name);
            return Err(InputError::at(file, text, start, message));
        }
        servers.push(server);
    }
    if servers.is_empty() {
        return Err(InputError::whole(file, "found no server, expected at least one"));
    }
    Ok(servers)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOPS: &str = r#"
        about = "x"
        servers = [{ name = "files", script = "polite" }, { name = "search", script = "polite" }]
        [[step]]
        do = "load"
        in = "task:a"
        [[step]]
        do = "call"
        server = "*"
        in = "task:a"
        [[step]]
        do = "call"
        server = "files"
        in = "thread:a"
        [[step]]
        do = "close"
        in = "runtime:r1"
    "#;

    fn places(scenario: &Scenario) -> Vec<String> {
        scenario.steps.iter().map(|step| step.place.to_string()).collect()
    }

    #[test]
    fn steps_stay_in_promised_contexts_and_run_in_tasks_instead_of_others() {
        use ContextKind::{Loop, Task, Thread};
        let scenario = Scenario::from_toml("x", "x.toml", HOPS).unwrap();
        assert!(scenario.moves(&[Task, Thread, Loop]).is_empty());
        let moves = scenario.moves(&[Task]);
        assert_eq!(
            places(&scenario.moved(&moves)),
            ["task:a", "task:a-files", "task:a-search", "task:main", "task:main", "task:a-too", "task:r1"]
        );
        // Threads alone are promised: the runtime is not.
        let moves = scenario.moves(&[Thread]);
        let moved: Vec<_> = moves.iter().map(|(from, to)| format!("{from} {to}")).collect();
        assert_eq!(moved, ["runtime:r1 task:r1"]);
        assert_eq!(scenario.moved(&BTreeMap::new()), scenario);
    }

    #[test]
    fn a_scenario_says_what_it_is_about_and_what_it_needs() {
        let head = "contexts = [\"loop\"]\nneeds = [\"sends-delete\"]\n";
        let scenario = Scenario::from_toml("x", "x.toml", &format!("{head}{HOPS}")).unwrap();
        let lacks = |promises: &Promises| scenario.lacks(promises).unwrap_or_default();
        assert_eq!(lacks(&Promises::default()), "");
        let tasks = Promises { contexts: vec![ContextKind::Task], ..Promises::default() };
        assert!(lacks(&tasks).contains("`loop`"), "{}", lacks(&tasks));
        let without = Promises { sends_delete: false, ..Promises::default() };
        assert!(lacks(&without).contains("sends-delete"), "{}", lacks(&without));
        for wrong in
            ["contexts = []", "contexts = [\"loops\"]", "needs = [\"none\"]", "needs = [\"persistent-session\"]"]
        {
            assert!(Scenario::from_toml("x", "x.toml", &format!("{wrong}\n{HOPS}")).is_err(), "{wrong}");
        }
    }
}
