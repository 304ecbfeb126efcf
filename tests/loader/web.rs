//! A raw HTTP server on threads of its own: it notes every request, then does what the test says.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Instant;

use mcp_lifecheck_specimens::reference::{Config, ToolsLoader};
use serde_json::{Value, json};

use crate::support::*;

/// One request, unchanged.
#[derive(Debug, Clone)]
pub struct Hit {
    pub verb: String,
    /// Its path and query.
    pub target: String,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
    pub at: Instant,
    /// The method of its message, `answer` for a response, or the verb where there is no message.
    pub label: String,
}

impl Hit {
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }
}

/// What the server does with a request.
pub enum Act {
    /// As a good server would.
    Conforming,
    /// These bytes, then the end.
    Raw(String),
    /// Nothing until the test takes the line.
    Hold,
}

pub type Rule = dyn Fn(&Hit, usize) -> Act + Send + Sync;

struct Inner {
    rule: Box<Rule>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    hits: Vec<Hit>,
    n_open: usize,
    n_sessions: usize,
    session: Option<String>,
    tools: Vec<&'static str>,
    held: Vec<(String, Line)>,
    streams: Vec<Line>,
}

/// The server. It stops when it is dropped.
pub struct Web {
    inner: Arc<Inner>,
    pub address: SocketAddr,
    stop: Arc<Mutex<bool>>,
}

/// The server's end of a connection.
#[derive(Debug)]
pub struct Line(TcpStream);

impl Line {
    pub fn raw(&mut self, text: &str) {
        // A client that has gone away is what some tests are about.
        let _ = self.0.write_all(text.as_bytes());
    }

    pub fn status(mut self, status: u16) {
        self.raw(&format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n"));
        self.cut();
    }

    pub fn json(mut self, body: &Value) {
        self.raw(&json_response(body, ""));
        self.cut();
    }

    /// The head of a stream of events.
    pub fn events(&mut self) {
        self.raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
    }

    /// A piece of such a stream.
    pub fn event(&mut self, text: &str) {
        let text = format!("{text}\n\n");
        self.raw(&format!("{:x}\r\n{text}\r\n", text.len()));
    }

    /// The proper end of such a stream.
    pub fn end(mut self) {
        self.raw("0\r\n\r\n");
        self.cut();
    }

    /// The end of the connection.
    pub fn cut(self) {
        let _ = self.0.shutdown(Shutdown::Both);
    }
}

pub fn json_response(body: &Value, headers: &str) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

pub fn result(id: &Value, result: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": result})
}

pub fn said(text: &str) -> Value {
    json!({"content": [{"type": "text", "text": text}]})
}

pub const CHANGED: &str = r#"data: {"jsonrpc":"2.0","method":"notifications/tools/list_changed"}"#;

impl Web {
    pub fn conforming() -> Self {
        Self::new(|_, _| Act::Conforming)
    }

    /// `rule` sees each request, and how many with the same label came before it.
    pub fn new(rule: impl Fn(&Hit, usize) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let state = Mutex::new(State { tools: vec!["echo"], ..State::default() });
        let inner = Arc::new(Inner { rule: Box::new(rule), state });
        let stop = Arc::new(Mutex::new(false));
        let (served, stopped) = (Arc::clone(&inner), Arc::clone(&stop));
        thread::spawn(move || {
            for socket in listener.incoming() {
                if *stopped.lock().unwrap() {
                    return;
                }
                let (socket, inner) = (socket.unwrap(), Arc::clone(&served));
                inner.state().n_open += 1;
                thread::spawn(move || {
                    inner.serve(&socket);
                    inner.state().n_open -= 1;
                });
            }
        });
        Self { inner, address, stop }
    }

    /// Closes the listener and all open connections.
    pub fn die(&self) {
        *self.stop.lock().unwrap() = true;
        drop(TcpStream::connect(self.address));
        let mut state = self.inner.state();
        let streams = std::mem::take(&mut state.streams);
        let held = std::mem::take(&mut state.held);
        for line in streams.into_iter().chain(held.into_iter().map(|(_, line)| line)) {
            line.cut();
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.address)
    }

    pub fn config(&self) -> Config {
        self.config_of("http")
    }

    /// With one of the HTTP transports.
    pub fn config_of(&self, kind: &str) -> Config {
        let server = json!({"url": self.url(), "type": kind, "headers": {"x-key": "k"}});
        Config::from_value(&json!({"mcpServers": {"a": server}})).unwrap()
    }

    pub fn hits(&self) -> Vec<Hit> {
        self.inner.state().hits.clone()
    }

    pub fn labels(&self) -> Vec<String> {
        self.hits().into_iter().map(|hit| hit.label).collect()
    }

    pub fn count(&self, label: &str) -> usize {
        self.labels().iter().filter(|each| *each == label).count()
    }

    pub fn n_open(&self) -> usize {
        self.inner.state().n_open
    }

