//! Stacks: locked sets of packages in which foreign loaders run.
//!
//! A stack is a virtual environment in the cache, keyed by the hash of its lock. It counts as installed only when it
//! was imported once after its installation.
//!
//! [`Browser`] is no stack: it is the system's browser, and the program that drives it for finished applications.

mod bounded;
mod browser;
mod limits;
mod python;

pub use browser::{Browser, BrowserError};
pub use limits::{STACK_LIMITS, StackLimit};
pub use python::{Provisioned, PythonStack, StackError, python_stack, python_stacks};
