//! Input of a self-test: the adapter, its transports and the limits.

use std::path::PathBuf;

use crate::drive::LoaderLaunch;
use crate::plan::{Limits, Transport};

/// The adapter to test, and the conditions.
#[derive(Debug, Clone)]
pub struct SelfTestInput {
    /// How to start the adapter.
    pub launch: LoaderLaunch,
    /// The transports over which its loader reaches servers. The first one gets every check, the others a few.
    pub transports: Vec<SelfTestTransport>,
    /// The limits that apply.
    pub limits: Limits,
    /// Existing folder for the adapter's output, as an absolute path.
    pub directory: PathBuf,
}

/// A transport, with the loader's promise about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SelfTestTransport {
    /// The transport.
    pub transport: Transport,
    /// Whether the loader promises that its cleanup ends the servers.
    pub closes_servers: bool,
}
