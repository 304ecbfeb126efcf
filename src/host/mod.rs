//! Runs a host: a program that is started against mocks and watched, and of which nothing is asked.
//!
//! A host is a black box: no adapter, no operations. What is known of it is what the mocks received, what the
//! process table says and what it wrote. There are two kinds: [`ClientScenario`] is what official conformance clients know by name;
//! [`Application`] is a finished program that is put through a plan as its user would, and [`prepared`] is what has to be right of it
//! before anything runs.

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
pub use prepare::{Asked, Prepared, prepared, shipped_host_plan, shipped_host_plans};
pub use scenario::{ClientScenario, client_scenarios};
