//! The configuration of a host: its servers, in the shape that the host's documentation defines.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

/// A shape of a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ConfigShape {
    /// `{"mcpServers": {NAME: {command, args, env} | {type: "http", url}}}`. Claude and most other hosts read this shape.
    #[default]
    Claude,
    /// `{"servers": {NAME: {type: "stdio", command, args, env} | {type: "http", url}}}`. VS Code reads this shape from `mcp.json`.
    Vscode,
    /// `{NAME: {transport: "stdio", command, args, env} | {transport: "streamable_http", url}}`. LangChain's adapters read this shape.
    Langchain,
    /// `{"mcpServers": {NAME: {transport: "stdio", command, args, env} | {transport: "http", url}}}`. FastMCP's `MCPConfig` has this shape.
    Fastmcp,
}

/// How a host reaches one server.
#[derive(Debug, Clone, PartialEq)]
pub enum ServerEntry {
    /// The host starts the server as a process.
    Command {
        /// The program.
        command: String,
        /// Its arguments.
        args: Vec<String>,
        /// Variables that are added to the environment of the process.
        env: BTreeMap<String, String>,
    },
    /// The server listens at this URL.
    Url(String),
}

impl ConfigShape {
    /// The whole configuration.
    #[must_use]
    pub fn config(self, servers: &BTreeMap<String, ServerEntry>) -> Value {
        let entries: Map<String, Value> =
            servers.iter().map(|(name, entry)| (name.clone(), self.entry(entry))).collect();
        match self {
            Self::Claude | Self::Fastmcp => json!({ "mcpServers": entries }),
            Self::Vscode => json!({ "servers": entries }),
            Self::Langchain => Value::Object(entries),
        }
    }

    /// The entry of one server.
    #[must_use]
    pub fn entry(self, entry: &ServerEntry) -> Value {
        let (key, kind) = match (self, entry) {
            (Self::Claude, ServerEntry::Command { .. }) => return command_fields(entry),
            (Self::Vscode, ServerEntry::Command { .. }) => ("type", "stdio"),
            (Self::Claude | Self::Vscode, ServerEntry::Url(_)) => ("type", "http"),
            (Self::Langchain | Self::Fastmcp, ServerEntry::Command { .. }) => ("transport", "stdio"),
            (Self::Langchain, ServerEntry::Url(_)) => ("transport", "streamable_http"),
            (Self::Fastmcp, ServerEntry::Url(_)) => ("transport", "http"),
        };
        let mut fields = command_fields(entry);
        fields[key] = kind.into();
        fields
    }
}

fn command_fields(entry: &ServerEntry) -> Value {
    match entry {
        ServerEntry::Command { command, args, env } => json!({ "command": command, "args": args, "env": env }),
        ServerEntry::Url(url) => json!({ "url": url }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_shape_is_as_its_maker_documents_it() {
        let env = BTreeMap::from([("A".to_owned(), "b".to_owned())]);
        let command = ServerEntry::Command { command: "mock".to_owned(), args: vec!["x".to_owned()], env };
        let url = ServerEntry::Url("http://127.0.0.1:1/mcp".to_owned());
        let servers = BTreeMap::from([("a".to_owned(), command), ("b".to_owned(), url)]);
        let fields = |more: Value| {
            let mut fields = json!({ "command": "mock", "args": ["x"], "env": { "A": "b" } });
            more.as_object().unwrap().iter().for_each(|(key, value)| fields[key] = value.clone());
            fields
        };
        let http = |key: &str, kind: &str| json!({ key: kind, "url": "http://127.0.0.1:1/mcp" });
        for (shape, expected) in [
            (ConfigShape::Claude, json!({ "mcpServers": { "a": fields(json!({})), "b": http("type", "http") } })),
            (
                ConfigShape::Vscode,
                json!({ "servers": { "a": fields(json!({ "type": "stdio" })), "b": http("type", "http") } }),
            ),
            (
                ConfigShape::Langchain,
                json!({ "a": fields(json!({ "transport": "stdio" })), "b": http("transport", "streamable_http") }),
            ),
            (
                ConfigShape::Fastmcp,
                json!({ "mcpServers": { "a": fields(json!({ "transport": "stdio" })), "b": http("transport", "http") } }),
            ),
        ] {
            assert_eq!(shape.config(&servers), expected, "{shape:?}");
        }
    }
}
