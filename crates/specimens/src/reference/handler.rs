//! Our side of the conversation: what rmcp tells us, and what we say about ourselves.

use rmcp::ClientHandler;
use rmcp::RoleClient;
use rmcp::model::{ClientCapabilities, ClientConfig, Implementation, ProtocolVersion};
use rmcp::service::NotificationContext;
use tokio::sync::watch;

use super::options::Revision;

/// Announces no capabilities: no roots, no sampling, no elicitation. Pings are answered by rmcp.
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

impl ClientHandler for Handler {
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
