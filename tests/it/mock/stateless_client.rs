//! A raw client of the stateless generation, over lines and over HTTP.

use mcp_lifecheck::plan::ShutdownBehaviour;
use mcp_lifecheck::script::Script;
use serde_json::{Value, json};

use crate::mock::client::Client;
use crate::mock::home::Home;
use crate::mock::http_client::{Chunk, Mock, Socket};

pub const VERSION: &str = "io.modelcontextprotocol/protocolVersion";
pub const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// A mock and who speaks to it.
pub enum Talk {
    Lines(Home, Client),
    Http(Mock),
}

/// What every request says of itself.
pub fn meta() -> Value {
    json!({
        VERSION: "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": { "name": "raw", "version": "1" },
    })
}

/// A good request.
pub fn request(id: u32, method: &str, mut params: Value) -> Value {
    params["_meta"] = meta();
    json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })
}

pub fn call(id: u32) -> Value {
    request(id, "tools/call", json!({ "name": "read", "arguments": { "path": "/a" } }))
}

pub fn listen(id: u32) -> Value {
    request(id, "subscriptions/listen", json!({ "notifications": { "toolsListChanged": true } }))
}

/// The script of these lines after its `about`.
pub fn script(text: &str) -> Script {
    Script::from_toml("s", "s.toml", &format!("about = \"x\"\n{text}")).unwrap()
}

/// The header fields of a POST with this body.
pub fn fields(body: &Value) -> Vec<(String, String)> {
    let mut fields = vec![
        ("Accept".to_owned(), "application/json, text/event-stream".to_owned()),
        ("Content-Type".to_owned(), "application/json".to_owned()),
        ("Mcp-Method".to_owned(), body["method"].as_str().unwrap_or_default().to_owned()),
    ];
    let params = &body["params"];
    let mut field = |name: &str, value: &Value| {
        fields.extend(value.as_str().map(|value| (name.to_owned(), value.to_owned())));
    };
    field("MCP-Protocol-Version", &params["_meta"][VERSION]);
    field("Mcp-Name", &params["name"]);
    fields
}

/// Sends a POST with these fields.
pub fn post(socket: &mut Socket, mock: &Mock, fields: &[(String, String)], body: &Value) {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    socket.send("POST", &mock.path, &fields, &body.to_string());
}

impl Talk {
    pub fn lines(script: &Script, revision: &str) -> Self {
        let home = Home::with(script, ShutdownBehaviour::Polite, json!({ "revision": revision }));
        let client = Client::linked(&home);
        Self::Lines(home, client)
    }

    pub fn http(script: &Script, revision: &str) -> Self {
        Self::Http(Mock::with(script, json!({ "revision": revision })))
    }

    /// One of each, with this script.
    pub fn both(script: &Script, revision: &str) -> [Self; 2] {
        [Self::lines(script, revision), Self::http(script, revision)]
    }

    pub fn home(&self) -> &Home {
        match self {
            Self::Lines(home, _) => home,
            Self::Http(mock) => &mock.home,
        }
    }

    /// Asks and waits for the one answer; its status code is 0 over lines.
    pub fn ask(&mut self, body: &Value) -> (u16, Value) {
        match self {
            Self::Lines(_, client) => {
                client.send(&body.to_string());
                (0, client.answer())
            }
            Self::Http(mock) => {
                let mut socket = mock.socket();
                post(&mut socket, mock, &fields(body), body);
                let reply = socket.reply();
                (reply.status, reply.json())
            }
        }
    }

    /// Asks for a subscription and waits for its first message.
    pub fn listen(&mut self, id: u32) -> (Option<Socket>, Value) {
        let body = listen(id);
        match self {
            Self::Lines(_, client) => {
                client.send(&body.to_string());
                (None, client.answer())
            }
            Self::Http(mock) => {
                let mut socket = mock.socket();
                post(&mut socket, mock, &fields(&body), &body);
                let head = socket.head();
                assert_eq!((head.status, head.headers["content-type"].as_str()), (200, "text/event-stream"));
                let first = socket.event();
                (Some(socket), first)
            }
        }
    }

    /// The next message, of this stream over HTTP.
    pub fn next(&mut self, stream: &mut Option<Socket>) -> Value {
        match (self, stream) {
            (Self::Lines(_, client), _) => client.answer(),
            (Self::Http(_), stream) => stream.as_mut().unwrap().event(),
        }
    }
}

/// Whether a body that went on is complete.
pub fn is_complete(stream: &mut Socket) -> bool {
    stream.chunk() == Chunk::End
}
