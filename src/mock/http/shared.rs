//! The state that the connections of one mock share with each other and with its machine.

use std::sync::atomic::{AtomicU64, AtomicUsize};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};

use crate::mock::http::fields::Digests;
use crate::mock::http::reply::Reply;
use crate::server::{Input, Request};

/// One event for the machine of a mock.
pub(super) enum HttpEvent {
    Input(Input),
    /// A request, and the channel for its reply.
    Request(Request, oneshot::Sender<Reply>),
}

/// The state that the connections of a mock share.
pub(super) struct HttpShared {
    pub events: mpsc::UnboundedSender<HttpEvent>,
    pub phase: watch::Receiver<ServingPhase>,
    pub n_sockets: AtomicUsize,
    pub n_sockets_ever: AtomicU64,
    pub n_exchanges: AtomicU64,
    pub n_body_bytes: AtomicUsize,
    pub digests: Digests,
    /// Longest time of a request from its first byte to its last.
    pub request_limit: Duration,
}

/// How far a mock is from its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ServingPhase {
    Serving,
    /// The mock writes its last responses, and takes no new request.
    Ending,
    Over,
}
