//! The preflight: before a run, a raw client of this program makes one exchange with each mock script.
//!
//! A broken mock could reproduce any finding. So each script must first reply to a client that is not under test. The client sends a
//! ping, or `tools/list` where the script has no ping. A script that exits before it replies must exit. A script that breaks the
//! connection first passes as soon as it has done so.

use std::collections::BTreeMap;
use std::io;
use std::pin::pin;
use std::process::Stdio;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::history::{Event, EventKind, Header, Impact};
use crate::http_client::{Request, Response, send};
use crate::life::environment::RunEnvironment;
use crate::life::http_server::{HttpServer, ServerError, ServerLaunch};
use crate::life::mocks::{MockLink, mock_setup};
use crate::plan::{Framing, Limits, Revision, Transport};
use crate::record::{EndpointOptions, Recorder, RecorderEndpoint};
use crate::script::{Generation, Script};
use crate::supervise::OrphanReaper;

/// How long one exchange may take: limit `preflight`.
const EXCHANGE_LIMIT: Duration = Duration::from_secs(10);
/// Most bytes of a response that are looked at.
const RESPONSE_BYTES_MAX: usize = 64 << 10;
/// The request for a mock.
const PING: &str = r#"{"jsonrpc":"2.0","id":1,"method":"ping"}"#;
/// The request for a mock of the stateless generation alone, which has no ping.
const LIST: &str = r#"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#;
/// The header fields of the request over HTTP.
const LIST_FIELDS: &[(&str, &str)] = &[("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
/// Type of the bodies that are sent.
const JSON: &str = "application/json";
/// Exchanges at once: each is a process that mostly waits.
const EXCHANGES_AT_ONCE: usize = 8;

/// A script over a transport.
pub type Probe = (Transport, String);

/// The result for each script, by transport and name: `None`, or what is wrong.
pub type Preflight = BTreeMap<Probe, Option<String>>;

/// Makes one exchange with each script over its transport, several at once. Stops when the run is interrupted.
pub async fn preflight(scripts: &BTreeMap<Probe, Script>, environment: &RunEnvironment) -> Preflight {
    let exchanges = scripts.iter().map(|(probe, script)| async move {
        let error = exchange(probe.0, script, environment).await.err().map(|error| error.to_string());
        (probe.clone(), error)
    });
    stream::iter(exchanges).buffer_unordered(EXCHANGES_AT_ONCE).collect().await
}

#[derive(Debug, thiserror::Error)]
enum ExchangeError {
    #[error("the mock cannot be run: {0}")]
    Io(#[from] io::Error),
    #[error("found {found:?}, expected an answer")]
    Answer { found: String },
    #[error("found an answer, expected the mock to end first, as its script says")]
    StillThere,
    #[error(transparent)]
    Server(#[from] ServerError),
    #[error("no exchange within {} s", EXCHANGE_LIMIT.as_secs())]
    Overdue,
    #[error("the run was interrupted")]
    Interrupted,
}

/// The request to a mock.
#[derive(Debug, Clone, Copy)]
struct Question {
    line: &'static str,
    fields: &'static [(&'static str, &'static str)],
}

impl Question {
    fn to(script: &Script) -> Self {
        match script.generation(1) {
            Some(Generation::Stateless) => Self { line: LIST, fields: LIST_FIELDS },
            Some(Generation::Handshake | Generation::Both) | None => Self { line: PING, fields: &[] },
        }
    }
}

/// A mock under probe. Dropping it kills the process and releases it to the orphan reaper.
struct Probed<'a> {
    child: Child,
    reaper: &'a OrphanReaper,
}

impl<'a> Probed<'a> {
    fn start(command: &mut Command, reaper: &'a OrphanReaper) -> io::Result<Self> {
        Ok(Self { child: reaper.spawn(command.kill_on_drop(true))?, reaper })
    }

    /// Kills it and waits for it.
    async fn end(mut self) {
        // It may have ended by itself.
        let _ = self.child.start_kill();
        let pid = self.child.id();
        let _ = self.child.wait().await;
        pid.into_iter().for_each(|pid| self.reaper.ended(pid));
    }
}

impl Drop for Probed<'_> {
    fn drop(&mut self) {
        // Only for one that was not waited for: the kill is sent by the drop of the child, and the reaper reaps it.
        self.child.id().into_iter().for_each(|pid| self.reaper.ended(pid));
    }
}

async fn exchange(transport: Transport, script: &Script, environment: &RunEnvironment) -> Result<(), ExchangeError> {
    let recorder = Recorder::in_memory(Header::new("preflight"));
    let token = RunEnvironment::token()?;
    let limits = Limits::default();
    let setup = mock_setup(script, "polite".to_owned(), Revision::NEWEST_HANDSHAKE.to_string(), &limits);
    let mocks = BTreeMap::from([("probe".to_owned(), setup)]);
    let options = EndpointOptions {
        adapter_token: RunEnvironment::token()?,
        mock_token: token.clone(),
        hello_limit: limits.hello,
        mocks,
    };
    let endpoint = RecorderEndpoint::open(recorder.clone(), options).await?;
    let question = Question::to(script);
    let link = MockLink { environment, endpoint: endpoint.addr(), token: &token };
    let launch = ServerLaunch { link, transport, recorder: &recorder, limit: limits.listen };
    let result = match transport.usual_framing() {
        Framing::Lines => over_stdio(&launch, question).await,
        Framing::Http => over_http(&launch, async |url: &str| ask_http(url, question).await).await,
        Framing::Sse => over_http(&launch, async |url: &str| ping_sse(url).await).await,
    };
    endpoint.close().await;
    result
}

async fn over_http(launch: &ServerLaunch<'_>, ask: impl AsyncFn(&str) -> String) -> Result<(), ExchangeError> {
    let server = HttpServer::start(launch, "probe").await?;
    let result = within_limit(launch, async { Ok(ask(&server.url).await) }).await;
    server.end().await;
    result
}

async fn over_stdio(launch: &ServerLaunch<'_>, question: Question) -> Result<(), ExchangeError> {
    let mut command = launch.link.command(launch.transport, "probe");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut probed = Probed::start(&mut command, &launch.link.environment.reaper)?;
    let result = within_limit(launch, ask(&mut probed.child, question)).await;
    probed.end().await;
    result
}

/// Waits for the mock's reply, or until its script delivers a fault after which no reply is guaranteed.
async fn within_limit(
    launch: &ServerLaunch<'_>,
    exchange: impl Future<Output = Result<String, ExchangeError>>,
) -> Result<(), ExchangeError> {
    let ServerLaunch { link, recorder, .. } = launch;
    let is_fault = |event: &Event| matches!(event.kind, EventKind::FaultDelivered { impairs: Impact::Connection, .. });
    let mut exchange = pin!(exchange);
    let found = tokio::select! {
        found = exchange.as_mut() => found?,
        Some(_) = recorder.wait_for(0, EXCHANGE_LIMIT, is_fault) => {
            // A fault that ends the mock must end it. Any other fault is enough.
            if !recorder.any(|event| is_fault(event) && ends(&event.kind)) {
                return Ok(());
            }
            timeout(EXCHANGE_LIMIT, exchange).await.map_err(|_| ExchangeError::Overdue)??
        }
        () = tokio::time::sleep(EXCHANGE_LIMIT) => return Err(ExchangeError::Overdue),
        () = link.environment.interruption() => return Err(ExchangeError::Interrupted),
    };
    judged(&found, recorder.any(|event| is_fault(event) && ends(&event.kind)), recorder.any(is_fault))
}

/// Whether a fault ends its mock.
fn ends(kind: &EventKind) -> bool {
    let EventKind::FaultDelivered { fault, .. } = kind else { return false };
    matches!(fault.split(':').next(), Some("exit" | "die" | "close-stdout"))
}

/// Opens the stream of a mock, posts a ping to the endpoint that the stream names, and waits for the answer on the stream.
async fn ping_sse(url: &str) -> String {
    // A mock that ends at its start may be gone already.
    let request = Request { method: "GET", url, fields: &[("Accept", "text/event-stream")], body: None };
    let Ok(stream) = send(request).await else { return String::new() };
    let mut stream = EventLines { stream, buffer: Vec::new(), n_bytes: 0 };
    let Some(endpoint) = stream.data_of("endpoint").await else { return String::new() };
    let origin = url.find("//").and_then(|start| url[start + 2..].find('/').map(|end| &url[..start + 2 + end]));
    let url = format!("{}{endpoint}", origin.unwrap_or(url));
    let ping = Request { method: "POST", url: &url, fields: &[], body: Some((JSON, PING)) };
    if let Ok(response) = send(ping).await {
        response.text(RESPONSE_BYTES_MAX).await;
    }
    stream.data_of("message").await.unwrap_or_default()
}

/// The lines of a stream of events.
struct EventLines {
    stream: Response,
    /// Bytes that arrived after the last line.
    buffer: Vec<u8>,
    n_bytes: usize,
}

impl EventLines {
    /// The data of the next event of this name, as a conforming mock writes it; `None` where the stream ends before.
    async fn data_of(&mut self, name: &str) -> Option<String> {
        let mut is_named = false;
        loop {
            let line = self.next().await?;
            match line.split_once(": ") {
                Some(("event", found)) => is_named = found == name,
                Some(("data", data)) if is_named => return Some(data.to_owned()),
                _ => {}
            }
        }
    }

    async fn next(&mut self) -> Option<String> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.buffer.drain(..=end).collect();
                return Some(String::from_utf8_lossy(&line).trim_end().to_owned());
            }
            let chunk = self.stream.chunk().await.filter(|_| self.n_bytes < RESPONSE_BYTES_MAX)?;
            self.n_bytes += chunk.len();
            self.buffer.extend_from_slice(&chunk);
        }
    }
}

