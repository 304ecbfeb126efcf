//! The crate's sessions as a loader that mcp-lifecheck can drive.

use std::error::Error;

use consumer::Sessions;
use mcp_lifecheck::testing::{BoxFuture, Called, Failure, Loaded, Loader};
use serde_json::Value;

#[derive(Default)]
pub struct RmcpLoader {
    sessions: Sessions,
}

fn failure(error: Box<dyn Error + Send + Sync>) -> Failure {
    Failure::of("Rmcp", &*error)
}

impl Loader for RmcpLoader {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            for (name, entry) in config["mcpServers"].as_object().into_iter().flatten() {
                let arguments = entry["args"].as_array().into_iter().flatten().filter_map(Value::as_str);
                let program = entry["command"].as_str().unwrap_or_default();
                self.sessions.open(name, program, &arguments.collect::<Vec<_>>()).await.map_err(failure)?;
            }
            self.list().await
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Box::pin(async { Ok(Loaded { tools: self.sessions.tools().await.map_err(failure)?, ..Loaded::default() }) })
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let (text, is_error) = self.sessions.call(server, tool, &arguments).await.map_err(failure)?;
            Ok(Called { text, is_error })
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async { self.sessions.close().await.map_err(failure) })
    }
}
