//! A raw HTTP client: bytes out, heads and chunks in.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

use mcp_lifecheck::mock::DriverKind;
use mcp_lifecheck::plan::ShutdownBehaviour;
use mcp_lifecheck::script::Script;
use serde_json::{Value, json};

use crate::mock::client::{Client, INITIALIZE, INITIALIZED};
use crate::mock::home::{Home, LIMIT};

/// A linked mock over HTTP, its home, and where it is reached.
pub struct Mock {
    pub home: Home,
    pub process: Client,
    pub host: String,
    pub path: String,
}

/// One socket.
pub struct Socket {
    stream: BufReader<TcpStream>,
    host: String,
    path: String,
    pub session: Option<String>,
    /// The revision it says was agreed on.
    pub revision: Option<&'static str>,
}

/// A response.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What comes next of a body that goes on.
#[derive(Debug, PartialEq)]
pub enum Chunk {
    Data(String),
    /// The body is complete.
    End,
    /// The socket was closed before.
    Cut,
    /// The socket was reset.
    Reset,
}

impl Mock {
    pub fn start(script: &Script) -> Self {
        Self::with(script, json!({}))
    }

    /// With some fields of the welcome of the caller's choice.
    pub fn with(script: &Script, fields: Value) -> Self {
        Self::of(Home::with(script, ShutdownBehaviour::Polite, fields))
    }

    /// With a home that is there already.
    pub fn of(home: Home) -> Self {
        Self::at(DriverKind::Http, home)
    }

    /// Over one of the HTTP transports.
    pub fn over(driver: DriverKind, script: &Script, fields: Value) -> Self {
        Self::at(driver, Home::with(script, ShutdownBehaviour::Polite, fields))
    }

    fn at(driver: DriverKind, home: Home) -> Self {
        let process = Client::linked_over(driver, &home);
        let url = home.wait_for_short("mock.listening")["url"].as_str().unwrap().to_owned();
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        Self { home, process, host: host.to_owned(), path: format!("/{path}") }
    }

    pub fn shipped(name: &str) -> Self {
        Self::start(&mcp_lifecheck::script::shipped(name).unwrap())
    }

    /// With one rule.
    pub fn rule(on: &str, actions: &str) -> Self {
        let text = format!("about = \"x\"\n[[rule]]\non = {on}\ndo = {actions}\n");
        Self::start(&Script::from_toml("s", "s.toml", &text).unwrap())
    }

    pub fn socket(&self) -> Socket {
        Socket::to(&self.host, &self.path)
    }

    /// A socket of this session.
    pub fn socket_of(&self, session: &Socket) -> Socket {
        Socket { session: session.session.clone(), ..self.socket() }
    }

    /// A socket whose session is open.
    pub fn session(&self) -> Socket {
        let mut socket = self.socket();
        let reply = socket.post(INITIALIZE);
        assert_eq!(reply.status, 200, "{reply:?}");
        socket.session = Some(reply.headers["mcp-session-id"].clone());
        assert_eq!(socket.post(INITIALIZED).status, 202);
        socket
    }

    /// A session with its stream.
    pub fn session_with_stream(&self) -> (Socket, Socket) {
        let socket = self.session();
        let mut stream = self.socket_of(&socket);
        stream.get();
        assert_eq!(stream.head().status, 200);
        (socket, stream)
    }
}

impl Socket {
    pub fn to(host: &str, path: &str) -> Self {
        Self::try_to(host, path).unwrap()
    }

    /// Nothing where nobody listens any more.
    pub fn try_to(host: &str, path: &str) -> Option<Self> {
        let stream = TcpStream::connect(host).ok()?;
        stream.set_read_timeout(Some(LIMIT)).unwrap();
        stream.set_nodelay(true).unwrap();
        let (host, path) = (host.to_owned(), path.to_owned());
        Some(Self { stream: BufReader::new(stream), host, path, session: None, revision: None })
    }

