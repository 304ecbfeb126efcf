//! One request, from its sending to its answer or its cancellation.
//!
//! `notifications/cancelled` is sent for exactly the requests that were sent and are still open: an answer that has
//! arrived always wins over a caller that gives up. rmcp's own guard lives in the future that the caller polls, and cancels
//! an answered request when that future is dropped before it is polled again; here the owner task decides.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{ClientRequest, ServerResult};
use rmcp::service::{Peer, PeerRequestOptions, RequestHandle, ServiceError};
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::error::RequestError;
use super::http::HttpError;
use super::options::Bounds;
use super::wire::WireError;

/// What a request needs to know of its session. Cheap to clone.
#[derive(Clone)]
pub(super) struct Requester {
    pub(super) peer: Peer<RoleClient>,
    pub(super) bounds: Bounds,
    /// True from the moment the session is to be closed.
    pub(super) closing: watch::Receiver<bool>,
}

/// Resolves when the session is to be closed, or its handle is gone.
pub(super) async fn closed(mut closing: watch::Receiver<bool>) {
    let _ = closing.wait_for(|closing| *closing).await;
}

/// A request that no caller waits for any more and that is not yet announced as cancelled.
pub(super) struct Cancellation {
    handle: RequestHandle<RoleClient>,
    reason: &'static str,
    limit: Duration,
}

impl Cancellation {
    /// Sends `notifications/cancelled`. If the server does not read, this gives up after [`Bounds::announce`].
    pub(super) async fn announce(self) {
        let _ = timeout(self.limit, self.handle.cancel(Some(self.reason.to_owned()))).await;
    }
}

/// The end of a request, and the cancellation that it left behind.
pub(super) type Ended = (Result<ServerResult, RequestError>, Option<Cancellation>);

impl Requester {
    /// Sends `request` and waits for its answer, for `bound`, or until the session closes or `given_up` resolves.
    pub(super) async fn ask(
        &self,
        request: ClientRequest,
        bound: Duration,
        given_up: impl Future<Output = ()>,
    ) -> Ended {
        let sent = self.peer.send_cancellable_request(request, PeerRequestOptions::no_options()).await;
        let mut handle = match sent {
            Ok(handle) => handle,
            Err(error) => return (Err(refused(error)), None),
        };
        let (error, reason) = tokio::select! {
            biased;
            answer = &mut handle.rx => return (read(answer.unwrap_or(Err(ServiceError::TransportClosed))), None),
            () = given_up => (RequestError::Abandoned, "abandoned by the caller"),
            () = closed(self.closing.clone()) => (RequestError::SessionEnded, "the session is being closed"),
            () = sleep(bound) => (RequestError::TimedOut { bound }, "timed out"),
        };
        (Err(error), Some(Cancellation { handle, reason, limit: self.bounds.announce }))
    }
}

fn read(answer: Result<ServerResult, ServiceError>) -> Result<ServerResult, RequestError> {
    answer.map_err(refused)
}

fn refused(error: ServiceError) -> RequestError {
    match error {
        ServiceError::McpError(error) => RequestError::Refused(error),
        ServiceError::TransportClosed => RequestError::SessionEnded,
        ServiceError::UnexpectedResponse => RequestError::UnexpectedResult,
        ServiceError::TransportSend(error) => match error.error.downcast_ref::<WireError>() {
            Some(WireError::Http(error)) if matches!(**error, HttpError::Closed) => RequestError::SessionEnded,
            Some(WireError::Http(error)) => RequestError::Http(Arc::clone(error)),
            Some(WireError::Pipe(_)) | None => RequestError::NotSent(Box::new(ServiceError::TransportSend(error))),
        },
        other => RequestError::NotSent(Box::new(other)),
    }
}
