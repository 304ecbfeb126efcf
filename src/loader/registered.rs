//! Rust loaders that crates register, so that their executable can host them as a helper process.
//!
//! A crate registers a single loader ([`Registered`]) or a [`Collection`] of loaders with many names.
//!
//! The linker collects the entries as data; no code runs before `main` to register them. The list is therefore
//! complete, in any order, when the early entry of the executable reads it.

use std::fmt;
use std::sync::Arc;

use linkme::distributed_slice;

use crate::loader::host::LoaderFactory;
use crate::loader::memory::Connector;
use crate::loader::scopes::Scopes;
use crate::loader::target::Loader;
use crate::plan::{Feature, Revision};

/// Every registered loader of this executable.
#[distributed_slice]
pub static REGISTERED: [Registered];

/// Every collection of loaders of this executable.
#[distributed_slice]
pub static COLLECTIONS: [Collection];

/// Gives the factory of the loader with this name, offering this revision; `None` for a name or a revision that the collection
/// does not have. A loader reaches servers in its own process through the connector.
pub type FindLoader = fn(&str, &str, &Arc<dyn Connector>) -> Option<Box<dyn LoaderFactory>>;

/// The loaders of one crate, with many names.
#[derive(Debug)]
pub struct Collection {
    /// Finds the factory of a loader.
    pub find: FindLoader,
    /// The cargo features of the crate's build that some of its loaders need.
    pub features: &'static [Feature],
}

/// Whether any collection of this executable was built with `feature`.
#[must_use]
pub fn is_built(feature: Feature) -> bool {
    COLLECTIONS.iter().any(|collection| collection.features.contains(&feature))
}

/// The factory of the Rust loader with this name, for `revision`. The connector leads to servers in its own process.
#[must_use]
pub fn rust_loader(name: &str, revision: &str, connector: &Arc<dyn Connector>) -> Option<Box<dyn LoaderFactory>> {
    registered_loader(name, revision, connector)
        .or_else(|| COLLECTIONS.iter().find_map(|collection| (collection.find)(name, revision, connector)))
}

/// A loader under a name, as [`loader_factory!`](crate::loader_factory) registers it.
pub struct Registered {
    name: &'static str,
    package: &'static str,
    folder: &'static str,
    fresh: fn(Setup) -> Arc<dyn Loader>,
}

/// The arguments for creating a loader.
#[derive(Clone)]
#[non_exhaustive]
pub struct Setup {
    /// The protocol revision that the loader should request.
    pub revision: Revision,
    /// The loader may report its sessions here.
    pub scopes: Scopes,
    /// Connects the loader to servers over transport `memory`. A configuration entry `{"memory": {...}}` holds a
    /// [`MemoryAddress`](crate::loader::memory::MemoryAddress).
    pub memory: Arc<dyn Connector>,
}

impl Registered {
    /// Creates an entry. `package` is the package whose tests contain it, and `folder` the folder of that package where it was built.
    #[must_use]
    pub const fn new(
        name: &'static str,
        package: &'static str,
        folder: &'static str,
        fresh: fn(Setup) -> Arc<dyn Loader>,
    ) -> Self {
        Self { name, package, folder, fresh }
    }

    /// The name that plans and reports show.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The package that registered it.
    #[must_use]
    pub fn package(&self) -> &'static str {
        self.package
    }

    /// The folder of that package, on the machine that built it.
    #[must_use]
    pub fn folder(&self) -> &'static str {
        self.folder
    }

    /// How many loaders of this executable have this name.
    #[must_use]
    pub fn n_of_its_name(&self) -> usize {
        REGISTERED.iter().filter(|other| other.name == self.name).count()
    }
}

impl fmt::Debug for Registered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Registered").field("name", &self.name).field("package", &self.package).finish_non_exhaustive()
    }
}

/// The factory of the registered loader with this name, for `revision`.
fn registered_loader(name: &str, revision: &str, connector: &Arc<dyn Connector>) -> Option<Box<dyn LoaderFactory>> {
    let revision = Revision::ALL.into_iter().find(|known| known.as_str() == revision)?;
    let fresh = REGISTERED.iter().find(|loader| loader.name == name)?.fresh;
    let connector = Arc::clone(connector);
    Some(Box::new(move |scopes| fresh(Setup { revision, scopes, memory: Arc::clone(&connector) })))
}
