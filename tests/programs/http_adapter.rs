//! An adapter whose loader speaks streamable HTTP by hand, a socket for each request.
//!
//! For the harness's own tests: it shares no code with the mocks and no library with other loaders. With the argument
//! `leaks` it sends no DELETE.

use std::collections::BTreeMap;
use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::exit;

use serde_json::{Value, json};

fn main() {
    let address = env::var("MCP_LIFECHECK_LINK").expect("started by mcp-lifecheck");
    let mut link = TcpStream::connect(address).expect("home listens");
    tell(
        &mut link,
        &json!({
            "hello": 1, "token": env::var("MCP_LIFECHECK_TOKEN").unwrap_or_default(), "adapter": "http", "observes": [],
            "contexts": ["task"], "operations": ["load", "call", "list", "close", "reload", "probe"],
        }),
    );
    let mut loader = Loader { sessions: BTreeMap::new(), leaks: env::args().nth(1).as_deref() == Some("leaks") };
    for line in BufReader::new(link.try_clone().expect("a socket can be cloned")).lines() {
        let Ok(line) = line else { exit(86) };
        let command: Value = serde_json::from_str(&line).unwrap_or_default();
        let Some(action) = command["do"].as_str() else { continue };
        if command.get("in").is_some() {
            let context = json!({ "thread": 1, "loop": 1, "task": 1 });
            let started = json!({ "event": "operation.started", "operation": command["id"], "context": context });
            tell(&mut link, &started);
        }
        let mut answer = match loader.perform(action, &command) {
            Ok(answer) => json!({ "ok": answer }),
            Err(message) => json!({ "failed": { "type": "HttpError", "message": message } }),
        };
        answer["id"] = command["id"].clone();
        tell(&mut link, &answer);
        if action == "exit" {
            exit(0);
        }
    }
    exit(86);
}

fn tell(link: &mut TcpStream, value: &Value) {
    if link.write_all(format!("{value}\n").as_bytes()).is_err() {
        exit(86);
    }
}

struct Loader {
    sessions: BTreeMap<String, Session>,
    leaks: bool,
}

struct Session {
    url: String,
    id: String,
    n_requests: u64,
}

impl Loader {
    fn perform(&mut self, action: &str, command: &Value) -> Result<Value, String> {
        match action {
            "load" | "reload" => self.load(&command["config"]["mcpServers"]),
            "list" => Ok(self.tools(BTreeMap::new())),
            "call" => self.call(command),
            "close" => {
                self.close(&[]);
                Ok(json!({}))
            }
            _ => Ok(json!({})),
        }
    }

    fn load(&mut self, servers: &Value) -> Result<Value, String> {
        let servers = servers.as_object().ok_or("no servers")?;
        self.close(&servers.keys().map(String::as_str).collect::<Vec<_>>());
        let mut errors = BTreeMap::new();
        for (name, entry) in servers {
            let url = entry["url"].as_str().ok_or_else(|| format!("server {name} has no url"))?;
            if !self.sessions.contains_key(name) {
                match Session::open(url) {
                    Ok(session) => drop(self.sessions.insert(name.clone(), session)),
                    Err(error) => drop(errors.insert(name.clone(), error)),
                }
            }
        }
        Ok(self.tools(errors))
    }

    fn tools(&self, errors: BTreeMap<String, String>) -> Value {
        let tools: Vec<_> = self.sessions.keys().map(|server| json!({ "server": server, "name": "read" })).collect();
        json!({ "tools": tools, "errors": errors })
    }

    fn call(&mut self, command: &Value) -> Result<Value, String> {
        let server = command["server"].as_str().unwrap_or_default();
        let session = self.sessions.get_mut(server).ok_or("no such server")?;
        let params = json!({ "name": command["tool"], "arguments": command["arguments"] });
        let answer = session.request("tools/call", &params)?;
        Ok(json!({ "text": answer["content"][0]["text"] }))
    }

    /// Ends every session but those that are kept.
    fn close(&mut self, kept: &[&str]) {
        let leaks = self.leaks;
        self.sessions.retain(|name, session| {
            let stays = kept.contains(&name.as_str());
            if !stays && !leaks {
                // A server that is gone has no session to end.
                drop(http(&session.url, "DELETE", Some(&session.id), ""));
            }
            stays
        });
    }
}

impl Session {
    fn open(url: &str) -> Result<Self, String> {
        let info = json!({ "name": "by-hand", "version": "1" });
        let params = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": info });
        let body = json!({ "jsonrpc": "2.0", "id": 0, "method": "initialize", "params": params });
        let (head, _) = http(url, "POST", None, &body.to_string())?;
        let named = head.lines().find_map(|line| line.strip_prefix("mcp-session-id: "));
        let id = named.ok_or_else(|| format!("no session in {head:?}"))?.to_owned();
        let initialized = json!({ "jsonrpc": "2.0", "method": "notifications/initialized" });
        http(url, "POST", Some(&id), &initialized.to_string())?;
        let mut session = Self { url: url.to_owned(), id, n_requests: 0 };
        session.request("tools/list", &json!({}))?;
        Ok(session)
    }

    fn request(&mut self, method: &str, params: &Value) -> Result<Value, String> {
        self.n_requests += 1;
        let body = json!({ "jsonrpc": "2.0", "id": self.n_requests, "method": method, "params": params });
        let (_, body) = http(&self.url, "POST", Some(&self.id), &body.to_string())?;
        let answer: Value = serde_json::from_str(&body).map_err(|error| format!("{error}: {body:?}"))?;
        answer.get("result").cloned().ok_or_else(|| format!("no result in {body}"))
    }
}

/// One exchange on a socket of its own: head and body of the response, where that is not a failure.
fn http(url: &str, verb: &str, session: Option<&str>, body: &str) -> Result<(String, String), String> {
    let (host, path) = url.strip_prefix("http://").and_then(|rest| rest.split_once('/')).ok_or("no URL")?;
    let session =
        session.map_or_else(String::new, |id| format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n"));
    let request = format!(
        "{verb} /{path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json, text/event-stream\r\n{session}\
         Content-Type: application/json\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let mut socket = TcpStream::connect(host).map_err(|error| error.to_string())?;
    socket.write_all(request.as_bytes()).map_err(|error| error.to_string())?;
    let mut response = String::new();
    socket.read_to_string(&mut response).map_err(|error| error.to_string())?;
    let (head, body) = response.split_once("\r\n\r\n").ok_or_else(|| format!("{response:?} is no response"))?;
    match head.as_bytes().get(9) {
        Some(b'2') => Ok((head.to_owned(), body.to_owned())),
        _ => Err(head.to_owned()),
    }
}
