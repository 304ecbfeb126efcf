//! A client that speaks raw HTTP, right or wrong in one way: `raw_client MODE URL`. Started by the tests of `mcp-lifecheck client`.

#![expect(clippy::unwrap_used, reason = "a client of tests fails by panicking")]

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio, exit};
use std::time::Duration;

const VERSION: &str = "2025-11-25";
const META: &str = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;

/// An answer to an HTTP request.
struct Answer {
    headers: Vec<String>,
    body: String,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        let lines = self.headers.iter().filter_map(|line| line.split_once(':'));
        lines.into_iter().find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

struct Client {
    host: String,
    path: String,
    session: Option<String>,
    /// Header fields that come with every request.
    fields: Vec<String>,
    /// A connection that is kept for the next request.
    kept: Option<TcpStream>,
    keeps: bool,
    next_id: u32,
    /// The capabilities that it declares, as JSON.
    features: &'static str,
}

impl Client {
    fn new(url: &str) -> Self {
        let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
        Self {
            host: host.to_owned(),
            path: format!("/{path}"),
            session: None,
            fields: vec!["Accept: application/json, text/event-stream".to_owned()],
            kept: None,
            keeps: false,
            next_id: 0,
            features: "{}",
        }
    }

    /// Sends a request; what comes back is on the socket.
    fn send(&mut self, verb: &str, more: &[&str], body: &str) -> TcpStream {
        let mut socket = self.kept.take().unwrap_or_else(|| TcpStream::connect(&self.host).unwrap());
        let mut head = format!("{verb} {} HTTP/1.1\r\nHost: {}\r\n", self.path, self.host);
        let session = self.session.iter().map(|session| format!("Mcp-Session-Id: {session}"));
        for field in self.fields.iter().cloned().chain(session).chain(more.iter().map(|field| (*field).to_owned())) {
            head.push_str(&format!("{field}\r\n"));
        }
        if verb == "POST" {
            head.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
        }
        socket.write_all(format!("{head}\r\n{body}").as_bytes()).unwrap();
        socket
    }

    fn exchange(&mut self, verb: &str, more: &[&str], body: &str) -> Answer {
        let socket = self.send(verb, more, body);
        let answer = read(&socket).unwrap();
        self.kept = self.keeps.then_some(socket);
        answer
    }

    fn post(&mut self, body: &str) -> Answer {
        self.exchange("POST", &[], body)
    }

    fn id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    fn request(&mut self, method: &str, params: &str) -> Answer {
        let body = request(self.id(), method, params);
        self.post(&body)
    }

    fn initialize(&mut self) {
        let features = self.features;
        let params = format!(
            r#"{{"protocolVersion":"{VERSION}","capabilities":{features},"clientInfo":{{"name":"raw","version":"1"}}}}"#
        );
        let answer = self.request("initialize", &params);
        self.session = answer.header("mcp-session-id").map(str::to_owned);
        self.fields.push(format!("MCP-Protocol-Version: {VERSION}"));
    }

    fn initialized(&mut self) {
        self.post(r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#);
    }

    fn open(&mut self) {
        self.initialize();
        self.initialized();
    }

    fn call(&mut self) -> Answer {
        self.request("tools/call", CALL)
    }

    fn delete(&mut self) {
        self.exchange("DELETE", &[], "");
    }

    /// Asks for the stream of the session; it has begun when this returns.
    fn stream(&mut self) -> TcpStream {
        let socket = self.send("GET", &[], "");
        head(&mut BufReader::new(&socket)).unwrap();
        socket
    }

    /// The whole of a good life.
    fn live(&mut self) {
        self.open();
        self.request("tools/list", "{}");
        self.call();
    }
}

const CALL: &str = r#"{"name":"add_numbers","arguments":{"a":5,"b":3}}"#;
const OTHER_CALL: &str = r#"{"name":"add_numbers","arguments":{"a":1,"b":2}}"#;
const RECONNECTION: &str = r#"{"name":"test_reconnection","arguments":{}}"#;

fn request(id: u32, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"{method}","params":{params}}}"#)
}

fn head(reader: &mut impl BufRead) -> io::Result<Vec<String>> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            return Ok(lines);
        }
        lines.push(line.trim().to_owned());
    }
}

fn read(socket: &TcpStream) -> io::Result<Answer> {
    let mut reader = BufReader::new(socket);
    let mut answer = Answer { headers: head(&mut reader)?, body: String::new() };
    let mut bytes = Vec::new();
    if answer.header("transfer-encoding") == Some("chunked") {
        loop {
            let mut size = String::new();
            reader.read_line(&mut size)?;
            let size = u64::from_str_radix(size.trim(), 16).unwrap_or(0);
            reader.by_ref().take(size).read_to_end(&mut bytes)?;
            reader.read_line(&mut String::new())?;
            if size == 0 {
                break;
            }
        }
    } else {
        let length = answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        reader.take(length).read_to_end(&mut bytes)?;
    }
    answer.body = String::from_utf8_lossy(&bytes).into_owned();
    Ok(answer)
}

