//! Tool loaders: the part of an agent application that opens MCP connections and offers their tools to a model.
//!
//! - `target`: the interface between a driver and a Rust loader.
//! - `scopes`: how a loader reports the scopes that it enters and leaves.
//! - `memory`: servers in the loader's own process, as the loader sees them.
//! - `host`: the plan process, in which a Rust loader runs.
//! - `registered`: the Rust loaders of this executable, by name.

pub mod host;
pub mod memory;
pub mod registered;
pub mod scopes;
pub mod target;
