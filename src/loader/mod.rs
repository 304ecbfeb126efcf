//! Tool loaders: the part of an agent application that opens MCP connections and offers their tools to a model.
//!
//! - `target`: the interface between a driver and a Rust loader.
//! - `scopes`: how a loader reports the scopes that it enters and leaves.
//! - `memory`: servers in the loader's own process, as the loader sees them.
//! - `rmcp`: the reference loader, on rmcp.
//! - `broken`: loaders with mistakes found in published code, on plain rmcp.
//! - `mutant`: mutations of the reference loader, for tests.
//! - `host`: the plan process, in which a Rust loader runs.
//! - `registered`: Rust loaders that another crate registers.
//! - `registry`: Rust loaders by name.

pub mod broken;
pub mod host;
pub mod memory;
pub mod mutant;
pub mod registered;
pub mod registry;
pub mod rmcp;
pub mod scopes;
pub mod target;
