//! What lives may be made of.

use std::collections::{BTreeMap, BTreeSet};

use crate::catalogue::shipped_scenarios;
use crate::plan::{ContextKind, Place, PlaceKind, Promises, Revision, ServerHome, Tier, Transport, did_you_mean};
use crate::run::RunError;
use crate::run::select::Target;
use crate::script::{Action, EVERY, Generation, Script, When, framing_of, shipped, shipped_names};

/// A transport in one revision, with the scripts that servers can have there.
#[derive(Debug, Clone, PartialEq)]
pub struct Ground {
    /// How the loader reaches its servers.
    pub transport: Transport,
    /// The revision that its configuration requests.
    pub revision: Revision,
    /// The scripts that can run there; a server that conforms is the first.
    pub scripts: Vec<ScriptFacts>,
}

/// What a generator knows of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct ScriptFacts {
    /// Its name.
    pub name: String,
    /// Its gates. Each needs a step that opens it.
    pub gates: Vec<Gate>,
}

/// A gate of a script.
#[derive(Debug, Clone, PartialEq)]
pub struct Gate {
    /// Its name.
    pub name: String,
    /// What waits for it.
    pub holds: Held,
}

/// What waits for a gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// The server's part of a load.
    Load,
    /// A call.
    Call,
    /// Nothing that the loader requested.
    Nothing,
}

/// The grounds of a loader, and the steps and contexts that its lives may have.
#[derive(Debug, Clone, PartialEq)]
pub struct Palette {
    /// Not empty.
    pub grounds: Vec<Ground>,
    /// The contexts in which steps may run; the first is that of steps that name none.
    pub places: Vec<Place>,
    /// The steps that the loader's adapter may lack, and does not.
    pub offered: BTreeSet<Optional>,
    /// Whether every server ends when it is asked to.
    pub is_polite: bool,
    /// Whether the loader's program is a process, which takes signals.
    pub has_process: bool,
}

/// A kind of step that an adapter may lack.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Optional {
    /// Cancel an operation.
    Cancel,
    /// End a context.
    DropContext,
    /// Load with another configuration.
    Reload,
    /// Fetch the tools again.
    List,
}

impl Optional {
    /// Every kind.
    pub const ALL: [Self; 4] = [Self::Cancel, Self::DropContext, Self::Reload, Self::List];

    /// Its name among the operations in the hello of an adapter.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Cancel => "cancel",
            Self::DropContext => "drop-context",
            Self::Reload => "reload",
            Self::List => "list",
        }
    }
}

/// How a user narrows the lives.
#[derive(Debug, Clone, Default)]
pub struct Narrowing {
    /// Transports; empty: every usual one.
    pub transports: Vec<Transport>,
    /// The revision; `None`: the newest with a handshake.
    pub revision: Option<Revision>,
    /// Scripts; empty: every shipped one that fits.
    pub scripts: Vec<String>,
    /// Whether every server ends when it is asked to.
    pub is_polite: bool,
    /// The tier; `None`: that of each loader as a process.
    pub tier: Option<Tier>,
}

impl Palette {
    /// The palette of a loader.
    ///
    /// # Errors
    /// `Usage` when the loader speaks none of the transports, or no script fits.
    pub fn of(target: &Target, narrowing: &Narrowing) -> Result<Self, RunError> {
        let unknown = narrowing.scripts.iter().find(|name| !shipped_names().contains(&name.as_str()));
        if let Some(unknown) = unknown {
            let near = did_you_mean(unknown, shipped_names());
            return Err(RunError::usage(format!("found script {unknown:?}, expected a shipped one{near}")));
        }
        let is_simulated = narrowing.tier == Some(Tier::Simulated);
        let wanted: &[Transport] = match narrowing.transports.as_slice() {
            // A life for HTTP alone runs over HTTP in memory.
            [] if is_simulated => &[Transport::SIMULATED, Transport::Http],
            [] => &Transport::USUAL,
            named => named,
        };
        let run_over = |transport| if is_simulated { Transport::SIMULATED } else { transport };
        let speaks = |transport: &Transport| target.descriptor.transports.contains(&run_over(*transport));
        let spoken = wanted.iter().copied().filter(speaks);
        let is_built = crate::loader::registered::is_built;
        let built = spoken.filter(|transport| target.descriptor.lacking(run_over(*transport), is_built).is_none());
        let mut grounds = Vec::new();
        for transport in built {
            let usual = if transport == Transport::Sse { Revision::R20241105 } else { Revision::NEWEST_HANDSHAKE };
            let revision = narrowing.revision.unwrap_or(usual);
            let scripts = scripts(transport, run_over(transport).home(), revision, &narrowing.scripts)?;
            if !scripts.is_empty() {
                grounds.push(Ground { transport, revision, scripts });
            }
        }
        if grounds.is_empty() {
            return Err(RunError::usage(format!(
                "found no script that fits loader {} over {}, expected at least one",
                target.name,
                wanted.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
            )));
        }
        let mut promises = target.promises(grounds[0].transport);
        if is_simulated {
            promises.contexts = vec![ContextKind::Task];
        }
        let (places, offered, is_polite) = (places(&promises), Optional::ALL.into(), narrowing.is_polite);
        Ok(Self { grounds, places, offered, is_polite, has_process: !is_simulated })
    }
}

