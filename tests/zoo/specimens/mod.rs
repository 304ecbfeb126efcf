//! The specimens of the zoo: clients that break one rule each, and clients that break none.
//!
//! A specimen has two lives, which differ in one switch: the broken one, and its twin, which keeps every rule. To add one,
//! write its function and its row into the file of its family.

#![expect(clippy::unwrap_used, reason = "a specimen fails by panicking")]

mod agreed;
mod alone;
mod bodies;
pub mod client;
mod correct;
mod credentials;
mod eras;
mod features;
mod headers;
mod heard;
mod loaders;
mod messages;
mod methods;
mod modern;
pub mod not_yet;
mod opening;
mod rare;
mod requests;
mod resumed;
mod rounds;
mod scenarios;
mod served;
mod sessions;
mod shapes;
mod shutdown;
mod started;
mod streams;
mod subscribers;
mod tasks;
mod tokens;

use client::Client;
use not_yet::NOT_YET;

/// A client that breaks one rule.
pub struct Specimen {
    /// What it does, as a name.
    pub name: &'static str,
    /// The same as a sentence.
    pub about: &'static str,
    /// The requirements that its broken life breaks.
    pub breaks: &'static [&'static str],
    /// The invariant that must report it, with one of these requirements.
    pub caught_by: &'static str,
    pub stage: Stage,
    pub life: Life,
}

/// A client that breaks no rule.
pub struct Correct {
    pub name: &'static str,
    pub about: &'static str,
    pub stage: Stage,
    pub life: fn(&mut Client),
}

/// What a specimen is made of.
#[derive(Clone, Copy)]
pub enum Life {
    /// A raw client. The flag chooses the broken life.
    Wire(fn(&mut Client, bool)),
    /// A loader on a stage of [`Over::Run`]: a mutation of the reference loader, or a broken loader. The twin is the reference loader.
    Loader(&'static str),
}

/// Where a specimen lives.
#[derive(Clone, Copy)]
pub struct Stage {
    pub over: Over,
    pub revision: &'static str,
    pub script: Script,
}

/// A transport of `mcp-mock`, or a program that starts the specimen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Over {
    Stdio,
    Http,
    Sse,
    /// The HTTP of `mcp-lifecheck client`, which starts the specimen in this scenario and watches it to its end.
    Started(&'static str),
    /// The transport of a loader that `mcp-lifecheck run` takes through a scenario: a shipped one, or the text of one, in which `SCRIPT`
    /// stands for the script of the stage.
    Run {
        transport: &'static str,
        scenario: &'static str,
        /// What the loader promises beside the default, as lines of its description.
        promises: &'static str,
    },
}

/// The script of the mock.
#[derive(Debug, Clone, Copy)]
pub enum Script {
    Shipped(&'static str),
    /// The text of a script file.
    Written(&'static str),
}

/// The script without any fault.
pub const POLITE: Script = Script::Shipped("polite");

pub const fn stdio(revision: &'static str, script: Script) -> Stage {
    Stage { over: Over::Stdio, revision, script }
}

pub const fn http(revision: &'static str, script: Script) -> Stage {
    Stage { over: Over::Http, revision, script }
}

pub const fn sse(revision: &'static str, script: Script) -> Stage {
    Stage { over: Over::Sse, revision, script }
}

/// A raw client as a row: its name and sentence, its stage, what it breaks, and its life.
const fn row(
    (name, about): (&'static str, &'static str),
    stage: Stage,
    (breaks, caught_by): (&'static [&'static str], &'static str),
    life: fn(&mut Client, bool),
) -> Specimen {
    Specimen { name, about, breaks, caught_by, stage, life: Life::Wire(life) }
}

/// A raw client over HTTP as a row.
const fn row_over_http(
    about: (&'static str, &'static str),
    (revision, script): (&'static str, Script),
    breaks: (&'static [&'static str], &'static str),
    life: fn(&mut Client, bool),
) -> Specimen {
    row(about, http(revision, script), breaks, life)
}

/// The scenario of `mcp-lifecheck client` has its own script.
pub const fn started(revision: &'static str, scenario: &'static str) -> Stage {
    Stage { over: Over::Started(scenario), revision, script: POLITE }
}

pub const fn run(
    transport: &'static str,
    revision: &'static str,
    (scenario, script): (&'static str, &'static str),
) -> Stage {
    Stage { over: Over::Run { transport, scenario, promises: "" }, revision, script: Script::Shipped(script) }
}

/// The same specimen with another script.
pub const fn scripted(script: Script, specimen: Specimen) -> Specimen {
    Specimen { stage: Stage { script, ..specimen.stage }, ..specimen }
}

/// The same specimen with a loader that does not promise to announce a cancellation.
pub const fn without_announcements(specimen: Specimen) -> Specimen {
    promising("[promises]\nannounces-cancel = false\n", specimen)
}

/// The same specimen with a loader that promises no session beyond a call.
pub const fn with_a_session_per_call(specimen: Specimen) -> Specimen {
    promising("[promises]\nsession = \"per-call\"\n", specimen)
}

const fn promising(promises: &'static str, specimen: Specimen) -> Specimen {
    let Over::Run { transport, scenario, .. } = specimen.stage.over else { return specimen };
    let over = Over::Run { transport, scenario, promises };
    Specimen { stage: Stage { over, ..specimen.stage }, ..specimen }
}

/// The tables of the broken specimens, by family.
pub const BROKEN: &[&[Specimen]] = &[
    opening::SPECIMENS,
    agreed::SPECIMENS,
    alone::SPECIMENS,
    messages::SPECIMENS,
    methods::SPECIMENS,
    features::SPECIMENS,
    served::SPECIMENS,
    shapes::SPECIMENS,
    heard::SPECIMENS,
    requests::SPECIMENS,
    tasks::SPECIMENS,
    headers::SPECIMENS,
    bodies::SPECIMENS,
    tokens::SPECIMENS,
    credentials::SPECIMENS,
    sessions::SPECIMENS,
    streams::SPECIMENS,
    resumed::SPECIMENS,
    modern::SPECIMENS,
    rounds::SPECIMENS,
    eras::SPECIMENS,
    subscribers::SPECIMENS,
    shutdown::SPECIMENS,
    started::SPECIMENS,
    rare::SPECIMENS,
    loaders::SPECIMENS,
    loaders::SPECIAL,
];

/// The table of the specimens that must stay silent.
pub const CORRECT: &[&[Correct]] = correct::SPECIMENS;

/// The specimens that are caught.
fn caught() -> impl Iterator<Item = &'static Specimen> {
    let all = BROKEN.iter().copied().flatten();
    all.filter(|specimen| NOT_YET.iter().all(|(name, _)| *name != specimen.name))
}

/// The invariants that a specimen breaks.
pub fn broken_invariants() -> impl Iterator<Item = &'static str> {
    caught().map(|specimen| specimen.caught_by)
}

/// The requirements that a specimen breaks.
pub fn broken_requirements() -> impl Iterator<Item = &'static str> {
    caught().flat_map(|specimen| specimen.breaks).copied()
}
