//! Broken: the `RunningService` is a local variable of `load` and goes out of scope with it. The loader keeps the peers
//! and the tools. That is enough for a call to compile, but every call finds the transport closed.

use std::collections::BTreeMap;

use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
use serde_json::Value;
use tokio::sync::Mutex;

use super::plain::{self, Handle};
use crate::reference::Config;

/// Keeps the tools and drops the session.
pub struct ClosedEarly {
    scopes: Scopes,
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    peers: BTreeMap<String, Handle>,
    loaded: Loaded,
}

impl ClosedEarly {
    /// A loader that has loaded nothing.
    #[must_use]
    pub fn new(scopes: Scopes) -> Self {
        Self { scopes, kept: Mutex::default() }
    }

    async fn load_into(&self, config: &Config) -> Loaded {
        let scope = self.scopes.enter("sessions");
        let mut loaded = Loaded::default();
        let services = plain::connect_all(config, &mut loaded).await;
        let peers = services.iter().map(|(name, service)| (name.clone(), service.peer().clone()));
        *self.kept.lock().await = Kept { peers: peers.collect(), loaded: loaded.clone() };
        scope.leave();
        loaded
        // The mistake: `services` is dropped here, and every session with it.
    }
}

impl Loader for ClosedEarly {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move { Ok(self.load_into(&plain::servers(config)?).await) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Box::pin(async move { Ok(self.kept.lock().await.loaded.clone()) })
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let peer = self.kept.lock().await.peers.get(server).cloned();
            plain::call(&peer.ok_or_else(|| plain::unknown(server))?, tool, arguments).await
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            // There is nothing left to close, so this always succeeds.
            *self.kept.lock().await = Kept::default();
            Ok(())
        })
    }
}
