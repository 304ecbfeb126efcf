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

/// The parts that `tests/loader` also tests alone. No other crate may rely on them.
///
/// Their tests are not in this crate, because the compiler would translate the whole crate a second time for them.
#[doc(hidden)]
pub mod parts {
    pub use crate::broken::or_end;
    pub use crate::reference::{Backoff, Events, PostTarget, RequestMetadata};
}
