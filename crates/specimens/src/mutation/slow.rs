//! Mutations that wait, or let others wait, where a loader must not.

use std::future::pending;
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use mcp_lifecheck::loader::scopes::{ScopeGuard, Scopes};
use mcp_lifecheck::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
use rustix::process::Signal;
use serde_json::Value;
use tokio::time::sleep;

use crate::mutation::around::Alter;
use crate::mutation::children::signal_children;
use crate::reference::ToolsLoader;

/// How long a cancelled call still keeps its thread. The bound of the rule is shorter in the scenarios of the zoo.
const BLOCKED: Duration = Duration::from_secs(2);
/// How late a failure is told. Longer than a failure may take in the scenarios of the zoo, shorter than any operation may.
const LATE: Duration = Duration::from_secs(3);
/// How long a server may take to exit by itself before it is killed. A polite server takes less.
const UNTIL_KILL: Duration = Duration::from_millis(500);

/// Tells of a failure late, or never.
pub(super) struct FailuresLate {
    after: Option<Duration>,
}

impl FailuresLate {
    pub(super) fn never() -> Self {
        Self { after: None }
    }

    pub(super) fn late() -> Self {
        Self { after: Some(LATE) }
    }

    async fn wait(&self) {
        match self.after {
            Some(after) => sleep(after).await,
            None => pending().await,
        }
    }
}

impl Alter for FailuresLate {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let outcome = inner.load(config).await;
            if outcome.as_ref().is_ok_and(|loaded| loaded.errors.is_empty()) {
                return outcome;
            }
            self.wait().await;
            outcome
        })
    }

    fn call<'a>(
        &'a self,
        inner: &'a dyn Loader,
        server: &'a str,
        tool: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let outcome = inner.call(server, tool, arguments).await;
            if outcome.is_err() {
                self.wait().await;
            }
            outcome
        })
    }
}

/// Blocks the thread of a call that is cancelled.
pub(super) struct CancelBlocks;

/// Blocks when it is dropped, unless its call had ended.
struct Blocking {
    is_over: bool,
}

impl Drop for Blocking {
    fn drop(&mut self) {
        if !self.is_over {
            thread::sleep(BLOCKED);
        }
    }
}

impl Alter for CancelBlocks {
    fn call<'a>(
        &'a self,
        inner: &'a dyn Loader,
        server: &'a str,
        tool: &'a str,
        arguments: Value,
    ) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let mut blocking = Blocking { is_over: false };
            let answer = inner.call(server, tool, arguments).await;
            blocking.is_over = true;
            answer
        })
    }
}

/// Closes everything, and never says that it has.
pub(super) struct CloseStuck;

impl Alter for CloseStuck {
    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            inner.close().await?;
            pending().await
        })
    }
}

/// Keeps the processors busy from the first load on.
#[derive(Default)]
pub(super) struct Spins {
    spinning: Mutex<Vec<thread::JoinHandle<()>>>,
}

/// How many threads spin: enough to get a share of a busy machine.
const N_SPINNING: usize = 4;

impl Alter for Spins {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        let mut spinning = self.spinning.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        while spinning.len() < N_SPINNING {
            spinning.push(thread::spawn(|| {
                loop {
                    std::hint::spin_loop();
                }
            }));
        }
        inner.load(config)
    }
}

/// Kills every server that has not exited by itself soon after the end of its input.
pub(super) struct KilledWithoutTerm {
    /// Whether it interrupts the server before.
    pub(super) interrupts: bool,
}

impl Alter for KilledWithoutTerm {
    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async {
            let kill = async {
                sleep(UNTIL_KILL).await;
                if self.interrupts {
                    signal_children(Signal::INT).await;
                }
                signal_children(Signal::KILL).await;
            };
            let (closed, ()) = tokio::join!(inner.close(), kill);
            closed
        })
    }
}

/// Enters a scope of its own in each load.
pub(super) struct OwnScope {
    scopes: Scopes,
    open: Mutex<Option<ScopeGuard>>,
    /// Whether the load itself drops it, so that its finaliser ends it. Else a close leaves it.
    is_dropped: bool,
}

impl OwnScope {
    pub(super) fn dropped(scopes: Scopes) -> Self {
        Self { scopes, open: Mutex::default(), is_dropped: true }
    }

    pub(super) fn left_by_close(scopes: Scopes) -> Self {
        Self { scopes, open: Mutex::default(), is_dropped: false }
    }

    fn open(&self) -> std::sync::MutexGuard<'_, Option<ScopeGuard>> {
        self.open.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Alter for OwnScope {
    fn load<'a>(&'a self, inner: &'a dyn Loader, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let entered = self.scopes.enter("group of all sessions");
            let loaded = inner.load(config).await;
            if self.is_dropped {
                drop(entered);
            } else {
                *self.open() = Some(entered);
            }
            loaded
        })
    }

    fn close<'a>(&'a self, inner: &'a ToolsLoader) -> BoxFuture<'a, Result<(), Failure>> {
        Box::pin(async move {
            if let Some(entered) = self.open().take() {
                entered.leave();
            }
            inner.close().await
        })
    }
}
