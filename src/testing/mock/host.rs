//! The surroundings of a mock in a test: a thread, a history, and a port.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::mpsc::channel;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::history::{Event, EventKind, Header, History, ServerFacts, Source};
use crate::mock::{Connector, DriverKind, HttpMock, Journal, JournalLost, LinkedArgs, connector};
use crate::plan::{Limits, Revision, ShutdownBehaviour, Transport};
use crate::record::{EndpointOptions, MockSetup, Recorder, RecorderEndpoint, secret};
use crate::script::Script;
use crate::server::{BODY_BYTES_MAX, Endpoint, HttpSetup, HttpStyle, Input, Machine, Setup};

/// Name of the server in its history.
const SERVER: &str = "mock";
/// Longest life of a mock. It exceeds every test, and it bounds a mock that a killed test leaves.
const MAX_LIFE: Duration = Duration::from_secs(3_600);
/// How long the thread of a mock may take to be ready.
const READY_LIMIT: Duration = Duration::from_secs(10);

/// Hosts one mock over HTTP, or the recorder endpoint of its processes over stdio.
pub(super) struct Host {
    pub script: Script,
    recorder: Recorder,
    gates: Gates,
    /// Taken by the drop, which must not wait.
    runtime: Option<Runtime>,
}

/// The receiver of opened gates.
enum Gates {
    Http(Connector),
    Stdio(RecorderEndpoint),
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("script", &self.script.name()).finish_non_exhaustive()
    }
}

/// A mock over HTTP in this process, and its URL.
pub(super) fn over_http(script: Script, revision: Revision) -> io::Result<(Host, String)> {
    let recorder = recorder(&script, revision, Transport::Http);
    let runtime = runtime()?;
    let listener = std::net::TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
    listener.set_nonblocking(true)?;
    let path = format!("/{}/mcp", secret()?);
    let url = format!("http://{}{path}", listener.local_addr()?);
    let endpoint =
        Endpoint::Http(HttpSetup { url: url.clone(), path, style: HttpStyle::Streamable, session_prefix: secret()? });
    let (connector, inbox) = connector();
    let journal =
        Recorded { recorder: recorder.clone(), source: Source::Mock { server: SERVER.to_owned(), incarnation: 1 } };
    let mut mock = HttpMock::new(Machine::new(Setup::alone(script.clone(), revision, endpoint)), journal, inbox);
    let listener = {
        let _entered = runtime.enter();
        TcpListener::from_std(listener)?
    };
    let ended = mock.start().map_err(io::Error::other)?;
    // A mock that ends at its start closes its port at once, and its client must see that.
    if ended.is_none() {
        let accepting = connector.clone();
        runtime.spawn(async move {
            let life_ends = Instant::now() + MAX_LIFE;
            tokio::select! {
                // Any end closes the port. The journal cannot be lost.
                ended = mock.run(life_ends) => drop(ended),
                () = accepting.accept(listener) => {}
            }
        });
    }
    Ok((Host { script, recorder, gates: Gates::Http(connector), runtime: Some(runtime) }, url))
}

/// The recorder endpoint of the processes that a client starts with these arguments.
pub(super) fn over_stdio(
    script: Script,
    revision: Revision,
    shutdown: ShutdownBehaviour,
) -> io::Result<(Host, Vec<String>)> {
    let recorder = recorder(&script, revision, Transport::Stdio);
    let runtime = runtime()?;
    let token = secret()?;
    let options = EndpointOptions {
        adapter_token: secret()?,
        mock_token: token.clone(),
        hello_limit: Limits::default().hello,
        mocks: BTreeMap::from([(SERVER.to_owned(), setup(&script, revision, shutdown)?)]),
    };
    let (sender, opened) = channel();
    let recording = recorder.clone();
    // Not with `block_on`, because the caller may be inside a runtime.
    runtime.spawn(async move {
        // The caller waits for the result.
        let _ = sender.send(RecorderEndpoint::open(recording, options).await);
    });
    let endpoint = opened.recv_timeout(READY_LIMIT).map_err(io::Error::other)??;
    let linked = LinkedArgs { driver: DriverKind::Stdio, link: endpoint.addr(), token, server: SERVER.to_owned() };
    let args = [vec!["__mock".to_owned()], linked.to_args()].concat();
    Ok((Host { script, recorder, gates: Gates::Stdio(endpoint), runtime: Some(runtime) }, args))
}

fn runtime() -> io::Result<Runtime> {
    Builder::new_multi_thread().worker_threads(1).thread_name("mock").enable_all().build()
}

fn recorder(script: &Script, revision: Revision, transport: Transport) -> Recorder {
    let header = Header {
        scenario: "test".to_owned(),
        loader: "unknown".to_owned(),
        revision: revision.to_string(),
        transport: transport.to_string(),
        servers: vec![ServerFacts { name: SERVER.to_owned(), script: script.name().to_owned() }],
        ..Header::new(&format!("test.{}", script.name()))
    };
    Recorder::in_memory(header)
}

/// The welcome for each process that connects.
fn setup(script: &Script, revision: Revision, shutdown: ShutdownBehaviour) -> io::Result<MockSetup> {
    let ms = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let welcome = serde_json::json!({
        "script": script,
        "temperament": shutdown,
        "revision": revision,
        "acknowledge_ms": ms(Limits::default().acknowledge),
        "max_life_ms": ms(MAX_LIFE),
        "body_bytes_max": BODY_BYTES_MAX,
    });
    Ok(MockSetup { welcome: serde_json::from_value(welcome)? })
}

/// Journals straight into a history.
struct Recorded {
    recorder: Recorder,
    source: Source,
}

impl Journal for Recorded {
    fn journal(&self, kind: &EventKind) -> Result<(), JournalLost> {
        self.recorder.note(self.source.clone(), kind.clone());
        Ok(())
    }
}

impl Host {
    pub(super) fn history(&self) -> History {
        self.recorder.history_so_far()
    }

    pub(super) fn open_gate(&self, gate: &str) {
        match &self.gates {
            Gates::Http(connector) => connector.send(Input::GateOpened(gate.to_owned())),
            Gates::Stdio(endpoint) => endpoint.open_gate(gate),
        }
    }

    /// Waits until the events fulfil a condition, at most for `limit`. Returns whether they do.
    ///
    /// The wait runs on the thread of the mock, so that a caller may await it on any runtime.
    pub(super) async fn until(&self, limit: Duration, is_so: impl Fn(&[Event]) -> bool + Send + 'static) -> bool {
        let recorder = self.recorder.clone();
        let (sender, found) = oneshot::channel();
        let Some(runtime) = &self.runtime else { return false };
        runtime.spawn(async move {
            let is_so = recorder.wait_until(limit, is_so).await;
            // The caller may have given up.
            let _ = sender.send(is_so);
        });
        found.await.unwrap_or(false)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        // Code inside a runtime must not wait for the end of another one.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
