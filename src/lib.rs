//! mcp-vigil: a test harness and lifecycle verifier for programs that use MCP servers.
//!
//! Data flows one way: [`plan`] → drive → loader ↔ mock servers → recorder → [`history`] → [`check`] → verdict → report.
//! Layers point down; `tests/layers.rs` lists who may use whom.

pub mod history;
pub mod plan;
