//! Carries one call for a caller, which may be on any thread and may give up.

use rmcp::model::{
    CallToolRequest, CallToolRequestParams, CallToolResult, ClientRequest, InputRequiredResult, ServerResult,
};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep};

use super::error::{CallError, RequestError};
use super::listing::announces_tools;
use super::request::{Ended, Requester};
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
    let (answer, cancellation) = ask_in_rounds(&requester, params, &mut reply).await;
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
    // The caller first: a server that does not read can delay the announcement.
    let _: Result<(), Result<CallToolResult, CallError>> = reply.send(result);
    if let Some(cancellation) = cancellation {
        cancellation.announce().await;
    }
}

/// Makes a call, and makes it again as often as the server sends it back with a state of its own, all within one bound.
///
/// Source: revision 2026-07-28, basic/patterns/mrtr, Client Requirements: a client may ask again at once where no input is asked for,
/// and returns the state as it was given.
async fn ask_in_rounds(
    requester: &Requester,
    mut params: CallToolRequestParams,
    reply: &mut oneshot::Sender<Result<CallToolResult, CallError>>,
) -> Ended {
    let bound = requester.bounds.call;
    let deadline = Instant::now() + bound;
    let n_rounds_max = requester.bounds.n_rounds_max;
    for _ in 0..n_rounds_max {
        let request = ClientRequest::CallToolRequest(CallToolRequest::new(params.clone()));
        let left = deadline.saturating_duration_since(Instant::now());
        match requester.ask(request, left, reply.closed()).await {
            (Ok(ServerResult::InputRequiredResult(more)), _) => match again(params, more) {
                Ok(next) => params = next,
                Err(error) => return (Err(error), None),
            },
            (Err(RequestError::TimedOut { .. }), cancellation) => {
                return (Err(RequestError::TimedOut { bound }), cancellation);
            }
            ended => return ended,
        }
    }
    (Err(RequestError::EndlessRounds { n_rounds_max }), None)
}

fn again(params: CallToolRequestParams, more: InputRequiredResult) -> Result<CallToolRequestParams, RequestError> {
    if more.input_requests.is_some_and(|requests| !requests.is_empty()) {
        return Err(RequestError::InputUnavailable);
    }
    let mut next = params;
    next.request_state = more.request_state;
    Ok(next)
}
