//! Tool loaders: the part of an agent application that opens MCP connections and hands out their tools.
//!
//! - `target`: the one interface that every Rust loader offers.
//! - `scopes`: how a loader reports what it entered and left.
//! - `memory`: servers in this very process, as a loader sees them.
//! - `rmcp`: the reference loader, on rmcp.
//! - `broken`: loaders that make the mistakes met in published code, on rmcp used plainly.
//! - `mutant`: seeded changes of the reference loader, for tests.
//! - `host`: the plan process, in which a Rust loader runs.
//! - `registered`: Rust loaders that another crate brings.
//! - `registry`: the Rust loaders by name.

pub mod broken;
pub mod host;
pub mod memory;
pub mod mutant;
pub mod registered;
pub mod registry;
pub mod rmcp;
pub mod scopes;
pub mod target;