    pub fn stream(&self) -> &TcpStream {
        self.stream.get_ref()
    }

    pub fn write(&mut self, bytes: &[u8]) {
        // The other end may have had enough.
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Sends a request with these header fields beside those that are needed, in one write.
    pub fn send(&mut self, verb: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let mut text = format!("{verb} {path} HTTP/1.1\r\nHost: {}\r\n", self.host);
        if let Some(session) = &self.session {
            text.push_str(&format!("Mcp-Session-Id: {session}\r\n"));
        }
        if let Some(revision) = self.revision {
            text.push_str(&format!("MCP-Protocol-Version: {revision}\r\n"));
        }
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !body.is_empty() {
            text.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        self.write(format!("{text}\r\n{body}").as_bytes());
    }

    pub fn ask(&mut self, message: &str) {
        let path = self.path.clone();
        self.send("POST", &path, &POST, message);
    }

    pub fn post(&mut self, message: &str) -> Reply {
        self.ask(message);
        self.reply()
    }

    pub fn get(&mut self) {
        let path = self.path.clone();
        self.send("GET", &path, &[("Accept", "text/event-stream")], "");
    }

    pub fn delete(&mut self) {
        let path = self.path.clone();
        self.send("DELETE", &path, &[], "");
    }

    /// The head of a response.
    pub fn head(&mut self) -> Reply {
        let status = self.line();
        let number = status.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let status = number.unwrap_or_else(|| panic!("found {status:?}, expected a status line"));
        let mut headers = BTreeMap::new();
        loop {
            let line = self.line();
            let Some((name, value)) = line.split_once(": ") else { break };
            headers.insert(name.to_ascii_lowercase(), value.to_owned());
        }
        Reply { status, headers, body: String::new() }
    }

    /// Whether a response begins before the socket ends.
    pub fn is_answered(&mut self) -> bool {
        self.stream.fill_buf().is_ok_and(|bytes| !bytes.is_empty())
    }

    /// Whether the other end closes it before anything comes.
    pub fn has_ended(&mut self) -> bool {
        match self.stream.fill_buf() {
            Ok(bytes) => bytes.is_empty(),
            Err(error) => error.kind() == ErrorKind::ConnectionReset,
        }
    }

    /// A body of this length.
    pub fn body(&mut self, length: usize) -> String {
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        String::from_utf8(body).unwrap()
    }

    /// A response with the body its length tells.
    pub fn reply(&mut self) -> Reply {
        let mut reply = self.head();
        let length = reply.headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        reply.body = self.body(length);
        reply
    }

    /// The next chunk of a body that goes on.
    pub fn chunk(&mut self) -> Chunk {
        let mut line = String::new();
        match self.stream.read_line(&mut line) {
            Ok(0) => return Chunk::Cut,
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Chunk::Reset,
            Err(error) => panic!("{error}"),
        }
        let length = usize::from_str_radix(line.trim_end(), 16).unwrap_or_else(|_| panic!("{line:?} is no chunk"));
        let mut data = vec![0; length + 2];
        self.stream.read_exact(&mut data).unwrap();
        data.truncate(length);
        if length == 0 { Chunk::End } else { Chunk::Data(String::from_utf8(data).unwrap()) }
    }

    /// The message of the next event of a stream.
    pub fn event(&mut self) -> Value {
        let Chunk::Data(text) = self.chunk() else { panic!("the stream is over") };
        let data = text.strip_prefix("event: message\ndata: ").and_then(|data| data.strip_suffix("\n\n"));
        serde_json::from_str(data.unwrap_or_else(|| panic!("{text:?} is no event"))).unwrap()
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }
}

impl Reply {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{self:?} has no JSON"))
    }
}

/// What every POST has.
const POST: [(&str, &str); 2] =
    [("Accept", "application/json, text/event-stream"), ("Content-Type", "application/json")];
