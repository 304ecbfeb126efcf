//! The two ends between rmcp and the conversation that carries its messages over HTTP.

use std::sync::Arc;

use rmcp::RoleClient;
use rmcp::service::TxJsonRpcMessage;
use tokio::sync::{mpsc, oneshot};

use super::error::HttpError;
use super::post::Message;

/// Messages from the server that rmcp has not taken yet. Beyond that nothing is read.
const INBOX_LENGTH: usize = 64;

pub(super) type Done = oneshot::Sender<Result<(), Arc<HttpError>>>;

/// A message on its way to the server.
pub(super) struct Outgoing {
    pub(super) message: TxJsonRpcMessage<RoleClient>,
    pub(super) done: Done,
}

/// rmcp's end of a conversation.
pub(in super::super) struct Posted {
    outbox: mpsc::UnboundedSender<Outgoing>,
    inbox: mpsc::Receiver<Message>,
}

/// The other end.
pub(super) struct Mail {
    pub(super) outbox: mpsc::UnboundedReceiver<Outgoing>,
    pub(super) inbox: mpsc::Sender<Message>,
}

impl Posted {
    /// Both ends of a conversation.
    pub(super) fn new() -> (Mail, Self) {
        let (outgoing, outbox) = mpsc::unbounded_channel();
        let (inbox, incoming) = mpsc::channel(INBOX_LENGTH);
        (Mail { outbox, inbox }, Self { outbox: outgoing, inbox: incoming })
    }

    /// Hands a message over. What comes back resolves when it was accepted, over streamable HTTP for a request when it was
    /// answered.
    pub(in super::super) fn send(
        &self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Arc<HttpError>>> + Send + 'static {
        let (done, outcome) = oneshot::channel();
        // If the conversation is over, `done` goes with the message.
        let _ = self.outbox.send(Outgoing { message, done });
        async move { outcome.await.unwrap_or_else(|_| Err(Arc::new(HttpError::Closed))) }
    }

    /// The next message from the server. Safe to cancel.
    pub(in super::super) async fn receive(&mut self) -> Option<Message> {
        self.inbox.recv().await
    }
}

impl Mail {
    /// Every waiter of this conversation gets its end.
    pub(super) fn let_go(&mut self) {
        self.outbox.close();
        while self.outbox.try_recv().is_ok() {}
        // rmcp's end sees the end when the last sender is gone, this one included.
        self.inbox = mpsc::channel(1).0;
    }
}

pub(super) fn settle(done: Done, outcome: Result<(), HttpError>) {
    // If rmcp has dropped the conversation, the answer has no receiver.
    let _ = done.send(outcome.map_err(Arc::new));
}
