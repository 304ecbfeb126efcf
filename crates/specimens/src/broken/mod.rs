//! Loaders that make the mistakes of published code. They use rmcp as its README shows.
//!
//! - `closed_early`: the session is a local variable of load. The tools outlive it.
//! - `run_per_step`: every step has a runtime of its own, which is dropped after the step.
//! - `runtime_not_driven`: one runtime that no thread drives between steps.
//! - `drop_outside_runtime`: an owner that is correct only if it is dropped outside of a runtime.
//! - `rmcp_readme`: not broken by design: the code of the README, kept in a struct.
//!
//! They share `plain`, `web` and `aside`: connecting over stdio and HTTP, listing and calling; a thread for a step, a
//! task for a scope.

mod aside;
mod closed_early;
mod drop_outside_runtime;
mod plain;
mod rmcp_readme;
mod run_per_step;
mod runtime_not_driven;
mod web;

pub use closed_early::ClosedEarly;
pub use drop_outside_runtime::DropOutsideRuntime;
#[doc(hidden)]
pub use plain::or_end;
pub use rmcp_readme::RmcpReadme;
pub use run_per_step::RunPerStep;
pub use runtime_not_driven::RuntimeNotDriven;
