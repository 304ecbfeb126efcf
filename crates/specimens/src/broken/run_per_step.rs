//! Broken: every step gets a runtime of its own, which is dropped when the step is over. The `RunningService` is kept,
//! but its task ended with the runtime of the load, and so did the code that would end a stubborn server.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
use serde_json::Value;
use tokio::runtime::Runtime;

use super::aside::{HeldScope, on_a_thread};
use super::plain::{self, Handle, Services};
use crate::reference::Config;

/// Runs each step in a fresh runtime on a fresh thread.
pub struct RunPerStep {
    scopes: Scopes,
    open: Arc<Mutex<Open>>,
}

#[derive(Default)]
struct Open {
    services: Services,
    loaded: Loaded,
    scope: Option<HeldScope>,
}

impl RunPerStep {
    /// A loader that has loaded nothing.
    #[must_use]
    pub fn new(scopes: Scopes) -> Self {
        Self { scopes, open: Arc::default() }
    }

    fn peer(&self, server: &str) -> Option<Handle> {
        lock(&self.open).services.get(server).map(|service| service.peer().clone())
    }
}

fn lock(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The mistake: what `step` starts on this runtime ends here.
fn in_its_own_runtime<T>(step: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    Runtime::new().map_err(|error| Failure::of("Runtime", &error))?.block_on(step)
}

async fn connect(config: Config, scopes: Scopes) -> Result<Open, Failure> {
    let mut loaded = Loaded::default();
    let scope = Some(HeldScope::enter(scopes).await);
    let services = plain::connect_all(&config, &mut loaded).await;
    Ok(Open { services, loaded, scope })
}

async fn close(open: Open) -> Result<(), Failure> {
    let closed = plain::close_all(open.services).await;
    if let Some(scope) = open.scope {
        scope.leave().await;
    }
    closed
}

impl Loader for RunPerStep {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let config = plain::servers(config)?;
            let scopes = self.scopes.clone();
            let connected = on_a_thread(move || in_its_own_runtime(connect(config, scopes))).await??;
            let loaded = connected.loaded.clone();
            *lock(&self.open) = connected;
            Ok(loaded)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Box::pin(async move { Ok(lock(&self.open).loaded.clone()) })
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let peer = self.peer(server).ok_or_else(|| plain::unknown(server))?;
            let tool = tool.to_owned();
            let step = move || in_its_own_runtime(async move { plain::call(&peer, &tool, arguments).await });
            on_a_thread(step).await?
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let open = std::mem::take(&mut *lock(&self.open));
            on_a_thread(move || in_its_own_runtime(close(open))).await?
        })
    }
}
