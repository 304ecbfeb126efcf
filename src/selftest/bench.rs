//! The test bench of one session: a supervised adapter, its link, and mocks with their own recorder endpoint.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::net::TcpListener;

use crate::foreign::without_secrets;
use crate::history::{EventKind, Header};
use crate::life::{MockLink, OUTPUT_BYTES_MAX, RunEnvironment, Servers, create_outputs, mock_setup, read_head};
use crate::plan::{Limits, Transport};
use crate::record::{EndpointOptions, Recorder, RecorderEndpoint};
use crate::script::{Script, shipped};
use crate::selftest::input::{SelfTestInput, SelfTestTransport};
use crate::selftest::link::AdapterEnd;
use crate::supervise::{Supervised, command_line};

/// The servers and their scripts. One server answers at once; the other holds its first call.
const SERVERS: [(&str, &str); 2] = [(FILES, "polite"), (HELD, "hold-first-call")];
/// Name of the server that answers at once.
pub(super) const FILES: &str = "files";
/// Name of the server that holds its first call.
pub(super) const HELD: &str = "held";
/// The gate at which that server holds the call.
pub(super) const GATE: &str = "first-call";
/// The tool that both servers offer.
pub(super) const TOOL: &str = "read";

/// Everything that one session needs. `Bench::open` starts the adapter.
pub(super) struct Bench<'a> {
    pub input: &'a SelfTestInput,
    pub over: SelfTestTransport,
    environment: &'a RunEnvironment,
    pub recorder: Recorder,
    pub endpoint: RecorderEndpoint,
    mock_token: String,
    servers: Servers,
    pub supervised: Supervised,
    /// The listener to which the adapter connects.
    pub listener: TcpListener,
    /// The token that its hello must contain.
    pub token: String,
    outputs: [File; 2],
}

impl<'a> Bench<'a> {
    /// Starts the mocks and the adapter.
    pub(super) async fn open(
        input: &'a SelfTestInput,
        over: SelfTestTransport,
        environment: &'a RunEnvironment,
    ) -> io::Result<Self> {
        let recorder = Recorder::in_memory(header_of(input, over));
        let (token, mock_token) = (RunEnvironment::token()?, RunEnvironment::token()?);
        let options = EndpointOptions {
            adapter_token: RunEnvironment::token()?,
            mock_token: mock_token.clone(),
            hello_limit: input.limits.hello,
            mocks: setups(over.transport, &input.limits)?,
        };
        let endpoint = RecorderEndpoint::open(recorder.clone(), options).await?;
        let stderr = create_outputs(&input.directory)?;
        let outputs = [File::open(input.directory.join("stdout.txt"))?, stderr];
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let mut servers = Servers::new(over.transport, over.transport.usual_framing());
        let link = MockLink { environment, endpoint: endpoint.addr(), token: &mock_token };
        let names = SERVERS.map(|(name, _)| name.to_owned());
        servers.start(link, &recorder, &names, input.limits.listen).await.map_err(io::Error::other)?;
        let spec =
            input.launch.supervised(environment, listener.local_addr()?, &token, &input.directory, &input.limits);
        let supervised = Supervised::start(&environment.executable, spec, recorder.clone(), &environment.reaper)
            .await
            .map_err(io::Error::other)?;
        Ok(Self {
            input,
            over,
            environment,
            recorder,
            endpoint,
            mock_token,
            servers,
            supervised,
            listener,
            token,
            outputs,
        })
    }

    pub(super) fn limits(&self) -> &Limits {
        &self.input.limits
    }

    /// A configuration with these servers.
    pub(super) fn config(&self, names: &[&str]) -> Value {
        let (environment, endpoint) = (self.environment, self.endpoint.addr());
        let link = MockLink { environment, endpoint, token: &self.mock_token };
        let entry = |name: &&str| ((*name).to_owned(), self.servers.entry(link, name));
        let servers: Map<String, Value> = names.iter().map(entry).collect();
        json!({ "mcpServers": servers })
    }

