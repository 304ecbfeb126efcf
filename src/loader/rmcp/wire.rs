//! The transport that rmcp gets: its own line transport over our pipes, plus three things it does not do.
//!
//! 1. Messages reach the pipe in the order of `send`. rmcp sends each from a task of its own, so on a runtime with many
//!    workers a cancellation could overtake its request.
//! 2. The end of the server's stdout is reported at once. rmcp first drains handlers, up to 5 s, before calls fail.
//! 3. An `initialize` answer of a revision that we do not speak ends the conversation before `initialized` is sent.
//!
//! Streamable HTTP will be a second way to build a [`Wire`], so that rmcp's serve loop is compiled once.

use std::future::Future;
use std::io;
use std::sync::{Arc, OnceLock};

use rmcp::RoleClient;
use rmcp::model::{JsonRpcMessage, ServerResult};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use rmcp::transport::async_rw::AsyncRwTransport;
use tokio::process::{ChildStdin, ChildStdout};
use tokio::sync::{oneshot, watch};

use super::options::Revision;
use super::pipes::Gate;

type Lines = AsyncRwTransport<RoleClient, Gate<ChildStdout>, Gate<ChildStdin>>;

/// The transport of one session.
pub(super) struct Wire {
    lines: Lines,
    /// Resolves when the message before the next one is written.
    turn: Option<oneshot::Receiver<()>>,
    notes: Arc<WireNotes>,
}

/// What the session wants to know about its wire.
pub(super) struct WireNotes {
    ended: watch::Sender<bool>,
    refused: OnceLock<String>,
}

impl WireNotes {
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
    pub(super) fn over_pipes(stdout: Gate<ChildStdout>, stdin: Gate<ChildStdin>) -> (Self, Arc<WireNotes>) {
        let notes = Arc::new(WireNotes { ended: watch::Sender::new(false), refused: OnceLock::new() });
        let wire = Self { lines: AsyncRwTransport::new(stdout, stdin), turn: None, notes: Arc::clone(&notes) };
        (wire, notes)
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
    type Error = io::Error;

    fn send(&mut self, message: TxJsonRpcMessage<RoleClient>) -> impl Future<Output = io::Result<()>> + Send + 'static {
        let (written, next) = oneshot::channel();
        let turn = self.turn.replace(next);
        let write = self.lines.send(message);
        async move {
            if let Some(turn) = turn {
                // An error means that the message before was given up, so it is our turn as well.
                let _ = turn.await;
            }
            let result = write.await;
            drop(written);
            result
        }
    }

    /// Safe to cancel: nothing is awaited after the inner `receive`.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.lines.receive().await;
        let admitted = message.and_then(|message| self.admit(message));
        if admitted.is_none() {
            self.notes.ended.send_replace(true);
        }
        admitted
    }

    async fn close(&mut self) -> io::Result<()> {
        self.lines.close().await
    }
}
