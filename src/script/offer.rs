//! What an honest server of either era has: tools that answer with their name and their arguments.

use serde_json::{Value, json};

use crate::script::ToolKind;
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
    /// What some of them are, where they are not of the usual kind.
    kinds: Vec<ToolKind>,
    features: Features,
}

impl Offer {
    /// These tools, of a server that has these features.
    pub(super) fn new(tools: Vec<String>, kinds: Vec<ToolKind>, features: Features) -> Self {
        Self { tools, kinds, features }
    }

    fn kind(&self, name: &str) -> Option<&ToolKind> {
        self.kinds.iter().find(|kind| kind.name == name)
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
