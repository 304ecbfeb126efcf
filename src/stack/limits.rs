//! The timeouts of this module, by name. None is part of a plan.

use std::time::Duration;

/// One timeout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackLimit {
    /// Name, as `mcp-lifecheck explain` and messages show it.
    pub name: &'static str,
    /// Its length; no option changes it.
    pub default: Duration,
    /// The wait that it limits, as one sentence.
    pub about: &'static str,
}

/// Every timeout of this module.
pub const STACK_LIMITS: &[StackLimit] = &[LOCK, VENV, PIP, WITH, NPM, NODE, IMPORT, BROWSER];

/// Long enough for every step of another run's installation.
pub(super) const LOCK: StackLimit = StackLimit {
    name: "stack-lock",
    default: Duration::from_secs(900),
    about: "The wait for another run that installs the same stack.",
};
pub(super) const VENV: StackLimit = StackLimit {
    name: "stack-venv",
    default: Duration::from_secs(120),
    about: "The creation of a stack's virtual environment.",
};
pub(super) const PIP: StackLimit = StackLimit {
    name: "stack-pip",
    default: Duration::from_secs(600),
    about: "The download and installation of a stack's packages.",
};
pub(super) const WITH: StackLimit = StackLimit {
    name: "stack-with",
    default: Duration::from_secs(600),
    about: "The download, build and installation of the packages that --with names.",
};
pub(super) const NPM: StackLimit = StackLimit {
    name: "stack-npm",
    default: Duration::from_secs(600),
    about: "The download and installation of a Node stack's packages.",
};
pub(super) const NODE: StackLimit =
    StackLimit { name: "stack-node", default: Duration::from_secs(30), about: "Reading the version of node." };
pub(super) const IMPORT: StackLimit = StackLimit {
    name: "stack-import",
    default: Duration::from_secs(120),
    about: "The first import of a stack, which reads and compiles all its files.",
};
pub(super) const BROWSER: StackLimit = StackLimit {
    name: "stack-browser",
    default: Duration::from_secs(60),
    about: "Starting and ending the browser once, to check that it can be driven.",
};