    /// Waits until a server receives a request of this method, from position `from` on; `false` if the limit passed.
    pub(super) async fn has_come(&self, from: usize, server: &str, method: &str, limit: Duration) -> bool {
        self.recorder.wait_for(from, limit, |event| is_request(event, server, method)).await.is_some()
    }

    /// Parameters of the requests of this method that a server received, from position `from` on.
    pub(super) fn requests(&self, from: usize, server: &str, method: &str) -> Vec<Value> {
        let mut found = Vec::new();
        let mut position = 0;
        self.recorder.any(|event| {
            if position >= from
                && is_request(event, server, method)
                && let EventKind::WireReceived { message, .. } = &event.kind
            {
                found.push(message.at(&["params"]).cloned().unwrap_or_default());
            }
            position += 1;
            false
        });
        found
    }

    /// The servers that still run, each with its pid and the beginning of its command line.
    pub(super) fn servers_left(&self) -> Vec<String> {
        let left = self.endpoint.mocks().into_iter().filter(|mock| mock.open);
        left.map(|mock| {
            let command = command_line(mock.pid);
            format!("{} (pid {}, {:?})", mock.server, mock.pid, without_secrets(&command))
        })
        .collect()
    }

    /// The first line that the adapter wrote to stdout or stderr, with the name of the stream.
    pub(super) fn output(&self) -> Option<String> {
        ["stdout", "stderr"].iter().zip(&self.outputs).find_map(|(name, file)| {
            let bytes = read_head(file, OUTPUT_BYTES_MAX);
            let text = String::from_utf8_lossy(&bytes);
            let line: String = without_secrets(text.lines().next()?).chars().take(120).collect();
            Some(format!("{name} begins with {line:?}"))
        })
    }

    /// The last line that the adapter wrote to stderr. In most languages it names the error that ended the process.
    pub(super) fn last_error(&self) -> Option<String> {
        let [_, stderr] = &self.outputs;
        let bytes = read_head(stderr, OUTPUT_BYTES_MAX);
        let text = String::from_utf8_lossy(&bytes);
        let last = text.lines().rfind(|line| !line.trim().is_empty())?;
        let line: String = without_secrets(last).chars().take(120).collect();
        Some(format!("stderr ends with {line:?}"))
    }

    /// How the adapter's process ended, as text; `None` while it runs.
    pub(super) fn ending(&self) -> Option<String> {
        let end = self.supervised.loader_end_now()?;
        Some(match (end.code, end.signal) {
            (Some(code), _) => format!("it ended with exit code {code}"),
            (None, Some(signal)) => format!("it was ended by signal {signal}"),
            (None, None) => "it ended".to_owned(),
        })
    }

    /// Ends the adapter and the servers, by force if necessary.
    pub(super) async fn close(self, link: Option<AdapterEnd>) {
        if let Some(link) = link {
            link.cut().await;
        }
        self.supervised.end().await;
        self.endpoint.close().await;
        self.servers.end().await;
    }
}

fn is_request(event: &crate::history::Event, server: &str, method: &str) -> bool {
    let EventKind::WireReceived { message, .. } = &event.kind else { return false };
    event.source.server() == Some(server) && message.is_request(method)
}

fn header_of(input: &SelfTestInput, over: SelfTestTransport) -> Header {
    Header {
        transport: over.transport.to_string(),
        revision: over.transport.usual_framing().newest_handshake().to_string(),
        limits: input.limits.clone(),
        ..Header::new("self-test")
    }
}

fn setups(transport: Transport, limits: &Limits) -> io::Result<BTreeMap<String, crate::record::MockSetup>> {
    let revision = transport.usual_framing().newest_handshake();
    let setup = |(name, script): (&str, &str)| {
        let script: Script = shipped(script).map_err(io::Error::other)?;
        Ok((name.to_owned(), mock_setup(&script, "polite".to_owned(), revision.to_string(), limits)))
    };
    SERVERS.into_iter().map(setup).collect()
}
