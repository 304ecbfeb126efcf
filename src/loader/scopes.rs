//! Scopes: acquired resources with an enter and an exit, as a Rust loader reports them.
//!
//! A loader that wants to be judged on how it leaves its sessions enters a scope when it opens one and calls
//! [`ScopeGuard::leave`] when it closes it. A guard that is merely dropped is an exit by finaliser. Thread, runtime and
//! task are taken by themselves, at enter and at exit. A loader that reports no scopes is judged from the wire.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// How a scope was left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leaving {
    /// The code that owns it left it.
    Explicit,
    /// It was dropped: nobody left it, its owner went away.
    Finaliser,
}

/// Where reports of scopes go. Both calls return only when the report is recorded.
pub trait ScopeSink: Send + Sync {
    /// A scope with this number and name was entered here and now.
    fn entered(&self, number: u64, name: &str);
    /// The scope with this number was left here and now.
    fn left(&self, number: u64, how: Leaving);
}

/// Hands out scopes. Cheap to clone.
#[derive(Clone)]
pub struct Scopes {
    inner: Option<Arc<Inner>>,
}

struct Inner {
    sink: Box<dyn ScopeSink>,
    n_entered: AtomicU64,
}

impl Scopes {
    /// Scopes that are reported nowhere, for a loader outside a verification.
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
    pub fn enter(&self, name: &str) -> ScopeGuard {
        let entered = self.inner.as_ref().map(|inner| {
            let number = inner.n_entered.fetch_add(1, Ordering::Relaxed) + 1;
            inner.sink.entered(number, name);
            (Arc::clone(inner), number)
        });
        ScopeGuard { entered }
    }
}

/// A scope that is open. Leave it with [`ScopeGuard::leave`].
pub struct ScopeGuard {
    entered: Option<(Arc<Inner>, u64)>,
}

impl ScopeGuard {
    /// Leaves the scope explicitly.
    pub fn leave(mut self) {
        self.end(Leaving::Explicit);
    }

    fn end(&mut self, how: Leaving) {
        if let Some((inner, number)) = self.entered.take() {
            inner.sink.left(number, how);
        }
    }
}

impl Drop for ScopeGuard {
    fn drop(&mut self) {
        self.end(Leaving::Finaliser);
    }
}
