//! Doing a step on a thread of its own, and holding a scope in a task of its own.

use std::thread;

use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck::loader::target::Failure;
use tokio::sync::oneshot;

use super::plain;

/// Runs `step` on a fresh thread, the usual way around "cannot start a runtime from within a runtime".
pub(super) async fn on_a_thread<T: Send + 'static>(step: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
    let (done, result) = oneshot::channel();
    thread::spawn(move || {
        // Nobody waits any more if the step was given up.
        let _ = done.send(step());
    });
    result.await.map_err(|_| plain::failure("StepPanicked", "the thread of the step ended without a result"))
}

/// A scope that lives in a task of the current runtime, as rmcp's own session does.
pub(super) struct HeldScope {
    stop: oneshot::Sender<()>,
    left: oneshot::Receiver<()>,
}

impl HeldScope {
    /// Enters the scope. Its guard is dropped, not left, if the runtime goes first.
    pub(super) async fn enter(scopes: Scopes) -> Self {
        let (entered, is_entered) = oneshot::channel();
        let (stop, stopped) = oneshot::channel();
        let (leaving, left) = oneshot::channel();
        tokio::spawn(async move {
            let scope = scopes.enter("sessions");
            let _ = entered.send(());
            if stopped.await.is_ok() {
                scope.leave();
            }
            let _ = leaving.send(());
        });
        let _ = is_entered.await;
        Self { stop, left }
    }

    /// Leaves the scope, if its task still lives.
    pub(super) async fn leave(self) {
        let _ = self.stop.send(());
        let _ = self.left.await;
    }
}
