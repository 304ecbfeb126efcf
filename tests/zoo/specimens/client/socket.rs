//! One HTTP/1.1 socket: requests as they are written, and responses as they arrive.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::PATIENCE;

/// Header fields in the order in which they are written.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields(pub Vec<(String, String)>);

impl Fields {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn set(&mut self, name: &str, value: &str) {
        self.remove(name);
        self.0.push((name.to_owned(), value.to_owned()));
    }

    pub fn remove(&mut self, name: &str) {
        self.0.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
    }
}

/// The head of a response.
#[derive(Debug, Clone, Default)]
pub struct Head {
    pub status: u16,
    pub fields: Fields,
}

impl Head {
    pub fn is_stream(&self) -> bool {
        self.fields.get("content-type").is_some_and(|kind| kind.starts_with("text/event-stream"))
    }
}

/// One event of a stream.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct StreamEvent {
    pub id: Option<String>,
    pub retry_ms: Option<u64>,
    pub kind: Option<String>,
    pub data: String,
}

impl StreamEvent {
    /// The message that it carries.
    pub fn message(&self) -> Option<Value> {
        serde_json::from_str(&self.data).ok()
    }
}

/// A socket, and what was read from it and not used.
#[derive(Debug)]
pub struct Socket {
    stream: TcpStream,
    rest: Vec<u8>,
    text: Vec<u8>,
    is_over: bool,
}

impl Socket {
    pub fn open(address: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream, rest: Vec::new(), text: Vec::new(), is_over: false }
    }

    /// Writes one request.
    pub fn send(&mut self, verb: &str, target: &str, fields: &Fields, body: Option<&[u8]>) {
        let mut bytes = format!("{verb} {target} HTTP/1.1\r\n");
        for (name, value) in &fields.0 {
            bytes.push_str(&format!("{name}: {value}\r\n"));
        }
        if let Some(body) = body {
            bytes.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        bytes.push_str("\r\n");
        let mut bytes = bytes.into_bytes();
        bytes.extend_from_slice(body.unwrap_or_default());
        self.stream.write_all(&bytes).unwrap();
    }

    /// Waits until there is something to read.
    pub fn wait(&self) {
        self.stream.peek(&mut [0]).unwrap();
    }

    /// Reads more; whether there was more.
    fn more(&mut self) -> bool {
        let mut buffer = [0; 16_384];
        let n = self.stream.read(&mut buffer).unwrap_or(0);
        self.rest.extend_from_slice(&buffer[..n]);
        n > 0
    }

    /// Takes all up to a mark; none if the socket ends before it.
    fn until(&mut self, mark: &[u8]) -> Option<Vec<u8>> {
        loop {
            if let Some(at) = position(&self.rest, mark) {
                let found = self.rest.drain(..at + mark.len()).take(at).collect();
                return Some(found);
            }
            if !self.more() {
                return None;
            }
        }
    }

    fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.rest.len() < length {
            if !self.more() {
                return None;
            }
        }
        Some(self.rest.drain(..length).collect())
    }

    /// Reads the head of the next response; none if the socket ended.
    pub fn head(&mut self) -> Option<Head> {
        (self.text, self.is_over) = (Vec::new(), false);
        let head = String::from_utf8(self.until(b"\r\n\r\n")?).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
        let pairs = lines.filter_map(|line| line.split_once(':'));
        let fields = pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect();
        Some(Head { status, fields: Fields(fields) })
    }

    fn chunk(&mut self) -> Option<Vec<u8>> {
        let length = String::from_utf8(self.until(b"\r\n")?).unwrap();
        let length = usize::from_str_radix(length.trim(), 16).unwrap();
        let mut chunk = self.exactly(length + 2)?;
        chunk.truncate(length);
        Some(chunk).filter(|chunk| !chunk.is_empty())
    }

    /// Reads the body that belongs to a head.
    pub fn body(&mut self, head: &Head) -> Vec<u8> {
        if let Some(length) = head.fields.get("content-length") {
            return self.exactly(length.parse().unwrap()).unwrap_or_default();
        }
        let mut body = Vec::new();
        if head.fields.get("transfer-encoding") == Some("chunked") {
            while let Some(chunk) = self.chunk() {
                body.extend(chunk);
            }
        }
        body
    }

    /// Reads the next event of a stream whose head was read; none when it has ended.
    pub fn event(&mut self) -> Option<StreamEvent> {
        loop {
            if let Some(at) = position(&self.text, b"\n\n") {
                let text: Vec<u8> = self.text.drain(..at + 2).collect();
                let event = event_of(&String::from_utf8(text).unwrap());
                if event != StreamEvent::default() {
                    return Some(event);
                }
                continue;
            }
            if self.is_over {
                return None;
            }
            match self.chunk() {
                Some(chunk) => self.text.extend(chunk),
                None => self.is_over = true,
            }
        }
    }

    /// Reads the next message of a stream for which this holds.
    pub fn message(&mut self, is_wanted: impl Fn(&Value) -> bool) -> Option<Value> {
        loop {
            if let Some(message) = self.event()?.message().filter(&is_wanted) {
                return Some(message);
            }
        }
    }
}

fn position(bytes: &[u8], mark: &[u8]) -> Option<usize> {
    bytes.windows(mark.len()).position(|window| window == mark)
}

fn event_of(text: &str) -> StreamEvent {
    let mut event = StreamEvent::default();
    let mut lines = Vec::new();
    for line in text.lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "data" => lines.push(value),
            "id" => event.id = Some(value.to_owned()),
            "event" => event.kind = Some(value.to_owned()),
            "retry" => event.retry_ms = value.parse().ok(),
            _ => {}
        }
    }
    event.data = lines.join("\n");
    event
}
