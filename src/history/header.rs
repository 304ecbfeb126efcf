//! The first line of a history: the facts that hold for the whole plan.

use serde::{Deserialize, Serialize};

use crate::plan::{Limits, Promises};

/// Number of the written format. Any change raises it and brings a test that reads the old one.
pub const SCHEMA: u32 = 1;

/// Exit code of an adapter that ended because it lost its link: the experiment failed, and the loader is not to blame.
///
/// Source: adapters/PROTOCOL.md, Transport.
pub const LINK_LOST_CODE: i32 = 86;

/// What was run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Header {
    /// [`SCHEMA`].
    pub schema: u32,
    /// Id of the plan.
    pub plan: String,
    /// Name of the scenario.
    pub scenario: String,
    /// Name of the loader, with its stack.
    pub loader: String,
    /// Revision of the protocol the loader was asked to speak.
    pub revision: String,
    /// `memory` (lines), `memory/http`, `stdio`, `http` or `sse`.
    pub transport: String,
    /// Seed of whatever is drawn by chance.
    pub seed: u64,
    /// The loader's promises.
    #[serde(default)]
    pub promises: Promises,
    /// Limits in force.
    #[serde(default)]
    pub limits: Limits,
    /// The servers of the scenario.
    #[serde(default)]
    pub servers: Vec<ServerFacts>,
    /// What is expected of a host: a program that is started and watched, and of which nothing is asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub host: Option<HostFacts>,
}

/// What is expected of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct HostFacts {
    /// Methods that have to arrive before its end, and to be answered where they are requests.
    pub exchange: Vec<String>,
    /// How long it is told to wait before it takes up a stream that ended, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_ms: Option<u64>,
    /// What is expected where the host is a finished application, which knows of no conformance contract.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub application: Option<ApplicationFacts>,
}

/// What is expected of a finished application.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct ApplicationFacts {
    /// Whether the connections it opened first have to serve it to its end.
    #[serde(default)]
    pub same_servers: bool,
    /// The status it has to exit with, where its plan says one.
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
    /// What is expected of a finished application, where the history is one of that.
    #[must_use]
    pub fn application(&self) -> Option<&ApplicationFacts> {
        self.host.as_ref()?.application.as_ref()
    }

    /// The transport, with HTTP in memory as the HTTP it is.
    #[must_use]
    pub fn carried_by(&self) -> &str {
        self.transport.strip_prefix("memory/").unwrap_or(&self.transport)
    }

    /// A header with default promises and limits, for tests and for histories that do not say more.
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
        }
    }
}
