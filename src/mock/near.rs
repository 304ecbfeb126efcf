//! The mocks of a simulated plan: tasks of the runtime that runs the loader as well, with direct links to the recorder.
//!
//! They do what the mocks of [`MemoryMocks`](crate::mock::MemoryMocks) do, and what they do follows from a seed.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::io::DuplexStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use crate::mock::http::{Connector, HttpMock, connector};
use crate::mock::line_driver::{LineMock, LineSender, line_inbox};
use crate::mock::memory::{ClientPipes, PIPE_BYTES, Served};
use crate::mock::recorder_link::RecorderCommand;
use crate::mock::wavering::Wavering;
use crate::plan::{Revision, ShutdownBehaviour};
use crate::record::{Dice, NearLinks, NearMock};
use crate::script::Script;
use crate::server::{BODY_BYTES_MAX, Endpoint, HttpSetup, HttpStyle, Input, Machine, Setup};

/// The mocks of one simulated plan. Cheap to clone.
#[derive(Clone)]
pub struct NearMocks {
    inner: Arc<Inner>,
}

/// What the mocks of a plan have in common, and what each has of its own.
#[derive(Debug, Clone)]
pub struct NearSetup {
    /// The script of each server, by its name.
    pub scripts: BTreeMap<String, Script>,
    /// The newest revision that they speak.
    pub revision: Revision,
    /// The longest life of each.
    pub max_life: Duration,
    /// The seed of the plan.
    pub seed: u64,
}

struct Inner {
    links: NearLinks,
    handle: Handle,
    setup: NearSetup,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    running: JoinSet<()>,
    lines: Vec<LineSender>,
    http: BTreeMap<String, Connector>,
    /// Servers over HTTP that have ended.
    over: BTreeSet<String>,
    /// Whether no mock may start any more.
    is_closed: bool,
    /// Number of streams so far. Each has dice of its own.
    n_streams: u64,
}

impl NearMocks {
    /// No mock yet. Those that come are tasks of the runtime of `handle`.
    #[must_use]
    pub fn new(links: NearLinks, handle: Handle, setup: NearSetup) -> Self {
        Self { inner: Arc::new(Inner { links, handle, setup, state: Mutex::default() }) }
    }

    /// Starts a mock over lines. If the scenario has no such server, its client reads the end of its output.
    ///
    /// # Errors
    /// `Unsupported` on another thread, and `BrokenPipe` after the end of the mocks.
    pub fn pipes(&self, server: &str) -> io::Result<ClientPipes> {
        self.is_usable()?;
        let (stdin, its_stdin) = tokio::io::duplex(PIPE_BYTES);
        let (its_stdout, stdout) = tokio::io::duplex(PIPE_BYTES);
        let Some((mut link, machine)) = self.machine(server, Endpoint::Lines) else {
            return Ok(ClientPipes { stdin, stdout });
        };
        let NearSetup { max_life, seed, .. } = self.inner.setup;
        let mut state = self.lock();
        let input = Wavering::new(its_stdin, state.dice(seed));
        let output = Wavering::new(its_stdout, state.dice(seed));
        let (sender, inbox) = line_inbox();
        let (gates, commands) = (sender.clone(), link.take_commands());
        let mock = LineMock::new(machine, link, inbox, input, output);
        state.lines.push(sender);
        let alive = async move {
            tokio::select! {
                biased;
                // Nothing of a link within this process is ever lost.
                ended = mock.run(Instant::now() + max_life) => drop(ended),
                () = obey(commands, move |input| gates.send(input)) => {}
            }
        };
        state.running.spawn_on(alive, &self.inner.handle);
        Ok(ClientPipes { stdin, stdout })
    }

    /// Connects to a mock over HTTP, which starts with its first connection.
    ///
    /// # Errors
    /// `ConnectionRefused` when the mock has ended or the scenario has no such server; otherwise as for [`pipes`](Self::pipes).
    pub fn socket(&self, server: &str, served: Served) -> io::Result<DuplexStream> {
        self.is_usable()?;
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        if self.lock().over.contains(server) {
            return Err(refused());
        }
        let (client, stream) = tokio::io::duplex(PIPE_BYTES);
        let known = self.lock().http.get(server).cloned();
        let connector = match known {
            Some(connector) => connector,
            None => self.start_http(server, served).ok_or_else(refused)?,
        };
        let stream = Wavering::new(stream, self.lock().dice(self.inner.setup.seed));
        let _inside = self.inner.handle.enter();
        connector.connect(stream);
        Ok(client)
    }

    fn start_http(&self, server: &str, served: Served) -> Option<Connector> {
        let NearSetup { max_life, seed, .. } = self.inner.setup;
        let Served { url, path } = served;
        let session_prefix = format!("{:016x}", Dice::new(seed, server).draw());
        let endpoint = Endpoint::Http(HttpSetup { url, path, style: HttpStyle::Streamable, session_prefix });
        let (mut link, machine) = self.machine(server, endpoint)?;
        let (connector, inbox) = connector();
        let (gates, commands) = (connector.clone(), link.take_commands());
        let mut mock = HttpMock::new(machine, link, inbox);
        let (name, mocks) = (server.to_owned(), self.clone());
        let mut state = self.lock();
        state.http.insert(name.clone(), connector.clone());
        // Its start may already be its end. Nothing of a link within this process is ever lost.
        let ended = mock.start().ok().flatten();
        let alive = async move {
            if ended.is_none() {
                tokio::select! {
                    biased;
                    ended = mock.run(Instant::now() + max_life) => drop(ended),
                    () = obey(commands, move |input| gates.send(input)) => {}
                }
            }
            mocks.lock().over.insert(name);
        };
        state.running.spawn_on(alive, &self.inner.handle);
        Some(connector)
    }

