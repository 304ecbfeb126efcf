//! The request with which a client of both generations opens, and how long it waits for the answer.
//!
//! rmcp treats an error as the sign of a server of the handshake generation, and waits ten seconds for it. If a late
//! answer arrives, rmcp gives up. This module turns silence past [`Bounds::probe`](super::Bounds::probe) into such an
//! error, and drops a later answer.
//!
//! Source: revision 2026-07-28, basic/transports/stdio, Backward Compatibility.

use std::time::Duration;

use rmcp::RoleClient;
use rmcp::model::{ClientRequest, ErrorCode, ErrorData, JsonRpcError, JsonRpcMessage, RequestId};
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use tokio::time::Instant;

/// What is known of the questions that opened a conversation.
pub(super) struct Probe {
    bound: Duration,
    open: Option<(RequestId, Instant)>,
    given_up: Vec<RequestId>,
}

impl Probe {
    pub(super) fn new(bound: Duration) -> Self {
        Self { bound, open: None, given_up: Vec::new() }
    }

    /// Takes notice of a message that is sent.
    pub(super) fn sent(&mut self, message: &TxJsonRpcMessage<RoleClient>) {
        if let JsonRpcMessage::Request(request) = message
            && let ClientRequest::DiscoverRequest(_) = request.request
        {
            self.open = Some((request.id.clone(), Instant::now() + self.bound));
        }
    }

    /// When silence is an answer.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.open.as_ref().map(|(_, deadline)| *deadline)
    }

    /// The answer that silence is.
    pub(super) fn silence(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let (id, _) = self.open.take()?;
        self.given_up.push(id.clone());
        let error = ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("no answer within {:?}", self.bound), None);
        Some(JsonRpcMessage::Error(JsonRpcError::new(Some(id), error)))
    }

    /// What is to be seen of a message that came; nothing of an answer that comes too late.
    pub(super) fn seen(&mut self, message: RxJsonRpcMessage<RoleClient>) -> Option<RxJsonRpcMessage<RoleClient>> {
        let answered = match &message {
            JsonRpcMessage::Response(response) => Some(&response.id),
            JsonRpcMessage::Error(error) => error.id.as_ref(),
            JsonRpcMessage::Request(_) | JsonRpcMessage::Notification(_) => return Some(message),
        };
        if answered.is_some_and(|id| self.given_up.contains(id)) {
            return None;
        }
        // Nothing else was asked yet, so an answer that names no request is one to this.
        self.open = None;
        Some(message)
    }
}
