//! Broken: the loader keeps one current-thread runtime for its blocking load, and hands out tools that are awaited on
//! the caller's runtime. The sessions live on a runtime that no thread drives after `block_on` has returned, so a call
//! waits forever, and so does a close.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};

use super::aside::{HeldScope, on_a_thread};
use super::plain::{self, Handle, Services};
use crate::reference::Config;

/// Keeps its sessions on a runtime that only runs during a load.
pub struct RuntimeNotDriven {
    scopes: Scopes,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    runtime: Option<Arc<Runtime>>,
    services: Services,
    peers: BTreeMap<String, Handle>,
    loaded: Loaded,
    scope: Option<HeldScope>,
}

impl Drop for Open {
    fn drop(&mut self) {
        // Not the mistake shown here: a plain drop would panic inside a runtime.
        if let Some(runtime) = self.runtime.take().and_then(Arc::into_inner) {
            runtime.shutdown_background();
        }
    }
}

impl RuntimeNotDriven {
    /// A loader that has loaded nothing.
    #[must_use]
    pub fn new(scopes: Scopes) -> Self {
        Self { scopes, open: Mutex::default() }
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn runtime(&self) -> Result<Arc<Runtime>, Failure> {
        let mut open = self.open();
        if let Some(runtime) = &open.runtime {
            return Ok(Arc::clone(runtime));
        }
        let built = Builder::new_current_thread().enable_all().build();
        let runtime = Arc::new(built.map_err(|error| Failure::of("Runtime", &error))?);
        open.runtime = Some(Arc::clone(&runtime));
        Ok(runtime)
    }

    fn keep(&self, connected: Connected) -> Loaded {
        let Connected { services, loaded, scope } = connected;
        let mut open = self.open();
        open.peers = services.iter().map(|(name, service)| (name.clone(), service.peer().clone())).collect();
        open.services = services;
        open.scope = Some(scope);
        open.loaded = loaded.clone();
        loaded
    }
}

struct Connected {
    services: Services,
    loaded: Loaded,
    scope: HeldScope,
}

async fn connect(config: Config, scopes: Scopes) -> Connected {
    let mut loaded = Loaded::default();
    let scope = HeldScope::enter(scopes).await;
    let services = plain::connect_all(&config, &mut loaded).await;
    Connected { services, loaded, scope }
}

impl Loader for RuntimeNotDriven {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let config = plain::servers(config)?;
            let (runtime, scopes) = (self.runtime()?, self.scopes.clone());
            let connected = on_a_thread(move || runtime.block_on(connect(config, scopes))).await?;
            Ok(self.keep(connected))
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Box::pin(async move { Ok(self.open().loaded.clone()) })
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let peer = self.open().peers.get(server).cloned().ok_or_else(|| plain::unknown(server))?;
            // The mistake: awaited here, while the other end of the channel sleeps on our own runtime.
            plain::call(&peer, tool, arguments).await
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let services = std::mem::take(&mut self.open().services);
            let scope = self.open().scope.take();
            let closed = plain::close_all(services).await;
            if let Some(scope) = scope {
                scope.leave().await;
            }
            closed
        })
    }
}
