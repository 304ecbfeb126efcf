//! Verifying a loader of your own in `cargo test`; and a mock server for any test of a client, [`MockServer`].
//!
//! For a verification, implement [`Loader`] for it, and hand it over:
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
//! Every plan runs in a process of its own: the test binary is re-entered, before its `main`, and makes the loader afresh
//! from what [`loader_factory!`](crate::loader_factory) registered. So a loader that hangs, aborts or leaks does that to
//! nobody else, and tests may run in parallel, in one process or in many. Where the early entry does not exist (elsewhere
//! than on Linux), the first line of a main of your own, with `harness = false`, has to be [`enter`].
//!
//! Reporting [`Scopes`] is optional: without them a loader is judged from the wire and the process table.

pub mod mock;
mod options;
mod verify;

pub use crate::loader::memory::{Connector, MemoryAddress, MemoryCarrier, Pipes};
pub use crate::loader::registered::{Registered, Setup};
pub use crate::loader::scopes::{ScopeGuard, Scopes};
pub use crate::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
pub use crate::plan::{
    Baseline, BaselineEntry, ContextKind, Limits, Promises, Revision, SessionPromise, ShutdownBehaviour, Transport,
};
pub use crate::report::{Counts, FindingRow, PlanRow, RunReport, RunVerdict};
pub use crate::run::{RunError, Temperaments};
pub use mock::MockServer;
pub use options::{Options, Severity};
pub use verify::{NotVerified, verify, verify_with};

/// Registers a loader under a name and gives the `&'static` [`Registered`] to hand to [`verify`](crate::testing::verify).
///
/// The name appears in plans and reports; it is unique in its executable and no name of a shipped loader. The second
/// argument makes a loader from a [`Setup`](crate::testing::Setup): a function, or a closure that captures nothing, because
/// it runs again in every plan process.
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
        static ENTRY: $crate::testing::Registered =
            $crate::testing::Registered::new($name, ::std::env!("CARGO_PKG_NAME"), fresh);
        &ENTRY
    }};
}

/// What [`loader_factory!`](crate::loader_factory) expands to. Not for use by hand.
#[doc(hidden)]
pub mod hidden {
    use std::sync::Arc;

    pub use linkme;

    pub use crate::loader::registered::REGISTERED;
    use crate::testing::{Loader, Setup};

    /// Makes one loader.
    pub fn fresh<L: Loader + 'static>(setup: Setup, make: impl FnOnce(Setup) -> L) -> Arc<dyn Loader> {
        Arc::new(make(setup))
    }
}

/// Ends this process as the helper it was started as, where it was started as one; otherwise returns at once.
///
/// For the first line of `main` in a test with `harness = false`, elsewhere than on Linux.
pub fn enter() {
    if let Some(code) = crate::reentry::enter() {
        std::process::exit(i32::from(code));
    }
}
