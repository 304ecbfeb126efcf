//! The transport under rmcp, with the hook for messages in between.

use std::future::Future;

use mcp_lifecheck::loader::target::BoxFuture;
use rmcp::RoleClient;
use rmcp::service::{RxJsonRpcMessage, TxJsonRpcMessage};
use rmcp::transport::Transport;

use super::hooks::{Hooks, Tamper};
use super::wire::Wire;

/// A wire whose messages pass the hook, if there is one.
pub(super) struct HookedWire {
    wire: Wire,
    tamper: Option<Box<dyn Tamper>>,
}

impl HookedWire {
    pub(super) fn new(wire: Wire, hooks: &Hooks) -> Self {
        Self { wire, tamper: hooks.messages() }
    }

    fn outgoing(&mut self, message: TxJsonRpcMessage<RoleClient>) -> Vec<TxJsonRpcMessage<RoleClient>> {
        let Some(tamper) = &mut self.tamper else { return vec![message] };
        let message = serde_json::to_value(message).expect("a message has string keys only");
        let changed = tamper.outgoing(message).into_iter();
        changed.map(|message| serde_json::from_value(message).expect("a mutation sends messages")).collect()
    }

    fn incoming(&mut self, message: RxJsonRpcMessage<RoleClient>) -> Option<RxJsonRpcMessage<RoleClient>> {
        let Some(tamper) = &mut self.tamper else { return Some(message) };
        let message = serde_json::to_value(message).expect("a message has string keys only");
        let seen = tamper.incoming(message)?;
        Some(serde_json::from_value(seen).expect("a mutation shows messages"))
    }
}

impl Transport<RoleClient> for HookedWire {
    type Error = <Wire as Transport<RoleClient>>::Error;

    fn send(
        &mut self,
        message: TxJsonRpcMessage<RoleClient>,
    ) -> impl Future<Output = Result<(), Self::Error>> + Send + 'static {
        // Each message takes its turn on the wire here, in this order.
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
        loop {
            let message = self.wire.receive().await?;
            if let Some(seen) = self.incoming(message) {
                return Some(seen);
            }
        }
    }

    async fn close(&mut self) -> Result<(), Self::Error> {
        self.wire.close().await
    }
}
