//! Stacks: locked sets of packages in which foreign loaders run.
//!
//! A stack is a virtual environment in the cache, keyed by the hash of its lock. It counts as installed only when it
//! was imported once after its installation.

mod bounded;
mod imports;
mod limits;
mod overlay;
mod python;
mod spec;

pub use imports::{ImportError, import_program};
pub use limits::{STACK_LIMITS, StackLimit};
pub use overlay::Overlay;
pub use python::{Provisioned, PythonStack, StackError, python_stack, python_stacks};
pub use spec::{LocalSpec, PipSpec, SpecError};