/// The scripts that fit a ground whose servers have this home.
fn scripts(
    transport: Transport,
    home: ServerHome,
    revision: Revision,
    wanted: &[String],
) -> Result<Vec<ScriptFacts>, RunError> {
    // A script that deviates in what only some revisions have is in scenarios of those revisions alone.
    let mut revisions: BTreeMap<String, BTreeSet<Revision>> = BTreeMap::new();
    for scenario in shipped_scenarios()? {
        for server in scenario.servers {
            revisions.entry(server.script).or_default().extend(scenario.revisions.iter().copied());
        }
    }
    let mut found = Vec::new();
    for name in shipped_names() {
        let is_wanted = wanted.is_empty() || wanted.iter().any(|one| one == name);
        // Over SSE, the first revision has the servers of the next one.
        let counted = if revision == Revision::R20241105 { Revision::R20250326 } else { revision };
        let is_of_revision = revisions.get(name).is_none_or(|known| known.contains(&counted));
        let script = shipped(name)?;
        if is_wanted && is_of_revision && fits(&script, transport, home, revision) {
            found.push(ScriptFacts::of(&script));
        }
    }
    found.sort_by_key(|script| script.name != "polite");
    Ok(found)
}

fn fits(script: &Script, transport: Transport, home: ServerHome, revision: Revision) -> bool {
    let framing = framing_of(transport, [script]);
    let is_deaf = script.generation(1) == Some(Generation::Stateless);
    let understands = Generation::of(revision) != Generation::Handshake || !is_deaf;
    // A ground has one framing, so that two servers of a life never need two.
    framing == transport.usual_framing() && script.fits(home, framing).is_ok() && understands
}

impl ScriptFacts {
    /// The facts of a script.
    #[must_use]
    pub fn of(script: &Script) -> Self {
        let mut gates: Vec<Gate> = Vec::new();
        for rule in script.rules() {
            for action in &rule.actions {
                let Action::Hold(name) = action else { continue };
                let is_new = gates.iter().all(|gate| gate.name != *name);
                if is_new && script.gates().contains(&name.as_str()) {
                    gates.push(Gate { name: name.clone(), holds: Held::by(&rule.on.when) });
                }
            }
        }
        Self { name: script.name().to_owned(), gates }
    }
}

impl Held {
    fn by(when: &When) -> Self {
        match when {
            When::Request { method, .. } if method == "tools/call" || method == EVERY => Self::Call,
            When::Request { .. } | When::Initialized | When::Get => Self::Load,
            // A server may ask within a call.
            When::Response => Self::Call,
            When::Notification(_) | When::Gate(_) | When::Elapsed(_) | When::Start | When::Eof => Self::Nothing,
            When::Signal(_) | When::Delete => Self::Nothing,
        }
    }
}

/// Two contexts of each kind that a loader promises, and the main one.
fn places(promises: &Promises) -> Vec<Place> {
    let mut places = vec![Place::main()];
    let mut add = |kind: PlaceKind, name: &str| places.push(Place { kind, name: name.to_owned() });
    add(PlaceKind::Task, "a");
    add(PlaceKind::Task, "b");
    for context in &promises.contexts {
        match context {
            ContextKind::Task => {}
            ContextKind::Thread => {
                add(PlaceKind::Thread, "t1");
                add(PlaceKind::Thread, "t2");
            }
            ContextKind::Loop => add(PlaceKind::Runtime, "r1"),
        }
    }
    places
}
