//! Carrying one call for a caller who may be anywhere, and may go away.

use rmcp::model::{CallToolRequest, CallToolResult, ClientRequest, ServerResult};
use tokio::time::sleep;

use super::error::{CallError, RequestError};
use super::listing::announces_tools;
use super::request::Requester;
use super::session::Call;

/// Carries one call to its end, be it the caller's.
pub(super) async fn carry(server: String, requester: Requester, call: Call) {
    let Call { params, mut reply } = call;
    if reply.is_closed() {
        // Given up before it was sent: nothing to cancel.
        return;
    }
    if !announces_tools(&requester) {
        let _: Result<(), Result<CallToolResult, CallError>> = reply.send(Err(CallError::NoTools { server }));
        return;
    }
    let tool = params.name.to_string();
    let request = ClientRequest::CallToolRequest(CallToolRequest::new(params));
    let (answer, cancellation) = requester.ask(request, requester.bounds.call, reply.closed()).await;
    let result = match answer {
        Ok(ServerResult::CallToolResult(answer)) => Ok(answer),
        Err(RequestError::SessionEnded) if *requester.closing.borrow() => Err(CallError::Closed),
        Err(RequestError::SessionEnded) => {
            // The owner task learns of the same end, tells its cause as the status, and drops this future with the
            // reply. The bound is for the case that it does not.
            sleep(requester.bounds.announce).await;
            return;
        }
        Ok(_) => Err(CallError::Request { server, tool, source: RequestError::UnexpectedResult }),
        Err(source) => Err(CallError::Request { server, tool, source }),
    };
    // The caller first: the announcement may have to wait for a server that does not read.
    let _: Result<(), Result<CallToolResult, CallError>> = reply.send(result);
    if let Some(cancellation) = cancellation {
        cancellation.announce().await;
    }
}