/// Asks by POST. The request needs no session.
async fn ask_http(url: &str, question: Question) -> String {
    let Question { line, fields } = question;
    let accept = [("Accept", "application/json, text/event-stream")];
    let fields: Vec<(&str, &str)> = accept.iter().chain(fields).copied().collect();
    // A mock that ends at its start may be gone already.
    let request = Request { method: "POST", url, fields: &fields, body: Some((JSON, line)) };
    let Ok(response) = send(request).await else { return String::new() };
    match (response.status, response.text(RESPONSE_BYTES_MAX).await) {
        (200, body) => body,
        (status, body) => format!("status {status}: {body}"),
    }
}

async fn ask(child: &mut Child, question: Question) -> Result<String, ExchangeError> {
    let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err(ExchangeError::Io(io::ErrorKind::BrokenPipe.into()));
    };
    // A mock that ends at its start may be gone already.
    let _ = stdin.write_all(format!("{}\n", question.line).as_bytes()).await;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line).await?;
    Ok(line)
}

/// Judges the reply of a mock. Its script may end it, or break its connection in another way.
fn judged(found: &str, is_ended: bool, is_unsound: bool) -> Result<(), ExchangeError> {
    let answer: Value = serde_json::from_str(found).unwrap_or_default();
    let is_answer = answer.get("id") == Some(&json!(1)) && answer.get("result").is_some();
    match (is_answer, is_ended) {
        (true, true) => Err(ExchangeError::StillThere),
        (true, false) => Ok(()),
        (false, true) if found.is_empty() => Ok(()),
        (false, false) if is_unsound => Ok(()),
        (false, _) => Err(ExchangeError::Answer { found: found.to_owned() }),
    }
}
