//! Runs a host: a program that is started against mocks and watched, and of which nothing is asked.
//!
//! Start at [`run_host`]. A host is a black box: no adapter, no operations. What is known of it is what the mocks received, what the
//! process table says and what it wrote. [`ClientScenario`] is what official conformance clients know by name.

mod ending;
mod run;
mod scenario;
mod stderr;

pub use run::{HostInput, run_host};
pub use scenario::{ClientScenario, client_scenarios};
