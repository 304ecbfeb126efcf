//! The header: the first line of a history, with the facts that hold for the whole plan.

use serde::{Deserialize, Serialize};

use crate::history::Origin;
use crate::plan::{Limits, Promises, Transport};

/// Version of the file format. Any change increases it and adds a test that reads the old version.
pub const SCHEMA: u32 = 1;

/// Exit code of an adapter that lost its link. The experiment failed; the loader is not at fault.
///
/// Source: adapters/PROTOCOL.md, Transport.
pub const LINK_LOST_CODE: i32 = 86;

/// The transport of a trace that names none.
pub const UNKNOWN_TRANSPORT: &str = "unknown";

/// The facts of one plan: its subject, its conditions and the expectations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// Always [`SCHEMA`].
    pub schema: u32,
    /// Id of the plan.
    pub plan: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the loader, including its stack.
    pub loader: String,
    /// Revision of the protocol that the loader was configured to use.
    pub revision: String,
    /// The transport, as [`Transport::recorded`] names it.
    pub transport: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// The promises in the loader's description.
    #[serde(default)]
    pub promises: Promises,
    /// The limits that applied.
    #[serde(default)]
    pub limits: Limits,
    /// The servers of the scenario.
    #[serde(default)]
    pub servers: Vec<ServerFacts>,
    /// Expectations of a host: a program that mcp-lifecheck starts and observes, but sends no operations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostFacts>,
    /// The recorder of the history.
    #[serde(default, skip_serializing_if = "Origin::is_harness")]
    pub origin: Origin,
}

/// Expectations of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostFacts {
    /// Methods that must arrive before the host's end. Requests among them must also be answered.
    pub exchange: Vec<String>,
    /// Delay before reopening an ended stream, as the server announced it, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
    /// Expectations of a finished application; `None` for a conformance client.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationFacts>,
}

/// Expectations of a finished application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ApplicationFacts {
    /// Whether the first connection to each server must last until the application ends.
    #[serde(default)]
    pub same_servers: bool,
    /// The required exit status; `None` if any will do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}

/// One server of the scenario.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerFacts {
    /// Name in the configuration.
    pub name: String,
    /// Name of its script.
    pub script: String,
}

impl Header {
    /// Expectations of a finished application; `None` if the subject is something else.
    #[must_use]
    pub fn application(&self) -> Option<&ApplicationFacts> {
        self.host.as_ref()?.application.as_ref()
    }

    /// The transport that it counts as when the history is judged: HTTP in memory counts as HTTP.
    #[must_use]
    pub fn carried_by(&self) -> &str {
        Transport::counted_as(&self.transport)
    }

    /// A header with default promises and limits, for tests and handwritten histories.
    #[must_use]
    pub fn new(plan: &str) -> Self {
        Self {
            schema: SCHEMA,
            plan: plan.to_owned(),
            scenario: plan.to_owned(),
            loader: "unnamed".to_owned(),
            revision: "2025-11-25".to_owned(),
            transport: "stdio".to_owned(),
            seed: 0,
            promises: Promises::default(),
            limits: Limits::default(),
            servers: Vec::new(),
            host: None,
            origin: Origin::Harness,
        }
    }
}
