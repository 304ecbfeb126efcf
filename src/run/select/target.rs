//! A loader on a stack, and how it is started here.

use std::path::PathBuf;

use crate::drive::LoaderLaunch;
use crate::plan::Descriptor;

/// A loader on a stack, and how it is started here.
#[derive(Debug, Clone)]
pub struct Target {
    /// As reports name it.
    pub name: String,
    pub descriptor: Descriptor,
    pub stack: Option<String>,
    /// The description file, for one that is not shipped.
    pub file: Option<PathBuf>,
    /// The arguments without which it is not what its name says: those of the user's own checkout.
    pub checkout: Vec<String>,
    /// How it is started; or why it can not be, here.
    pub launch: Result<Launch, String>,
}

/// How a target's loader is started.
#[derive(Debug, Clone)]
pub enum Launch {
    /// A plan process of this executable, by name of the loader.
    PlanProcess(String),
    /// Another program.
    Program(LoaderLaunch),
}

/// Where a line goes that a user is to see while something lasts.
pub type Tell<'a> = &'a dyn Fn(std::fmt::Arguments<'_>);
