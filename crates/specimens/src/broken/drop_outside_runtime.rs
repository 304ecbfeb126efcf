//! Broken: the loader owns a runtime that drives its sessions properly, and `close` simply drops it. Inside an async
//! context that panics. In every context it also drops the code that would end the servers, so a stubborn server
//! survives.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
use serde_json::Value;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinError;

use super::aside::HeldScope;
use super::plain::{self, Handle, Services};
use crate::reference::Config;

/// Owns a runtime, and drops it in the context of the caller.
pub struct DropOutsideRuntime {
    scopes: Scopes,
    open: Mutex<Option<Open>>,
}

struct Open {
    peers: BTreeMap<String, Handle>,
    loaded: Loaded,
    // Held only so that the sessions live as long as the runtime.
    _services: Services,
    _scope: HeldScope,
    runtime: Runtime,
}

impl DropOutsideRuntime {
    /// A loader that has loaded nothing.
    #[must_use]
    pub fn new(scopes: Scopes) -> Self {
        Self { scopes, open: Mutex::new(None) }
    }

    fn open(&self) -> MutexGuard<'_, Option<Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn peer(&self, server: &str) -> Option<(Handle, tokio::runtime::Handle)> {
        let open = self.open();
        let open = open.as_ref()?;
        Some((open.peers.get(server)?.clone(), open.runtime.handle().clone()))
    }
}

async fn connect(config: Config, scopes: Scopes) -> (Services, Loaded, HeldScope) {
    let mut loaded = Loaded::default();
    let scope = HeldScope::enter(scopes).await;
    let services = plain::connect_all(&config, &mut loaded).await;
    (services, loaded, scope)
}

fn join_failure(error: &JoinError) -> Failure {
    Failure::of("JoinError", error)
}

impl Loader for DropOutsideRuntime {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let config = plain::servers(config)?;
            let built = Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let runtime = built.map_err(|error| Failure::of("Runtime", &error))?;
            let connecting = runtime.spawn(connect(config, self.scopes.clone()));
            let (services, loaded, scope) = connecting.await.map_err(|error| join_failure(&error))?;
            let peers = services.iter().map(|(name, service)| (name.clone(), service.peer().clone())).collect();
            let open = Open { peers, loaded: loaded.clone(), _services: services, _scope: scope, runtime };
            *self.open() = Some(open);
            Ok(loaded)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Box::pin(async move { Ok(self.open().as_ref().map(|open| open.loaded.clone()).unwrap_or_default()) })
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let (peer, runtime) = self.peer(server).ok_or_else(|| plain::unknown(server))?;
            let tool = tool.to_owned();
            let calling = runtime.spawn(async move { plain::call(&peer, &tool, arguments).await });
            calling.await.map_err(|error| join_failure(&error))?
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            let open = self.open().take();
            // The mistake: the runtime is dropped here, inside whatever runtime polls this.
            drop(open);
            Ok(())
        })
    }
}
