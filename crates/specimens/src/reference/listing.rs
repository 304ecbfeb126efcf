//! Listing the tools of one server, all pages.

use std::collections::BTreeSet;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use rmcp::model::{ClientRequest, ListToolsRequest, ListToolsResult, PaginatedRequestParams, ServerResult, Tool};
use tokio::time::Instant;

use super::error::{RequestError, SessionError};
use super::request::Requester;

/// Lists the tools, if the server says that it has any, within `bound` for all pages together.
pub(super) async fn all_tools(requester: &Requester, bound: Duration) -> Result<Arc<[Tool]>, SessionError> {
    if !announces_tools(requester) {
        return Ok(Arc::default());
    }
    let deadline = Instant::now() + bound;
    let mut tools = Vec::new();
    let mut cursor = None;
    for _ in 0..requester.bounds.n_pages_max {
        let left = deadline.saturating_duration_since(Instant::now());
        let page = page(requester, cursor, left).await.map_err(|source| SessionError::List { source })?;
        tools.extend(page.tools);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return each_once(tools);
        }
    }
    Err(SessionError::EndlessList { n_pages_max: requester.bounds.n_pages_max })
}

/// Whether a server says that it has tools at all.
///
/// Source: revision 2025-11-25, basic/lifecycle, Operation: only capabilities that were negotiated may be used.
pub(super) fn announces_tools(requester: &Requester) -> bool {
    requester.peer.peer_info().is_some_and(|server| server.capabilities.tools.is_some())
}

async fn page(requester: &Requester, cursor: Option<String>, bound: Duration) -> Result<ListToolsResult, RequestError> {
    let params = cursor.map(|cursor| PaginatedRequestParams::default().with_cursor(Some(cursor)));
    let request = params.map_or_else(ListToolsRequest::default, ListToolsRequest::with_param);
    let (answer, cancellation) = requester.ask(ClientRequest::ListToolsRequest(request), bound, pending()).await;
    if let Some(cancellation) = cancellation {
        cancellation.announce().await;
    }
    match answer? {
        ServerResult::ListToolsResult(page) => Ok(page),
        _ => Err(RequestError::UnexpectedResult),
    }
}

fn each_once(tools: Vec<Tool>) -> Result<Arc<[Tool]>, SessionError> {
    let mut names = BTreeSet::new();
    for tool in &tools {
        if !names.insert(&tool.name) {
            return Err(SessionError::DuplicateTool { tool: tool.name.to_string() });
        }
    }
    Ok(tools.into())
}
