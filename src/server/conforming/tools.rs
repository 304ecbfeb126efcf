//! The tools that a conforming server advertises. By default they answer with their name and their arguments.

use serde_json::{Value, json};

use crate::script::{Features, ToolKind};
use crate::server::rpc::RpcError;
use crate::server::wire::INVALID_PARAMS;

/// The advertised tools of a server.
#[derive(Debug, Clone)]
pub(in crate::server) struct Advertised {
    tools: Vec<String>,
    /// The kinds of those tools that do not answer by default.
    kinds: Vec<ToolKind>,
    features: Features,
}

impl Advertised {
    /// These tools, of a server with these features.
    pub(in crate::server) fn new(tools: Vec<String>, kinds: Vec<ToolKind>, features: Features) -> Self {
        Self { tools, kinds, features }
    }

    fn kind(&self, name: &str) -> Option<&ToolKind> {
        self.kinds.iter().find(|kind| kind.name == name)
    }

    /// Advertises these tools from now on.
    pub(in crate::server) fn set(&mut self, tools: Vec<String>) {
        self.tools = tools;
    }

    /// The optional capabilities of its server.
    pub(in crate::server) fn features(&self) -> Features {
        self.features
    }

    /// The capabilities that its server announces.
    pub(in crate::server) fn capabilities(&self) -> Value {
        let mut all =
            json!({ "tools": if self.features.tools_change { json!({ "listChanged": true }) } else { json!({}) } });
        if self.features.logs {
            all["logging"] = json!({});
        }
        all
    }

    /// The result of `tools/list`.
    pub(in crate::server) fn list(&self, params: &Value) -> Result<Value, RpcError> {
        if params.get("cursor").is_some() {
            return Err(RpcError::new(INVALID_PARAMS, "Invalid cursor"));
        }
        let tools: Vec<Value> = self.tools.iter().map(|name| described(name, self.kind(name))).collect();
        Ok(json!({ "tools": tools }))
    }

    /// The result of `tools/call`.
    pub(in crate::server) fn call(&self, params: &Value) -> Result<Value, RpcError> {
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
        // The driver calls with `n`, and some clients drop what is not declared.
        "inputSchema": { "type": "object", "properties": { "n": { "type": "integer" }, "path": { "type": "string" } } },
    })
}

/// The name and version of the server.
pub(in crate::server) fn server_info() -> Value {
    json!({ "name": "mcp-mock", "version": env!("CARGO_PKG_VERSION") })
}

/// A name from a client, short enough for a message.
pub(in crate::server) fn shortened(name: &str) -> String {
    name.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::described;

    #[test]
    fn a_tool_declares_the_argument_that_the_driver_passes() {
        let tool = described("read", None);
        assert_eq!(tool["inputSchema"]["properties"]["n"]["type"], "integer");
    }
}
