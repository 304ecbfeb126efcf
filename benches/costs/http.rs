//! The CPU time of a session over HTTP, compared with a handwritten hyper server that gives the same answers.

use std::convert::Infallible;
use std::future::poll_fn;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::pin::Pin;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use criterion::{BenchmarkGroup, Criterion, SamplingMode};
use hyper::body::{Body, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

use crate::clock::{CpuTime, spent};
use crate::ledger::{Ledger, at_most};

/// First argument of this executable as the server to compare with.
pub const ECHO: &str = "__echo";
/// Sessions of one measurement: ticks of 10 ms tell a hundredth of what they use.
const N_SESSIONS: u64 = 2_000;
/// What a client says in one session, and the method of HTTP it says it by.
pub const SESSION: [(&str, &str); 5] = [
    (
        "POST",
        r#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"bench","version":"1"}}}"#,
    ),
    ("POST", r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#),
    ("POST", r#"{"jsonrpc":"2.0","id":2,"method":"tools/list"}"#),
    ("POST", r#"{"jsonrpc":"2.0","id":3,"method":"tools/call","params":{"name":"read","arguments":{"path":"/a"}}}"#),
    ("DELETE", ""),
];

/// Measures sessions with the mock and with the other server.
pub fn measure(ledger: &Ledger) {
    let mut criterion = Criterion::default().with_measurement(CpuTime::new()).configure_from_args();
    let mut group = criterion.benchmark_group("http");
    group.sample_size(10).sampling_mode(SamplingMode::Flat).measurement_time(Duration::from_secs(4));
    sessions(&mut group, ledger, "http/mock", Server::mock);
    sessions(&mut group, ledger, "http/echo", Server::echo);
    group.finish();
}

/// Holds the mock against the other server.
pub fn bounds(ledger: &Ledger) -> bool {
    let (Some(mock), Some(echo)) = (ledger.mean("http/mock"), ledger.mean("http/echo")) else { return true };
    let us = |duration: Duration| duration.as_secs_f64() * 1e6;
    println!("        a session over HTTP: {:.1} us of CPU for the mock, {:.1} us for bare hyper", us(mock), us(echo));
    at_most("CPU of a session over HTTP, mock to bare hyper", us(mock) / us(echo), 2.0, "times")
}

fn sessions(group: &mut BenchmarkGroup<'_, CpuTime>, ledger: &Ledger, name: &'static str, start: fn() -> Server) {
    group.bench_function(name.trim_start_matches("http/"), |bencher| {
        bencher.iter_custom(|n_rounds| {
            (0..n_rounds)
                .map(|_| {
                    let server = start();
                    let before = spent(server.child.id());
                    (0..N_SESSIONS).for_each(|_| drop(session(&server)));
                    ledger.add(name, spent(server.child.id()) - before, N_SESSIONS)
                })
                .sum()
        });
    });
}

/// A server in a process of its own; ended when dropped.
pub struct Server {
    child: Child,
    addr: SocketAddr,
    path: String,
}

impl Server {
    pub fn mock() -> Self {
        Self::start(Command::new(env!("CARGO_BIN_EXE_mcp-mock")).args(["http", "--script", "polite"]))
    }

    /// It is told the answers that the mock gives.
    fn echo() -> Self {
        let answers = Value::from(session(&Self::mock())).to_string();
        Self::start(Command::new(std::env::current_exe().expect("it has a path")).args([ECHO, &answers]))
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn start(command: &mut Command) -> Self {
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("the server starts");
        let mut url = String::new();
        let stdout = child.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut url).expect("the server says where it is");
        let (addr, path) = url.trim().trim_start_matches("http://").split_once('/').expect("a URL has a path");
        Self { child, addr: addr.parse().expect("an address"), path: format!("/{path}") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended; nothing is left either way.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One session on a connection of its own; each answer with its head, as text.
fn session(server: &Server) -> Vec<Value> {
    let mut client = Client::connect(server);
    SESSION.iter().map(|(method, body)| client.exchange(server, method, body)).collect()
}

/// Sessions that are initialized and hold a stream from the server, all at once.
pub fn open_sessions(server: &Server, n_sessions: usize) -> Vec<Client> {
    let open = |_| {
        let mut client = Client::connect(server);
        for (method, body) in &SESSION[..2] {
            client.exchange(server, method, body);
        }
        client.say(server, "GET", "");
        let head = client.read_head();
        assert_eq!(head.answer["status"], 200, "the stream is open");
        client
    };
    (0..n_sessions).map(open).collect()
}

/// A client on one connection.
pub struct Client {
    reader: BufReader<TcpStream>,
    /// Headers of the session, once there is one.
    session: String,
}

/// What comes before a body.
struct Head {
    answer: Value,
    length: usize,
    is_chunked: bool,
}

impl Client {
    fn connect(server: &Server) -> Self {
        let stream = TcpStream::connect(server.addr).expect("the server listens");
        stream.set_nodelay(true).expect("it is a socket");
        Self { reader: BufReader::new(stream), session: String::new() }
    }

    fn exchange(&mut self, server: &Server, method: &str, body: &str) -> Value {
        self.say(server, method, body);
        let answer = self.read_answer();
        if let Some(id) = answer["session"].as_str() {
            self.session = format!("mcp-session-id: {id}\r\nmcp-protocol-version: 2025-11-25\r\n");
        }
        assert!(answer["status"].as_u64().is_some_and(|status| status < 300), "found {answer}");
        answer
    }

    fn say(&mut self, server: &Server, method: &str, body: &str) {
        let (path, addr, length, session) = (&server.path, server.addr, body.len(), &self.session);
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: {addr}\r\naccept: application/json, text/event-stream\r\n\
             content-type: application/json\r\n{session}content-length: {length}\r\n\r\n{body}"
        );
        self.reader.get_mut().write_all(request.as_bytes()).expect("the server reads");
    }

    fn read_head(&mut self) -> Head {
        let reader = &mut self.reader;
        let status = line_of(reader).split(' ').nth(1).and_then(|status| status.parse::<u16>().ok());
        let mut head = Head { answer: json!({ "status": status }), length: 0, is_chunked: false };
        loop {
            let header = line_of(reader);
            let Some((name, value)) = header.split_once(": ") else { return head };
            match name.to_ascii_lowercase().as_str() {
                "content-length" => head.length = value.parse().expect("a number"),
                "transfer-encoding" => head.is_chunked = true,
                "content-type" => head.answer["type"] = value.into(),
                "mcp-session-id" => head.answer["session"] = value.into(),
                _ => {}
            }
        }
    }

    fn read_answer(&mut self) -> Value {
        let Head { mut answer, length, is_chunked } = self.read_head();
        let body = if is_chunked { chunks_of(&mut self.reader) } else { bytes_of(&mut self.reader, length) };
        answer["body"] = String::from_utf8(body).expect("text").into();
        answer
    }
}

fn chunks_of(reader: &mut impl BufRead) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let n_bytes = usize::from_str_radix(&line_of(reader), 16).expect("the length of a chunk");
        body.extend(bytes_of(reader, n_bytes));
        assert_eq!(line_of(reader), "");
        if n_bytes == 0 {
            return body;
        }
    }
}

fn line_of(reader: &mut impl BufRead) -> String {
    let mut line = String::new();
    reader.read_line(&mut line).expect("the server answers");
    line.trim_end().to_owned()
}

fn bytes_of(reader: &mut impl Read, n_bytes: usize) -> Vec<u8> {
    let mut bytes = vec![0; n_bytes];
    reader.read_exact(&mut bytes).expect("the server answers");
    bytes
}

/// The server to compare with: reads each message and gives the answer it was told for its method.
pub fn echo(answers: &str) -> ExitCode {
    let answers: Vec<Value> = serde_json::from_str(answers).expect("the answers of a session");
    let answers: &'static [Value] = answers.leak();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a loopback port");
        println!("http://{}/mcp", listener.local_addr().expect("it is bound"));
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            // As the mock does.
            let _ = stream.set_nodelay(true);
            let service = hyper::service::service_fn(move |request| answer(request, answers));
            tokio::spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service));
        }
    })
}

async fn answer(request: Request<Incoming>, answers: &'static [Value]) -> Result<Response<String>, Infallible> {
    let is_delete = request.method() == hyper::Method::DELETE;
    let mut body = request.into_body();
    let mut bytes = Vec::new();
    while let Some(Ok(frame)) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        bytes.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
    }
    let message: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let index = match message["method"].as_str() {
        _ if is_delete => 4,
        Some("initialize") => 0,
        Some("tools/list") => 2,
        Some("tools/call") => 3,
        _ => 1,
    };
    let answer = &answers[index];
    let text = |name: &str| answer[name].as_str();
    let status = answer["status"].as_u64().and_then(|status| u16::try_from(status).ok()).unwrap_or(500);
    let mut response = Response::builder().status(status);
    for (header, value) in [("content-type", text("type")), ("mcp-session-id", text("session"))] {
        response = value.into_iter().fold(response, |response, value| response.header(header, value));
    }
    Ok(response.body(text("body").unwrap_or_default().to_owned()).expect("the mock answered like that"))
}
