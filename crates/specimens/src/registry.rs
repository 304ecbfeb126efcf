//! The Rust loaders by name.

use std::sync::Arc;
use std::time::Duration;

use linkme::distributed_slice;
use mcp_lifecheck::loader::host::LoaderFactory;
use mcp_lifecheck::loader::memory::Connector;
use mcp_lifecheck::loader::registered::{COLLECTIONS, Collection, Setup};
use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck::loader::target::Loader;
use mcp_lifecheck::plan::{Feature, Revision as Offered};

use crate::broken::{ClosedEarly, DropOutsideRuntime, RmcpReadme, RunPerStep, RuntimeNotDriven};
use crate::mutation::{PREFIX, mutation};
use crate::reference::{Bounds, Ladder, Opening, Options, Revision, ToolsLoader};

/// How long the reference loader lets a server take for each step of its shutdown ladder when it is verified.
///
/// Long enough for a polite server on a machine with twice as many busy threads as cores; short, because every
/// stubborn server costs two of them.
const LADDER_STEP: Duration = Duration::from_millis(250);

/// How long the reference loader lets a server take to open a session when it is verified.
///
/// A hundred times what one takes on a busy machine; short, because every mute server costs it.
const CONNECT: Duration = Duration::from_secs(2);

/// How long the reference loader waits for a server to say which era it is of when it is verified.
///
/// Half of what opening a session may take, so that there is as much left for the other way to open it; short, because every
/// server that is mute to the question costs it.
const PROBE: Duration = Duration::from_secs(1);

/// How long the reference loader waits for the answer to a call when it is verified.
///
/// Half of the promised bound, so that it always passes before the driver's. Short, because each unanswered call takes this long.
const CALL: Duration = Duration::from_secs(5);

/// The features of this crate that a loader description can name, as far as it was built with them.
const FEATURES: &[Feature] = if cfg!(feature = "rmcp-reqwest") { &[Feature::RmcpReqwest] } else { &[] };

#[distributed_slice(COLLECTIONS)]
static SPECIMENS: Collection = Collection { find: rust_loader, features: FEATURES };

/// The factory of the Rust loader with this name, offering `revision`. Those that speak to servers in their own process reach
/// them through the connector.
#[must_use]
pub fn rust_loader(name: &str, revision: &str, connector: &Arc<dyn Connector>) -> Option<Box<dyn LoaderFactory>> {
    let (opening, revision) = opened(revision)?;
    let connector = Arc::clone(connector);
    let options = move |scopes| Options { opening, ..options(scopes, revision, Arc::clone(&connector)) };
    let factory: Box<dyn LoaderFactory> = match name {
        "reference" => Box::new(move |scopes| Arc::new(ToolsLoader::new(options(scopes))) as Arc<dyn Loader>),
        "rust-closed-early" => plain(ClosedEarly::new),
        "rust-run-per-step" => plain(RunPerStep::new),
        "rust-runtime-not-driven" => plain(RuntimeNotDriven::new),
        "rust-drop-outside-runtime" => plain(DropOutsideRuntime::new),
        "rust-rmcp-readme" => plain(RmcpReadme::new),
        changed => {
            let mutation = mutation(changed.strip_prefix(PREFIX)?)?;
            Box::new(move |scopes| mutation.loader(options(scopes)))
        }
    };
    Some(factory)
}

/// The reference loader with the bounds it is verified with, for a crate that registers it under a name of its own.
///
/// # Panics
/// When the setup is for a revision that the reference loader does not speak.
#[must_use]
pub fn reference(setup: Setup) -> ToolsLoader {
    let (opening, revision) =
        opened(setup.revision.as_str()).expect("the reference loader speaks every revision of a setup");
    ToolsLoader::new(Options { opening, ..options(setup.scopes, revision, setup.memory) })
}

/// How a loader that is made for `revision` opens, and what it offers where it does so with `initialize`.
fn opened(revision: &str) -> Option<(Opening, Revision)> {
    match revision.parse::<Offered>().ok()? {
        Offered::R20260728 => Some((Opening::Auto, Revision::V2025_11_25)),
        legacy => Revision::from_wire(legacy.as_str()).map(|revision| (Opening::Initialize, revision)),
    }
}

fn plain<L: Loader + 'static>(make: fn(Scopes) -> L) -> Box<dyn LoaderFactory> {
    Box::new(move |scopes| Arc::new(make(scopes)) as Arc<dyn Loader>)
}

fn options(scopes: Scopes, revision: Revision, connector: Arc<dyn Connector>) -> Options {
    let ladder = Ladder { eof_grace: LADDER_STEP, term_grace: LADDER_STEP, ..Ladder::default() };
    let bounds = Bounds { connect: CONNECT, probe: PROBE, call: CALL, ..Bounds::default() };
    Options { revision, ladder, bounds, scopes, connector: Some(connector), ..Options::default() }
}
