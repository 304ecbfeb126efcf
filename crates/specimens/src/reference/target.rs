//! The reference loader behind the interface that all loaders share.

use std::collections::BTreeMap;
use std::sync::Arc;

use indexmap::IndexMap;
use mcp_lifecheck::loader::target::{BoxFuture, Called, Failure, Loaded, Loader};
use rmcp::model::{CallToolResult, ContentBlock};
use serde_json::Value;

use super::config::{Config, ConfigError};
use super::error::{CallError, LoaderError, RequestError, SessionError};
use super::report::ServerTools;
use super::tools_loader::ToolsLoader;

impl Loader for ToolsLoader {
    fn load<'a>(&'a self, config: &'a Value) -> BoxFuture<'a, Result<Loaded, Failure>> {
        Box::pin(async move {
            let config = Config::from_value(config).map_err(|error| config_failure(&error))?;
            let report = ToolsLoader::load(self, &config).await.map_err(|error| loader_failure(&error))?;
            Ok(Loaded { tools: names(&report.tools), errors: reasons(&report.errors) })
        })
    }

    fn list(&self) -> BoxFuture<'_, Result<Loaded, Failure>> {
        Box::pin(async move { Ok(Loaded { tools: names(&self.tools()), errors: reasons(&self.errors()) }) })
    }

    fn call<'a>(&'a self, server: &'a str, tool: &'a str, arguments: Value) -> BoxFuture<'a, Result<Called, Failure>> {
        Box::pin(async move {
            let answer = ToolsLoader::call(self, server, tool, arguments).await;
            answer.map(|answer| called(&answer)).map_err(|error| call_failure(&error))
        })
    }

    fn close(&self) -> BoxFuture<'_, Result<(), Failure>> {
        Box::pin(async move { self.cleanup().await.map(drop).map_err(|error| loader_failure(&error)) })
    }
}

/// The text blocks of an answer, and whether it is an error.
pub(crate) fn called(answer: &CallToolResult) -> Called {
    let texts = answer.content.iter().filter_map(|block| match block {
        ContentBlock::Text(text) => Some(text.text.as_str()),
        _ => None,
    });
    Called { text: texts.collect::<Vec<_>>().join("\n"), is_error: answer.is_error == Some(true) }
}

fn names(servers: &[ServerTools]) -> Vec<(String, String)> {
    let named = |server: &ServerTools| {
        let name = server.server.clone();
        server.tools.iter().map(|tool| (name.clone(), tool.name.to_string())).collect::<Vec<_>>()
    };
    servers.iter().flat_map(named).collect()
}

fn reasons(errors: &IndexMap<String, Arc<SessionError>>) -> BTreeMap<String, String> {
    let told = errors.iter().map(|(server, because)| (server.clone(), Failure::of("SessionError", &**because).message));
    told.collect()
}

fn config_failure(error: &ConfigError) -> Failure {
    Failure::of("ConfigError", error)
}

fn loader_failure(error: &LoaderError) -> Failure {
    let kind = match error {
        LoaderError::Closed => "LoaderError::Closed",
        LoaderError::OwnerStart { .. } => "LoaderError::OwnerStart",
        LoaderError::OwnerLost => "LoaderError::OwnerLost",
        LoaderError::OwnerSilent { .. } => "LoaderError::OwnerSilent",
    };
    Failure::of(kind, error)
}

fn call_failure(error: &CallError) -> Failure {
    let kind = match error {
        CallError::NotLoaded => "CallError::NotLoaded",
        CallError::Closed => "CallError::Closed",
        CallError::UnknownServer { .. } => "CallError::UnknownServer",
        CallError::NoTools { .. } => "CallError::NoTools",
        CallError::Unavailable { .. } => "CallError::Unavailable",
        CallError::BadArguments { .. } => "CallError::BadArguments",
        CallError::TooManyCalls { .. } => "CallError::TooManyCalls",
        CallError::Request { source: RequestError::TimedOut { .. }, .. } => "CallError::TimedOut",
        CallError::Request { source: RequestError::Refused(_), .. } => "CallError::Refused",
        CallError::Request { .. } => "CallError::Request",
        CallError::OwnerSilent { .. } => "CallError::OwnerSilent",
    };
    Failure::of(kind, error)
}
