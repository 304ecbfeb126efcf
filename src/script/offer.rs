//! What an honest server of either era has: tools that answer with their name and their arguments.

use serde_json::{Value, json};

use crate::script::ToolKind;
use crate::script::rpc::RpcError;
use crate::script::wire::INVALID_PARAMS;

/// The tools of a server.
#[derive(Debug, Clone)]
pub(super) struct Offer {
    tools: Vec<String>,
    /// What some of them are, where they are not of the usual kind.
    kinds: Vec<ToolKind>,
    announces: bool,
}

impl Offer {
    /// These tools; `announces` says whether their list ever changes.
    pub(super) fn new(tools: Vec<String>, kinds: Vec<ToolKind>, announces: bool) -> Self {
        Self { tools, kinds, announces }
    }

    fn kind(&self, name: &str) -> Option<&ToolKind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// Offers these tools from here on.
    pub(super) fn set(&mut self, tools: Vec<String>) {
        self.tools = tools;
    }

    /// Whether it says so when its list changes.
    pub(super) fn announces(&self) -> bool {
        self.announces
    }

    /// What is said of it among the capabilities.
    pub(super) fn capability(&self) -> Value {
        if self.announces { json!({ "listChanged": true }) } else { json!({}) }
    }

    /// The result of `tools/list`.
    pub(super) fn list(&self, params: &Value) -> Result<Value, RpcError> {
        if params.get("cursor").is_some() {
            return Err(RpcError::new(INVALID_PARAMS, "Invalid cursor"));
        }
        let tools: Vec<Value> = self.tools.iter().map(|name| described(name, self.kind(name))).collect();
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
        let arguments = params.get("arguments");
        if arguments.is_some_and(|arguments| !arguments.is_object()) {
            return Err(RpcError::new(INVALID_PARAMS, "arguments must be an object"));
        }
        let text = match (self.kind(name), arguments) {
            (Some(kind), _) => kind.answer.text(arguments.unwrap_or(&Value::Null)),
            (None, None) => Ok(name.to_owned()),
            (None, Some(arguments)) => Ok(format!("{name} {arguments}")),
        };
        let is_error = text.is_err();
        let text = text.unwrap_or_else(|because| because);
        Ok(json!({ "content": [{ "type": "text", "text": text }], "isError": is_error }))
    }
}

fn described(name: &str, kind: Option<&ToolKind>) -> Value {
    if let Some(kind) = kind {
        return json!({ "name": name, "description": kind.about, "inputSchema": kind.schema });
    }
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
