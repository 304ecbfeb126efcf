//! The places where every message and every HTTP request pass, open to whoever wants to know what a changed conversation leads to.
//!
//! Empty but for the seeded changes of the reference loader, by which this crate tests what it would notice.

use std::future::Future;
use std::sync::{Mutex, PoisonError};

use hyper::Request;
use hyper::body::Bytes;
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;
use serde_json::Value;

use super::wire::Wire;
use crate::loader::target::BoxFuture;

/// Changes the messages of one conversation.
pub(in crate::loader) trait Tamper: Send {
    /// What is sent in place of a message.
    fn outgoing(&mut self, message: Value) -> Vec<Value>;

    /// What is seen in place of a message that was received.
    fn incoming(&mut self, message: Value) -> Value {
        message
    }
}

/// Changes the HTTP requests of one conversation.
pub(in crate::loader) trait TamperHttp: Send {
    /// What is sent in place of a request, one after the other. The response to the last of them is the response to it;
    /// where nothing is sent, there is none.
    fn request(&mut self, request: Request<Bytes>) -> Vec<Request<Bytes>>;
}

/// Where somebody may change what is said in every conversation. Only this crate can make one that does.
#[derive(Clone, Default)]
pub struct Seam {
    make: Option<fn() -> Box<dyn Tamper>>,
    make_http: Option<fn() -> Box<dyn TamperHttp>>,
}

impl Seam {
    /// A seam with something of its own for the messages of each conversation.
    pub(in crate::loader) fn with(make: fn() -> Box<dyn Tamper>) -> Self {
        Self { make: Some(make), make_http: None }
    }

    /// A seam with something of its own for the HTTP requests of each conversation.
    pub(in crate::loader) fn with_http(make: fn() -> Box<dyn TamperHttp>) -> Self {
        Self { make: None, make_http: Some(make) }
    }
}

/// What somebody does to the requests of one conversation, if anything.
pub(super) struct Requests {
    tamper: Option<Mutex<Box<dyn TamperHttp>>>,
}

impl Requests {
    pub(super) fn of(seam: &Seam) -> Self {
        Self { tamper: seam.make_http.map(|make| Mutex::new(make())) }
    }

    /// What is sent in place of a request with this body.
    pub(super) fn passed<B>(
        &self,
        request: Request<B>,
        bytes: impl FnOnce(&B) -> Bytes,
        body: impl Fn(&B, Bytes) -> B,
    ) -> Vec<Request<B>> {
        let Some(tamper) = &self.tamper else { return vec![request] };
        let (head, original) = request.into_parts();
        let request = Request::from_parts(head, bytes(&original));
        let changed = tamper.lock().unwrap_or_else(PoisonError::into_inner).request(request);
        changed.into_iter().map(|request| request.map(|bytes| body(&original, bytes))).collect()
    }
}

/// A wire with what somebody does to its messages, if anything.
pub(super) struct Seamed {
    wire: Wire,
    tamper: Option<Box<dyn Tamper>>,
}

impl Seamed {
    pub(super) fn new(wire: Wire, seam: &Seam) -> Self {
        Self { wire, tamper: seam.make.map(|make| make()) }
    }

    fn outgoing(&mut self, message: TxJsonRpcMessage<RoleClient>) -> Vec<TxJsonRpcMessage<RoleClient>> {
        let Some(tamper) = &mut self.tamper else { return vec![message] };
        let message = serde_json::to_value(message).expect("a message has string keys only");
        let changed = tamper.outgoing(message).into_iter();
        changed.map(|message| serde_json::from_value(message).expect("a seeded change sends messages")).collect()
    }

    fn incoming(&mut self, message: RxJsonRpcMessage<RoleClient>) -> RxJsonRpcMessage<RoleClient> {
        let Some(tamper) = &mut self.tamper else { return message };
        let message = serde_json::to_value(message).expect("a message has string keys only");
        serde_json::from_value(tamper.incoming(message)).expect("a seeded change shows messages")
    }
}

impl Transport<RoleClient> for Seamed {
    type Error = <Wire as Transport<RoleClient>>::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        // Each takes its turn on the wire here, in this order.
        let mut writes: Vec<BoxFuture<'static, Result<(), Self::Error>>> = Vec::new();
        for message in self.outgoing(message) {
            writes.push(Box::pin(self.wire.send(message)));
        }
        async move {
            for write in writes {
                write.await?;
            }
            Ok(())
        }
    }

    /// Safe to cancel, as the wire's own.
    async fn receive(&mut self) -> Option<RxJsonRpcMessage<RoleClient>> {
        let message = self.wire.receive().await?;
        Some(self.incoming(message))
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.wire.close().await
    }
}
