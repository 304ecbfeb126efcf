//! Stacks: locked sets of packages in which foreign loaders run.
//!
//! A stack is a folder in the cache, keyed by the hash of its lock: a virtual environment of Python, or the modules of Node. It
//! counts as installed only when it was imported once after its installation. `site` is what both kinds have in common.
//!
//! [`Browser`] is the system's browser, with the program that drives it for finished applications.

mod bounded;
mod browser;
mod imports;
mod limits;
mod node;
mod overlay;
mod python;
mod site;
mod spec;

pub use browser::{Browser, BrowserError};
pub use imports::{ImportError, import_program};
pub use limits::{STACK_LIMITS, StackLimit};
pub use node::{NODE_VARIABLES, NodeStack, node, node_stack, node_stacks};
pub use overlay::Overlay;
pub use python::{Provisioned, PythonStack, StackError, python_stack, python_stacks};
pub use spec::{LocalSpec, PipSpec, SpecError};

/// A stack of either kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stack {
    /// Python packages.
    Python(PythonStack),
    /// Node packages.
    Node(NodeStack),
}

impl Stack {
    /// Every stack: those of Python, then those of Node, each by name.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let python = python_stacks().into_iter().map(Self::Python);
        python.chain(node_stacks().into_iter().map(Self::Node)).collect()
    }

    /// The stack of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|stack| stack.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Python(stack) => stack.name,
            Self::Node(stack) => stack.name,
        }
    }

    /// The lane whose loaders run on it.
    #[must_use]
    pub fn lane(&self) -> &'static str {
        match self {
            Self::Python(_) => "python",
            Self::Node(_) => "node",
        }
    }

    /// Whether it is installed whole.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        match self {
            Self::Python(stack) => stack.interpreter().is_ok(),
            Self::Node(stack) => stack.modules().is_ok(),
        }
    }

    /// Imports it now.
    ///
    /// # Errors
    /// When it is not installed or can not be imported.
    pub fn import(&self) -> Result<(), StackError> {
        match self {
            Self::Python(stack) => stack.import(),
            Self::Node(stack) => stack.import(),
        }
    }

    /// Installs it from its lock, and imports it.
    ///
    /// # Errors
    /// With the step that failed and the end of what it printed.
    pub fn provision(&self) -> Result<Provisioned, StackError> {
        match self {
            Self::Python(stack) => stack.provision(),
            Self::Node(stack) => stack.provision(),
        }
    }
}
