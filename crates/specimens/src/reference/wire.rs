//! The transport that rmcp gets, for pipes or for HTTP: one type, so that rmcp's serve loop is compiled once.
//!
//! Over pipes it is rmcp's own line transport, plus four things that rmcp's transport does not do. Over HTTP it is the
//! near end of a [`Conversation`](super::http::Conversation), which does the first by itself.
//!
//! 1. Messages reach the pipe in the order of `send`. rmcp sends each from a task of its own, so on a runtime with many
//!    workers a cancellation could overtake its request.
//! 2. The end of the server's side is reported at once. rmcp first drains handlers, up to 5 s, before calls fail.
//! 3. A probe that is never answered ends: see [`Probe`].
//! 4. An `initialize` answer of an unsupported revision ends the conversation before `initialized` is sent.

use std::future::Future;
use std::io;
use std::sync::{Arc, OnceLock};

use futures_util::future::{Either, TryFutureExt};
use rmcp::RoleClient;
use rmcp::model::{JsonRpcMessage, ServerResult};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::sync::{oneshot, watch};
use tokio::time::timeout_at;

use super::http::{HttpError, Posted};
use super::options::{Bounds, Revision};
use super::pipes::{Gate, Inlet, Outlet};
use super::probe::Probe;

type Lines = AsyncRwTransport<RoleClient, Gate<Inlet>, Gate<Outlet>>;

/// The transport of one session.
pub(super) struct Wire {
    bearer: Bearer,
    probe: Probe,
    notes: Arc<WireNotes>,
}

/// What carries the messages.
enum Bearer {
    Pipes {
        lines: Box<Lines>,
        /// Resolves when the message before the next one is written.
        turn: Option<oneshot::Receiver<()>>,
    },
    Http(Posted),
}

/// Why a message could not be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum WireError {
    #[error(transparent)]
    Pipe(#[from] io::Error),
    #[error(transparent)]
    Http(Arc<HttpError>),
}

/// What the session wants to know about its wire.
pub(super) struct WireNotes {
    ended: watch::Sender<bool>,
    refused: OnceLock<String>,
    fault: OnceLock<Arc<HttpError>>,
}

impl WireNotes {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { ended: watch::Sender::new(false), refused: OnceLock::new(), fault: OnceLock::new() })
    }

    /// Records why the conversation ended. The first reason counts.
    pub(super) fn lose(&self, because: Arc<HttpError>) {
        let _ = self.fault.set(because);
    }

    /// Why the conversation ended, if that is known.
    pub(super) fn fault(&self) -> Option<Arc<HttpError>> {
        self.fault.get().cloned()
    }

    /// Resolves when the server's side has ended.
    pub(super) async fn ended(&self) {
        // The sender lives in self, so an error cannot occur; if it could, it would mean the same.
        let _ = self.ended.subscribe().wait_for(|ended| *ended).await;
    }

    /// The revision that the server insisted on, if it was refused.
    pub(super) fn refused_revision(&self) -> Option<&str> {
        self.refused.get().map(String::as_str)
    }
}

impl Wire {
    pub(super) fn over_pipes(stdout: Gate<Inlet>, stdin: Gate<Outlet>, bounds: &Bounds, notes: Arc<WireNotes>) -> Self {
        let lines = Box::new(AsyncRwTransport::new(stdout, stdin));
        Self { bearer: Bearer::Pipes { lines, turn: None }, probe: Probe::new(bounds.probe), notes }
    }

    pub(super) fn over_http(posted: Posted, bounds: &Bounds, notes: Arc<WireNotes>) -> Self {
        Self { bearer: Bearer::Http(posted), probe: Probe::new(bounds.probe), notes }
    }

    /// What the session wants to know about this wire.
    pub(super) fn notes(&self) -> Arc<WireNotes> {
        Arc::clone(&self.notes)
    }

    /// The next message that is not too late. Safe to cancel.
    async fn next(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        loop {
            let bearer = &mut self.bearer;
            let received = async {
                match bearer {
                    Bearer::Pipes { lines, .. } => lines.receive().await,
                    Bearer::Http(posted) => posted.receive().await,
                }
            };
            let message = match self.probe.deadline() {
                None => received.await,
                Some(deadline) => match timeout_at(deadline, received).await {
                    Ok(message) => message,
                    Err(_) => return self.probe.silence(),
                },
            };
            if let Some(seen) = self.probe.seen(message?) {
                return Some(seen);
            }
        }
    }

    /// Passes a message on, unless the conversation must end with it.
    fn admit(&self, message: RxJsonRpcMessage<RoleClient>) -> Option<RxJsonRpcMessage<RoleClient>> {
        if let JsonRpcMessage::Response(response) = &message
            && let ServerResult::InitializeResult(answer) = &response.result
            && Revision::from_wire(answer.protocol_version.as_str()).is_none()
        {
            // The first one stands: nothing is read after it.
            let _ = self.notes.refused.set(answer.protocol_version.to_string());
            return None;
        }
        Some(message)
    }
}

impl Drop for Wire {
    /// Whatever ended rmcp's serve loop, the session learns of it.
    fn drop(&mut self) {
        self.notes.ended.send_replace(true);
    }
}

impl Transport<RoleClient> for Wire {
    type Error = WireError;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), WireError>> + Send + 'static {
        self.probe.sent(&message);
        match &mut self.bearer {
            Bearer::Http(posted) => Either::Left(posted.send(message).map_err(WireError::Http)),
            Bearer::Pipes { lines, turn } => {
                let (written, next) = oneshot::channel();
                let turn = turn.replace(next);
                let write = lines.send(message);
                Either::Right(async move {
                    if let Some(turn) = turn {
                        // An error means that the message before was given up, so it is our turn as well.
                        let _ = turn.await;
                    }
                    let result = write.await;
                    drop(written);
                    result.map_err(WireError::Pipe)
                })
            }
        }
    }

    /// Safe to cancel: nothing is kept over an `await` here.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.next().await;
        let admitted = message.and_then(|message| self.admit(message));
        if admitted.is_none() {
            self.notes.ended.send_replace(true);
        }
        admitted
    }

    async fn close(&mut self) -> Result<(), WireError> {
        match &mut self.bearer {
            Bearer::Pipes { lines, .. } => Ok(lines.close().await?),
            // The owner task closes it: what must be done then outlasts rmcp.
            Bearer::Http(_) => Ok(()),
        }
    }
}