    /// The link and the machine of a mock; `None` if the scenario has no such server.
    fn machine(&self, server: &str, endpoint: Endpoint) -> Option<(NearMock, Machine)> {
        let setup = &self.inner.setup;
        let script = setup.scripts.get(server)?.clone();
        let link = self.inner.links.mock(server)?;
        let machine = Machine::new(Setup {
            script,
            // A mock without a process takes no signal that it could ignore.
            shutdown_behaviour: ShutdownBehaviour::Polite,
            revision: setup.revision,
            connection: link.connection().clone(),
            incarnation: link.incarnation().into(),
            n_probes: u64::try_from(link.n_probes()).unwrap_or(u64::MAX),
            endpoint,
            pid: None,
            body_bytes_max: BODY_BYTES_MAX,
        });
        Some((link, machine))
    }

    /// Ends every mock as the end of its client would, and waits for them, at most for `limit`.
    pub async fn close(&self, limit: Duration) {
        let mut running = {
            let mut state = self.lock();
            state.is_closed = true;
            state.lines.iter().for_each(|sender| sender.send(Input::Eof));
            state.http.values().for_each(|connector| connector.send(Input::Eof));
            std::mem::take(&mut state.running)
        };
        // Mocks that a script still holds are cut off.
        let _ = timeout(limit, async { while running.join_next().await.is_some() {} }).await;
    }

    fn is_usable(&self) -> io::Result<()> {
        match (self.inner.links.is_here(), self.lock().is_closed) {
            (false, _) => Err(io::ErrorKind::Unsupported.into()),
            (true, true) => Err(io::ErrorKind::BrokenPipe.into()),
            (true, false) => Ok(()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The dice of the next stream.
    fn dice(&mut self, seed: u64) -> Dice {
        self.n_streams += 1;
        Dice::new(seed, &format!("stream {}", self.n_streams))
    }
}

/// Passes on the gates that the recorder opens, until it commands the mock to die.
async fn obey(mut commands: mpsc::UnboundedReceiver<Value>, give: impl Fn(Input)) {
    while let Some(command) = commands.recv().await {
        match RecorderCommand::read(&command) {
            Some(RecorderCommand::OpenGate(gate)) => give(Input::GateOpened(gate)),
            Some(RecorderCommand::Die) => return,
            None => {}
        }
    }
    // The link has ended, so no command can follow.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

    use super::*;
    use crate::history::{Header, event_to_line};
    use crate::record::{EndpointOptions, MockSetup, Recorder, RecorderEndpoint, VirtualClock};
    use crate::script::shipped;

    /// The journal of a mock that answers a ping after ten seconds of virtual time, and is told to die then.
    fn life(seed: u64) -> String {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
        runtime.block_on(async {
            let _clock = VirtualClock::begin();
            let recorder = Recorder::in_memory(Header::new("test"));
            let options = EndpointOptions {
                adapter_token: String::new(),
                mock_token: String::new(),
                hello_limit: Duration::from_secs(1),
                mocks: BTreeMap::from([("files".to_owned(), MockSetup { welcome: serde_json::Map::new() })]),
            };
            let endpoint = RecorderEndpoint::near(recorder.clone(), options);
            let setup = NearSetup {
                scripts: BTreeMap::from([("files".to_owned(), shipped("polite").unwrap())]),
                revision: Revision::NEWEST_HANDSHAKE,
                max_life: Duration::from_secs(60),
                seed,
            };
            let mocks = NearMocks::new(endpoint.near_links(), Handle::current(), setup);
            let ClientPipes { mut stdin, stdout } = mocks.pipes("files").unwrap();
            tokio::time::advance(Duration::from_secs(10)).await;
            stdin.write_all(b"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"ping\"}\n").await.unwrap();
            let mut lines = BufReader::new(stdout).lines();
            assert_eq!(lines.next_line().await.unwrap().unwrap(), r#"{"jsonrpc":"2.0","id":1,"result":{}}"#);
            assert!(endpoint.kill(&endpoint.mocks()[0]));
            assert_eq!(lines.next_line().await.unwrap(), None);
            let history = recorder.take_history();
            history.events().iter().map(|event| event_to_line(event) + "\n").collect()
        })
    }

    #[test]
    fn a_near_mock_lives_in_virtual_time_and_dies_when_it_is_told_to() {
        let began = std::time::Instant::now();
        let journal = life(7);
        assert!(began.elapsed() < Duration::from_secs(5), "virtual time took real time");
        let received = journal.lines().find(|line| line.contains("wire.received")).unwrap();
        assert!(received.contains(r#""at_us":10000000"#), "{received}");
        assert!(journal.lines().last().unwrap().contains(r#""kind":"link.closed","farewell":false"#), "{journal}");
        assert_eq!(journal, life(7));
    }
}
