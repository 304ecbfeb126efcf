//! Loaders to try mcp-lifecheck on: a correct one, broken ones, and mutations of the correct one.
//!
//! This is the only crate of the workspace that names rmcp. An executable that links it can host these loaders by name:
//! a static of `registry` joins the collections that `mcp_lifecheck::loader::registered` knows.
//!
//! - [`mod@reference`]: the reference loader, [`reference::ToolsLoader`]: what a correct loader does.
//! - [`broken`]: loaders that make the mistakes found in published code, on rmcp as its README uses it.
//! - [`mutation`]: the reference loader with one small change each, for tests of the invariants.
//! - [`registry`]: all of them by name.

pub mod broken;
pub mod mutation;
pub mod reference;
pub mod registry;
