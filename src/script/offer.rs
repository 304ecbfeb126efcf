//! What an honest server of either era has: tools that answer with their name and their arguments.

use serde_json::{Value, json};

use crate::script::rpc::RpcError;
use crate::script::wire::INVALID_PARAMS;

/// What a server has beside tools, and therefore announces.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Features {
    /// It says when its list of tools changes.
    pub tools_change: bool,
    /// It sends messages of its log.
    pub logs: bool,
    /// It takes calls as tasks, in the revision that has them.
    pub tasks: bool,
}

/// The tools of a server.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    tools: Vec<String>,
    features: Features,
}

impl Offer {
    /// These tools, of a server that has these features.
    pub(super) fn new(tools: Vec<String>, features: Features) -> Self {
        Self { tools, features }
    }

    /// Offers these tools from here on.
    pub(super) fn set(&mut self, tools: Vec<String>) {
        self.tools = tools;
    }

    /// What its server has beside tools.
    pub(super) fn features(&self) -> Features {
        self.features
    }

    /// What its server can do.
    pub(super) fn capabilities(&self) -> Value {
        let mut all =
            json!({ "tools": if self.features.tools_change { json!({ "listChanged": true }) } else { json!({}) } });
        if self.features.logs {
            all["logging"] = json!({});
        }
        all
    }

    /// The result of `tools/list`.
    pub(super) fn list(&self, params: &Value) -> Result<Value, RpcError> {
        if params.get("cursor").is_some() {
            return Err(RpcError::new(INVALID_PARAMS, "Invalid cursor"));
        }
        let tools: Vec<Value> = self.tools.iter().map(|name| described(name)).collect();
        Ok(json!({ "tools": tools }))
    }

    /// The result of `tools/call`.
    pub(super) fn call(&self, params: &Value) -> Result<Value, RpcError> {
        let Some(name) = params.get("name").and_then(Value::as_str) else {
            return Err(RpcError::new(INVALID_PARAMS, "name must be a string"));
        };
        if !self.tools.iter().any(|tool| tool == name) {
            return Err(RpcError::new(INVALID_PARAMS, format!("Unknown tool: {}", shortened(name))));
        }
        let text = match params.get("arguments") {
            None => name.to_owned(),
            Some(arguments) if arguments.is_object() => format!("{name} {arguments}"),
            Some(_) => return Err(RpcError::new(INVALID_PARAMS, "arguments must be an object")),
        };
        Ok(json!({ "content": [{ "type": "text", "text": text }], "isError": false }))
    }
}

fn described(name: &str) -> Value {
    json!({
        "name": name,
        "description": format!("Answers with its name and its arguments: {name}."),
        "inputSchema": { "type": "object", "properties": { "path": { "type": "string" } } },
    })
}

/// What a server says of itself.
pub(super) fn server_info() -> Value {
    json!({ "name": "mcp-mock", "version": env!("CARGO_PKG_VERSION") })
}

/// A name a client chose, short enough for a message.
pub(super) fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}
