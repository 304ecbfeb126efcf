//! Optional capabilities of a server, as its script implies them.

/// Capabilities that a server announces in addition to its tools.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Features {
    /// It notifies clients when its list of tools changes.
    pub tools_change: bool,
    /// It sends log messages.
    pub logs: bool,
    /// It takes calls as tasks, in the revision that has tasks.
    pub tasks: bool,
}