    /// The server forgets the session, as one that was restarted.
    pub fn forget(&self) {
        self.inner.state().session = None;
    }

    /// Drops the server's ends of closed streams.
    pub fn clear(&self) {
        self.inner.state().streams.clear();
    }

    /// Takes a session for the current one.
    pub fn adopt(&self, session: &str) {
        self.inner.state().session = Some(session.to_owned());
    }

    pub fn set_tools(&self, tools: &[&'static str]) {
        self.inner.state().tools = tools.to_vec();
    }

    pub async fn seen(&self, label: &str, n: usize) {
        until(&format!("{n} times {label:?} in {:?}", self.labels()), || self.count(label) >= n).await;
    }

    /// A request that the rule held.
    pub async fn held(&self, label: &str) -> Line {
        let taken = std::cell::RefCell::new(None);
        until(&format!("{label:?} is held"), || {
            let mut state = self.inner.state();
            let at = state.held.iter().position(|(held, _)| held == label);
            *taken.borrow_mut() = at.map(|at| state.held.remove(at).1);
            at.is_some()
        })
        .await;
        taken.into_inner().unwrap()
    }

    /// The oldest stream that was opened with GET.
    pub async fn stream(&self) -> Line {
        until("a stream is open", || !self.inner.state().streams.is_empty()).await;
        self.inner.state().streams.remove(0)
    }

    /// Closing has no acknowledgement, so the server may learn of it a moment later.
    pub async fn all_closed(&self) {
        until("every socket is closed", || self.n_open() == 0).await;
    }
}

impl Drop for Web {
    fn drop(&mut self) {
        self.die();
    }
}

impl Inner {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn serve(&self, socket: &TcpStream) {
        let Some(hit) = read(socket) else { return };
        let n_before = {
            let mut state = self.state();
            state.hits.push(hit.clone());
            state.hits.iter().filter(|each| each.label == hit.label).count() - 1
        };
        let mut line = Line(socket.try_clone().unwrap());
        match (self.rule)(&hit, n_before) {
            Act::Raw(text) => {
                line.raw(&text);
                line.cut();
            }
            Act::Hold => self.state().held.push((hit.label.clone(), line)),
            Act::Conforming => self.answer(&hit, line),
        }
        // Until the client closes, or the test does.
        let mut socket = socket;
        let mut rest = [0; 256];
        while matches!(socket.read(&mut rest), Ok(n) if n > 0) {}
    }

    fn answer(&self, hit: &Hit, mut line: Line) {
        let mut state = self.state();
        let knows = hit.header("mcp-session-id") == state.session.as_deref();
        match hit.label.as_str() {
            "initialize" => {
                state.n_sessions += 1;
                let session = format!("session-{}", state.n_sessions);
                line.raw(&json_response(&welcome(hit), &format!("Mcp-Session-Id: {session}\r\n")));
                state.session = Some(session);
                drop(state);
                line.cut();
            }
            _ if !knows => line.status(404),
            "GET" => {
                line.events();
                state.streams.push(line);
            }
            "DELETE" => line.status(200),
            "tools/list" => {
                let tools = state.tools.iter().map(|name| json!({"name": name, "inputSchema": {"type": "object"}}));
                let tools = json!({"tools": tools.collect::<Vec<_>>()});
                drop(state);
                line.json(&result(&hit.body["id"], &tools));
            }
            "tools/call" => {
                let text = hit.body["params"]["arguments"]["text"].as_str().unwrap_or_default();
                line.json(&result(&hit.body["id"], &said(text)));
            }
            _ => line.status(202),
        }
    }
}

/// A good answer to `initialize`.
pub fn welcome(hit: &Hit) -> Value {
    let revision = &hit.body["params"]["protocolVersion"];
    let us = json!({"name": "web", "version": "1"});
    let capabilities = json!({"tools": {"listChanged": true}});
    result(&hit.body["id"], &json!({"protocolVersion": revision, "capabilities": capabilities, "serverInfo": us}))
}

fn read(socket: &TcpStream) -> Option<Hit> {
    let mut reader = BufReader::new(socket);
    let mut first = String::new();
    if reader.read_line(&mut first).ok()? == 0 {
        return None;
    }
    let mut words = first.split(' ').map(str::to_owned);
    let (verb, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        headers.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body: Value = serde_json::from_slice(&body).unwrap_or(Value::Null);
    let label = match body["method"].as_str() {
        Some(method) => method.to_owned(),
        None if body.is_null() => verb.clone(),
        None => "answer".to_owned(),
    };
    Some(Hit { verb, target, headers, body, at: Instant::now(), label })
}

/// A loader that has loaded the server of `web`.
pub async fn loaded_from(web: &Web, options: mcp_lifecheck_specimens::reference::Options) -> Arc<ToolsLoader> {
    let loader = Arc::new(ToolsLoader::new(options));
    let report = loader.load(&web.config()).await.unwrap();
    assert!(report.errors.is_empty(), "{:?}", report.errors);
    loader
}
