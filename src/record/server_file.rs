//! The file of servers that a load gets, as types for `adapters/protocol.schema.json`.

use std::collections::BTreeMap;

use schemars::JsonSchema;

/// The argument of a load: an mcpServers file.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "exists only for its schema")]
pub(super) struct Configuration {
    /// The servers by name.
    #[serde(rename = "mcpServers")]
    servers: BTreeMap<String, ServerEntry>,
}

/// How to reach a server.
#[derive(JsonSchema)]
#[schemars(untagged)]
#[expect(dead_code, reason = "exists only for its schema")]
enum ServerEntry {
    /// Over stdio: start a program.
    Program {
        /// The program to start.
        command: String,
        /// Arguments of the program.
        args: Vec<String>,
        /// Variables to add to the environment.
        env: BTreeMap<String, String>,
    },
    /// Over HTTP.
    Url {
        /// URL of the server.
        url: String,
        /// `http` for streamable HTTP, `sse` for HTTP with server-sent events.
        r#type: HttpType,
        /// Header fields to send with every request.
        #[serde(default)]
        #[schemars(with = "BTreeMap<String, String>")]
        headers: Option<BTreeMap<String, String>>,
    },
    /// In memory: a server in the loader's own process. Only Rust loaders receive it.
    Memory {
        /// Keys that identify the server within that process.
        memory: BTreeMap<String, String>,
    },
}

/// A transport over HTTP.
#[derive(JsonSchema)]
#[schemars(rename_all = "kebab-case")]
#[expect(dead_code, reason = "exists only for its schema")]
enum HttpType {
    Http,
    Sse,
}
