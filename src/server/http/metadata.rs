//! Request metadata: header fields in which a stateless request repeats members of its body.
//!
//! Source: revision 2026-07-28, basic/transports/streamable-http.

use serde_json::Value;

use crate::history::header_text;
use crate::server::conforming::{HEADER_MISMATCH, version_of};
use crate::server::http_io::Request;
use crate::server::rpc::RpcError;

/// The metadata of one POST.
#[derive(Debug, Clone, Default)]
pub(super) struct Metadata {
    version: Option<String>,
    method: Option<String>,
    name: Option<String>,
}

impl Metadata {
    pub(super) fn of(request: &Request) -> Self {
        let field = |name| request.header(name).map(str::to_owned);
        Self { version: field("mcp-protocol-version"), method: field("mcp-method"), name: field("mcp-name") }
    }

    /// Checks that it agrees with the body of a request.
    pub(super) fn agrees(&self, method: &str, params: &Value) -> Result<(), RpcError> {
        let name = match method {
            "tools/call" | "prompts/get" => params.get("name").and_then(Value::as_str),
            "resources/read" => params.get("uri").and_then(Value::as_str),
            _ => None,
        };
        let shown_name = self.name.as_deref().and_then(header_text);
        let fields = [
            ("MCP-Protocol-Version", self.version.as_deref(), version_of(params)),
            ("Mcp-Method", self.method.as_deref(), Some(method)),
            ("Mcp-Name", shown_name.as_deref(), name),
        ];
        match fields.into_iter().find(|(_, shown, in_body)| in_body.is_some() && shown != in_body) {
            Some((field, _, _)) => Err(RpcError::new(
                HEADER_MISMATCH,
                format!("Header mismatch: {field} does not show what the body says"),
            )),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn only_members_that_the_body_has_must_be_in_the_header() {
        let metadata = Metadata { method: Some("tools/call".to_owned()), name: Some("read".to_owned()), version: None };
        assert!(metadata.agrees("tools/call", &json!({ "name": "read" })).is_ok());
        assert!(metadata.agrees("tools/call", &json!({})).is_ok());
        assert!(metadata.agrees("tools/call", &json!({ "name": "write" })).is_err());
        assert!(metadata.agrees("tools/list", &json!({})).is_err());
        let encoded = Metadata { name: Some("=?base64?csOpc3Vtw6k=?=".to_owned()), ..metadata };
        assert!(encoded.agrees("tools/call", &json!({ "name": "r\u{e9}sum\u{e9}" })).is_ok());
    }
}
