//! Hosts: programs that the driver starts against mocks and watches from outside.
//!
//! A host has no adapter and offers no operations. The driver sees the messages that the mocks receive, the process table and the host's
//! output. There are two kinds. An official conformance client runs through a [`ClientScenario`], which it knows by name. A finished
//! [`Application`] goes through a plan as its user would; [`prepared`] checks that plan before anything runs.

mod app;
mod config;
mod ending;
mod exits;
mod input;
mod launch;
mod prepare;
mod scenario;
mod stderr;
mod subject;
mod template;

pub use config::{ConfigShape, ServerEntry};
pub use input::{Application, ConfigSource, HostInput, HostKind};
pub use prepare::{HostSettings, Prepared, prepared, shipped_host_plan, shipped_host_plans};
pub use scenario::{ClientScenario, client_scenarios};
