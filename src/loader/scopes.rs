//! Scopes: acquired resources with an enter and an exit, as a Rust loader reports them.
//!
//! Reporting scopes lets the checker judge how a loader leaves its sessions. The loader enters a scope when it opens a
//! session, and calls [`ScopeGuard::leave`] when it closes the session. Dropping the guard without `leave` counts as an
//! exit by finaliser.
//!
//! Each report records its thread, runtime and task automatically. The checker judges a loader without scopes by its
//! messages alone.

use std::panic::Location;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a scope was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// The owning code left it.
    Explicit,
    /// Its guard was dropped without `leave`.
    Finaliser,
}

/// Receives reports of scopes. Both methods return after the recorder has stored the report.
pub trait ScopeSink: Send + Sync {
    /// A scope with this number and name was entered here and now, by the code at `at`.
    fn entered(&self, number: u64, name: &str, at: &Location<'_>);
    /// The scope with this number was left here and now, by the code at `at` unless a drop left it.
    fn left(&self, number: u64, how: Leaving, at: Option<&Location<'_>>);
}

/// Creates scopes. Cheap to clone.
#[derive(Clone)]
pub struct Scopes {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    sink: Box<dyn ScopeSink>,
    n_entered: AtomicU64,
}

impl Scopes {
    /// Scopes without reports, for a loader outside a verification.
    #[must_use]
    pub fn silent() -> Self {
        Self { inner: None }
    }

    /// Scopes that are reported to `sink`.
    #[must_use]
    pub fn reported_to(sink: Box<dyn ScopeSink>) -> Self {
        Self { inner: Some(Arc::new(Inner { sink, n_entered: AtomicU64::new(0) })) }
    }

    /// Enters a scope called `name`, such as `session files`.
    #[must_use = "a guard that is dropped at once is an exit by finaliser"]
    #[track_caller]
    pub fn enter(&self, name: &str) -> ScopeGuard {
        let at = Location::caller();
        let entered = self.inner.as_ref().map(|inner| {
            let number = inner.n_entered.fetch_add(1, Ordering::Relaxed) + 1;
            inner.sink.entered(number, name, at);
            (Arc::clone(inner), number)
        });
        ScopeGuard { entered }
    }
}

/// An open scope. Leave it with [`ScopeGuard::leave`].
pub struct ScopeGuard {
    entered: Option<(Arc<Inner>, u64)>,
}

impl ScopeGuard {
    /// Leaves the scope explicitly.
    #[track_caller]
    pub fn leave(mut self) {
        self.end(Leaving::Explicit, Some(Location::caller()));
    }

    fn end(&mut self, how: Leaving, at: Option<&Location<'_>>) {
        if let Some((inner, number)) = self.entered.take() {
            inner.sink.left(number, how, at);
        }
    }
}

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        self.end(Leaving::Finaliser, None);
    }
}
