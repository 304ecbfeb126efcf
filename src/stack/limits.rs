//! The waits of this module, by name. None of them is part of a plan.

use std::time::Duration;

/// One wait: its name, its length and what it bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StackLimit {
    /// Name, as `mcp-lifecheck explain` and messages show it.
    pub name: &'static str,
    /// Its length.
    pub default: Duration,
    /// What it bounds.
    pub about: &'static str,
}

/// Every wait of this module.
pub const STACK_LIMITS: &[StackLimit] = &[LOCK, VENV, PIP, WITH, NPM, NODE, IMPORT, BROWSER];

/// As long as another run may take for all its steps.
pub(super) const LOCK: StackLimit = StackLimit {
    name: "stack-lock",
    default: Duration::from_secs(900),
    about: "How long another run may take to install the same stack.",
};
pub(super) const VENV: StackLimit = StackLimit {
    name: "stack-venv",
    default: Duration::from_secs(120),
    about: "Making the virtual environment of a stack.",
};
pub(super) const PIP: StackLimit = StackLimit {
    name: "stack-pip",
    default: Duration::from_secs(600),
    about: "Fetching and installing the packages of a stack.",
};
pub(super) const WITH: StackLimit = StackLimit {
    name: "stack-with",
    default: Duration::from_secs(600),
    about: "Fetching, building and installing what --with names.",
};
pub(super) const NPM: StackLimit = StackLimit {
    name: "stack-npm",
    default: Duration::from_secs(600),
    about: "Fetching and installing the packages of a Node stack.",
};
pub(super) const NODE: StackLimit =
    StackLimit { name: "stack-node", default: Duration::from_secs(30), about: "Asking node for its version." };
pub(super) const IMPORT: StackLimit = StackLimit {
    name: "stack-import",
    default: Duration::from_secs(120),
    about: "Importing a stack once: right after its installation, its files are read and compiled for the first time.",
};
pub(super) const BROWSER: StackLimit = StackLimit {
    name: "stack-browser",
    default: Duration::from_secs(60),
    about: "Starting and ending the browser once, to see that it can be driven.",
};
