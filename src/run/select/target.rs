//! A loader on a stack, and how it is started here.

use std::path::PathBuf;

use crate::drive::LoaderLaunch;
use crate::plan::{Descriptor, Promises, Transport};

/// A loader on a stack, and how it is started here.
#[derive(Debug, Clone)]
pub struct Target {
    /// Its name in reports.
    pub name: String,
    pub descriptor: Descriptor,
    pub stack: Option<String>,
    /// The description file. `None` for a shipped loader.
    pub file: Option<PathBuf>,
    /// The arguments that select the user's own checkout, if the target runs on one.
    pub checkout: Vec<String>,
    /// How it is started, or why that is impossible here.
    pub launch: Result<Launch, String>,
}

impl Target {
    /// Its promises over a transport.
    pub fn promises(&self, transport: Transport) -> Promises {
        self.descriptor.promises(self.stack.as_deref(), transport.as_str())
    }
}

/// How a target's loader is started.
#[derive(Debug, Clone)]
pub enum Launch {
    /// A plan process of this executable, by name of the loader.
    PlanProcess(String),
    /// A program that speaks the adapter protocol.
    Program(LoaderLaunch),
}

/// A function that shows a user one line, such as a notice about a long installation.
pub type Notify<'a> = &'a dyn Fn(std::fmt::Arguments<'_>);
