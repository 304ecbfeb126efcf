//! A small tool loader on raw pipes, with a correct and a wrong way to end its servers.

mod server;

use std::collections::BTreeMap;
use std::sync::Arc;

use mcp_lifecheck::testing::{BoxFuture, Called, Failure, Loaded, Loader, Setup};
use serde_json::{Value, json};
use tokio::sync::Mutex;

use server::Server;

/// How a loader ends its servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Correct: end of input, then SIGTERM, then SIGKILL, with a wait after each.
    Ladder,
    /// The mistake: end of input only. A server that ignores it keeps running.
    InputOnly,
}

/// Keeps a session with every server from load to close.
pub struct PipeLoader {
    setup: Setup,
    ending: Ending,
    servers: Mutex<BTreeMap<String, Arc<Server>>>,
}

impl PipeLoader {
    /// A loader that has loaded nothing.
    pub fn new(setup: Setup, ending: Ending) -> Self {
        Self { setup, ending, servers: Mutex::default() }
    }

    async fn end(&self, server: &Server) {
        match self.ending {
            Ending::Ladder => server.end().await,
            Ending::InputOnly => server.close_input(),
        }
    }

    /// Brings the loader to this configuration: keeps unchanged servers, ends the others, and opens new ones.
    async fn reconcile(&self, config: &Value) -> Loaded {
        let mut servers = self.servers.lock().await;
        let wanted = config["mcpServers"].as_object().cloned().unwrap_or_default();
        let mut before = std::mem::take(&mut *servers);
        let mut errors = BTreeMap::new();
        for (name, config) in &wanted {
            match before.remove(name) {
                Some(kept) if kept.is_usable(config) => drop(servers.insert(name.clone(), kept)),
                other => {
                    if let Some(other) = other {
                        self.end(&other).await;
                    }
                    match Server::open(config, self.setup.revision.as_str()).await {
                        Ok(server) => drop(servers.insert(name.clone(), server)),
                        Err(failure) => drop(errors.insert(name.clone(), failure.message)),
                    }
                }
            }
        }
        for removed in before.values() {
            self.end(removed).await;
        }
        Loaded { errors, ..advertised(&servers) }
    }
}

fn advertised(servers: &BTreeMap<String, Arc<Server>>) -> Loaded {
    let tools = servers.iter().flat_map(|(name, server)| server.tools.iter().map(|tool| (name.clone(), tool.clone())));
    Loaded { tools: tools.collect(), ..Loaded::default() }
}

impl Loader for PipeLoader {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move { Ok(self.reconcile(config).await) })
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Box::pin(async move { Ok(advertised(&*self.servers.lock().await)) })
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let found = self.servers.lock().await.get(server).cloned();
            let server = found.ok_or_else(|| server::failure("NotLoaded", &format!("no server {server:?}")))?;
            let answer = server.call(json!({ "name": tool, "arguments": arguments })).await?;
            let blocks = answer["content"].as_array().cloned().unwrap_or_default();
            let texts: Vec<_> = blocks.iter().filter_map(|block| block["text"].as_str()).collect();
            Ok(Called { text: texts.join("\n"), is_error: answer["isError"] == true })
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move {
            for server in std::mem::take(&mut *self.servers.lock().await).values() {
                self.end(server).await;
            }
            Ok(())
        })
    }
}
