//! Not broken by design: the loader keeps the `RunningService`, and `close` closes it on the runtime of the caller. Its
//! sessions end with the runtime of the load. It has only the timeouts of rmcp, and rmcp has none on `initialize` and
//! on calls.

use mcp_lifecheck::loader::scopes::Scopes;
use mcp_lifecheck::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
use serde_json::Value;
use tokio::sync::Mutex;

use super::aside::HeldScope;
use super::plain::{self, Services};

/// What the README of rmcp shows, kept in a struct.
pub struct RmcpReadme {
    scopes: Scopes,
    open: Mutex<Open>,
}

#[derive(Default)]
struct Open {
    services: Services,
    scope: Option<HeldScope>,
}

impl RmcpReadme {
    /// A loader that has loaded nothing.
    #[must_use]
    pub fn new(scopes: Scopes) -> Self {
        Self { scopes, open: Mutex::default() }
    }

    async fn close_open(&self) -> Result<(), Failure> {
        let Open { services, scope } = std::mem::take(&mut *self.open.lock().await);
        let closed = plain::close_all(services).await;
        if let Some(scope) = scope {
            scope.leave().await;
        }
        closed
    }
}

impl Loader for RmcpReadme {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let config = plain::servers(config)?;
            self.close_open().await?;
            let mut loaded = Loaded::default();
            let scope = Some(HeldScope::enter(self.scopes.clone()).await);
            let services = plain::connect_all(&config, &mut loaded).await;
            *self.open.lock().await = Open { services, scope };
            Ok(loaded)
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Box::pin(async move {
            let open = self.open.lock().await;
            Ok(plain::list_all(open.services.iter().map(|(name, service)| (name, service.peer()))).await)
        })
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let peer = self.open.lock().await.services.get(server).map(|service| service.peer().clone());
            plain::call(&peer.ok_or_else(|| plain::unknown(server))?, tool, arguments).await
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(self.close_open())
    }
}
