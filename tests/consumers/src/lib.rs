//! Sessions on rmcp, as its README uses it: one child process and one session for each server.

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

use rmcp::model::CallToolRequestParams;
use rmcp::service::RunningService;
use rmcp::transport::TokioChildProcess;
use rmcp::{RoleClient, ServiceExt};
use serde_json::Value;
use tokio::process::Command;
use tokio::sync::Mutex;

/// What an operation gives.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The open sessions by server name.
#[derive(Default)]
pub struct Sessions {
    open: Mutex<BTreeMap<String, Arc<RunningService<RoleClient, ()>>>>,
}

impl Sessions {
    /// Starts a server and opens a session with it.
    pub async fn open(&self, name: &str, program: &str, arguments: &[&str]) -> Outcome<()> {
        let mut command = Command::new(program);
        command.args(arguments);
        let session = ().serve(TokioChildProcess::new(command)?).await?;
        self.open.lock().await.insert(name.to_owned(), Arc::new(session));
        Ok(())
    }

    /// Server and name of each tool.
    pub async fn tools(&self) -> Outcome<Vec<(String, String)>> {
        let mut found = Vec::new();
        for (name, session) in &*self.open.lock().await {
            let tools = session.list_all_tools().await?;
            found.extend(tools.into_iter().map(|tool| (name.clone(), tool.name.into_owned())));
        }
        Ok(found)
    }

    /// The text of a tool's answer, and whether the tool failed.
    pub async fn call(&self, server: &str, tool: &str, arguments: &Value) -> Outcome<(String, bool)> {
        let session = self.open.lock().await.get(server).cloned().ok_or("the session is closed")?;
        let mut request = CallToolRequestParams::new(tool.to_owned());
        if let Some(arguments) = arguments.as_object() {
            request = request.with_arguments(arguments.clone());
        }
        let answer = session.call_tool(request).await?;
        let texts = answer.content.iter().filter_map(|block| block.as_text()).map(|text| text.text.as_str());
        Ok((texts.collect::<Vec<_>>().join("\n"), answer.is_error.unwrap_or_default()))
    }

    /// Closes every session.
    pub async fn close(&self) -> Outcome<()> {
        for (_, session) in std::mem::take(&mut *self.open.lock().await) {
            Arc::into_inner(session).ok_or("a call is still running")?.cancel().await?;
        }
        Ok(())
    }
}
