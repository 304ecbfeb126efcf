//! Loaders that another crate registers, so that its test binary can host them when it is re-entered.
//!
//! The entries are data that the linker puts side by side, not code that runs before `main`: so they are complete before
//! the early entry of the executable looks for one, and no order has to be kept.

use std::fmt;
use std::sync::Arc;

use linkme::distributed_slice;

use crate::loader::host::LoaderFactory;
use crate::loader::memory::Connector;
use crate::loader::scopes::Scopes;
use crate::loader::target::Loader;
use crate::plan::Revision;

/// Every registered loader of this executable.
#[distributed_slice]
pub static REGISTERED: [Registered];

/// A loader under a name, as [`loader_factory!`](crate::loader_factory) registers it.
pub struct Registered {
    name: &'static str,
    package: &'static str,
    fresh: fn(Setup) -> Arc<dyn Loader>,
}

/// What a loader is made with.
#[derive(Clone)]
#[non_exhaustive]
pub struct Setup {
    /// The revision of the protocol that the loader is to offer.
    pub revision: Revision,
    /// Where the loader reports its sessions, if it likes.
    pub scopes: Scopes,
    /// How it reaches its servers over transport `memory`, where an entry of the configuration reads `{"memory": {...}}`, a
    /// [`MemoryAddress`](crate::loader::memory::MemoryAddress).
    pub memory: Arc<dyn Connector>,
}

impl Registered {
    /// An entry; `package` is the package whose tests hold it.
    #[must_use]
    pub const fn new(name: &'static str, package: &'static str, fresh: fn(Setup) -> Arc<dyn Loader>) -> Self {
        Self { name, package, fresh }
    }

    /// The name, as plans and reports show it.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// The package it was registered in.
    #[must_use]
    pub fn package(&self) -> &'static str {
        self.package
    }

    /// How often this name was registered in this executable.
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

/// The factory of the registered loader with this name, offering `revision`.
pub(super) fn registered_loader(
    name: &str,
    revision: &str,
    memory: &Arc<dyn Connector>,
) -> Option<Box<dyn LoaderFactory>> {
    let revision = Revision::ALL.into_iter().find(|known| known.as_str() == revision)?;
    let fresh = REGISTERED.iter().find(|loader| loader.name == name)?.fresh;
    let memory = Arc::clone(memory);
    Some(Box::new(move |scopes| fresh(Setup { revision, scopes, memory: Arc::clone(&memory) })))
}
