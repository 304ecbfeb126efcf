//! One session: the handle that callers on any thread hold, and its operations.
//!
//! The work is done by the owner task in [`super::owner`]; a handle only has channels to it.

use std::sync::{Arc, Mutex, PoisonError};

use rmcp::model::{CallToolRequestParams, CallToolResult, Tool};
use tokio::sync::{mpsc, oneshot, watch};

use super::config::Endpoint;
use super::error::{CallError, SessionError};
use super::options::{Ladder, Options};
use super::owner::Owner;
use super::process::{Ending, Leash};

/// What a session offers at the moment.
#[derive(Debug, Clone)]
pub(super) enum Status {
    /// It is being opened.
    Connecting,
    /// It can be used.
    Ready(Listing),
    /// It cannot be used any more; its process is being ended.
    Gone(Arc<SessionError>),
    /// Nothing of it is left.
    Ended(Arc<SessionError>, Ending),
}

/// The tools of one server.
#[derive(Debug, Clone)]
pub(super) struct Listing {
    pub(super) tools: Arc<[Tool]>,
    pub(super) freshness: Freshness,
}

/// Whether a list of tools is current, as far as the server has announced changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Freshness {
    /// Nothing has changed since it was listed.
    Current,
    /// The server has announced a change. The tools are being listed again, or that failed.
    Stale,
}

/// A call on its way to the owner task. Dropping the other end of `reply` cancels it.
pub(super) struct Call {
    pub(super) params: CallToolRequestParams,
    pub(super) reply: oneshot::Sender<Result<CallToolResult, CallError>>,
}

/// Where the hand on the server's process is kept while there is one.
pub(super) type LeashSlot = Arc<Mutex<Option<Arc<Leash>>>>;

/// A handle to a session. The session is closed when it is dropped, or asked to.
pub(super) struct Session {
    pub(super) name: String,
    pub(super) endpoint: Endpoint,
    closing: watch::Sender<bool>,
    calls: mpsc::UnboundedSender<Call>,
    status: watch::Receiver<Status>,
    leash: LeashSlot,
}

impl Session {
    /// Starts the owner task of a session on the current runtime. It opens the session once `predecessor` has ended.
    pub(super) fn start(
        name: String,
        endpoint: Endpoint,
        options: Arc<Options>,
        predecessor: Option<watch::Receiver<Status>>,
    ) -> Arc<Self> {
        let (closing, closing_seen) = watch::channel(false);
        let (calls, calls_seen) = mpsc::unbounded_channel();
        let (status_told, status) = watch::channel(Status::Connecting);
        let leash = LeashSlot::default();
        let owner = Owner {
            name: name.clone(),
            options,
            closing: closing_seen,
            calls: calls_seen,
            status: status_told,
            leash: Arc::clone(&leash),
        };
        tokio::spawn(owner.run(endpoint.clone(), predecessor));
        Arc::new(Self { name, endpoint, closing, calls, status, leash })
    }

    /// Asks the owner task to close the session. Calls in flight fail at once.
    pub(super) fn close(&self) {
        self.closing.send_replace(true);
    }

    pub(super) fn status(&self) -> Status {
        let status = self.status.borrow().clone();
        // A task that was dropped with its runtime could not say so.
        let lost = self.status.has_changed().is_err() && !matches!(status, Status::Ended(..));
        if lost { Status::Ended(Arc::new(SessionError::OwnerLost), Ending::Kill) } else { status }
    }

    pub(super) fn follow(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Resolves when the session is no longer being opened.
    pub(super) async fn settled(&self) {
        let _ = self.follow().wait_for(|status| !matches!(status, Status::Connecting)).await;
    }

    /// Resolves when nothing of the session is left.
    pub(super) async fn ended(&self) -> Ending {
        until_ended(self.follow()).await
    }

    /// Hands a call to the owner task, without waiting.
    ///
    /// # Errors
    /// When the session is not ready.
    pub(super) fn begin(&self, params: CallToolRequestParams) -> Result<PendingCall, CallError> {
        match self.status() {
            Status::Ready(_) => {}
            Status::Connecting => return Err(self.refusal(Arc::new(SessionError::Connecting))),
            Status::Gone(because) | Status::Ended(because, _) => return Err(self.refusal(because)),
        }
        let (reply, answer) = oneshot::channel();
        // If the owner task has just gone, the reply goes with the call, which the pending call notices.
        let _ = self.calls.send(Call { params, reply });
        Ok(PendingCall { answer })
    }

    /// The error of a call that met this session when it was not usable.
    pub(super) fn refusal(&self, because: Arc<SessionError>) -> CallError {
        match *because {
            SessionError::Closed => CallError::Closed,
            _ => CallError::Unavailable { server: self.name.clone(), because },
        }
    }

    /// The error of a call whose owner task went away without an answer.
    pub(super) fn why_unanswered(&self) -> CallError {
        match self.status() {
            Status::Gone(because) | Status::Ended(because, _) => self.refusal(because),
            // The reply is dropped after the status was told, so this is a task that was dropped meanwhile.
            Status::Connecting | Status::Ready(_) => self.refusal(Arc::new(SessionError::OwnerLost)),
        }
    }

    /// Ends the process from this thread, for when the owner task is not being driven.
    pub(super) fn end_blocking(&self, ladder: Ladder) {
        let leash = self.leash.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(leash) = leash {
            leash.end_blocking(ladder);
        }
    }
}

/// Resolves when the session that tells `status` has left nothing.
pub(super) async fn until_ended(mut status: watch::Receiver<Status>) -> Ending {
    match status.wait_for(|status| matches!(status, Status::Ended(..))).await.as_deref() {
        Ok(Status::Ended(_, ending)) => *ending,
        // A task that is dropped with its runtime kills its process on the way.
        Ok(_) | Err(_) => Ending::Kill,
    }
}

/// A call that the owner task has. Dropping it cancels the call.
pub(super) struct PendingCall {
    pub(super) answer: oneshot::Receiver<Result<CallToolResult, CallError>>,
}
