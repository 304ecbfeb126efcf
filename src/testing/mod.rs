//! Verify your own loader in `cargo test`, or test any MCP client against a [`MockServer`].
//!
//! To verify a loader, implement [`Loader`] for it and pass it to [`verify`]:
//!
//! ```no_run
//! use mcp_lifecheck::testing::{BoxFuture, Called, Failure, Loaded, Loader, verify};
//! use serde_json::Value;
//!
//! struct Mine;
//!
//! impl Loader for Mine {
//!     fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
//!         Box::pin(async move { Ok(Loaded::default()) })
//!     }
//!     fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
//!         Box::pin(async move { Ok(Loaded::default()) })
//!     }
//!     fn call<'a>(&'a self, _: &'a str, _: &'a str, _: Value) -> BoxFuture<'a, Result<Called, Failure>> {
//!         Box::pin(async move { Ok(Called { text: String::new(), is_error: false }) })
//!     }
//!     fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
//!         Box::pin(async move { Ok(()) })
//!     }
//! }
//!
//! // In a test this has a #[test] above it.
//! fn my_loader_leads_a_good_life() {
//!     verify(mcp_lifecheck::loader_factory!("mine", |_| Mine));
//! }
//! # my_loader_leads_a_good_life();
//! ```
//!
//! [`verify`] runs scenarios that somebody wrote. [`explore`] looks for a mistake in lives that it draws at random, and shows
//! the smallest life of a finding.
//!
//! Each plan runs in its own process. The test binary starts itself again, and the new process makes a loader before
//! `main`, with the function that [`loader_factory!`](crate::loader_factory) registered. A loader that hangs, aborts or
//! leaks does not affect other tests, and tests may run in parallel, in one process or in many. Only Linux has this
//! early entry. On other systems, the first line of your own `main`, with `harness = false`, must call [`enter`].
//!
//! Reporting [`Scopes`] is optional. Without scopes, the rules judge a loader by its messages and by the process table.

mod binary;
mod explore;
mod explore_options;
mod explored;
pub mod mock;
mod options;
mod regressions;
mod verify;

pub use crate::explore::{ExploreReport, FoundRow};
pub use crate::loader::memory::{Connector, MemoryAddress, MemoryCarrier, Pipes};
pub use crate::loader::registered::{Registered, Setup};
pub use crate::loader::scopes::{ScopeGuard, Scopes};
pub use crate::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
pub use crate::plan::{
    Baseline, BaselineEntry, ContextKind, Limits, Promises, Revision, SessionPromise, ShutdownBehaviour, Transport,
};
pub use crate::report::{Counts, FindingRow, PlanRow, RunReport, RunVerdict};
pub use crate::run::{RunError, Temperaments};
pub use explore::{explore, explore_with};
pub use explore_options::ExploreOptions;
pub use explored::{Exploration, NotExplored};
pub use mock::MockServer;
pub use options::{Options, Severity};
pub use verify::{NotVerified, verify, verify_with};

/// Registers a loader under a name. Returns the `&'static` [`Registered`] that [`verify`](crate::testing::verify) takes.
///
/// The name appears in plans and reports. It must be unique in its executable and differ from those of shipped loaders. The second
/// argument makes a loader from a [`Setup`](crate::testing::Setup). It is a function or a closure without captures, because every plan
/// process calls it again.
///
/// ```
/// # use mcp_lifecheck::testing::{BoxFuture, Called, Failure, Loaded, Loader, Registered, Scopes};
/// # use serde_json::Value;
/// # struct Mine(Scopes);
/// # impl Loader for Mine {
/// #     fn load<'a>(&'a self, _: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> { unreachable!() }
/// #     fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> { unreachable!() }
/// #     fn call<'a>(&'a self, _: &'a str, _: &'a str, _: Value) -> BoxFuture<'a, Result<Called, Failure>> { unreachable!() }
/// #     fn close(&self) -> BoxFuture<'_, Result<(), Failure>> { unreachable!() }
/// # }
/// static MINE: &Registered = mcp_lifecheck::loader_factory!("mine", |setup| Mine(setup.scopes));
/// assert_eq!(MINE.name(), "mine");
/// ```
#[macro_export]
macro_rules! loader_factory {
    ($name:literal, $make:expr $(,)?) => {{
        fn fresh(setup: $crate::testing::Setup) -> ::std::sync::Arc<dyn $crate::testing::Loader> {
            $crate::testing::hidden::fresh(setup, $make)
        }
        #[$crate::testing::hidden::linkme::distributed_slice($crate::testing::hidden::REGISTERED)]
        #[linkme(crate = $crate::testing::hidden::linkme)]
        static ENTRY: $crate::testing::Registered = $crate::testing::Registered::new(
            $name,
            ::std::env!("CARGO_PKG_NAME"),
            ::std::env!("CARGO_MANIFEST_DIR"),
            fresh,
        );
        &ENTRY
    }};
}

/// The expansion of [`loader_factory!`](crate::loader_factory). Do not use it directly.
#[doc(hidden)]
pub mod hidden {
    use std::sync::Arc;

    pub use linkme;

    pub use crate::loader::registered::REGISTERED;
    use crate::testing::{Loader, Setup};

    /// Makes a loader and hides its type.
    pub fn fresh<L: Loader + 'static>(setup: Setup, make: impl FnOnce(Setup) -> L) -> Arc<dyn Loader> {
        Arc::new(make(setup))
    }
}

/// Runs this process as a helper and exits, if it was started as one. Otherwise returns at once.
///
/// Call it in the first line of `main` in a test with `harness = false`. On Linux, the call is not needed.
pub fn enter() {
    if let Some(code) = crate::reentry::enter() {
        std::process::exit(i32::from(code));
    }
}
