//! Tool loaders: the part of an agent application that opens MCP connections and offers their tools to a model.
//!
//! - `target`: the one interface that every Rust loader offers.
//! - `scopes`: how a loader reports what it entered and left.
//! - `memory`: servers in this very process, as a loader sees them.
//! - `host`: the plan process, in which a Rust loader runs.
//! - `registered`: the Rust loaders that the crates of this executable bring, by name.

pub mod host;
pub mod memory;
pub mod registered;
pub mod scopes;
pub mod target;
