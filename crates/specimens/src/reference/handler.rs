//! The client side of the conversation: the notifications that rmcp passes on, and the description of this client.

use rmcp::RoleClient;
use rmcp::model::{
    ClientCapabilities, ClientConfig, ElicitRequestParams, ElicitResult, ErrorCode, Implementation, ProtocolVersion,
};
use rmcp::service::{NotificationContext, RequestContext};
use rmcp::{ClientHandler, ErrorData};
use tokio::sync::watch;

use super::options::Revision;

/// Announces no capabilities: no roots, no sampling, no elicitation. Pings are answered by rmcp, which
/// answers undeclared roots and elicitation as if they were declared, so they are refused here.
pub(super) struct Handler {
    revision: Revision,
    /// Counts `tools/list_changed`.
    n_changes: watch::Sender<u64>,
}

impl Handler {
    pub(super) fn new(revision: Revision, n_changes: watch::Sender<u64>) -> Self {
        Self { revision, n_changes }
    }
}

fn undeclared(method: &str) -> ErrorData {
    ErrorData::new(ErrorCode::METHOD_NOT_FOUND, format!("{method} was not declared"), None)
}

impl ClientHandler for Handler {
    #[expect(deprecated, reason = "the handshake generation has roots")]
    async fn list_roots(
        &self,
        _context: RequestContext<RoleClient>,
    ) -> Result<rmcp::model::ListRootsResult, ErrorData> {
        Err(undeclared("roots/list"))
    }

    async fn create_elicitation(
        &self,
        _request: ElicitRequestParams,
        _context: RequestContext<RoleClient>,
    ) -> Result<ElicitResult, ErrorData> {
        Err(undeclared("elicitation/create"))
    }

    async fn on_tool_list_changed(&self, _context: NotificationContext<RoleClient>) {
        self.n_changes.send_modify(|n| *n += 1);
    }

    fn get_info(&self) -> ClientConfig {
        let us = Implementation::new("mcp-lifecheck", env!("CARGO_PKG_VERSION"));
        ClientConfig::new(ClientCapabilities::default(), us).with_protocol_version(match self.revision {
            Revision::V2024_11_05 => ProtocolVersion::V_2024_11_05,
            Revision::V2025_03_26 => ProtocolVersion::V_2025_03_26,
            Revision::V2025_06_18 => ProtocolVersion::V_2025_06_18,
            Revision::V2025_11_25 => ProtocolVersion::V_2025_11_25,
        })
    }
}
