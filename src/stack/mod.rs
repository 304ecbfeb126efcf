//! Stacks: locked sets of packages in which Python and Node loaders run.
//!
//! A stack is a folder in the cache, named by the hash of its lock. It contains a virtual environment of Python or the
//! modules of Node. It counts as installed only after a successful import. `folder` holds what both kinds share.
//!
//! [`Browser`] is the system's browser with its driver, for plans of finished applications.

mod browser;
mod error;
mod folder;
mod imports;
mod interruption;
mod limits;
mod node;
mod overlay;
mod python;
mod run_with_timeout;
mod spec;

pub use browser::{Browser, BrowserError};
pub use error::{Provisioned, StackError};
pub use imports::{ImportError, import_program};
pub use interruption::{is_interrupted, watch_interruption};
pub use limits::{STACK_LIMITS, StackLimit};
pub use node::{NODE_VARIABLES, NodeStack, node, node_stack, node_stacks};
pub use overlay::Overlay;
pub use python::{PythonStack, python_stack, python_stacks};
pub use spec::{LocalSpec, PipSpec, SpecError};

/// A stack of either language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stack {
    /// Python packages.
    Python(PythonStack),
    /// Node packages.
    Node(NodeStack),
}

impl Stack {
    /// Every stack: Python first, then Node, each sorted by name.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let python = python_stacks().into_iter().map(Self::Python);
        python.chain(node_stacks().into_iter().map(Self::Node)).collect()
    }

    /// The stack of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|stack| stack.name() == name)
    }

    /// Name of the stack, such as `mcp-1.30`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Python(stack) => stack.name,
            Self::Node(stack) => stack.name,
        }
    }

    /// The lane of loaders that run on it.
    #[must_use]
    pub fn lane(&self) -> &'static str {
        match self {
            Self::Python(_) => "python",
            Self::Node(_) => "node",
        }
    }

    /// Whether it is completely installed.
    #[must_use]
    pub fn is_installed(&self) -> bool {
        match self {
            Self::Python(stack) => stack.interpreter().is_ok(),
            Self::Node(stack) => stack.modules().is_ok(),
        }
    }

    /// Imports the stack now.
    ///
    /// # Errors
    /// When it is not installed, or is installed and fails to import.
    pub fn import(&self) -> Result<(), StackError> {
        let imported = match self {
            Self::Python(stack) => stack.import(),
            Self::Node(stack) => stack.import(),
        };
        imported.map_err(|error| match error {
            StackError::Step { name, output, .. } => StackError::Damaged { name, because: output },
            other => other,
        })
    }

    /// Installs the stack from its lock again, because it fails its import.
    ///
    /// # Errors
    /// With the step that failed and the end of its output.
    pub fn rebuild(&self) -> Result<Provisioned, StackError> {
        match self {
            Self::Python(stack) => stack.rebuild(),
            Self::Node(stack) => stack.rebuild(),
        }
    }

    /// Installs the stack from its lock and imports it.
    ///
    /// # Errors
    /// With the step that failed and the end of its output.
    pub fn provision(&self) -> Result<Provisioned, StackError> {
        match self {
            Self::Python(stack) => stack.provision(),
            Self::Node(stack) => stack.provision(),
        }
    }
}
