//! A conversation over either of the HTTP transports.

use std::sync::Arc;

use super::super::config::HttpKind;
use super::super::process::Ending;
use super::super::wire::WireNotes;
use super::driver::Driver;
use super::posted::Posted;
use super::sse::SseCarrier;
use super::target::Target;

/// What carries one conversation. Dropping it closes every socket.
pub(in super::super) enum Conversation {
    Streamable(Box<Driver>),
    Sse(Box<SseCarrier>),
}

impl Conversation {
    /// One that has not begun.
    pub(in super::super) fn new(kind: HttpKind, target: Target, notes: Arc<WireNotes>) -> (Self, Posted) {
        match kind {
            HttpKind::Streamable => {
                let (carrier, posted) = Driver::new(target, notes);
                (Self::Streamable(Box::new(carrier)), posted)
            }
            HttpKind::LegacySse => {
                let (carrier, posted) = SseCarrier::new(target, notes);
                (Self::Sse(Box::new(carrier)), posted)
            }
        }
    }

    /// Carries messages until the conversation is lost or rmcp has dropped it. Safe to cancel.
    pub(in super::super) async fn run(&mut self) {
        match self {
            Self::Streamable(carrier) => carrier.run().await,
            Self::Sse(carrier) => carrier.run().await,
        }
    }

    /// Cuts whatever is in flight, then ends the session at the server; how it was left.
    pub(in super::super) async fn shut_down(self) -> Ending {
        match self {
            Self::Streamable(carrier) => carrier.shut_down().await,
            Self::Sse(carrier) => carrier.shut_down(),
        }
    }
}