/// Is asked for input in a call, and gives this. One that abandons the call first closes the socket on which it waits: the server answers
/// only after it has the input, so it has not answered by then.
fn elicited(client: &mut Client, content: &str, abandons: bool) {
    client.features = r#"{"elicitation":{}}"#;
    client.open();
    client.request("tools/list", "{}");
    let id = client.id();
    let socket = client.send(
        "POST",
        &[],
        &request(id, "tools/call", r#"{"name":"test_client_elicitation_defaults","arguments":{}}"#),
    );
    let mut reader = BufReader::new(&socket);
    head(&mut reader).unwrap();
    let mut line = String::new();
    while !line.contains("elicitation/create") {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0);
    }
    let input = format!(r#"{{"jsonrpc":"2.0","id":0,"result":{{"action":"accept","content":{content}}}}}"#);
    if abandons {
        drop(reader);
        drop(socket);
        client.post(&input);
        client.request("tools/call", r#"{"name":"test_client_elicitation_defaults","arguments":{"again":true}}"#);
    } else {
        client.post(&input);
        while line.trim() != "0" {
            line.clear();
            assert!(reader.read_line(&mut line).unwrap() > 0);
        }
    }
    client.delete();
}

const FILLED_IN: &str = r#"{"name":"John Doe","age":30,"score":95.5,"status":"active","verified":true}"#;

/// Lives by a scenario of another generation or with a stream that ends; whether there is one.
fn scenario(client: &mut Client, way: &str) -> bool {
    let says_nothing = matches!(way, "no-metadata" | "no-defaults");
    match std::env::var("MCP_CONFORMANCE_SCENARIO").as_deref() {
        Ok("elicitation-sep1034-client-defaults") => {
            elicited(client, if says_nothing { r#"{"name":"John Doe"}"# } else { FILLED_IN }, false);
            true
        }
        Ok("sse-retry") => {
            client.open();
            client.request("tools/list", "{}");
            let ended = client.request("tools/call", RECONNECTION);
            let id = ended.body.lines().find_map(|line| line.strip_prefix("id: ")).unwrap().to_owned();
            if way == "calls-again" {
                client.request("tools/call", RECONNECTION);
            }
            if way != "hasty" {
                std::thread::sleep(Duration::from_millis(500));
            }
            let answer = client.exchange("GET", &[&format!("Last-Event-ID: {id}")], "");
            assert!(answer.body.contains("\"result\""), "{}", answer.body);
            client.delete();
            true
        }
        Ok("request-metadata") => {
            client.fields.push("MCP-Protocol-Version: 2026-07-28".to_owned());
            let params = if says_nothing { "{}".to_owned() } else { format!("{{{META}}}") };
            let body = request(1, "tools/list", &params);
            client.exchange("POST", &["Mcp-Method: tools/list"], &body);
            let body = request(2, "tools/list", &format!("{{{META}}}"));
            client.exchange("POST", &["Mcp-Method: tools/list"], &body);
            true
        }
        Ok("initialize") => {
            client.open();
            client.delete();
            true
        }
        _ => false,
    }
}

#[expect(clippy::zombie_processes, reason = "a child without a waiting parent is what is tested")]
fn spawn(program: &str, arguments: &[&str]) {
    let _ = Command::new(program).args(arguments).stdin(Stdio::null()).spawn().unwrap();
}

fn wait_for_ever() -> ! {
    loop {
        std::thread::park();
    }
}

/// Does right in one of several ways.
fn do_right(mode: &str, client: &mut Client) -> bool {
    match mode {
        "good" => {
            if !scenario(client, "good") {
                client.live();
                client.delete();
            }
        }
        "without-delete" => client.live(),
        "keep-alive" => {
            client.keeps = true;
            client.live();
            client.delete();
        }
        "with-stream" => {
            client.open();
            let stream = client.stream();
            client.request("tools/list", "{}");
            client.call();
            drop(stream);
            client.delete();
        }
        "stream-closed-last" | "stream-closed-last-beside-an-idle-connection" => {
            client.keeps = mode != "stream-closed-last";
            client.open();
            let stream = client.stream();
            client.request("tools/list", "{}");
            client.call();
            std::mem::forget(client.kept.take());
            drop(stream);
        }
        "cancelling" => {
            client.open();
            client.request("tools/list", "{}");
            let id = client.id();
            let waiting = client.send("POST", &[], &request(id, "tools/call", OTHER_CALL));
            client.post(&format!(
                r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#
            ));
            drop(waiting);
            client.call();
            client.delete();
        }
        "talkative" => {
            (0..1_000).for_each(|n| eprintln!("DEBUG: the request {n} is on its way, no error"));
            client.live();
            client.delete();
        }
        _ => return false,
    }
    true
}

/// Does one thing wrong on the wire.
fn do_wrong_on_the_wire(mode: &str, client: &mut Client) -> bool {
    match mode {
        "stops-early" => client.open(),
        "never-initialized" => {
            client.initialize();
            client.delete();
        }
        "no-initialize" => {
            client.request("tools/list", "{}");
            client.live();
            client.delete();
        }
        "initialize-twice" => {
            client.open();
            let session = client.session.clone();
            client.initialize();
            client.fields.pop();
            client.session = session;
            client.live_on();
        }
        "no-version" => {
            client.initialize();
            client.fields.pop();
            client.initialized();
            client.live_on();
        }
        "no-session-id" => {
            client.open();
            let session = client.session.take();
            client.request("tools/list", "{}");
            client.session = session;
            client.live_on();
        }
        "not-accepting" => {
            client.open();
            let accept = std::mem::replace(&mut client.fields[0], "Accept: application/json".to_owned());
            client.request("tools/list", "{}");
            client.fields[0] = accept;
            client.live_on();
        }
        "id-reused" => {
            client.open();
            client.next_id = 0;
            client.live_on();
        }
        "cancels-initialize" => {
            client.open();
            client.post(r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":1}}"#);
            client.live_on();
        }
        "calls-twice" => {
            client.live();
            client.call();
            client.delete();
        }
        "session-unused" => {
            let mut other = Client::new(&format!("http://{}{}", client.host, client.path));
            other.open();
            client.live();
            client.delete();
            other.delete();
        }
        "call-after-delete" => {
            client.live();
            client.delete();
            // Each request has a socket of its own; only a later one cannot have been under way with the DELETE.
            std::thread::sleep(std::time::Duration::from_millis(500));
            client.request("tools/call", OTHER_CALL);
        }
        "abandons" => elicited(client, FILLED_IN, true),
        "stream-left" => {
            client.open();
            let stream = client.stream();
            client.request("tools/list", "{}");
            client.call();
            std::mem::forget(stream);
        }
        "unread" => {
            client.live();
            let id = client.id();
            let socket = client.send("POST", &[], &request(id, "tools/list", "{}"));
            // One byte is there, so the rest is as well.
            socket.peek(&mut [0]).unwrap();
            client.kept = None;
            std::mem::forget(socket);
        }
        "in-batch" => {
            client.open();
            let id = client.id();
            client.post(&format!("[{}]", request(id, "tools/list", "{}")));
            client.live_on();
        }
        "no-json" => {
            client.open();
            client.post("tools/list");
            client.live_on();
        }
        "no-jsonrpc" => {
            client.open();
            let id = client.id();
            client.post(&format!(r#"{{"id":{id},"method":"tools/list"}}"#));
            client.live_on();
        }
        "asks-for-prompts" => {
            client.open();
            client.request("prompts/list", "{}");
            client.live_on();
        }
        "nameless" => {
            let params = format!(r#"{{"protocolVersion":"{VERSION}","capabilities":{{}}}}"#);
            let answer = client.request("initialize", &params);
            client.session = answer.header("mcp-session-id").map(str::to_owned);
            client.fields.push(format!("MCP-Protocol-Version: {VERSION}"));
            client.initialized();
            client.live_on();
        }
        "hasty" | "calls-again" | "no-metadata" | "no-defaults" => return scenario(client, mode),
        _ => return false,
    }
    true
}

impl Client {
    /// What follows the opening.
    fn live_on(&mut self) {
        self.request("tools/list", "{}");
        self.call();
        self.delete();
    }
}

/// Ends in a wrong way, or not at all.
fn end_wrong(mode: &str, client: &mut Client) -> bool {
    if mode == "silent" {
        return true;
    }
    if mode == "hangs-at-once" {
        wait_for_ever();
    }
    if mode == "hangs-in-call" {
        client.open();
        client.send("POST", &[], &request(7, "tools/call", OTHER_CALL)).peek(&mut [0]).unwrap();
        wait_for_ever();
    }
    client.live();
    client.delete();
    match mode {
        "exit-code" => exit(3),
        "aborts" => std::process::abort(),
        "hangs" => wait_for_ever(),
        "hangs-with-child" => {
            spawn("sleep", &["3600"]);
            wait_for_ever();
        }
        "ignores-term" => {
            spawn("sh", &["-c", "trap '' TERM INT HUP; while :; do sleep 3600; done"]);
            wait_for_ever();
        }
        "leaves-child" => spawn("sleep", &["3600"]),
        "error-on-stderr" => eprintln!("TypeError: the stream was closed twice"),
        "panics-aside" => drop(std::thread::spawn(|| panic!("no thread waits for me")).join()),
        "floods" => {
            let line = "the same line again and again\n".repeat(10_000);
            while io::stderr().write_all(line.as_bytes()).is_ok() {}
        }
        _ => return false,
    }
    true
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let (mode, url) = (arguments.next().unwrap(), arguments.next().unwrap());
    let mut client = Client::new(&url);
    let is_known =
        do_right(&mode, &mut client) || do_wrong_on_the_wire(&mode, &mut client) || end_wrong(&mode, &mut client);
    if !is_known {
        eprintln!("raw_client: unknown mode {mode}");
        exit(64);
    }
}
